//! From a scenario that fails to the smallest one that fails in the same way.
//!
//! A failure that a search found comes with faults, brokers and sends that have no part in it. The
//! shrinker takes them away one step at a time and keeps a step exactly if the *same* invariant
//! still fails for the same seed: a step that trades the failure for another one would lead away
//! from what was found. What is left is a file that a person can read.
//!
//! It works on the scenario, never on the trace: faults as data is what makes that possible. Every
//! candidate must be writable as a file that reads the same again, so the result always is.
//!
//! The steps, in the order of what they save a reader:
//!
//! - `faults`: taken away in halves, then one by one; then weakened: shorter, rarer, less special;
//! - `nodes`: workloads, producers, brokers, name servers and topics;
//! - `work`: fewer sends, a shorter run, a plainer network, plainer sends.
//!
//! They are repeated until no step is kept, or until the limit of runs or of time. Nothing is drawn, so the
//! same failure always shrinks to the same file, unless its time is up.
//!
//! Of a check, whose program is no part of the scenario, only the faults are taken away and weakened.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fault::EngineKind;
use crate::invariant::{self, Source};
use crate::run::{self, Nodes, Run, RunConfig, RunError};
use crate::scenario::{PolicySource, Scenario};
use crate::verdict::Class;

mod faults;
mod nodes;
mod work;

/// What makes two failures the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailureId {
    /// The class of the verdict.
    pub class: Class,
    /// The first finding's invariant, or `expect`; empty where nothing but the class is known.
    pub by: &'static str,
    /// For an expectation: which figure.
    pub figure: Option<&'static str>,
    /// The figure is below what is expected, so that doing less would fail by itself.
    pub too_few: bool,
    /// What a program says of itself, without what differs from run to run: numbers and keys.
    pub said: Option<String>,
}

/// Whoever speaks in the program's own words, of which there are as many as the program has assertions.
const PROGRAMS: [&str; 3] = ["check", "program", "INV-57"];

/// A text without the words that have a digit.
fn without_numbers(text: &str) -> String {
    let words = text.split_whitespace();
    let words = words.map(|word| match word.contains(|it: char| it.is_ascii_digit()) {
        true => "#",
        false => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

impl FailureId {
    /// What failed in a run; none for a pass.
    pub(crate) fn of(run: &Run, scenario: &Scenario) -> Option<Self> {
        let verdict = &run.verdict;
        if verdict.is_pass() {
            return None;
        }
        let by = verdict.findings.first().map_or("", |first| first.by);
        let mut id = FailureId {
            class: verdict.class,
            by,
            figure: None,
            too_few: false,
            said: None,
        };
        if let Some(first) = verdict.findings.first()
            && PROGRAMS.contains(&by)
        {
            id.said = Some(without_numbers(&first.text));
        }
        if by == "expect" {
            let mut missed = run.summary.missed(&scenario.expect);
            // A figure that is too high says more than one that is too low because of it.
            missed.sort_by_key(|(_, figure, bound)| *figure < bound.min);
            if let Some((name, figure, bound)) = missed.first() {
                id.figure = Some(name);
                id.too_few = *figure < bound.min;
            }
        }
        Some(id)
    }

    /// Whether two runs of the seed are not as they must be beside each other.
    pub(crate) fn is_of_pair(&self) -> bool {
        let mut all = invariant::all().iter();
        all.any(|one| one.id == self.by && one.source == Source::PairedRuns)
    }
}

impl std::fmt::Display for FailureId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.by, self.figure) {
            ("", _) => write!(f, "{}", self.class),
            (by, None) => f.write_str(by),
            (by, Some(figure)) => write!(f, "{by} {figure}"),
        }
    }
}

/// Says how a scenario fails; none if it passes.
pub(crate) type Failing<'a> = dyn Fn(&Scenario) -> Result<Option<FailureId>, RunError> + 'a;

/// Judges candidates by running a seed on the event engine. A scenario in which far more happens than in the
/// first one is not smaller, however little it says: such a run is broken off.
pub(crate) fn failing(seed: u64) -> impl Fn(&Scenario) -> Result<Option<FailureId>, RunError> {
    let most_events = Cell::new(None);
    move |scenario| {
        let scenario = Arc::new(scenario.clone());
        let mut knobs = RunConfig::draw(&scenario, seed, EngineKind::Event);
        knobs.most_events = most_events.get();
        let run = run::run_with(&scenario, knobs)?;
        if most_events.get().is_none() {
            let records = run.trace.records.len() as u64;
            most_events.set(Some(self::most_events(records)));
        }
        Ok(FailureId::of(&run, &scenario))
    }
}

/// How many events a run may have whose first one had so many records.
pub(crate) fn most_events(records: u64) -> u64 {
    FEW_EVENTS + EVENTS_A_RECORD * records
}

/// A run may have so many events, however short the first one was.
const FEW_EVENTS: u64 = 20_000;
/// And so many more for each record of the first one.
const EVENTS_A_RECORD: u64 = 8;

/// How far the shrinker is.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    /// How many runs were made so far.
    pub runs: u32,
    /// The smallest scenario that fails so far.
    pub best: &'a Scenario,
    /// The step that was tried last.
    pub step: &'a str,
    /// Whether it was kept.
    pub kept: bool,
}

/// What the shrinker made of a failing scenario.
#[derive(Debug)]
pub(crate) struct Shrunk {
    /// The smallest scenario that fails.
    pub scenario: Scenario,
    /// How it fails: as the scenario it was made from.
    pub failure: FailureId,
    /// Runs made, the first one included.
    pub runs: u32,
    /// The steps kept, in order.
    pub steps: Vec<String>,
    /// Whether no further step can be kept; if not, the limit of runs ended it.
    pub complete: bool,
    /// A neighbour that passes, and the step that leads there.
    pub passing: Option<(String, Scenario)>,
}

/// When the shrinker stops, whatever it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// After so many runs.
    pub runs: u32,
    /// After so long; `None`: however long it takes.
    pub time: Option<Duration>,
}

impl Limit {
    /// So many runs, however long they take.
    pub(crate) fn of_runs(runs: u32) -> Self {
        Self { runs, time: None }
    }
}

/// Shrinks a scenario; none if it does not fail.
///
/// # Errors
///
/// A run could not be made.
pub(crate) fn shrink(
    scenario: &Scenario,
    failing: &Failing<'_>,
    limit: Limit,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<Option<Shrunk>, RunError> {
    let Some(failure) = failing(scenario)? else {
        return Ok(None);
    };
    let mut shrinker = Shrinker::new(
        scenario,
        failing,
        failure,
        (limit, Nodes::OfScenario),
        progress,
    );
    shrinker.runs = 1;
    shrinker.forget_expectations();
    shrinker.until_nothing_is_left(|it| {
        faults::remove(it);
        nodes::remove(it);
        work::lessen(it);
        faults::weaken(it);
        work::simplify(it);
    });
    shrinker.finish().map(Some)
}

/// Takes the faults of a check away and weakens them, as long as its run fails in the same way.
///
/// # Errors
///
/// A run could not be made.
pub(crate) fn shrink_faults(
    scenario: &Scenario,
    failing: &Failing<'_>,
    failure: FailureId,
    limit: Limit,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<Shrunk, RunError> {
    let mut shrinker = Shrinker::new(
        scenario,
        failing,
        failure,
        (limit, Nodes::MoreWillCome),
        progress,
    );
    shrinker.until_nothing_is_left(|it| {
        faults::remove(it);
        faults::alone(it);
        faults::weaken(it);
    });
    shrinker.finish()
}

struct Shrinker<'a> {
    failing: &'a Failing<'a>,
    failure: FailureId,
    best: Scenario,
    limit: Limit,
    /// Whether the scenario is all there is, so that what is left must stand as a file.
    nodes: Nodes,
    began: Instant,
    progress: &'a mut dyn FnMut(&Progress<'_>),
    runs: u32,
    steps: Vec<String>,
    /// Candidates that were checked before, as text.
    tried: BTreeSet<String>,
    passing: Option<(String, Scenario)>,
    /// A run could not be made: no further one is tried.
    broken: Option<RunError>,
}

impl<'a> Shrinker<'a> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a person waits for it: wall time only says when to stop"
    )]
    fn new(
        scenario: &Scenario,
        failing: &'a Failing<'a>,
        failure: FailureId,
        (limit, nodes): (Limit, Nodes),
        progress: &'a mut dyn FnMut(&Progress<'_>),
    ) -> Self {
        Self {
            failing,
            failure,
            best: scenario.clone(),
            limit,
            nodes,
            began: Instant::now(),
            progress,
            runs: 0,
            steps: Vec::new(),
            tried: BTreeSet::new(),
            passing: None,
            broken: None,
        }
    }

    /// Repeats the steps until none is kept, or the limit is reached.
    fn until_nothing_is_left(&mut self, steps: impl Fn(&mut Self)) {
        loop {
            let before = self.steps.len();
            steps(self);
            if self.steps.len() == before || self.is_over() {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        let time = self.limit.time.is_some_and(|it| self.began.elapsed() >= it);
        time || self.runs >= self.limit.runs
    }

    fn finish(self) -> Result<Shrunk, RunError> {
        let complete = !self.is_over();
        match self.broken {
            Some(error) => Err(error),
            None => Ok(Shrunk {
                complete,
                scenario: self.best,
                failure: self.failure,
                runs: self.runs,
                steps: self.steps,
                passing: self.passing,
            }),
        }
    }

    /// Expectations are about the scenario as it was; only the one that fails goes on.
    fn forget_expectations(&mut self) {
        let figure = self.failure.figure;
        self.attempt("expect nothing but what fails", |scenario| {
            let expect = &mut scenario.expect;
            for (name, bound) in expect.figures_mut() {
                if figure != Some(name) {
                    *bound = None;
                }
            }
        });
    }

    /// Tries a step, and keeps it if the same thing still fails.
    fn attempt(&mut self, step: &str, change: impl FnOnce(&mut Scenario)) -> bool {
        let mut candidate = self.best.clone();
        change(&mut candidate);
        let over = self.is_over() || self.broken.is_some();
        if over || candidate == self.best || !stands(&candidate, self.nodes) {
            return false;
        }
        if !self.tried.insert(candidate.to_toml()) {
            return false;
        }
        self.runs += 1;
        let failure = match (self.failing)(&candidate) {
            Ok(failure) => failure,
            Err(error) => {
                self.broken = Some(error);
                return false;
            }
        };
        let kept = failure.as_ref() == Some(&self.failure);
        if kept {
            self.best = candidate;
            self.steps.push(step.to_owned());
            self.passing = None;
        } else if failure.is_none() {
            self.remember_passing(step, candidate);
        }
        (self.progress)(&Progress {
            runs: self.runs,
            best: &self.best,
            step,
            kept,
        });
        kept
    }

    /// Keeps the neighbour that says most: best is one without a single fault of the minimal
    /// scenario, then one with all of them.
    fn remember_passing(&mut self, step: &str, candidate: Scenario) {
        let faults = self.best.faults.len();
        let rank = |it: &Scenario| match faults.saturating_sub(it.faults.len()) {
            1 => 0,
            0 => 1,
            _ => 2,
        };
        let held = self.passing.as_ref().map_or(3, |(_, it)| rank(it));
        if rank(&candidate) < held {
            self.passing = Some((step.to_owned(), candidate));
        }
    }

    /// Lowers one figure towards `least`: all the way if that is kept, else by halves of what is
    /// between, down to steps of one.
    fn lower(
        &mut self,
        step: &str,
        least: u64,
        get: impl Fn(&Scenario) -> Option<u64>,
        set: impl Fn(&mut Scenario, u64),
    ) {
        let Some(mut now) = get(&self.best) else {
            return;
        };
        let mut by = now.saturating_sub(least);
        while by > 0 {
            let to = now - by;
            let step = format!("{step} {now} to {to}");
            if self.attempt(&step, |scenario| set(scenario, to)) {
                now = to;
                by = by.min(now - least);
            } else {
                by /= 2;
            }
        }
    }
}

/// A figure as what holds it: one that was lowered fits where it stood.
fn fits<T: TryFrom<u64>>(figure: u64) -> T {
    let Ok(fitting) = T::try_from(figure) else {
        unreachable!("{figure} is more than what can stand there")
    };
    fitting
}

/// Whether the candidate is a scenario: it can run, and where it is all there is, it reads the same when it
/// is written.
fn stands(candidate: &Scenario, nodes: Nodes) -> bool {
    let can_run = || run::check(candidate, EngineKind::Event, nodes).is_ok();
    if nodes == Nodes::MoreWillCome {
        return can_run();
    }
    let load = |wanted: &str| {
        let policies = candidate.producers.iter().map(|plan| &plan.policy);
        let text = policies.into_iter().find_map(|policy| match policy {
            PolicySource::Text { file, text } if file == wanted => Some(text.clone()),
            _ => None,
        });
        text.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    let read = Scenario::parse(&candidate.name, &candidate.to_toml(), &load);
    read.is_ok_and(|it| it == *candidate) && can_run()
}

#[cfg(test)]
mod tests;

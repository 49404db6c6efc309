//! What a check has done in all of its seeds: the proof that a pass means something.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::super::checker::{Exercised, Judges};
use super::super::inject::InjectedEffects;
use crate::fault::Fault;
use crate::invariant;
use crate::run::{Effect, Missed, Run};
use crate::scenario::Scenario;
use crate::trace::NodeEvent;

/// What is kept of a seed that passed.
pub(super) struct Passed {
    sends: u64,
    effects: Vec<Effect>,
    /// How often each fault struck, with the name of its kind.
    struck: Vec<(&'static str, u64)>,
    preconditions: Vec<(&'static str, u64)>,
}

impl Passed {
    pub(super) fn of(scenario: &Scenario, run: &Run) -> Self {
        let sends = run.trace.records.iter().filter(|record| {
            use rmq_producer::event::Event;
            matches!(&record.what, NodeEvent::Producer(Event::Call { .. }))
        });
        let faults = run.effects.iter().zip(faults_of(scenario, run));
        let struck = faults.map(|(effect, fault)| (fault.kind.name(), effect.struck.unwrap_or(0)));
        Self {
            sends: sends.count() as u64,
            effects: run.effects.clone(),
            struck: struck.collect(),
            preconditions: run.preconditions.clone(),
        }
    }
}

/// The faults of a run, one for each of its effects: those of the plan, then those that the check injected.
pub(super) fn faults_of<'r>(
    scenario: &'r Scenario,
    run: &'r Run,
) -> impl Iterator<Item = &'r Fault> {
    let injected = run.effects.iter().filter_map(|it| it.injected.as_ref());
    let injected = injected.map(|injection| &injection.fault);
    scenario.faults.iter().chain(injected)
}

/// What all seeds so far have done.
pub(super) struct Tally<'a> {
    faults: &'a [Fault],
    seeds: u64,
    sends: u64,
    exercised: Exercised,
    /// How often faults struck, by the name of their kind.
    struck: BTreeMap<&'static str, u64>,
    /// For each fault that every seed has.
    counts: Vec<Counts>,
    injected: InjectedEffects,
}

/// In how many seeds a fault started, struck, and named a node that was never there.
#[derive(Clone, Copy, Default)]
struct Counts {
    started: u64,
    struck: u64,
    no_such_node: u64,
}

impl<'a> Tally<'a> {
    /// Nothing yet, of a check with these faults.
    pub(super) fn of(faults: &'a [Fault]) -> Self {
        Self {
            faults,
            seeds: 0,
            sends: 0,
            exercised: Exercised::default(),
            struck: BTreeMap::new(),
            counts: vec![Counts::default(); faults.len()],
            injected: InjectedEffects::default(),
        }
    }

    pub(super) fn add(&mut self, passed: &Passed) {
        self.seeds += 1;
        self.sends += passed.sends;
        self.exercised.add(&passed.preconditions);
        self.injected.add(&passed.effects);
        for (kind, times) in &passed.struck {
            *self.struck.entry(kind).or_default() += times;
        }
        for (count, effect) in self.counts.iter_mut().zip(&passed.effects) {
            count.started += u64::from(effect.started);
            count.struck += u64::from(effect.missed().is_none());
            count.no_such_node += u64::from(effect.no_such_node);
        }
    }

    pub(super) fn checked(&self, name: &str, took: Duration) -> Checked {
        Checked {
            name: name.to_owned(),
            seeds: self.seeds,
            sends: self.sends,
            struck: self.struck.clone(),
            exercised: self.exercised.count(),
            took,
            missed: None,
        }
    }

    /// What has tested nothing, with a remedy: faults that struck in no seed, checkers that had nothing to judge.
    pub(super) fn vacuous(&self, judges: &Judges) -> Option<String> {
        let idle = self.exercised.idle(judges, self.seeds);
        let both: Vec<String> = self.missed().into_iter().chain(idle).collect();
        (!both.is_empty()).then(|| both.join("\n"))
    }

    /// A line for each fault that struck in no seed; nothing if all struck.
    fn missed(&self) -> Option<String> {
        let faults = self.faults.iter().zip(&self.counts);
        let missed = faults
            .filter(|(fault, counts)| counts.struck == 0 && self.seeds > 0 && !fault.may_miss);
        let lines = missed.map(|(fault, counts)| {
            let how = match (counts.started, counts.no_such_node) {
                (0, _) => Missed::NeverStarted,
                (_, 0) => Missed::NeverStruck,
                (..) => Missed::NoSuchNode,
            };
            let seeds = self.seeds;
            format!(
                "the fault \"{fault}\", {}, {how} in any of {seeds} seeds",
                fault.at
            )
        });
        let lines: Vec<String> = lines.chain(self.injected.missed(self.seeds)).collect();
        let remedy = "\n  remedy: mend its place or its start, or say may_miss()";
        (!lines.is_empty()).then(|| lines.join("\n") + remedy)
    }
}

/// What a check has done that passed: [`Simulation::try_check`](super::super::Simulation::try_check)
/// returns it, and a test prints it as one line.
///
/// ```
/// use rmq_producer::Message;
/// use rmq_sim::simulation::{Cluster, Simulation, drop_replies};
///
/// let checked = Simulation::new(Cluster::new().topic("orders", 4))
///     .fault(drop_replies("broker-a").times(2))
///     .seeds(0..10)
///     .try_check(async |sim| {
///         let producer = sim.producer("orders-app").start().await?;
///         producer.send(Message::new("orders", "created")).await?;
///         producer.stop().await;
///         Ok(())
///     })
///     .map_err(|failure| failure.to_string());
/// let checked = checked.unwrap();
/// assert_eq!((checked.seeds, checked.sends, checked.struck["drop-reply"]), (10, 10, 20));
/// assert!(checked.exercised > 10);
/// let line = checked.to_string();
/// assert!(line.contains("10 seeds pass: 10 sends; faults struck: drop-reply 20; "), "{line}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// The name of the test.
    pub name: String,
    /// How many seeds were run.
    pub seeds: u64,
    /// How many sends the program called for in all of them.
    pub sends: u64,
    /// How often the faults of each kind struck, by the name of the kind.
    pub struck: BTreeMap<&'static str, u64>,
    /// How many checkers had something to judge in at least one seed.
    pub exercised: usize,
    /// How long it took, in real time.
    pub took: Duration,
    /// The faults that struck in no seed, where that is no failure: one seed alone was asked for.
    pub missed: Option<String>,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, seeds, .. } = self;
        write!(f, "{name}: {seeds} seeds pass: {} sends; ", self.sends)?;
        if !self.struck.is_empty() {
            f.write_str("faults struck: ")?;
            for (nth, (kind, count)) in self.struck.iter().enumerate() {
                let comma = if nth == 0 { "" } else { ", " };
                write!(f, "{comma}{kind} {count}")?;
            }
            f.write_str("; ")?;
        }
        let (exercised, all) = (self.exercised, invariant::all().len());
        write!(f, "{exercised} of {all} checkers exercised; ")?;
        let rate = u128::from(*seeds) * 1_000 / self.took.as_millis().max(1);
        write!(f, "{rate} runs a second")
    }
}

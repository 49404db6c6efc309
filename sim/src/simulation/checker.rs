//! What judges the runs of a check beside its own assertions: the laboratory's invariants, all but those that the
//! check leaves out, and checkers of its own.
//!
//! An assertion sees what the check's code sees, at the place where it stands. A checker sees the whole run: every
//! event of every node in order, and what is stored in the end. It is written once and judges each seed of
//! each check that it is given to, whatever the code of that check does.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rmq_host::panic_message;
use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_mock_broker::ledger::Entry;
use rmq_remoting::observe::Name;

use super::Simulation;
use crate::invariant::{self, Checker};
use crate::run::Run;
use crate::trace::{NodeEvent, NodeId, Trace, TraceRecord};
use crate::verdict::{Class, Finding, NotJudged, Verdict};

/// The invariant that no check can leave out: a panic ends a run, whoever judges it.
const NO_PANIC: &str = "INV-57";

/// Findings of others than checkers have these names.
const TAKEN: [&str; 5] = ["check", "program", "progress", "liveness", "expect"];

/// What a checker notes while it judges a run.
#[derive(Debug, Default)]
pub struct Report {
    by: &'static str,
    at: Option<usize>,
    precondition: u64,
    findings: Vec<Finding>,
}

impl Report {
    /// Counts one case in which there was something to judge. A check fails if its checker counts none in any
    /// seed: it has checked nothing.
    pub fn exercised(&mut self) {
        self.precondition += 1;
    }

    /// Notes what is wrong: in an [`EventChecker`] at the record that it hears, else at none.
    pub fn wrong(&mut self, text: impl Into<String>) {
        let at = self.at;
        self.note(at, text.into());
    }

    /// Notes what is wrong at a record, by its index in the trace.
    pub fn wrong_at(&mut self, record: usize, text: impl Into<String>) {
        self.note(Some(record), text.into());
    }

    fn note(&mut self, at: Option<usize>, text: String) {
        let by = self.by;
        self.findings.push(Finding { by, at, text });
    }
}

/// A run that is over, as a checker sees it.
#[derive(Debug, Clone, Copy)]
pub struct FinishedRun<'r> {
    /// Everything that happened, in order: what producers decided, servers read and stored, faults did.
    pub trace: &'r Trace,
    /// What the brokers have stored in the end, with the broker's name.
    pub ledger: &'r [(Name, Entry)],
}

impl<'r> FinishedRun<'r> {
    /// Every record with its index in the trace.
    pub fn events(&self) -> impl Iterator<Item = Heard<'r>> + use<'r> {
        let trace = self.trace;
        let records = trace.records.iter().enumerate();
        records.map(move |(at, record)| Heard::new(trace, at, record))
    }

    /// The request log of the brokers: what each of them read, stored and answered.
    pub fn broker_events(&self) -> impl Iterator<Item = (Heard<'r>, &'r BrokerEvent)> + use<'r> {
        self.events().filter_map(|heard| match heard.what {
            NodeEvent::Broker(event) => Some((heard, event)),
            _ => None,
        })
    }
}

/// One record of a trace, as a checker hears of it.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'r> {
    /// Its index in the trace.
    pub at: usize,
    /// Virtual milliseconds since the start of the run.
    pub ms: u64,
    /// The node that it happened at.
    pub node: NodeId,
    /// The name of that node.
    pub name: &'r str,
    /// The event that happened there.
    pub what: &'r NodeEvent,
}

impl<'r> Heard<'r> {
    fn new(trace: &'r Trace, at: usize, record: &'r TraceRecord) -> Self {
        Self {
            at,
            ms: record.ms,
            node: record.node,
            name: trace.header.name(record.node),
            what: &record.what,
        }
    }
}

/// A checker that hears the events of a run one by one, and keeps in itself what it has to know of those before.
///
/// ```
/// use std::collections::BTreeSet;
/// use rmq_mock_broker::event::Event;
/// use rmq_producer::Message;
/// use rmq_remoting::observe::Name;
/// use rmq_sim::simulation::{
///     Cluster, EventChecker, Heard, Report, Simulation, drop_replies, event_checker,
/// };
/// use rmq_sim::trace::NodeEvent;
///
/// /// No message is stored twice.
/// #[derive(Default)]
/// struct StoredOnce(BTreeSet<Name>);
///
/// impl EventChecker for StoredOnce {
///     fn on(&mut self, heard: &Heard<'_>, report: &mut Report) {
///         if let NodeEvent::Broker(Event::Stored { unique_key, .. }) = heard.what {
///             report.exercised();
///             if !self.0.insert(unique_key.clone()) {
///                 report.wrong(format!("{} stores {unique_key} once more", heard.name));
///             }
///         }
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let stored_once = event_checker("stored-once", StoredOnce::default);
/// let cluster = Cluster::new().topic("orders", 4);
/// let healthy = Simulation::new(cluster).checker(stored_once.clone()).seeds(0..5);
/// healthy.clone().check(async |sim| {
///     let producer = sim.producer("app").start().await?;
///     producer.send(Message::new("orders", "created")).await?;
///     Ok(())
/// });
///
/// // A run that it must object to shows that it can.
/// let run = healthy.fault(drop_replies("broker-a").times(1)).run(7, async |sim| {
///     let producer = sim.producer("app").start().await?;
///     producer.send(Message::new("orders", "created")).await?;
///     Ok(())
/// })?;
/// assert!(stored_once.judge(&run)[0].text.starts_with("broker-a stores"));
/// # Ok(())
/// # }
/// ```
pub trait EventChecker {
    /// Hears of an event.
    fn on(&mut self, heard: &Heard<'_>, report: &mut Report);

    /// The run is over: what is missing is missed now.
    fn end(&mut self, run: &FinishedRun<'_>, report: &mut Report) {
        let _ = (run, report);
    }
}

type Judge = Arc<dyn Fn(&FinishedRun<'_>, &mut Report) + Send + Sync>;

/// A checker of a check's own. [`checker`] and [`event_checker`] make one, [`Simulation::checker`] takes it.
#[derive(Clone)]
#[must_use = "give it to Simulation::checker"]
pub struct OwnChecker {
    name: &'static str,
    judge: Judge,
    may_be_idle: bool,
}

impl fmt::Debug for OwnChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnChecker({})", self.name)
    }
}

/// A checker that looks at a whole run when it is over. An assertion that fails in it is a finding.
///
/// ```
/// use rmq_producer::Message;
/// use rmq_sim::simulation::{Cluster, Simulation, checker};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let every_body_is_short = checker("short-bodies", |run, report| {
///     for (broker, entry) in run.ledger {
///         report.exercised();
///         if entry.body.len() > 100 {
///             report.wrong(format!("{broker} has {} bytes of {}", entry.body.len(), entry.key));
///         }
///     }
/// });
/// let simulation = Simulation::new(Cluster::new()).checker(every_body_is_short).seeds(0..5);
/// simulation.clone().check(async |sim| {
///     let producer = sim.producer("app").start().await?;
///     producer.send(Message::new("orders", "created")).await?;
///     Ok(())
/// });
///
/// let run = simulation.run(7, async |sim| {
///     let producer = sim.producer("app").start().await?;
///     producer.send(Message::new("orders", vec![b'x'; 101])).await?;
///     Ok(())
/// })?;
/// assert_eq!(run.verdict.findings[0].by, "short-bodies");
/// # Ok(())
/// # }
/// ```
pub fn checker(
    name: &'static str,
    judge: impl Fn(&FinishedRun<'_>, &mut Report) + Send + Sync + 'static,
) -> OwnChecker {
    OwnChecker {
        name,
        judge: Arc::new(judge),
        may_be_idle: false,
    }
}

/// A checker that hears every event of a run, made anew for each run by `make`.
pub fn event_checker<C: EventChecker>(
    name: &'static str,
    make: impl Fn() -> C + Send + Sync + 'static,
) -> OwnChecker {
    checker(name, move |run, report| {
        let mut own = make();
        for heard in run.events() {
            report.at = Some(heard.at);
            own.on(&heard, report);
        }
        report.at = None;
        own.end(run, report);
    })
}

impl OwnChecker {
    /// It may have nothing to judge in any seed. A check fails if any other checker has: it has checked nothing.
    pub fn may_be_idle(mut self) -> Self {
        self.may_be_idle = true;
        self
    }

    /// What it finds wrong with a run.
    pub fn judge(&self, run: &Run) -> Vec<Finding> {
        let finished = FinishedRun {
            trace: &run.trace,
            ledger: &run.ledger,
        };
        self.report(&finished).findings
    }

    /// What it finds wrong with a trace: a made one, or that of a run with something changed. Nothing is stored
    /// but what the trace says.
    ///
    /// ```
    /// use rmq_sim::simulation::{Cluster, Simulation, checker};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let starts_early = checker("starts-early", |run, report| {
    ///     report.exercised();
    ///     assert!(run.trace.records[0].ms < 100, "nothing happens for long");
    /// });
    /// let mut run = Simulation::new(Cluster::new()).run(7, async |_sim| Ok(()))?;
    /// assert_eq!(starts_early.judge_trace(&run.trace), []);
    /// run.trace.records[0].ms = 5_000;
    /// assert_eq!(starts_early.judge_trace(&run.trace)[0].text, "nothing happens for long");
    /// # Ok(())
    /// # }
    /// ```
    pub fn judge_trace(&self, trace: &Trace) -> Vec<Finding> {
        self.report(&FinishedRun { trace, ledger: &[] }).findings
    }

    fn report(&self, run: &FinishedRun<'_>) -> Report {
        let mut report = Report {
            by: self.name,
            ..Report::default()
        };
        let judged = catch_unwind(AssertUnwindSafe(|| (self.judge)(run, &mut report)));
        if let Err(panic) = judged {
            report.wrong(panic_message(&*panic));
        }
        report
    }
}

impl Simulation {
    /// Leaves one of the laboratory's invariants unjudged, and says why. The verdict of each run names it and the
    /// reason.
    ///
    /// ```
    /// use rmq_sim::simulation::{Cluster, Simulation};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let simulation = Simulation::new(Cluster::new())
    ///     .without("INV-42", "our proxy closes idle connections after ten seconds");
    /// let run = simulation.run(7, async |_sim| Ok(()))?;
    /// assert_eq!(run.verdict.not_judged[0].id, "INV-42");
    /// assert!(run.verdict.to_string().ends_with(
    ///     "(not judged: INV-42, our proxy closes idle connections after ten seconds)"
    /// ));
    /// # Ok(())
    /// # }
    /// ```
    pub fn without(mut self, id: &str, reason: &str) -> Self {
        let not_judged = NotJudged {
            id: id.to_owned(),
            reason: reason.trim().to_owned(),
        };
        self.judges.without.push(not_judged);
        self
    }

    /// Adds a checker of your own. What it finds is a finding of the run's verdict under its name, and how
    /// often it had something to judge is in [`Run::preconditions`] behind the laboratory's own.
    pub fn checker(mut self, checker: OwnChecker) -> Self {
        self.judges.own.push(checker);
        self
    }
}

/// Who judges the runs of a check.
#[derive(Debug, Clone, Default)]
pub(super) struct Judges {
    without: Vec<NotJudged>,
    own: Vec<OwnChecker>,
}

impl Judges {
    /// What is wrong with them, with a remedy.
    pub(super) fn check(&self) -> Result<(), String> {
        for left_out in &self.without {
            let NotJudged { id, reason } = left_out;
            let invariant = invariant::all().iter().find(|it| it.id == id);
            let flaw = match invariant.map(|it| it.checker) {
                None => format!(
                    "there is no invariant called \"{id}\"\n  \
                     remedy: write an id like \"INV-42\"; `cargo sim invariants` lists them"
                ),
                Some(Checker::PairedRuns(_)) => format!(
                    "{id} compares two runs, and no check is judged by it\n  remedy: remove it"
                ),
                Some(Checker::Run(_)) if id == NO_PANIC => format!(
                    "{id} cannot be left out: a panic ends the run\n  remedy: catch it in the program"
                ),
                Some(Checker::Run(_)) if reason.is_empty() => format!(
                    "{id} is left out without a reason\n  \
                     remedy: say why it cannot hold, for whoever reads the verdict"
                ),
                Some(Checker::Run(_)) => continue,
            };
            return Err(flaw);
        }
        for (place, own) in self.own.iter().enumerate() {
            let name = own.name;
            let is_of_laboratory =
                name.is_empty() || name.starts_with("INV-") || TAKEN.contains(&name);
            if is_of_laboratory || self.own[..place].iter().any(|it| it.name == name) {
                return Err(format!(
                    "a checker cannot be called \"{name}\"\n  remedy: give it a name of its own"
                ));
            }
        }
        Ok(())
    }

    /// Takes out of a run what is not judged, and adds what the check's own checkers find.
    pub(super) fn judge(&self, run: &mut Run) {
        let is_left_out = |id: &str| self.without.iter().any(|it| it.id == id);
        run.preconditions.retain(|(id, _)| !is_left_out(id));
        let reports = self.own.iter().map(|own| {
            let finished = FinishedRun {
                trace: &run.trace,
                ledger: &run.ledger,
            };
            own.report(&finished)
        });
        let reports: Vec<Report> = reports.collect();
        let verdict: &mut Verdict = &mut run.verdict;
        verdict.findings.retain(|finding| !is_left_out(finding.by));
        for report in reports {
            run.preconditions.push((report.by, report.precondition));
            verdict.findings.extend(report.findings);
        }
        verdict.class = match verdict.class {
            Class::Pass | Class::Violation if verdict.findings.is_empty() => Class::Pass,
            Class::Pass => Class::Violation,
            class => class,
        };
        let had_something = run.preconditions.iter().filter(|(_, count)| *count > 0);
        verdict.exercised = had_something.count();
        verdict.not_judged.clone_from(&self.without);
    }
}

/// How often each checker had something to judge, in all seeds of a check.
#[derive(Debug, Default)]
pub(super) struct Exercised(BTreeMap<&'static str, u64>);

impl Exercised {
    /// Adds what the checkers of one run had to judge.
    pub(super) fn add(&mut self, preconditions: &[(&'static str, u64)]) {
        for (name, count) in preconditions {
            *self.0.entry(name).or_default() += count;
        }
    }

    /// How many checkers had something to judge.
    pub(super) fn count(&self) -> usize {
        self.0.values().filter(|count| **count > 0).count()
    }

    /// A line for each checker that never had anything to judge, with a remedy; nothing if all had.
    pub(super) fn idle(&self, judges: &Judges, seeds: u64) -> Option<String> {
        let count = |own: &&OwnChecker| self.0.get(own.name).copied().unwrap_or(0);
        let idle = judges
            .own
            .iter()
            .filter(|own| count(own) == 0 && !own.may_be_idle);
        let lines = idle.map(|own| {
            format!(
                "the checker \"{}\" had nothing to judge in any of {seeds} seeds",
                own.name
            )
        });
        let lines: Vec<String> = lines.collect();
        let remedy = "remedy: let it call Report::exercised where it judges, or say may_be_idle()";
        (!lines.is_empty()).then(|| format!("{}\n  {remedy}", lines.join("\n")))
    }
}

//! What a check has done in all of its seeds: the proof that a pass means something.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::fault::Fault;
use crate::invariant;
use crate::run::{Effect, Missed, Run};
use crate::trace::NodeEvent;

/// What is kept of a seed that passed.
pub(super) struct Passed {
    sends: u64,
    effects: Vec<Effect>,
    exercised: Vec<&'static str>,
}

impl Passed {
    pub(super) fn of(run: &Run) -> Self {
        let sends = run.trace.records.iter().filter(|record| {
            use rmq_producer::event::Event;
            matches!(&record.what, NodeEvent::Producer(Event::Call { .. }))
        });
        let exercised = run.preconditions.iter().filter(|(_, count)| *count > 0);
        Self {
            sends: sends.count() as u64,
            effects: run.effects.clone(),
            exercised: exercised.map(|(id, _)| *id).collect(),
        }
    }
}

/// What all seeds so far have done.
pub(super) struct Tally<'a> {
    faults: &'a [Fault],
    seeds: u64,
    sends: u64,
    exercised: BTreeSet<&'static str>,
    /// For each fault: the seeds in which it started, in which it struck, and in which a node of it
    /// was never there; and how often it struck in all.
    counts: Vec<Counts>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    started: u64,
    struck_in: u64,
    no_such_node: u64,
    struck: u64,
}

impl<'a> Tally<'a> {
    /// Nothing yet, of a check with these faults.
    pub(super) fn of(faults: &'a [Fault]) -> Self {
        Self {
            faults,
            seeds: 0,
            sends: 0,
            exercised: BTreeSet::new(),
            counts: vec![Counts::default(); faults.len()],
        }
    }

    pub(super) fn add(&mut self, passed: &Passed) {
        self.seeds += 1;
        self.sends += passed.sends;
        self.exercised.extend(&passed.exercised);
        for (count, effect) in self.counts.iter_mut().zip(&passed.effects) {
            count.started += u64::from(effect.started);
            count.struck_in += u64::from(effect.missed().is_none());
            count.no_such_node += u64::from(effect.no_such_node);
            count.struck += effect.struck.unwrap_or(0);
        }
    }

    pub(super) fn checked(&self, name: &str, took: Duration) -> Checked {
        let mut struck = BTreeMap::new();
        for (fault, counts) in self.faults.iter().zip(&self.counts) {
            *struck.entry(fault.kind.name()).or_default() += counts.struck;
        }
        Checked {
            name: name.to_owned(),
            seeds: self.seeds,
            sends: self.sends,
            struck,
            exercised: self.exercised.len(),
            took,
            missed: None,
        }
    }

    /// A line for each fault that struck in no seed; nothing if all struck.
    pub(super) fn missed(&self) -> Option<String> {
        let faults = self.faults.iter().zip(&self.counts);
        let missed = faults
            .filter(|(fault, counts)| counts.struck_in == 0 && self.seeds > 0 && !fault.may_miss);
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
        let lines: Vec<String> = lines.collect();
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

//! One run: a scenario, a seed and an engine in; a trace, its figures and a verdict out.
//!
//! The cluster is built and directed in the same way on every engine. A run goes like this: all
//! servers boot at time 0, faults are planned, each workload is a task on its producer's machine;
//! when the last send has its outcome and the scenario's time is up, the producers are stopped, the
//! trace is sealed, and only then is everything torn down.
//!
//! - `controller`: carries out the plan; `servers`, `workload`, `producers`: the nodes; `instrument`: the
//!   clients that a check's own code makes.
//! - `refuse`: plans that make no sense, before anything runs.
//! - `inject`: faults that a check starts while its run goes on.
//! - `reader`: what brokers have stored, as it comes.
//! - `effect`: whether faults started, and what they did.
//! - `control`, `watch`: how faults reach servers, and what may start a fault.
//! - `paired`: two runs that differ in one thing; `beside`: what that is.
//! - [`summary`]: figures of the trace, and the expectations of the scenario.

use std::sync::Arc;

use dst_engine::chance::Chance;
use rmq_mock_broker::ledger::Entry;
use rmq_remoting::observe::Name;
use serde::Serialize;

use crate::coverage::Coverage;
use crate::fault::EngineKind;
use crate::invariant::{self, CheckedRun};
use crate::scenario::{Order, Scenario};
use crate::trace::{Digest, NodeId, Trace, TraceEnd};
use crate::verdict::{Class, Finding, Verdict};

mod beside;
mod change;
mod control;
mod controller;
mod effect;
mod engines;
mod facts;
mod hooks;
mod inject;
mod instrument;
mod layout;
mod nodes;
mod paired;
mod play;
mod producers;
mod progress;
mod reader;
mod refuse;
mod seal;
mod sends;
mod servers;
pub mod summary;
mod watch;
mod workload;

use beside::Beside;
pub use effect::{Effect, Missed};
pub(crate) use engines::carry_out;
pub use facts::facts_of;
pub use inject::Injection;
pub(crate) use nodes::ProcessParts;
pub use paired::{PairedRun, PairedRuns, Parting, pair_of};
pub(crate) use play::RunningCluster;
pub(crate) use reader::ReadSoFar;
pub(crate) use refuse::{Nodes, Subject, check, flaws};
pub(crate) use sends::Sends;
pub use summary::Summary;

/// A finished run: what happened, what it came to, what the checkers say.
#[derive(Debug)]
pub struct Run {
    /// What was drawn for this seed.
    pub knobs: RunConfig,
    /// Everything that happened, record by record.
    pub trace: Trace,
    /// The figures of the run: sends, attempts, copies.
    pub summary: Summary,
    /// What the checkers and the scenario's expectations say.
    pub verdict: Verdict,
    /// How often each invariant had something to say.
    pub preconditions: Vec<(&'static str, u64)>,
    /// What the run has met: faults that struck, rows of the decision table.
    pub coverage: Coverage,
    /// One number for the whole trace.
    pub digest: Digest,
    /// What the brokers have stored in the end, with the broker's name.
    pub ledger: Vec<(Name, Entry)>,
    /// What became of each fault, in the order of the plan; then of those that the check started itself.
    pub effects: Vec<Effect>,
    /// The two runs of the seed's pair, if its checker found something wrong with them.
    pub pair: Option<Box<PairedRuns>>,
}

/// Why there was no run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The engine cannot do what the scenario asks for.
    #[error("the engine {engine} cannot do \"{fault}\": {reason}\n  remedy: {remedy}")]
    Impossible {
        /// The engine that cannot carry the fault out.
        engine: EngineKind,
        /// The fault that cannot be carried out.
        fault: String,
        /// Why the engine cannot do it.
        reason: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The fault contradicts itself or the cluster.
    #[error("the fault \"{fault}\" {reason}\n  remedy: {remedy}")]
    Fault {
        /// The fault that cannot be carried out.
        fault: String,
        /// What is wrong with it, to be read after the fault.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// The policy of a producer makes no sense.
    #[error("producer {producer}: {cause}\n  remedy: mend the policy file")]
    Policy {
        /// The name of the producer that did not start.
        producer: Name,
        /// What its policy or settings have wrong.
        cause: String,
    },
    /// Several things are wrong with the scenario, which are told at once: each is one of the others.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<RunError>),
    /// A node could not start: a port in use.
    #[error("{0}")]
    Broken(String),
}

/// What a seed decides of a scenario before anything runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RunConfig {
    /// The seed that decides what the scenario leaves open.
    pub seed: u64,
    /// The engine that the run is played on.
    pub engine: EngineKind,
    /// The order of tasks that are ready in one millisecond.
    pub ready_order: Order,
    /// Polls and network events, at most; none: as many as the engine allows.
    #[serde(skip)]
    pub most_events: Option<u64>,
}

impl RunConfig {
    /// Draws every knob; each by its name, so that a new one moves no other.
    pub fn draw(scenario: &Scenario, seed: u64, engine: EngineKind) -> Self {
        let field = Chance::new(seed).part("knob", 0);
        let ready_order = match scenario.network.ready_order {
            Order::Drawn if field.draw("ready-order", 0).is_multiple_of(2) => Order::Fifo,
            Order::Drawn => Order::Seeded,
            fixed => fixed,
        };
        Self {
            seed,
            engine,
            ready_order,
            most_events: None,
        }
    }
}

/// Runs a scenario. Three seeds in ten play a second run, or two others, and a checker compares
/// what differs in one thing only.
///
/// # Errors
///
/// The engine cannot do it, or a node could not even start.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::io::ErrorKind;
/// # use std::sync::Arc;
/// # use rmq_sim::fault::EngineKind;
/// # use rmq_sim::run;
/// # use rmq_sim::scenario::Scenario;
/// # let text = "format = 2\nseconds = 5\n[cluster]\nbrokers = [\"broker-a\"]\n[producer.p1]\n\
/// #     [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 3\n";
/// # let scenario = Arc::new(Scenario::parse("three.toml", text, &|_| Err(ErrorKind::NotFound.into()))?);
/// let run = run::run(&scenario, 7, EngineKind::Event)?;
/// assert!(run.verdict.is_pass());
/// assert_eq!((run.summary.ok, run.summary.stored), (3, 3));
/// assert_eq!(run::run(&scenario, 7, EngineKind::Event)?.digest, run.digest);
/// # Ok(())
/// # }
/// ```
pub fn run(scenario: &Arc<Scenario>, seed: u64, engine: EngineKind) -> Result<Run, RunError> {
    run_with(scenario, RunConfig::draw(scenario, seed, engine))
}

/// Runs a scenario with these knobs.
///
/// # Errors
/// As [`run`].
pub fn run_with(scenario: &Arc<Scenario>, knobs: RunConfig) -> Result<Run, RunError> {
    check(scenario, knobs.engine, Nodes::OfScenario)?;
    let act = async |cluster| play::workloads(cluster, Beside::Nothing).await;
    let played = carry_out(scenario, knobs, act)?;
    let mut run = checked(scenario, knobs, played.played);
    let stuck = played.value.unwrap_or_default();
    if !stuck.is_empty() && run.verdict.class == Class::Pass {
        run.verdict.class = Class::NoProgress;
    }
    run.verdict.findings.extend(stuck);
    paired::play(scenario, &mut run)?;
    Ok(run)
}

/// What a run left, before anybody checks it.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) trace: Trace,
    pub(crate) ledger: Vec<(Name, Entry)>,
    pub(crate) links: Vec<(NodeId, NodeId, u64)>,
    pub(crate) effects: Vec<Effect>,
    /// Which node's program ended with an error, and the error in words.
    pub(crate) program: Option<String>,
}

pub(crate) fn checked(scenario: &Scenario, knobs: RunConfig, played: Played) -> Run {
    let trace = played.trace;
    let mut summary = Summary::of(&trace);
    let name = |node| Name::from(trace.header.name(node));
    let links = played.links.iter();
    summary.links = links
        .map(|(from, to, bytes)| (name(*from), name(*to), *bytes))
        .collect();
    let (findings, coverage) = {
        let checked = CheckedRun::of(&trace);
        (invariant::check(&checked), Coverage::of(&checked, scenario))
    };
    let mut verdict = findings.verdict(&trace);
    if let (TraceEnd::Horizon { waiting }, Class::Pass | Class::Violation) =
        (&trace.end, verdict.class)
    {
        let waiting: Vec<String> = waiting
            .iter()
            .map(|one| format!("{} on {}", one.task, trace.header.name(one.node)))
            .collect();
        verdict.class = Class::NoProgress;
        verdict.findings.insert(
            0,
            Finding {
                by: "progress",
                at: None,
                text: format!("the run did not end; waiting: {}", waiting.join(", ")),
            },
        );
    }
    let unexpected = summary.unexpected(&scenario.expect);
    if verdict.class == Class::Pass && !unexpected.is_empty() {
        verdict.class = Class::Violation;
    }
    verdict.findings.extend(unexpected);
    if let Some(text) = played.program {
        verdict.add("program", text);
    }
    Run {
        knobs,
        digest: Digest::of(&trace),
        summary,
        verdict,
        preconditions: findings.preconditions,
        coverage,
        ledger: played.ledger,
        effects: played.effects,
        pair: None,
        trace,
    }
}

//! Two runs that differ in one thing.
//!
//! Some promises cannot be seen in one run: that equal runs are equal, that the wall clock plays no
//! part, that neighbours do not disturb each other. One seed in four therefore plays a second run beside its
//! own, or two runs of the same scenario without its faults, and a checker compares them: each of the five
//! pairs on one seed in twenty.
//! Which of the pairs below a seed plays depends on the seed alone, so that repeating it repeats
//! the pair, and shrinking keeps it.
//!
//! | pair | one run | the other |
//! |---|---|---|
//! | replay | the seed's own | the same again |
//! | clock | the seed's own | the producers' wall clocks jump, forwards and back |
//! | traffic | a second producer of the same client idles | it sends to every topic |
//! | sibling | a second producer of the same client idles | it stops half-way |
//! | silence | no fault | one async send gets no answer |
//!
//! The last three are played without the faults of the scenario, and with tasks in the order in
//! which they became ready: a fault that hits one of the runs elsewhere would be a second
//! difference.

use std::sync::Arc;

use rmq_remoting::code::request;
use rmq_remoting::observe::Name;

use super::beside::{Beside, SiblingDoes};
use super::{Run, RunConfig, RunError, engines, play};
use crate::fault::{EngineKind, Fault, FaultKind, Place, Position, Rule, RuleAction, TARGET};
use crate::invariant;
use crate::scenario::{Order, Scenario, SendMode};
use crate::trace::Trace;
use crate::verdict::Class;

/// One seed in so many plays each of the pairs.
pub(super) const ONE_IN: u64 = 20;

/// What two runs differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    Replay,
    Clock,
    Traffic,
    Sibling,
    Silence,
}

/// The pairs, in the order in which seeds play them.
const PAIRS: [Pair; 5] = [
    Pair::Replay,
    Pair::Clock,
    Pair::Traffic,
    Pair::Sibling,
    Pair::Silence,
];

impl Pair {
    /// The pair of a seed, if it plays one.
    fn of(seed: u64) -> Option<Self> {
        let nth = usize::try_from(seed % ONE_IN).ok()?;
        let each = usize::try_from(ONE_IN).ok()? / PAIRS.len();
        let pair = PAIRS.get(nth / each).copied();
        pair.filter(|_| nth.is_multiple_of(each))
    }

    /// The invariant that checks it.
    fn checker(self) -> &'static str {
        match self {
            Self::Replay => "INV-55",
            Self::Clock => "INV-56",
            Self::Traffic => "INV-22",
            Self::Sibling => "INV-46",
            Self::Silence => "INV-39",
        }
    }
}

/// Plays the pair of a run's seed, if there is one, and adds what its checker finds to the run.
///
/// # Errors
///
/// As the run itself.
pub(super) fn play(scenario: &Arc<Scenario>, run: &mut Run) -> Result<(), RunError> {
    let knobs = run.knobs;
    let Some(pair) = Pair::of(knobs.seed).filter(|_| knobs.engine == EngineKind::Event) else {
        return Ok(());
    };
    let calm = || Arc::new(without_faults(scenario));
    let fifo = RunConfig {
        ready_order: Order::Fifo,
        ..knobs
    };
    let sibling = |does| trace(&calm(), fifo, Beside::Sibling(does));
    let report = match pair {
        Pair::Replay => {
            let again = trace(scenario, knobs, Beside::Nothing)?;
            invariant::check_pair(pair.checker(), &run.trace, &again)
        }
        Pair::Clock => {
            let jumped = trace(scenario, knobs, Beside::ClockJumps)?;
            invariant::check_pair(pair.checker(), &run.trace, &jumped)
        }
        Pair::Traffic | Pair::Sibling => {
            let other = match pair {
                Pair::Traffic => SiblingDoes::Send,
                Pair::Replay | Pair::Clock | Pair::Sibling | Pair::Silence => SiblingDoes::Stop,
            };
            let (one, other) = (sibling(SiblingDoes::Idle)?, sibling(other)?);
            invariant::check_pair(pair.checker(), &one, &other)
        }
        Pair::Silence => {
            let Some(silent) = with_one_silence(scenario) else {
                // No workload of it sends asynchronously.
                return Ok(());
            };
            let one = trace(&calm(), fifo, Beside::Nothing)?;
            let other = trace(&Arc::new(silent), fifo, Beside::Nothing)?;
            invariant::check_pair(pair.checker(), &one, &other)
        }
    };
    let Some(mut report) = report else {
        unreachable!("{} is no checker of two runs", pair.checker())
    };
    if !matches!(pair, Pair::Replay | Pair::Clock) {
        // Its records are those of another run than the one that is shown.
        report.findings.iter_mut().for_each(|found| found.at = None);
    }
    run.preconditions.push((report.by, report.precondition));
    if !report.findings.is_empty() && run.verdict.class == Class::Pass {
        run.verdict.class = match pair {
            Pair::Replay => Class::Nondeterminism,
            Pair::Clock | Pair::Traffic | Pair::Sibling | Pair::Silence => Class::Violation,
        };
    }
    run.verdict.exercised += usize::from(report.precondition > 0);
    run.verdict.findings.append(&mut report.findings);
    Ok(())
}

fn trace(scenario: &Arc<Scenario>, knobs: RunConfig, beside: Beside) -> Result<Trace, RunError> {
    let act = async |cluster| play::workloads(cluster, beside).await;
    Ok(engines::carry_out(scenario, knobs, act)?.played.trace)
}

fn without_faults(scenario: &Scenario) -> Scenario {
    Scenario {
        faults: Vec::new(),
        ..scenario.clone()
    }
}

/// The scenario with one fault only: no broker answers the middle send of its first async workload.
fn with_one_silence(scenario: &Scenario) -> Option<Scenario> {
    let mut workloads = (1..).zip(&scenario.workloads);
    let (number, workload) = workloads.find(|(_, it)| it.mode == SendMode::Async)?;
    let silent = Fault {
        kind: FaultKind::Rule(Rule {
            codes: vec![request::SEND_MESSAGE, request::SEND_MESSAGE_V2],
            topic: None,
            queue: None,
            per_mille: None,
            times: None,
            then: RuleAction::DropReply,
        }),
        place: Place::Node(Name::from(TARGET)),
        at: Position::Send {
            workload: number,
            send: workload.sends.div_ceil(2),
            attempt: None,
            sends: 1,
            after_ms: 0,
        },
        for_ms: None,
    };
    Some(Scenario {
        faults: vec![silent],
        ..scenario.clone()
    })
}

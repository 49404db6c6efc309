//! Two runs that differ in one thing.
//!
//! Some promises cannot be seen in one run: that equal runs are equal, that the wall clock plays no
//! part, that neighbours do not disturb each other. One seed in twenty therefore plays a second run
//! beside its own, or two runs of the same scenario without its faults, and a checker compares them.
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
use crate::fault::{EngineKind, Fault, FaultKind, Place, Position, Rule, RuleAction};
use crate::invariant;
use crate::scenario::{Order, Scenario, SendMode};
use crate::trace::Trace;
use crate::verdict::Class;

/// One seed in so many plays a pair.
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
        if !seed.is_multiple_of(ONE_IN) {
            return None;
        }
        let nth = usize::try_from(seed / ONE_IN % PAIRS.len() as u64).ok()?;
        PAIRS.get(nth).copied()
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
    let silent = |broker: &Name| Fault {
        kind: FaultKind::Rule(Rule {
            codes: vec![request::SEND_MESSAGE, request::SEND_MESSAGE_V2],
            topic: None,
            queue: None,
            per_mille: None,
            times: None,
            then: RuleAction::DropReply,
        }),
        place: Place::Node(Name::clone(broker)),
        at: Position::Send {
            workload: number,
            send: workload.sends.div_ceil(2),
            attempt: None,
        },
        for_ms: None,
    };
    Some(Scenario {
        faults: scenario.cluster.brokers.iter().map(silent).collect(),
        ..scenario.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::generate;
    use crate::run;

    #[test]
    fn one_seed_in_twenty_plays_a_pair_and_each_pair_has_its_turn() {
        let pairs: Vec<Pair> = (0..100).filter_map(Pair::of).collect();
        assert_eq!(pairs, PAIRS);
    }

    #[test]
    fn every_pair_is_checked_by_an_invariant_of_paired_runs() {
        for pair in PAIRS {
            let mut all = invariant::all().iter();
            let checker = all.find(|it| it.id == pair.checker()).map(|it| it.checker);
            assert!(
                matches!(checker, Some(invariant::Checker::PairedRuns(_))),
                "{pair:?}"
            );
        }
    }

    #[test]
    fn a_run_of_the_sweep_has_the_precondition_of_its_pair() {
        for (seed, id) in [
            (0, "INV-55"),
            (20, "INV-56"),
            (40, "INV-22"),
            (60, "INV-46"),
        ] {
            let run = run::run(&Arc::new(generate(seed)), seed, EngineKind::Event).unwrap();
            let precondition = run.preconditions.iter().find(|(checker, _)| *checker == id);
            assert!(precondition.is_some_and(|(_, count)| *count > 0), "{seed}");
        }
    }
}

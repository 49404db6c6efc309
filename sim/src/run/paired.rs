//! Two runs that differ in one thing.
//!
//! Some promises cannot be seen in one run: that equal runs are equal, that the wall clock plays no
//! part, that neighbours do not disturb each other. Three seeds in ten therefore play a second run beside
//! their own, or two other runs of the same scenario, and a checker compares them: each of the six pairs on
//! one seed in twenty.
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
//! | blast | one fault of one server | no fault |
//!
//! The last four are played without the faults of the scenario, and with tasks in the order in
//! which they became ready: a fault that hits one of the runs elsewhere would be a second
//! difference.

use std::sync::Arc;

use super::beside::{Beside, SiblingDoes};
use super::{Run, RunConfig, RunError, engines, play};
use crate::fault::{EngineKind, Fault};
use crate::invariant;
use crate::scenario::{Order, Scenario};
use crate::trace::Trace;
use crate::verdict::{Class, Finding};

mod one_fault;
mod parting;

pub use parting::Parting;

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
    Blast,
}

/// The two runs of a pair, and what its checker says of them.
#[derive(Debug)]
pub struct PairedRuns {
    pair: Pair,
    /// One of the runs, which the findings are about.
    pub one: PairedRun,
    /// The run that it is compared with.
    pub other: PairedRun,
    /// What is wrong, with records of `one`; empty if the runs are as they must be.
    pub findings: Vec<Finding>,
}

/// A run of a pair.
#[derive(Debug)]
pub struct PairedRun {
    /// What is played, in words: what tells it from the other run.
    pub played: String,
    /// What happened.
    pub trace: Trace,
}

impl PairedRuns {
    /// The invariant that checks the pair: `INV-39`.
    pub fn checker(&self) -> &'static str {
        self.pair.checker()
    }
}

/// The runs of a pair before they are compared; `one` is absent where it is the seed's own run.
struct Played {
    one: (String, Option<Trace>),
    other: PairedRun,
}

impl Pair {
    /// The pair of a seed, if it plays one.
    fn of(knobs: RunConfig) -> Option<Self> {
        let pair = match knobs.seed % ONE_IN {
            0 => Self::Replay,
            2 => Self::Blast,
            4 => Self::Clock,
            8 => Self::Traffic,
            12 => Self::Sibling,
            16 => Self::Silence,
            _ => return None,
        };
        (knobs.engine == EngineKind::Event).then_some(pair)
    }

    /// The invariant that checks it.
    fn checker(self) -> &'static str {
        match self {
            Self::Replay => "INV-55",
            Self::Clock => "INV-56",
            Self::Traffic => "INV-22",
            Self::Sibling => "INV-46",
            Self::Silence => "INV-39",
            Self::Blast => "INV-59",
        }
    }

    /// The class of a run whose pair is not as it must be.
    fn class(self) -> Class {
        match self {
            Self::Replay => Class::Nondeterminism,
            Self::Clock | Self::Traffic | Self::Sibling | Self::Silence | Self::Blast => {
                Class::Violation
            }
        }
    }

    /// Plays its runs, all but the seed's own; none if the scenario has nothing that they could
    /// differ in.
    fn played(
        self,
        scenario: &Arc<Scenario>,
        knobs: RunConfig,
    ) -> Result<Option<Played>, RunError> {
        let own = || ("the seed's own run".to_owned(), None);
        let fifo = RunConfig {
            ready_order: Order::Fifo,
            ..knobs
        };
        let with_faults = |faults: Vec<Fault>| {
            let scenario = Scenario {
                faults,
                ..Scenario::clone(scenario)
            };
            Arc::new(scenario)
        };
        let sibling = |does| trace(&with_faults(Vec::new()), fifo, Beside::Sibling(does));
        let calm = || trace(&with_faults(Vec::new()), fifo, Beside::Nothing);
        let other = |played: &str, trace| PairedRun {
            played: played.to_owned(),
            trace,
        };
        let played = match self {
            Self::Replay => Played {
                one: own(),
                other: other("the same again", trace(scenario, knobs, Beside::Nothing)?),
            },
            Self::Clock => Played {
                one: own(),
                other: other(
                    "the same, and the wall clocks of the producers jump",
                    trace(scenario, knobs, Beside::ClockJumps)?,
                ),
            },
            Self::Traffic | Self::Sibling => {
                let (does, words) = match self {
                    Self::Traffic => (SiblingDoes::Send, "the same, and it sends to every topic"),
                    _ => (SiblingDoes::Stop, "the same, and it stops half-way"),
                };
                let idles = "no fault; a second producer of the first one's client idles";
                Played {
                    one: (idles.to_owned(), Some(sibling(SiblingDoes::Idle)?)),
                    other: other(words, sibling(does)?),
                }
            }
            Self::Silence => {
                let Some(silence) = one_fault::silence(scenario) else {
                    return Ok(None);
                };
                let words = format!("one fault: {silence}, {}", silence.at);
                let silent = trace(&with_faults(vec![silence]), fifo, Beside::Nothing)?;
                Played {
                    one: ("no fault".to_owned(), Some(calm()?)),
                    other: other(&words, silent),
                }
            }
            Self::Blast => {
                let Some(fault) = one_fault::blast(scenario, knobs.seed) else {
                    return Ok(None);
                };
                let words = format!("one fault: {fault}, {}", fault.at);
                let struck = trace(&with_faults(vec![fault]), fifo, Beside::Nothing)?;
                Played {
                    one: (words, Some(struck)),
                    other: other("no fault", calm()?),
                }
            }
        };
        Ok(Some(played))
    }
}

/// Plays the pair of a run's seed, if there is one, and adds what its checker finds to the run.
///
/// # Errors
///
/// As the run itself.
pub(super) fn play(scenario: &Arc<Scenario>, run: &mut Run) -> Result<(), RunError> {
    let Some(pair) = Pair::of(run.knobs) else {
        return Ok(());
    };
    let Some(Played { one, other }) = pair.played(scenario, run.knobs)? else {
        return Ok(());
    };
    let report = invariant::check_pair(
        pair.checker(),
        one.1.as_ref().unwrap_or(&run.trace),
        &other.trace,
    );
    run.preconditions.push((report.by, report.precondition));
    run.verdict.exercised += usize::from(report.precondition > 0);
    if report.findings.is_empty() {
        return Ok(());
    }
    if run.verdict.class == Class::Pass {
        run.verdict.class = pair.class();
    }
    let is_own = one.1.is_none();
    let shown = report.findings.iter().map(|found| Finding {
        // A record of a run that is not the seed's own is none of its trace.
        at: found
            .at
            .filter(|at| is_own && *at < run.trace.records.len()),
        ..found.clone()
    });
    run.verdict.findings.extend(shown);
    let (played, trace) = one;
    run.pair = Some(Box::new(PairedRuns {
        pair,
        one: PairedRun {
            played,
            trace: trace.unwrap_or_else(|| run.trace.clone()),
        },
        other,
        findings: report.findings,
    }));
    Ok(())
}

/// The two runs of the pair that a seed plays; none if it plays none, or the scenario has nothing that
/// they could differ in.
///
/// # Errors
///
/// As the run itself.
pub fn pair_of(scenario: &Arc<Scenario>, knobs: RunConfig) -> Result<Option<PairedRuns>, RunError> {
    let Some(pair) = Pair::of(knobs) else {
        return Ok(None);
    };
    let Some(Played { one, other }) = pair.played(scenario, knobs)? else {
        return Ok(None);
    };
    let one = PairedRun {
        played: one.0,
        trace: match one.1 {
            Some(trace) => trace,
            None => trace(scenario, knobs, Beside::Nothing)?,
        },
    };
    let report = invariant::check_pair(pair.checker(), &one.trace, &other.trace);
    Ok(Some(PairedRuns {
        pair,
        one,
        other,
        findings: report.findings,
    }))
}

fn trace(scenario: &Arc<Scenario>, knobs: RunConfig, beside: Beside) -> Result<Trace, RunError> {
    let act = async |cluster| play::workloads(cluster, beside).await;
    Ok(engines::carry_out(scenario, knobs, act)?.played.trace)
}

//! What became of the faults of a plan: whether each one started, and how often it struck.
//!
//! A fault that never starts, or meets nobody while it is on, has tested nothing. Its effects are
//! counted from what happened: rules where they were applied, links and processes where the engine
//! changed the course of something.

use std::fmt;

use rmq_remoting::observe::Name;
use serde::Serialize;

use super::controller::{Progress, RunController};
use super::inject::Injection;
use crate::fault::{Fault, FaultKind, FaultNumber, Struck};

/// What became of one fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// Its number in the plan, from 1; a check's own faults follow those of the plan.
    pub fault: FaultNumber,
    /// Whether the moment came that the fault waits for.
    pub started: bool,
    /// How often it struck: requests treated by its rule, pieces of bytes stopped or made late,
    /// connections cut, dials refused, tasks ended or kept from running. `None`: the engine does not
    /// count such effects.
    pub struck: Option<u64>,
    /// Whether it was on to the end and named a node that was never there.
    pub no_such_node: bool,
    /// Of a fault that the check started itself: which, and where. None of a fault of the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub injected: Option<Injection>,
}

/// A fault that changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// What it waits for did not come.
    NeverStarted,
    /// It was on and met nothing.
    NeverStruck,
    /// It was on, and a node that it names was never there.
    NoSuchNode,
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverStarted => "never started",
            Self::NeverStruck => "never struck",
            Self::NoSuchNode => "names a node that was never there",
        })
    }
}

impl Effect {
    /// Whether the fault changed nothing, and how.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rmq_sim::run::Missed;
    /// use rmq_sim::simulation::{Cluster, Simulation, freeze};
    ///
    /// let simulation = Simulation::new(Cluster::new()).fault(freeze("broker-a").at_secs(500));
    /// let run = simulation.run(7, async |_sim| Ok(()))?;
    /// assert_eq!(run.effects[0].missed(), Some(Missed::NeverStarted), "the check was over before");
    /// # Ok(())
    /// # }
    /// ```
    pub fn missed(&self) -> Option<Missed> {
        match (self.started, self.struck) {
            (false, _) => Some(Missed::NeverStarted),
            (true, _) if self.no_such_node => Some(Missed::NoSuchNode),
            (true, Some(0)) => Some(Missed::NeverStruck),
            (true, _) => None,
        }
    }
}

impl RunController {
    /// What the engine has counted so far that a fault may have done. `None`: it does not count.
    pub(super) fn measured(&self, kind: &FaultKind, at: Struck) -> Option<u64> {
        let what = kind.behaviour().counted()?;
        match at {
            Struck::Node(node) => self.backend.strikes(what, node, node),
            Struck::Link(direction) => direction
                .each()
                .map(|(from, to)| self.backend.strikes(what, from, to))
                .sum(),
        }
    }

    /// The controller itself, or a server, has done what the fault is about.
    pub(super) fn struck_once_more(&self, fault: FaultNumber) {
        let fault = &mut self.faults.lock()[fault as usize - 1];
        fault.applied = fault.applied.saturating_add(1);
    }

    /// What became of every fault, when the run is over.
    pub(super) fn effects(&self) -> Vec<Effect> {
        let faults = self.faults.lock().clone();
        (1..)
            .zip(&faults)
            .map(|(fault, progress)| Effect {
                fault,
                started: progress.started,
                struck: self.struck(progress),
                no_such_node: progress.waits_for_node && self.find(&progress.data.place).is_none(),
                injected: progress.injected.as_ref().map(|at| Injection {
                    fault: Fault::clone(&progress.data),
                    at: Name::clone(at),
                }),
            })
            .collect()
    }

    pub(super) fn struck(&self, progress: &Progress) -> Option<u64> {
        let fault = &*progress.data;
        if fault.kind.behaviour().counted().is_none() {
            return Some(progress.applied.into());
        }
        let Some(struck) = self.find(&fault.place).filter(|_| !progress.waits_for_node) else {
            // It waited for its node to its own end.
            return Some(0);
        };
        let end = match progress.measured_at_end {
            Some(end) => end,
            None => self.measured(&fault.kind, struck)?,
        };
        Some(end.saturating_sub(progress.measured_at_start?))
    }
}

//! Faults that a check starts while its run goes on.
//!
//! A plan says before the run what goes wrong; a test often wants to say it at the place in its own code
//! where it matters. Such a fault is one more of the controller's list, behind those of the plan: it is
//! recorded, counted and believed by the checkers as they are.

use std::panic::Location;
use std::sync::Arc;

use rmq_remoting::observe::Name;
use serde::Serialize;

use super::controller::{Phase, Progress, RunController};
use super::refuse;
use super::{Nodes, RunError};
use crate::fault::{EngineKind, Fault, Place, Position};
use crate::scenario::Scenario;
use crate::trace::NodeKind;

/// A fault that a check started itself, and where its code did so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Injection {
    /// The fault as it was carried out.
    pub fault: Fault,
    /// The line of the check: `tests/orders.rs:12`.
    pub at: Name,
}

impl RunController {
    /// Adds a fault to those of the plan. It starts now if it names no time. Its index, or why it makes no
    /// sense, with a remedy.
    pub(super) fn inject(
        self: &Arc<Self>,
        mut fault: Fault,
        from: &Location<'_>,
    ) -> Result<usize, String> {
        self.all_are_known(&fault)?;
        let now_ms = self.recorder.now_ms();
        if let Position::Time { ms } = fault.at {
            if ms > 0 && ms < now_ms {
                return Err(format!(
                    "the fault \"{fault}\" starts at {ms} ms, and it is {now_ms} ms\n  \
                     remedy: leave its start away, and it starts at once"
                ));
            }
            fault.at = Position::Time { ms: now_ms.max(ms) };
        }
        self.makes_sense(&fault)
            .map_err(|error| error.to_string())?;
        let at = fault.at.clone();
        let index = {
            let mut faults = self.faults.lock();
            faults.push(Progress {
                injected: Some(Name::from(format!("{}:{}", from.file(), from.line()))),
                ..Progress::new(fault)
            });
            faults.len() - 1
        };
        match at {
            Position::Time { ms } if ms <= now_ms => self.start(index),
            Position::Time { ms } => self.start_at(ms, index),
            Position::Received { .. } | Position::Stored { .. } | Position::Send { .. } => {}
        }
        Ok(index)
    }

    /// Ends a fault now; one that has not begun never will. What struck once stays as it is.
    pub(super) fn heal_one(self: &Arc<Self>, index: usize) {
        if self.enter(index, Phase::Waiting, Phase::Over).is_some() {
            return;
        }
        let is_at_once = self.faults.lock()[index].data.kind.is_at_once();
        if !is_at_once {
            self.end(index);
        }
    }

    /// How often a fault has struck so far.
    pub(super) fn struck_so_far(&self, index: usize) -> u64 {
        let progress = self.faults.lock()[index].clone();
        match progress.started {
            true => self.struck(&progress).unwrap_or(0),
            false => 0,
        }
    }

    /// Ends every fault that has taken the process of a node away. False: none has.
    pub(super) fn restart_one(self: &Arc<Self>, node: &str) -> bool {
        let is_down = |fault: &mut Progress| {
            let mut kind = fault.data.kind.clone();
            let here = matches!(&fault.data.place, Place::Node(name) if **name == *node);
            fault.phase == Phase::On && here && kind.restart_mut().is_some()
        };
        let mut faults = self.faults.lock();
        let all = faults.iter_mut().enumerate();
        let down: Vec<usize> = all
            .filter_map(|(index, fault)| is_down(fault).then_some(index))
            .collect();
        drop(faults);
        for index in &down {
            self.end(*index);
        }
        !down.is_empty()
    }

    /// The names of all nodes that there are by now.
    pub(super) fn known_names(&self) -> Vec<Name> {
        let mut names = self.scenario.node_names();
        let added_nodes = self.added_nodes.lock();
        // A further client of a machine is no node that a fault could be on.
        let own = added_nodes.iter().filter(|added| added.part_of.is_none());
        names.extend(own.map(|added| Name::clone(&added.name)));
        names
    }

    /// Whether a node of the scenario is a name server.
    pub(super) fn is_name_server(&self, name: &str) -> bool {
        self.scenario.kind_of(name) == Some(NodeKind::NameServer)
    }

    fn all_are_known(&self, fault: &Fault) -> Result<(), String> {
        let known = self.known_names();
        let mut names = fault.place.names();
        match names.find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(unknown) => Err(format!(
                "the fault \"{fault}\" names \"{unknown}\", and there is no such node\n  \
                 remedy: use one of: {}",
                known.join(", ")
            )),
        }
    }

    /// Refuses what a plan would be refused for.
    fn makes_sense(&self, fault: &Fault) -> Result<(), RunError> {
        let alone = Scenario {
            faults: vec![fault.clone()],
            ..Scenario::clone(&self.scenario)
        };
        refuse::check(&alone, EngineKind::Event, Nodes::MoreWillCome)
    }
}

//! `power-loss`: the machine is gone without a word; after `for` it boots again.

use dst_engine::Change;
use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use super::{FaultKind, Restart};
use crate::backend::Modelled;
use crate::truth::{Condition, Meaning, Process};

/// The machine loses its power: it is gone without a word, until its restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PowerLoss(pub Restart);

pub(super) const KIND: Kind = Kind {
    name: "power-loss",
    site: Site::Server,
    keys: &["data", "address"],
    sample: "",
    situation: "the machine is gone without a word; after `for` it boots again",
    engines: Engines {
        tcp: Some("a process cannot cut the power of the machine it runs on"),
        ..Engines::ALL
    },
    is_at_once: false,
    changes: Changes::Life,
    read: Read::Fault(|keys| Ok(FaultKind::PowerLoss(PowerLoss(Restart::read(keys)?)))),
    draw: Drawn::Fault(|draw, knobs, on| {
        FaultKind::PowerLoss(PowerLoss(Restart::draw(draw, knobs, on)))
    }),
};

impl Behaviour for PowerLoss {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::PowerOff(strike.node()))
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Killed)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Gone).of_process(Process::Gone)
    }

    fn restart(&self) -> Option<Restart> {
        Some(self.0)
    }

    fn restart_mut(&mut self) -> Option<&mut Restart> {
        Some(&mut self.0)
    }

    fn loses_the_request(&self) -> bool {
        true
    }
}

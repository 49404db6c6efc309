//! `black-hole`: a dead middlebox: open connections swallow all bytes, new ones work.

use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use super::FaultKind;
use crate::engine;
use crate::host::{Modelled, Way};
use crate::truth::{Condition, Meaning};

/// Connections that are open when it starts swallow every byte for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlackHole;

pub(super) const KIND: Kind = Kind {
    name: "black-hole",
    site: Site::Pair,
    keys: &[],
    sample: "",
    situation: "a dead middlebox: open connections swallow all bytes, new ones work",
    engines: Engines::EVENT,
    is_at_once: true,
    changes: Changes::ItsOwn,
    read: Read::Fault(|_| Ok(FaultKind::BlackHole)),
    draw: Drawn::Fault(|_, _, _| FaultKind::BlackHole),
};

impl Behaviour for BlackHole {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        match strike.way() {
            Way::One(a, b) | Way::Both(a, b) => strike.engine().black_hole(a, b),
        }
    }

    fn counted(&self) -> Option<engine::Strike> {
        Some(engine::Strike::BlackHole)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent)
    }
}

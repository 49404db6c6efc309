//! `black-hole`: a dead middlebox: open connections swallow all bytes, new ones work.

use dst_engine::{Change, Direction};

use super::FaultKind;
use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use crate::backend::Modelled;
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
        match strike.direction() {
            Direction::One(a, b) | Direction::Both(a, b) => strike.apply(Change::BlackHole(a, b)),
        }
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::BlackHole)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent)
    }
}

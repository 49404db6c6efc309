//! `stop-reading`: a stuck reader: its window fills, and the peer's writes block.

use dst_engine::Change;

use super::FaultKind;
use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use crate::backend::Modelled;
use crate::truth::{Condition, Meaning};

/// The process does not read from the connections it accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopReading;

pub(super) const KIND: Kind = Kind {
    name: "stop-reading",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "a stuck reader: its window fills, and the peer's writes block",
    engines: Engines::EVENT,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|_| Ok(FaultKind::StopReading)),
    draw: Drawn::Fault(|_, _, _| FaultKind::StopReading),
};

impl Behaviour for StopReading {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::StopReading(strike.node(), true))
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::StopReading(strike.node(), false))
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Deaf)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent)
    }
}

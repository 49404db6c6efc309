//! `partition`: a switch drops packets, one way or both; they are sent again when it heals.

use dst_engine::Change;

use super::FaultKind;
use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use crate::backend::Modelled;
use crate::truth::{Condition, Meaning};

/// Bytes do not get through until it ends, and are sent again by the kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition;

pub(super) const KIND: Kind = Kind {
    name: "partition",
    site: Site::LinkOrPair,
    keys: &[],
    sample: "",
    situation: "a switch drops packets, one way or both; they are sent again when it heals",
    engines: Engines::SIMULATED,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|_| Ok(FaultKind::Partition)),
    draw: Drawn::Fault(|_, _, _| FaultKind::Partition),
};

impl Behaviour for Partition {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Cut(strike.direction()))
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Heal(strike.direction()))
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Cut)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent)
    }
}

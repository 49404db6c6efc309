//! `hold`: a paused virtual machine or tunnel: all that was on the way arrives at its end.

use dst_engine::Change;

use super::FaultKind;
use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use crate::backend::Modelled;
use crate::truth::{Condition, Meaning};

/// Whatever is on the way waits until it ends; then all of it arrives, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold;

pub(super) const KIND: Kind = Kind {
    name: "hold",
    site: Site::LinkOrPair,
    keys: &[],
    sample: "",
    situation: "a paused virtual machine or tunnel: all that was on the way arrives at its end",
    engines: Engines::SIMULATED,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|_| Ok(FaultKind::Hold)),
    draw: Drawn::Fault(|_, _, _| FaultKind::Hold),
};

impl Behaviour for Hold {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Hold(strike.direction(), true))
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Hold(strike.direction(), false))
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Hold)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent)
    }
}

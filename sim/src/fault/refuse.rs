//! `refuse`: a firewall or a full machine answers dials with a reset.

use dst_engine::Change;

use super::FaultKind;
use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use crate::backend::Modelled;
use crate::truth::{Condition, Meaning};

/// Dials to the node are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refuse;

pub(super) const KIND: Kind = Kind {
    name: "refuse",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "a firewall or a full machine answers dials with a reset",
    engines: Engines::EVENT,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|_| Ok(FaultKind::Refuse)),
    draw: Drawn::Fault(|_, _, _| FaultKind::Refuse),
};

impl Behaviour for Refuse {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Refuse(strike.node(), true))
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Refuse(strike.node(), false))
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Refuse)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}

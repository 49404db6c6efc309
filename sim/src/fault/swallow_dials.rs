//! `swallow-dials`: a firewall drops dials: they hang; open connections work.

use dst_engine::Change;

use super::FaultKind;
use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use crate::backend::Modelled;
use crate::truth::{Condition, Meaning};

/// Dials to the node get no answer; open connections work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwallowDials;

pub(super) const KIND: Kind = Kind {
    name: "swallow-dials",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "a firewall drops dials: they hang; open connections work",
    engines: Engines::EVENT,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|_| Ok(FaultKind::SwallowDials)),
    draw: Drawn::Fault(|_, _, _| FaultKind::SwallowDials),
};

impl Behaviour for SwallowDials {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::SwallowDials(strike.node(), true))
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::SwallowDials(strike.node(), false))
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Swallow)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent)
    }
}

//! `read-only`: an operator takes the broker out of writing; producers hear it from their routes.

use super::FaultKind;
use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use crate::backend::Modelled;
use crate::truth::{Condition, Meaning};

/// The broker makes its topics known without write permission. What is sent to it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOnly;

pub(super) const KIND: Kind = Kind {
    name: "read-only",
    site: Site::Broker,
    keys: &[],
    sample: "",
    situation: "an operator takes the broker out of writing; producers hear it from their routes",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|_| Ok(FaultKind::ReadOnly)),
    draw: Drawn::Fault(|_, _, _| FaultKind::ReadOnly),
};

impl Behaviour for ReadOnly {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.run.set_read_only(strike.node(), true);
        strike.has_struck();
        Ok(())
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        strike.run.set_read_only(strike.node(), false);
        Ok(())
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        None
    }

    fn meaning(&self) -> Meaning {
        // It stores what it is sent.
        Meaning::of(Condition::Healthy)
    }
}

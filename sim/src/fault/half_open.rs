//! `half-open`: a middlebox forgets: the receivers lose open connections, the senders learn it late.

use dst_engine::Change;

use super::FaultKind;
use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use crate::backend::Modelled;
use crate::truth::{Condition, Meaning};

/// On a link: the receivers of open connections lose them without a word. The senders believe
/// in them until they send, and are answered with a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HalfOpen;

pub(super) const KIND: Kind = Kind {
    name: "half-open",
    site: Site::Link,
    keys: &[],
    sample: "",
    situation: "a middlebox forgets: the receivers lose open connections, the senders learn it late",
    engines: Engines::EVENT,
    is_at_once: true,
    changes: Changes::ItsOwn,
    read: Read::Fault(|_| Ok(FaultKind::HalfOpen)),
    draw: Drawn::Fault(|_, _, _| FaultKind::HalfOpen),
};

impl Behaviour for HalfOpen {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        let mut directions = strike.direction().each();
        directions.try_for_each(|(from, to)| strike.apply(Change::HalfOpen { from, to }))
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::HalfOpen)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}

//! `corrupt`: a byte flips on the way.

use dst_engine::Change;
use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Changes, Drawn, Engines, Figure, Kind, Read, Site, Strike};
use super::{FaultKind, Place};
use crate::backend::Modelled;
use crate::scenario::Table;
use crate::truth::{Condition, Meaning};

/// One bit of a byte is flipped on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrupt {
    /// Which byte of those sent on the link from the fault's start on, from 0.
    pub byte: u64,
}

pub(super) const KIND: Kind = Kind {
    name: "corrupt",
    site: Site::Link,
    keys: &["byte"],
    sample: "",
    situation: "a byte flips on the way",
    engines: Engines::EVENT,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|keys| Ok(FaultKind::Corrupt(Corrupt { byte: keys.byte()? }))),
    draw: Drawn::Never(
        "where a flipped byte changes a message on its way, what servers saw and what the client says disagree, and \
         no checker can tell that from a producer that lies; it has a scenario of its own",
    ),
};

impl Behaviour for Corrupt {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        let mut directions = strike.direction().each();
        directions.try_for_each(|(from, to)| {
            strike.apply(Change::Corrupt {
                from,
                to,
                after: self.byte,
            })
        })
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Corrupt)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }

    fn write(&self, _place: &Place, table: &mut Table) {
        table.push("byte", self.byte);
    }

    fn figures(&mut self) -> Vec<Figure<'_>> {
        vec![Figure::long("byte", 0, &mut self.byte)]
    }
}

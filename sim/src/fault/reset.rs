//! `reset`: a middlebox resets: on a pair all connections now, on a link one, at a byte.

use std::fmt;

use dst_engine::{Change, Direction};
use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Changes, Drawn, Engines, Figure, Kind, Read, Site, Strike};
use super::{FaultKind, Place};
use crate::backend::Modelled;
use crate::scenario::Table;
use crate::truth::{Condition, Meaning};

/// On a pair: open connections are reset now, at both ends. On a link: the connection that
/// carries a certain byte is reset there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// On a link: which byte of those sent from the fault's start on, from 0.
    pub byte: u64,
}

pub(super) const KIND: Kind = Kind {
    name: "reset",
    site: Site::LinkOrPair,
    keys: &["byte"],
    sample: "",
    situation: "a middlebox resets: on a pair all connections now, on a link one, at a byte",
    engines: Engines::EVENT,
    is_at_once: true,
    changes: Changes::ItsOwn,
    read: Read::Fault(|keys| Ok(FaultKind::Reset(Reset { byte: keys.byte()? }))),
    draw: Drawn::Fault(|draw, _, _| {
        let byte = draw.between("reset-byte", 0, 2_000);
        FaultKind::Reset(Reset { byte })
    }),
};

impl Behaviour for Reset {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        match strike.direction() {
            Direction::One(from, to) => strike.apply(Change::ResetAfter {
                from,
                to,
                after: self.byte,
            }),
            Direction::Both(a, b) => strike.apply(Change::Reset(a, b)),
        }
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Reset)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }

    fn words(&self, place: &Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match place {
            Place::Link { .. } => write!(f, " at byte {}", self.byte),
            Place::Node(_) | Place::Pair { .. } => Ok(()),
        }
    }

    fn write(&self, place: &Place, table: &mut Table) {
        if matches!(place, Place::Link { .. }) {
            table.push("byte", self.byte);
        }
    }

    fn figures(&mut self) -> Vec<Figure<'_>> {
        vec![Figure::long("byte", 0, &mut self.byte)]
    }

    fn is_over_at_once(&self, place: &Place) -> bool {
        matches!(place, Place::Pair { .. })
    }
}

//! `slice`: tiny segments and full buffers: each read and write moves a few bytes.

use std::fmt;

use dst_engine::Change;
use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use super::{FaultKind, Place};
use crate::backend::Modelled;
use crate::scenario::Table;
use crate::truth::{Condition, Meaning};

/// Each read and each write moves only a few bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// The most bytes that one read or one write moves.
    pub bytes: u64,
}

pub(super) const KIND: Kind = Kind {
    name: "slice",
    site: Site::LinkOrPair,
    keys: &["bytes"],
    sample: "bytes = 3\n",
    situation: "tiny segments and full buffers: each read and write moves a few bytes",
    engines: Engines::EVENT,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|keys| {
        let bytes = keys.number(&keys.raw.bytes, ("bytes", "7"), 1, 1_000_000)?;
        Ok(FaultKind::Slice(Slice { bytes }))
    }),
    draw: Drawn::Fault(|draw, _, _| {
        let bytes = draw.one_of("slice", [1, 7, 100, 1_460]);
        FaultKind::Slice(Slice { bytes })
    }),
};

impl Behaviour for Slice {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Slice {
            on: strike.direction(),
            bytes: self.bytes,
        })
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Slice {
            on: strike.direction(),
            bytes: 0,
        })
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Slice)
    }

    fn meaning(&self) -> Meaning {
        // What a program does with its bytes is up to it.
        Meaning::of(Condition::Healthy)
    }

    fn words(&self, _place: &Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {} bytes a time", self.bytes)
    }

    fn write(&self, _place: &Place, table: &mut Table) {
        table.push("bytes", self.bytes);
    }
}

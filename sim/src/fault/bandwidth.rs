//! `bandwidth`: a thin or crowded line.

use std::fmt;

use dst_engine::Change;
use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use super::{FaultKind, Place};
use crate::backend::Modelled;
use crate::scenario::Table;
use crate::truth::{Condition, Meaning};

/// No more than so many bytes get onto the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// How many bytes pass in a millisecond.
    pub bytes_per_ms: u64,
}

pub(super) const KIND: Kind = Kind {
    name: "bandwidth",
    site: Site::LinkOrPair,
    keys: &["bytes-per-ms"],
    sample: "bytes-per-ms = 3\n",
    situation: "a thin or crowded line",
    engines: Engines::EVENT,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|keys| {
        let rate = &keys.raw.bytes_per_ms;
        let bytes_per_ms = keys.number(rate, ("bytes-per-ms", "10"), 1, 1_000_000)?;
        Ok(FaultKind::Bandwidth(Bandwidth { bytes_per_ms }))
    }),
    draw: Drawn::Fault(|draw, _, _| {
        let bytes_per_ms = draw.one_of("bandwidth", [1, 5, 50, 1_000]);
        FaultKind::Bandwidth(Bandwidth { bytes_per_ms })
    }),
};

impl Behaviour for Bandwidth {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Bandwidth {
            on: strike.direction(),
            bytes_per_ms: self.bytes_per_ms,
        })
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Bandwidth {
            on: strike.direction(),
            bytes_per_ms: 0,
        })
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Bandwidth)
    }

    fn meaning(&self) -> Meaning {
        Meaning {
            // What was put on the line leaves it at the rate of the line.
            after_ms: ON_THE_LINE / self.bytes_per_ms.max(1),
            ..Meaning::of(Condition::Slow)
        }
    }

    fn words(&self, _place: &Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {} bytes a ms", self.bytes_per_ms)
    }

    fn write(&self, _place: &Place, table: &mut Table) {
        table.push("bytes-per-ms", self.bytes_per_ms);
    }
}

/// So many bytes, at most, are on a line that is too thin for them: a receiver's window.
const ON_THE_LINE: u64 = 128 * 1024;

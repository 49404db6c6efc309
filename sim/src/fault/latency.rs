//! `latency`: a long way round.

use std::fmt;

use dst_engine::Change;
use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Changes, Drawn, Engines, Figure, Kind, Read, Site, Strike};
use super::{FaultKind, Place, words};
use crate::backend::Modelled;
use crate::scenario::Table;
use crate::truth::{Condition, Meaning};

/// Another latency than the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// The latency in one direction, in milliseconds.
    pub ms: u64,
    /// At most so much more, drawn by the millisecond.
    pub jitter_ms: u64,
}

pub(super) const KIND: Kind = Kind {
    name: "latency",
    site: Site::LinkOrPair,
    keys: &["latency"],
    sample: "latency = { ms = 100 }\n",
    situation: "a long way round",
    engines: Engines::SIMULATED,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|keys| {
        let (ms, jitter_ms) = keys.latency()?;
        Ok(FaultKind::Latency(Latency { ms, jitter_ms }))
    }),
    draw: Drawn::Fault(|draw, _, _| {
        FaultKind::Latency(Latency {
            ms: draw.one_of("link-latency", [2, 10, 50, 200, 600, 1_500]),
            jitter_ms: draw.one_of("link-jitter", [0, 0, 10, 100]),
        })
    }),
};

impl Behaviour for Latency {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Latency {
            on: strike.direction(),
            ms: self.ms,
            jitter_ms: self.jitter_ms,
        })
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::DefaultLatency(strike.direction()))
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Latency)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Slow)
    }

    fn words(&self, _place: &Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {}", words::Range(self.ms, self.jitter_ms))
    }

    fn write(&self, _place: &Place, table: &mut Table) {
        table.latency("latency", self.ms, self.jitter_ms);
    }

    fn figures(&mut self) -> Vec<Figure<'_>> {
        vec![
            Figure::long("jitter", 0, &mut self.jitter_ms),
            Figure::long("latency", 1, &mut self.ms),
        ]
    }
}

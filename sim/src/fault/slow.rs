//! `slow`: a starved CPU: one step per so many milliseconds.

use std::fmt;

use dst_engine::Change;
use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Changes, Drawn, Engines, Figure, Kind, Read, Site, Strike};
use super::{FaultKind, Millis, Place};
use crate::backend::Modelled;
use crate::scenario::Table;
use crate::truth::{Condition, Meaning, Process};

/// The process makes one step per so many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slow {
    /// Milliseconds from one step to the next.
    pub ms_per_step: u64,
}

pub(super) const KIND: Kind = Kind {
    name: "slow",
    site: Site::Node,
    keys: &["step"],
    sample: "step = \"5ms\"\n",
    situation: "a starved CPU: one step per so many milliseconds",
    engines: Engines {
        tcp: Some("all nodes share one processor there, which is as fast as it is"),
        ..Engines::EVENT
    },
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|keys| {
        let step = &keys.raw.step;
        let ms_per_step = keys.duration(step, ("a step", "step", "\"20ms\""), 60_000)?;
        Ok(FaultKind::Slow(Slow { ms_per_step }))
    }),
    draw: Drawn::Fault(|draw, _, _| {
        let ms_per_step = draw.one_of("step", [1, 2, 5, 20, 100]);
        FaultKind::Slow(Slow { ms_per_step })
    }),
};

impl Behaviour for Slow {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Slow {
            node: strike.node(),
            ms_per_poll: self.ms_per_step,
        })
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Slow {
            node: strike.node(),
            ms_per_poll: 0,
        })
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Slow)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Slow).of_process(Process::Frozen)
    }

    fn words(&self, _place: &Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {} a step", Millis(self.ms_per_step))
    }

    fn write(&self, _place: &Place, table: &mut Table) {
        table.duration("step", self.ms_per_step);
    }

    fn figures(&mut self) -> Vec<Figure<'_>> {
        vec![Figure::long("ms a step", 1, &mut self.ms_per_step)]
    }
}

//! `loss`: a bad cable: retransmissions, seen as delay.

use std::fmt;

use dst_engine::Change;
use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Changes, Drawn, Engines, Figure, FigureAt, Kind, Read, Site, Strike};
use super::{FaultKind, Place};
use crate::backend::Modelled;
use crate::scenario::Table;
use crate::truth::{Condition, Meaning};

/// Segments are lost and sent again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Lost segments among a thousand.
    pub per_mille: u32,
}

pub(super) const KIND: Kind = Kind {
    name: "loss",
    site: Site::LinkOrPair,
    keys: &["per-mille"],
    sample: "per-mille = 300\n",
    situation: "a bad cable: retransmissions, seen as delay",
    engines: Engines {
        turmoil: Some("turmoil's TCP never sends a lost segment again"),
        ..Engines::EVENT
    },
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|keys| {
        let per_mille = keys.number(&keys.raw.per_mille, ("per-mille", "100"), 1, 999)?;
        Ok(FaultKind::Loss(Loss { per_mille }))
    }),
    draw: Drawn::Fault(|draw, _, _| {
        let per_mille = draw.one_of("loss", [10, 50, 200, 500]);
        FaultKind::Loss(Loss { per_mille })
    }),
};

impl Behaviour for Loss {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Loss {
            on: strike.direction(),
            per_mille: self.per_mille,
        })
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Loss {
            on: strike.direction(),
            per_mille: 0,
        })
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Loss)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Slow)
    }

    fn words(&self, _place: &Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {} of 1000", self.per_mille)
    }

    fn write(&self, _place: &Place, table: &mut Table) {
        table.push("per-mille", self.per_mille);
    }

    fn figures(&mut self) -> Vec<Figure<'_>> {
        let at = FigureAt::Short(&mut self.per_mille);
        vec![Figure {
            what: "per mille",
            least: 1,
            at,
        }]
    }
}

//! `clock-jump`: NTP or an operator sets the wall clock; timers do not notice.

use std::fmt;

use dst_engine::Change;
use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Changes, Drawn, Engines, Figure, FigureAt, Kind, Read, Site, Strike};
use super::{FaultKind, Millis, Place};
use crate::backend::Modelled;
use crate::scenario::{FaultKeys, ScenarioError, Table};
use crate::truth::{Condition, Meaning};

/// The wall clock is moved when it starts, and back when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockJump {
    /// Milliseconds, negative into the past.
    pub ms: i64,
}

pub(super) const KIND: Kind = Kind {
    name: "clock-jump",
    site: Site::Node,
    keys: &["by"],
    sample: "by = \"-90s\"\n",
    situation: "NTP or an operator sets the wall clock; timers do not notice",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|keys| Ok(FaultKind::ClockJump(ClockJump { ms: by(keys)? }))),
    draw: Drawn::Fault(|draw, _, _| {
        let by = draw.one_of("clock-by", [1, 1_000, 60_000, 3_600_000, 40 * 86_400_000]);
        let back = draw.coin("clock-back", 500);
        FaultKind::ClockJump(ClockJump {
            ms: if back { -by } else { by },
        })
    }),
};

impl Behaviour for ClockJump {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.has_struck();
        strike.apply(Change::JumpWallClock {
            node: strike.node(),
            ms: self.ms,
        })
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::JumpWallClock {
            node: strike.node(),
            ms: self.ms.saturating_neg(),
        })
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        None
    }

    fn meaning(&self) -> Meaning {
        // What a program calls the time is up to it.
        Meaning::of(Condition::Healthy)
    }

    fn words(&self, _place: &Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.ms < 0 { "-" } else { "" };
        write!(f, " by {sign}{}", Millis(self.ms.unsigned_abs()))
    }

    fn write(&self, _place: &Place, table: &mut Table) {
        table.jump("by", self.ms);
    }

    fn figures(&mut self) -> Vec<Figure<'_>> {
        let what = if self.ms < 0 {
            "clock back"
        } else {
            "clock forward"
        };
        let at = FigureAt::Signed(&mut self.ms);
        vec![Figure { what, least: 1, at }]
    }
}

/// The furthest that a clock may jump, forward or back: 365 days, in milliseconds.
const LONGEST_MS: u64 = 365 * 86_400_000;

/// How far the clock jumps, in milliseconds.
fn by(keys: &FaultKeys<'_>) -> Result<i64, ScenarioError> {
    let by = keys.get(&keys.raw.by, "by", "\"-1min\"")?;
    let ms = by.get_ref().0;
    if ms != 0 && ms.unsigned_abs() <= LONGEST_MS {
        return Ok(ms);
    }
    Err(keys.error(
        by.span(),
        format!("a clock cannot jump by {ms} ms"),
        "write a duration up to a year, like \"90s\", or \"-90s\" into the past",
    ))
}

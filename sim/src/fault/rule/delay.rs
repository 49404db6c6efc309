//! `delay`: the server does its work and answers late, maybe past the deadline.

use std::fmt;

use rmq_mock_server::rules;
use serde::{Deserialize, Serialize};

use super::{Action, AtAnyServer, RuleAction, later, near_a_deadline};
use crate::fault::kind::{Changes, Drawn, Engines, Figure, Kind, Read, Site};
use crate::fault::words;
use crate::scenario::Table;
use crate::truth::{Condition, Meaning};

/// Do the work and answer so many milliseconds later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    /// How much later the answer leaves, in milliseconds.
    pub ms: u64,
    /// At most so much more, drawn by message and attempt.
    pub jitter_ms: u64,
}

pub(in crate::fault) const KIND: Kind = Kind {
    name: "delay",
    site: Site::Server,
    keys: &["by", "jitter"],
    sample: "by = \"300ms\"\n",
    situation: "the server does its work and answers late, maybe past the deadline",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|keys| {
        Ok(RuleAction::Delay(Delay {
            ms: keys.late()?,
            jitter_ms: keys.jitter()?,
        }))
    }),
    draw: Drawn::Rule(1, |draw, knobs, _| {
        let ms = near_a_deadline(draw, knobs);
        let jitter_ms = draw.one_of("delay-jitter", [0, 0, 2, ms]);
        RuleAction::Delay(Delay { ms, jitter_ms })
    }),
};

impl AtAnyServer for Delay {
    fn at_any_server<A>(&self, drawn: u64) -> rules::Action<A> {
        rules::Action::DelayReply {
            ms: later(self.ms, self.jitter_ms, drawn),
        }
    }
}

impl Action for Delay {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Slow)
    }

    fn words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " by {}", words::Range(self.ms, self.jitter_ms))
    }

    fn write(&self, table: &mut Table) {
        table.duration("by", self.ms);
        if self.jitter_ms > 0 {
            table.duration("jitter", self.jitter_ms);
        }
    }

    fn figures(&mut self) -> Vec<Figure<'_>> {
        vec![
            Figure::long("delay", 1, &mut self.ms),
            Figure::long("jitter of a delay", 0, &mut self.jitter_ms),
        ]
    }
}

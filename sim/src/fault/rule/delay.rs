//! `delay`: the server does its work and answers late, maybe past the deadline.

use std::fmt;

use rmq_mock_server::rules;
use serde::{Deserialize, Serialize};

use super::{Action, AtAnyServer, RuleAction, how_late, later};
use crate::fault::kind::{Changes, Drawn, Engines, Figure, Kind, Read, Site};
use crate::fault::words;
use crate::scenario::Table;
use crate::truth::{Condition, Meaning};

/// Do the work and answer so many milliseconds later, or so many after the start of the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    /// How much later the answer leaves, in milliseconds.
    pub ms: u64,
    /// At most so much more, drawn by message and attempt.
    pub jitter_ms: u64,
    /// What the milliseconds count from.
    pub since: Since,
}

/// What a delay counts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Since {
    /// The answer leaves so long after the server has read the request.
    #[default]
    Received,
    /// The answer reaches the producer, on a network without jitter, so long after the attempt started:
    /// a millisecond before its deadline, or behind it. For sends that the position of the fault names.
    Attempt,
}

impl Delay {
    /// The same for a request whose attempt started so long ago, and whose answer is under way for a
    /// part of that.
    pub(super) fn since_attempt(self, ago_ms: u64) -> Self {
        match self.since {
            Since::Received => self,
            Since::Attempt => Self {
                ms: self.ms.saturating_sub(ago_ms),
                since: Since::Received,
                ..self
            },
        }
    }
}

pub(in crate::fault) const KIND: Kind = Kind {
    name: "delay",
    site: Site::Server,
    keys: &["by", "jitter", "since"],
    sample: "by = \"300ms\"\n",
    situation: "the server does its work and answers late, maybe past the deadline",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|keys| {
        Ok(RuleAction::Delay(Delay {
            ms: keys.late()?,
            jitter_ms: keys.jitter()?,
            since: keys.since()?,
        }))
    }),
    draw: Drawn::Rule(1, |draw, knobs, _| {
        let (ms, since) = how_late(draw, knobs);
        let jitter_ms = draw.one_of("delay-jitter", [0, 0, 2, ms]);
        RuleAction::Delay(Delay {
            ms,
            jitter_ms,
            since,
        })
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
        write!(f, " by {}", words::Range(self.ms, self.jitter_ms))?;
        match self.since {
            Since::Received => Ok(()),
            Since::Attempt => f.write_str(" since the attempt"),
        }
    }

    fn write(&self, table: &mut Table) {
        table.duration("by", self.ms);
        if self.jitter_ms > 0 {
            table.duration("jitter", self.jitter_ms);
        }
        if self.since == Since::Attempt {
            table.quoted("since", "attempt");
        }
    }

    fn figures(&mut self) -> Vec<Figure<'_>> {
        vec![
            Figure::long("delay", 1, &mut self.ms),
            Figure::long("jitter of a delay", 0, &mut self.jitter_ms),
        ]
    }
}

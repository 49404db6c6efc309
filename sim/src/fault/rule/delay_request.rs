//! `delay-request`: a long queue in front of the store.

use std::fmt;

use rmq_mock_broker::control as broker;
use serde::{Deserialize, Serialize};

use super::{Action, AtServer, RuleAction, how_late};
use crate::fault::Millis;
use crate::fault::kind::{Changes, Drawn, Engines, Figure, Kind, Read, Site};
use crate::scenario::Table;
use crate::truth::{Condition, Meaning};

/// A broker does the work only so many milliseconds later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayRequest {
    /// How much later the request is handled, in milliseconds.
    pub ms: u64,
}

pub(in crate::fault) const KIND: Kind = Kind {
    name: "delay-request",
    site: Site::Broker,
    keys: &["by"],
    sample: "by = \"300ms\"\n",
    situation: "a long queue in front of the store",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|keys| Ok(RuleAction::DelayRequest(DelayRequest { ms: keys.late()? }))),
    draw: Drawn::Rule(1, |draw, knobs, _| {
        let (ms, _) = how_late(draw, knobs);
        RuleAction::DelayRequest(DelayRequest { ms })
    }),
};

impl AtServer for DelayRequest {
    fn at_broker(&self, _drawn: u64) -> broker::Action {
        broker::Action::delay(self.ms)
    }
}

impl Action for DelayRequest {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Slow)
    }

    fn words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " by {}", Millis(self.ms))
    }

    fn write(&self, table: &mut Table) {
        table.duration("by", self.ms);
    }

    fn figures(&mut self) -> Vec<Figure<'_>> {
        vec![Figure::long("delay", 1, &mut self.ms)]
    }
}

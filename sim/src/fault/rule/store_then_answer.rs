//! `store-then-answer`: stored, but not flushed or not replicated in time.

use std::fmt;

use rmq_mock_broker::control as broker;
use rmq_remoting::code::response;
use serde::{Deserialize, Serialize};

use super::{Action, AtServer, RuleAction};
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::scenario::Table;
use crate::truth::{Condition, Meaning};

/// A broker does the work and gives its answer another code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreThenAnswer {
    /// The response code that is answered.
    pub code: i32,
}

pub(in crate::fault) const KIND: Kind = Kind {
    name: "store-then-answer",
    site: Site::Broker,
    keys: &["code"],
    sample: "code = \"FLUSH_DISK_TIMEOUT\"\n",
    situation: "stored, but not flushed or not replicated in time",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|keys| {
        let code = keys.response_code()?;
        Ok(RuleAction::StoreThenAnswer(StoreThenAnswer { code }))
    }),
    draw: Drawn::Rule(1, |draw, _, _| {
        let code = draw.one_of(
            "stored-code",
            [
                response::FLUSH_DISK_TIMEOUT,
                response::SLAVE_NOT_AVAILABLE,
                response::FLUSH_SLAVE_TIMEOUT,
            ],
        );
        RuleAction::StoreThenAnswer(StoreThenAnswer { code })
    }),
};

impl AtServer for StoreThenAnswer {
    fn at_broker(&self, _drawn: u64) -> broker::Action {
        broker::Action::StoreThenAnswer {
            code: self.code,
            remark: None,
        }
    }
}

impl Action for StoreThenAnswer {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }

    fn words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " code {}", self.code)
    }

    fn write(&self, table: &mut Table) {
        table.response_code("code", self.code);
    }
}

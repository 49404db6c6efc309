//! `answer`: the server refuses with a response code; 1500 tells that it drains.

use std::fmt;

use rmq_mock_server::rules;
use rmq_remoting::code::response;
use rmq_remoting::observe::Name;
use serde::{Deserialize, Serialize};

use super::{Action, AtAnyServer, RuleAction};
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::generate::Target;
use crate::scenario::Table;
use crate::truth::{Condition, Meaning};

/// Answer with this code instead of doing the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The response code that is answered.
    pub code: i32,
    /// The text that stands beside the code (`remark`).
    pub remark: Option<String>,
}

pub(in crate::fault) const KIND: Kind = Kind {
    name: "answer",
    site: Site::Server,
    keys: &["code", "remark"],
    sample: "code = \"SYSTEM_BUSY\"\n",
    situation: "the server refuses with a response code; 1500 tells that it drains",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|keys| {
        Ok(RuleAction::Answer(Answer {
            code: keys.response_code()?,
            remark: keys.raw.remark.as_ref().map(|it| it.get_ref().clone()),
        }))
    }),
    draw: Drawn::Rule(4, |draw, _, on| {
        // Any of seven codes, each a fault of its own to a client: hence the four chances.
        let code = match on {
            Target::Broker => draw.one_of(
                "answer",
                [
                    response::SYSTEM_ERROR,
                    response::SYSTEM_BUSY,
                    response::SERVICE_NOT_AVAILABLE,
                    response::NO_PERMISSION,
                    response::TOPIC_NOT_EXIST,
                    response::MESSAGE_ILLEGAL,
                    response::GO_AWAY,
                ],
            ),
            Target::NameServer | Target::Producer | Target::Network => draw.one_of(
                "answer",
                [
                    response::SYSTEM_ERROR,
                    response::SYSTEM_BUSY,
                    response::TOPIC_NOT_EXIST,
                ],
            ),
        };
        RuleAction::Answer(Answer { code, remark: None })
    }),
};

impl AtAnyServer for Answer {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::Answer {
            code: self.code,
            remark: self.remark.as_deref().map(Name::from),
        }
    }
}

impl Action for Answer {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }

    fn words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " code {}", self.code)
    }

    fn write(&self, table: &mut Table) {
        table.response_code("code", self.code);
        if let Some(remark) = &self.remark {
            table.quoted("remark", remark);
        }
    }

    fn make_plainer(&mut self) {
        self.remark = None;
    }

    fn answers(&self) -> Option<i32> {
        Some(self.code)
    }
}

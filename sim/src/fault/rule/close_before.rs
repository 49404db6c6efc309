//! `close-before`: the server closes the connection before its work.

use rmq_mock_broker::control as broker;
use rmq_mock_namesrv::control as name_server;

use super::{Action, RuleAction};
use crate::fault::FaultNumber;
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// Close the connection instead of doing the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseBefore;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "close-before",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "the server closes the connection before its work",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::CloseBefore)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::CloseBefore),
};

impl Action for CloseBefore {
    fn at_broker(&self, _drawn: u64) -> broker::Action {
        broker::Action::CloseBefore
    }

    fn at_name_server(&self, _fault: FaultNumber, _drawn: u64) -> name_server::Action {
        name_server::Action::Close
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}

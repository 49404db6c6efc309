//! `close-after`: the server closes the connection between its work and its answer.

use rmq_mock_broker::control as broker;
use rmq_mock_namesrv::control as name_server;

use super::{Action, RuleAction};
use crate::fault::FaultNumber;
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// Do the work, then close the connection instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseAfter;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "close-after",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "the server closes the connection between its work and its answer",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::CloseAfter)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::CloseAfter),
};

impl Action for CloseAfter {
    fn at_broker(&self, _drawn: u64) -> broker::Action {
        broker::Action::CloseAfter
    }

    fn at_name_server(&self, _fault: FaultNumber, _drawn: u64) -> name_server::Action {
        name_server::Action::Close
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}

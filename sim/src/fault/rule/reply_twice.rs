//! `reply-twice`: a broken proxy repeats the answer.

use rmq_mock_broker::control as broker;
use rmq_mock_namesrv::control as name_server;

use super::{Action, RuleAction};
use crate::fault::FaultNumber;
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// Do the work and answer twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTwice;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "reply-twice",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "a broken proxy repeats the answer",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::ReplyTwice)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::ReplyTwice),
};

impl Action for ReplyTwice {
    fn at_broker(&self, _drawn: u64) -> broker::Action {
        broker::Action::ReplyTwice
    }

    fn at_name_server(&self, _fault: FaultNumber, _drawn: u64) -> name_server::Action {
        name_server::Action::ReplyTwice
    }

    fn meaning(&self) -> Meaning {
        // The first of two answers counts.
        Meaning::of(Condition::Healthy)
    }
}

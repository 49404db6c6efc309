//! `drop-reply`: the server does its work and its answer is lost.

use rmq_mock_broker::control as broker;
use rmq_mock_namesrv::control as name_server;

use super::{Action, RuleAction};
use crate::fault::FaultNumber;
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// Do the work and do not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropReply;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "drop-reply",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "the server does its work and its answer is lost",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::DropReply)),
    draw: Drawn::Rule(2, |_, _, _| RuleAction::DropReply),
};

impl Action for DropReply {
    fn at_broker(&self, _drawn: u64) -> broker::Action {
        broker::Action::DropReply
    }

    fn at_name_server(&self, _fault: FaultNumber, _drawn: u64) -> name_server::Action {
        name_server::Action::Silence
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent)
    }
}

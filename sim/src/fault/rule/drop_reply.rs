//! `drop-reply`: the server does its work and its answer is lost.

use rmq_mock_server::rules;

use super::{Action, AtAnyServer, RuleAction};
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

impl AtAnyServer for DropReply {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::DropReply
    }
}

impl Action for DropReply {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent)
    }
}

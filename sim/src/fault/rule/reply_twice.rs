//! `reply-twice`: a broken proxy repeats the answer.

use rmq_mock_server::rules;

use super::{Action, AtAnyServer, RuleAction};
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

impl AtAnyServer for ReplyTwice {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::ReplyTwice
    }
}

impl Action for ReplyTwice {
    fn meaning(&self) -> Meaning {
        // The first of two answers counts.
        Meaning::of(Condition::Healthy)
    }
}

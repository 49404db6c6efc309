//! `close-after`: the server closes the connection between its work and its answer.

use rmq_mock_server::rules;

use super::{Action, AtAnyServer, RuleAction};
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

impl AtAnyServer for CloseAfter {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::CloseAfter
    }
}

impl Action for CloseAfter {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}

//! `close-before`: the server closes the connection before its work.

use rmq_mock_server::rules;

use super::{Action, AtAnyServer, RuleAction};
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

impl AtAnyServer for CloseBefore {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::CloseBefore
    }
}

impl Action for CloseBefore {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}

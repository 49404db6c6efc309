//! `reset-before`: the server dies with the request, before its work.

use rmq_mock_server::rules;

use super::{Action, AtAnyServer, RuleAction};
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// Drop the connection instead of doing the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetBefore;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "reset-before",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "the server dies with the request, before its work",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::ResetBefore)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::ResetBefore),
};

impl AtAnyServer for ResetBefore {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::ResetBefore
    }
}

impl Action for ResetBefore {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}

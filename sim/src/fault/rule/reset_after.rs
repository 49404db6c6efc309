//! `reset-after`: the server dies with the request, after its work.

use rmq_mock_server::rules;

use super::{Action, AtAnyServer, RuleAction};
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// Do the work, then drop the connection instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetAfter;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "reset-after",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "the server dies with the request, after its work",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::ResetAfter)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::ResetAfter),
};

impl AtAnyServer for ResetAfter {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::ResetAfter
    }
}

impl Action for ResetAfter {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}

//! `empty-answer`: a broken proxy: the answer has its code, and none of its fields.

use rmq_mock_server::rules;

use super::{Action, AtAnyServer, RuleAction};
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// Do the work; the answer has its code, and none of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmptyAnswer;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "empty-answer",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "a broken proxy: the answer has its code, and none of its fields",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::EmptyAnswer)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::EmptyAnswer),
};

impl AtAnyServer for EmptyAnswer {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::EmptyAnswer
    }
}

impl Action for EmptyAnswer {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}

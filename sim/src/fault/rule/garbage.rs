//! `garbage`: a wrong peer, a broken proxy: bytes that are no frame.

use rmq_mock_server::rules;

use super::{Action, AtAnyServer, RuleAction};
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// Do the work and answer with bytes that are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garbage;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "garbage",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "a wrong peer, a broken proxy: bytes that are no frame",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::Garbage)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::Garbage),
};

impl AtAnyServer for Garbage {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::Garbage
    }
}

impl Action for Garbage {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}

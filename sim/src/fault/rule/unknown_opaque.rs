//! `unknown-opaque`: a broken proxy: the answer names a request that nobody made.

use rmq_mock_server::rules;

use super::{Action, AtAnyServer, RuleAction};
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// Do the work; the answer names a request that nobody made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownOpaque;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "unknown-opaque",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "a broken proxy: the answer names a request that nobody made",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::UnknownOpaque)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::UnknownOpaque),
};

impl AtAnyServer for UnknownOpaque {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::UnknownOpaque
    }
}

impl Action for UnknownOpaque {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent)
    }
}

//! `drop-request`: the server loses a request it has read.

use rmq_mock_server::rules;

use super::{Action, AtAnyServer, RuleAction};
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// Read the request and do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropRequest;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "drop-request",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "the server loses a request it has read",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::DropRequest)),
    draw: Drawn::Rule(2, |_, _, _| RuleAction::DropRequest),
};

impl AtAnyServer for DropRequest {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::DropRequest
    }
}

impl Action for DropRequest {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent)
    }
}

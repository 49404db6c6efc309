//! `half-frame-close`: the server dies while it writes the answer.

use rmq_mock_server::rules;

use super::{Action, AtAnyServer, RuleAction};
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// Do the work, write half of the answer, then close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HalfFrameClose;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "half-frame-close",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "the server dies while it writes the answer",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::HalfFrameClose)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::HalfFrameClose),
};

impl AtAnyServer for HalfFrameClose {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::HalfFrameClose
    }
}

impl Action for HalfFrameClose {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}

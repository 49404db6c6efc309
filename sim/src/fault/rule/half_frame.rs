//! `half-frame`: a stalled path: half an answer, and the rest never comes.

use rmq_mock_server::rules;

use super::{Action, AtAnyServer, RuleAction};
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// Do the work, write half of the answer, then nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HalfFrame;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "half-frame",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "a stalled path: half an answer, and the rest never comes",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::HalfFrame)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::HalfFrame),
};

impl AtAnyServer for HalfFrame {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::HalfFrame
    }
}

impl Action for HalfFrame {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent)
    }
}

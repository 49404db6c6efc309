//! `reset-before`: the server dies with the request, before its work.

use rmq_mock_broker::control as broker;
use rmq_mock_namesrv::control as name_server;

use super::{Action, RuleAction};
use crate::fault::FaultNumber;
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

impl Action for ResetBefore {
    fn at_broker(&self, _drawn: u64) -> broker::Action {
        broker::Action::ResetBefore
    }

    fn at_name_server(&self, _fault: FaultNumber, _drawn: u64) -> name_server::Action {
        name_server::Action::Reset
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}

//! `drop-request`: the server loses a request it has read.

use rmq_mock_broker::control as broker;
use rmq_mock_namesrv::control as name_server;

use super::{Action, RuleAction};
use crate::fault::FaultNumber;
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

impl Action for DropRequest {
    fn at_broker(&self, _drawn: u64) -> broker::Action {
        broker::Action::DropRequest
    }

    fn at_name_server(&self, _fault: FaultNumber, _drawn: u64) -> name_server::Action {
        name_server::Action::Silence
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent)
    }
}

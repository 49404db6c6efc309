//! `garbage`: a wrong peer, a broken proxy: bytes that are no frame.

use rmq_mock_broker::control as broker;
use rmq_mock_namesrv::control as name_server;

use super::{Action, RuleAction};
use crate::fault::FaultNumber;
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

impl Action for Garbage {
    fn at_broker(&self, _drawn: u64) -> broker::Action {
        broker::Action::Garbage
    }

    fn at_name_server(&self, _fault: FaultNumber, _drawn: u64) -> name_server::Action {
        name_server::Action::Garbage
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}

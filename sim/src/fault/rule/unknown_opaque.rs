//! `unknown-opaque`: a broken proxy: the answer names a request that nobody made.

use rmq_mock_broker::control as broker;
use rmq_mock_namesrv::control as name_server;

use super::{Action, RuleAction};
use crate::fault::FaultNumber;
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

impl Action for UnknownOpaque {
    fn at_broker(&self, _drawn: u64) -> broker::Action {
        broker::Action::UnknownOpaque
    }

    fn at_name_server(&self, _fault: FaultNumber, _drawn: u64) -> name_server::Action {
        name_server::Action::UnknownOpaque
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent)
    }
}

//! `permuted-route`: a name server whose table has another order at each answer.

use rmq_mock_namesrv::control::{self as name_server, RouteAlteration};

use super::{Action, AtServer, RuleAction};
use crate::fault::FaultNumber;
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// A name server lists the brokers of the route in another order, drawn for each answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermutedRoute;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "permuted-route",
    site: Site::NameServer,
    keys: &[],
    sample: "",
    situation: "a name server whose table has another order at each answer",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::PermutedRoute)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::PermutedRoute),
};

impl AtServer for PermutedRoute {
    fn at_name_server(&self, _fault: FaultNumber, drawn: u64) -> name_server::Action {
        name_server::Action::Alter {
            how: RouteAlteration::Permuted { order: drawn },
        }
    }
}

impl Action for PermutedRoute {
    fn meaning(&self) -> Meaning {
        // Any order is as good.
        Meaning::of(Condition::Healthy)
    }
}

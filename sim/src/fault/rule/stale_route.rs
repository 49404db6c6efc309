//! `stale-route`: a name server that has fallen behind: it answers as at the start of the fault.

use rmq_mock_namesrv::control::{self as name_server, RouteAlteration};

use super::{Action, AtServer, RuleAction};
use crate::backend::Modelled;
use crate::fault::FaultNumber;
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site, Strike};
use crate::truth::{Condition, Meaning};

/// A name server answers as it would have when the fault started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleRoute;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "stale-route",
    site: Site::NameServer,
    keys: &[],
    sample: "",
    situation: "a name server that has fallen behind: it answers as at the start of the fault",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::StaleRoute)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::StaleRoute),
};

impl AtServer for StaleRoute {
    fn at_name_server(&self, fault: FaultNumber, _drawn: u64) -> name_server::Action {
        name_server::Action::Alter {
            how: RouteAlteration::Stale { kept: fault },
        }
    }
}

impl Action for StaleRoute {
    fn meaning(&self) -> Meaning {
        Meaning {
            stale_routes: true,
            ..Meaning::of(Condition::Refusing)
        }
    }

    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.run.keep_routes(strike.node(), strike.fault);
        Ok(())
    }
}

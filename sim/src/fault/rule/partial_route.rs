//! `partial-route`: a name server that one broker cannot reach: it leaves it out.

use std::fmt;

use rmq_mock_namesrv::control::{self as name_server, RouteAlteration};
use rmq_remoting::observe::Name;
use serde::{Deserialize, Serialize};

use super::{Action, AtServer, RuleAction};
use crate::fault::FaultNumber;
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::scenario::Table;
use crate::truth::{Condition, Meaning};

/// A name server leaves one broker out of the route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialRoute {
    /// The name of the broker that the route leaves out.
    pub broker: Name,
}

pub(in crate::fault) const KIND: Kind = Kind {
    name: "partial-route",
    site: Site::NameServer,
    keys: &["broker"],
    sample: "broker = \"broker-a\"\n",
    situation: "a name server that one broker cannot reach: it leaves it out",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|keys| {
        let broker = keys.get(&keys.raw.broker, "broker", "\"broker-a\"")?;
        let broker = keys.known_node(&broker)?;
        Ok(RuleAction::PartialRoute(PartialRoute { broker }))
    }),
    draw: Drawn::Rule(1, |draw, knobs, _| {
        let broker = draw.pick("left-out", &knobs.cluster.brokers);
        RuleAction::PartialRoute(PartialRoute { broker })
    }),
};

impl AtServer for PartialRoute {
    fn at_name_server(&self, _fault: FaultNumber, _drawn: u64) -> name_server::Action {
        let broker = Name::clone(&self.broker);
        name_server::Action::Alter {
            how: RouteAlteration::Without { broker },
        }
    }
}

impl Action for PartialRoute {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }

    fn words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " without {}", self.broker)
    }

    fn write(&self, table: &mut Table) {
        table.quoted("broker", &self.broker);
    }
}

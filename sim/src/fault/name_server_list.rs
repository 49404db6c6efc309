//! `name-server-list`: an operator takes a name server out of service and tells the clients first.

use std::fmt;

use rmq_remoting::observe::Name;
use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use super::{FaultKind, Place};
use crate::backend::Modelled;
use crate::scenario::{FaultKeys, ScenarioError, Table};
use crate::trace::NodeKind;
use crate::truth::{Condition, Meaning};

/// A producer's list of name servers is changed while it runs: one of them is taken out, and
/// put back when it ends. Several of these add up; if they take all servers out, none is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameServerList {
    /// The server that is taken out.
    pub without: Name,
}

pub(super) const KIND: Kind = Kind {
    name: "name-server-list",
    site: Site::Producer,
    keys: &["without"],
    sample: "without = \"ns-1\"\n",
    situation: "an operator takes a name server out of service and tells the clients first",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|keys| {
        Ok(FaultKind::NameServerList(NameServerList {
            without: without(keys)?,
        }))
    }),
    draw: Drawn::Fault(|draw, knobs, _| {
        let without = draw.pick("taken-out", &knobs.cluster.name_server_names());
        FaultKind::NameServerList(NameServerList { without })
    }),
};

impl Behaviour for NameServerList {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        let told = strike
            .run
            .without_name_server(strike.node(), strike.fault, Some(&self.without));
        if told {
            strike.has_struck();
        }
        Ok(())
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        // A producer that is gone by now has no list that could be put right.
        let _told = strike
            .run
            .without_name_server(strike.node(), strike.fault, None);
        Ok(())
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        None
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Healthy)
    }

    fn words(&self, _place: &Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " without {}", self.without)
    }

    fn write(&self, _place: &Place, table: &mut Table) {
        table.quoted("without", &self.without);
    }

    fn needs_the_client(&self) -> bool {
        true
    }
}

/// The name of a name server.
fn without(keys: &FaultKeys<'_>) -> Result<Name, ScenarioError> {
    let raw = keys.get(&keys.raw.without, "without", "\"ns-1\"")?;
    let name = keys.known_node(&raw)?;
    if keys.kind_of(&name) == Some(NodeKind::NameServer) {
        return Ok(name);
    }
    Err(keys.error(
        raw.span(),
        format!("\"{name}\" is no name server"),
        "name one, like \"ns-1\"",
    ))
}

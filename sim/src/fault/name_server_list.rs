//! `name-server-list`: an operator takes a name server out of service and tells the clients first.

use std::fmt;

use rmq_remoting::observe::Name;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use super::{FaultKind, Place};
use crate::backend::Modelled;
use crate::scenario::{FaultKeys, ScenarioError, Table};
use crate::trace::NodeKind;
use crate::truth::{Condition, Meaning};

/// A producer's list of name servers is changed while it runs: one of them is taken out, and
/// put back when it ends; or it is replaced by another one, which is in the list only then. Several of these
/// add up; if they take all servers out, none is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameServerList {
    /// The server that is taken out.
    pub without: Name,
    /// The server that takes its place, and is not in the list before and after.
    pub instead: Option<Name>,
}

pub(super) const KIND: Kind = Kind {
    name: "name-server-list",
    site: Site::Producer,
    keys: &["without", "instead"],
    sample: "without = \"ns-1\"\n",
    situation: "an operator takes a name server out of service and tells the clients first",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|keys| {
        Ok(FaultKind::NameServerList(NameServerList {
            without: without(keys)?,
            instead: instead(keys)?,
        }))
    }),
    draw: Drawn::Fault(|draw, knobs, _| {
        let names = knobs.cluster.name_server_names();
        let without = draw.pick("taken-out", &names);
        let others: Vec<Name> = names.iter().filter(|it| **it != without).cloned().collect();
        let replaced = !others.is_empty() && draw.coin("replaced", 300);
        let instead = replaced.then(|| draw.pick("instead", &others));
        FaultKind::NameServerList(NameServerList { without, instead })
    }),
};

impl Behaviour for NameServerList {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        let told = strike
            .run
            .change_name_servers(strike.node(), strike.fault, Some(self));
        if told {
            strike.has_struck();
        }
        Ok(())
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        // A producer that is gone by now has no list that could be put right.
        let _told = strike
            .run
            .change_name_servers(strike.node(), strike.fault, None);
        Ok(())
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        None
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Healthy)
    }

    fn words(&self, _place: &Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " without {}", self.without)?;
        match &self.instead {
            Some(instead) => write!(f, ", with {instead} instead"),
            None => Ok(()),
        }
    }

    fn write(&self, _place: &Place, table: &mut Table) {
        table.quoted("without", &self.without);
        if let Some(instead) = &self.instead {
            table.quoted("instead", instead);
        }
    }

    fn needs_the_client(&self) -> bool {
        true
    }
}

/// The name of the server that is taken out.
fn without(keys: &FaultKeys<'_>) -> Result<Name, ScenarioError> {
    let raw = keys.get(&keys.raw.without, "without", "\"ns-1\"")?;
    name_server(keys, &raw)
}

/// The name of the server that takes its place, which is another one.
fn instead(keys: &FaultKeys<'_>) -> Result<Option<Name>, ScenarioError> {
    let Some(raw) = &keys.raw.instead else {
        return Ok(None);
    };
    let name = name_server(keys, raw)?;
    let same = keys.raw.without.as_ref().map(Spanned::get_ref) == Some(raw.get_ref());
    if same {
        return Err(keys.error(
            raw.span(),
            format!("\"{name}\" cannot take its own place"),
            "name another name server, or remove instead",
        ));
    }
    Ok(Some(name))
}

/// The name of a name server.
fn name_server(keys: &FaultKeys<'_>, raw: &Spanned<String>) -> Result<Name, ScenarioError> {
    let name = keys.known_node(raw)?;
    if keys.kind_of(&name) == Some(NodeKind::NameServer) {
        return Ok(name);
    }
    Err(keys.error(
        raw.span(),
        format!("\"{name}\" is no name server"),
        "name one, like \"ns-1\"",
    ))
}

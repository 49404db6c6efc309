//! How a node comes back after a fault that took its process away.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::generate::{Draw, Knobs, Target};
use crate::scenario::{FaultKeys, ScenarioError, Table};

/// How a node comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// Its data is still there: topics, queues, messages (always lost at a name server).
    pub keep_data: bool,
    /// It comes back on another address.
    pub new_address: bool,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            keep_data: true,
            new_address: false,
        }
    }
}

impl Restart {
    /// Reads the keys `data` and `address`.
    pub(super) fn read(keys: &FaultKeys<'_>) -> Result<Self, ScenarioError> {
        let choose = |key: &Option<Spanned<String>>, what: &str, no: &str, yes: &str| match key {
            None => Ok(false),
            Some(word) if word.get_ref() == no => Ok(false),
            Some(word) if word.get_ref() == yes => Ok(true),
            Some(word) => Err(keys.error(
                word.span(),
                format!("{what} cannot be \"{}\"", word.get_ref()),
                format!("write \"{no}\" or \"{yes}\""),
            )),
        };
        Ok(Self {
            keep_data: !choose(&keys.raw.data, "data", "kept", "lost")?,
            new_address: choose(&keys.raw.address, "address", "same", "new")?,
        })
    }

    /// Writes the keys `data` and `address` as a scenario file has them.
    pub(super) fn write(self, table: &mut Table) {
        let Self {
            keep_data,
            new_address,
        } = self;
        if !keep_data {
            table.quoted("data", "lost");
        }
        if new_address {
            table.quoted("address", "new");
        }
    }

    /// Draws how a server comes back.
    pub(super) fn draw(draw: &Draw, knobs: &Knobs, on: Target) -> Self {
        let keep_data = !draw.coin("lose-data", 200);
        Self {
            keep_data,
            // A producer has its name servers' addresses from its user; those do not move. A broker
            // that comes back elsewhere and without its topics is named by no route of theirs, so
            // nobody who kept the old route can find it. And a client that asks for no route when a
            // dial fails never finds a broker of a borrowed route again.
            new_address: on == Target::Broker
                && keep_data
                && knobs.gives_dead_peers_up()
                && draw.coin("new-address", 400),
        }
    }
}

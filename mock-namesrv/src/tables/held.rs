//! How much of the tables is there because of one connection.
//!
//! Whoever can reach a name server can register: there is no limit to the names that it may invent.
//! So each connection has a budget, and what would exceed it is refused. The budget is not given
//! back when an entry goes; a connection that has ended has none to give back.

use std::collections::BTreeMap;

use super::{Channel, Tables};

/// So many bytes of names and entries may come from one connection: a hundred thousand topics.
pub const MAX_HELD_FOR_A_CONNECTION: usize = 64 << 20;

/// What an entry takes beside its names, roughly.
const ENTRY: usize = 512;

/// The bytes that each open connection has added.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(BTreeMap<Channel, usize>);

/// What an entry with these texts takes.
pub(super) fn cost<'a>(texts: impl IntoIterator<Item = &'a str>) -> usize {
    texts.into_iter().map(str::len).sum::<usize>() + ENTRY
}

impl Held {
    /// Whether a connection may add so much.
    pub(super) fn has_room(&self, channel: Channel, cost: usize) -> bool {
        let held = self.0.get(&channel).copied().unwrap_or(0);
        held.saturating_add(cost) <= MAX_HELD_FOR_A_CONNECTION
    }

    /// Notes that a connection has added so much.
    pub(super) fn add(&mut self, channel: Channel, cost: usize) {
        let held = self.0.entry(channel).or_default();
        *held = held.saturating_add(cost);
    }

    /// Forgets a connection that has ended.
    pub(super) fn forget(&mut self, channel: Channel) {
        self.0.remove(&channel);
    }
}

impl Tables {
    /// Takes the cost of an entry with these texts from a connection's budget; `false` if it is
    /// spent.
    pub fn charge<'a>(
        &mut self,
        channel: Channel,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let cost = cost(texts);
        let room = self.held.has_room(channel, cost);
        if room {
            self.held.add(channel, cost);
        }
        room
    }
}

//! The links between nodes and their conditions.
//!
//! Conditions is a field that is read and never consumed: latency, loss and the places where bytes are
//! cut are functions of (seed, link, direction, millisecond). Taking one message away leaves the
//! conditions of all others alone. One random block covers a direction for a millisecond.

use std::sync::Arc;

use super::Due;
use crate::chance::{Block, Chance, below, happens, site_number};
use crate::change::Direction;
use crate::config::{LinkBytes, NetworkConfig};
use crate::node::NodeId;

/// The site of the draws. Another name would move every digest there is.
const CONDITIONS: u64 = site_number("weather");

/// How the numbers of a block are used.
mod use_of {
    pub(super) const LATENCY: usize = 0;
    pub(super) const LOSS: usize = 1;
    pub(super) const CUT: usize = 2;
    pub(super) const CUT_AT: usize = 3;
    pub(super) const LATE: usize = 4;
    pub(super) const LATE_BY: usize = 5;
}

/// One direction between two nodes.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) cut: bool,
    /// Transmissions of a thousand that are lost.
    pub(super) loss: u32,
    /// Milliseconds and jitter; `None`: the network's.
    pub(super) latency: Option<(u64, u64)>,
    /// Bytes per millisecond; 0: no limit.
    bandwidth: u64,
    /// Bytes that one read or write moves at most; 0: no limit.
    pub(super) slice: u64,
    /// Deliveries that wait; `None`: nothing is held.
    held: Option<Vec<Due>>,
    /// When the line is free again, in bytes of the limited bandwidth since the start.
    busy: u64,
    chance: Option<Chance>,
    cached: Option<(u64, Block)>,
    /// Bytes transmitted, the measure of the positions below.
    carried: u64,
    corrupt: Vec<u64>,
    resets: Vec<u64>,
    delivered: u64,
}

impl Link {
    /// Limits it to so many bytes a millisecond, from now on.
    pub(super) fn limit(&mut self, bytes_per_ms: u64) {
        self.bandwidth = bytes_per_ms;
        self.busy = 0;
    }

    /// Corrupts the byte that follows so many further ones.
    pub(super) fn corrupt_after(&mut self, bytes: u64) {
        self.corrupt.push(self.carried + bytes);
    }

    /// Resets the connection that carries the byte which follows so many further ones.
    pub(super) fn reset_after(&mut self, bytes: u64) {
        self.resets.push(self.carried + bytes);
    }
}

/// What a link does to a transmission of this millisecond.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditions {
    pub(super) latency: u64,
    pub(super) lost: bool,
    /// The latency is a fault's.
    pub(super) altered: bool,
    /// Where a stream of so many bytes is cut: a share of 2^64.
    cut_at: Option<u64>,
    /// How much later the bytes behind the cut arrive.
    pub(super) late_by: u64,
}

impl Conditions {
    /// The conditions of a machine's own loop.
    pub(super) const LOOP: Self = Self {
        latency: 1,
        lost: false,
        altered: false,
        cut_at: None,
        late_by: 0,
    };

    /// The place where `bytes` are cut: after at least one of them and before the last.
    pub(super) fn cut(&self, bytes: u64) -> Option<u64> {
        let share = self.cut_at.filter(|_| bytes > 1)?;
        Some(1 + below(share, bytes - 1))
    }
}

/// The links of a network, one for each direction between two nodes, with what holds for all.
#[derive(Debug)]
pub(super) struct Links {
    names: Vec<Arc<str>>,
    rows: Vec<Vec<Link>>,
    latency: (u64, u64),
    cuts: bool,
    chance: Chance,
}

impl Links {
    pub(super) fn new(config: &NetworkConfig, chance: &Chance) -> Self {
        Self {
            names: Vec::new(),
            rows: Vec::new(),
            latency: (config.latency_ms.max(1), config.jitter_ms),
            cuts: config.cuts,
            chance: chance.clone(),
        }
    }

    pub(super) fn add_node(&mut self, name: &Arc<str>) {
        self.names.push(Arc::clone(name));
        for row in &mut self.rows {
            row.push(Link::default());
        }
        let row = std::iter::repeat_with(Link::default);
        self.rows.push(row.take(self.names.len()).collect());
    }

    /// The link between two nodes. Where a dial finds nobody there is none.
    fn get(&self, from: NodeId, to: NodeId) -> Option<&Link> {
        let is_link = from != NodeId::OUTSIDE && to != NodeId::OUTSIDE;
        is_link.then(|| &self.rows[from.index()][to.index()])
    }

    fn get_mut(&mut self, from: NodeId, to: NodeId) -> Option<&mut Link> {
        let is_link = from != NodeId::OUTSIDE && to != NodeId::OUTSIDE;
        is_link.then(|| &mut self.rows[from.index()][to.index()])
    }

    /// The link between two nodes that are there.
    fn known(&mut self, from: NodeId, to: NodeId) -> &mut Link {
        let Some(link) = self.get_mut(from, to) else {
            unreachable!("there is no link from {from:?} to {to:?}")
        };
        link
    }

    pub(super) fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.get(from, to).is_some_and(|link| link.cut)
    }

    /// Changes each direction of a link.
    pub(super) fn change(&mut self, on: Direction, mut change: impl FnMut(&mut Link)) {
        for (from, to) in on.each() {
            change(self.known(from, to));
        }
    }

    /// The most that one read or write moves.
    pub(super) fn slice(&self, from: NodeId, to: NodeId) -> usize {
        let bytes = self.get(from, to).map_or(0, |link| link.slice);
        match bytes {
            0 => usize::MAX,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
        }
    }

    pub(super) fn is_held(&self, from: NodeId, to: NodeId) -> bool {
        self.get(from, to).is_some_and(|link| link.held.is_some())
    }

    /// Starts to hold a direction, or ends it; what has waited.
    pub(super) fn hold(&mut self, from: NodeId, to: NodeId, on: bool) -> Vec<Due> {
        let link = self.known(from, to);
        let held = link.held.take();
        if on {
            link.held = Some(held.unwrap_or_default());
            return Vec::new();
        }
        held.unwrap_or_default()
    }

    /// Whether a delivery has to wait; if so, it is kept.
    pub(super) fn waits(&mut self, from: NodeId, to: NodeId, due: Due) -> bool {
        match self.get_mut(from, to).and_then(|link| link.held.as_mut()) {
            Some(held) => {
                held.push(due);
                true
            }
            None => false,
        }
    }

    /// The conditions from `from` to `to` in the millisecond `now`.
    pub(super) fn conditions(&mut self, from: NodeId, to: NodeId, now: u64) -> Conditions {
        let (default, cuts) = (self.latency, self.cuts);
        if self.get(from, to).is_none() {
            return Conditions {
                latency: default.0,
                ..Conditions::LOOP
            };
        }
        let link = &mut self.rows[from.index()][to.index()];
        let (latency, jitter) = link.latency.unwrap_or(default);
        let mut conditions = Conditions {
            latency,
            altered: link.latency.is_some(),
            ..Conditions::LOOP
        };
        if jitter == 0 && link.loss == 0 && !cuts {
            return conditions;
        }
        let block = match link.cached {
            Some((ms, block)) if ms == now => block,
            _ => {
                let names = (&*self.names[from.index()], &*self.names[to.index()]);
                let chance = link
                    .chance
                    .get_or_insert_with(|| link_chance(&self.chance, names));
                let block = chance.block_at(CONDITIONS, now);
                link.cached = Some((now, block));
                block
            }
        };
        conditions.latency += below(block[use_of::LATENCY], jitter.saturating_add(1));
        conditions.lost = happens(block[use_of::LOSS], link.loss);
        if cuts && happens(block[use_of::CUT], 250) {
            conditions.cut_at = Some(block[use_of::CUT_AT]);
            if jitter > 0 && happens(block[use_of::LATE], 500) {
                conditions.late_by = 1 + below(block[use_of::LATE_BY], jitter);
            }
        }
        conditions
    }

    /// When the last of `bytes` that start now leave a line of limited bandwidth, as milliseconds
    /// from now.
    pub(super) fn serialise(&mut self, from: NodeId, to: NodeId, now: u64, bytes: u64) -> u64 {
        let link = self.known(from, to);
        if link.bandwidth == 0 {
            return 0;
        }
        link.busy = link.busy.max(now * link.bandwidth) + bytes;
        link.busy.div_ceil(link.bandwidth) - now
    }

    /// How long the link takes for a byte at least, in milliseconds.
    pub(super) fn least_latency(&self, from: NodeId, to: NodeId) -> u64 {
        let own = self.get(from, to).and_then(|link| link.latency);
        own.unwrap_or(self.latency).0
    }

    /// How many bytes a line carries in one piece; `None`: any number.
    pub(super) fn piece(&self, from: NodeId, to: NodeId) -> Option<u64> {
        let bandwidth = self.get(from, to)?.bandwidth;
        (bandwidth > 0).then(|| bandwidth.max(1460))
    }

    /// Counts `bytes` as transmitted and says what strikes them: the positions to corrupt, and the
    /// one at which the connection is reset.
    pub(super) fn carry(&mut self, from: NodeId, to: NodeId, bytes: u64) -> Struck {
        let mut struck = Struck::default();
        let link = self.known(from, to);
        let start = link.carried;
        link.carried += bytes;
        let end = link.carried;
        take_within(&mut link.corrupt, start, end, |at| struck.corrupt.push(at));
        take_within(&mut link.resets, start, end, |at| {
            struck.reset = Some(struck.reset.map_or(at, |reset: u64| reset.min(at)));
        });
        struck
    }

    pub(super) fn delivered(&mut self, from: NodeId, to: NodeId, bytes: u64) {
        self.known(from, to).delivered += bytes;
    }

    pub(super) fn bytes(&self) -> Vec<LinkBytes> {
        let all = self.rows.iter().zip(0_u16..).flat_map(|(row, from)| {
            row.iter().zip(0_u16..).map(move |(link, to)| LinkBytes {
                from: NodeId(from),
                to: NodeId(to),
                bytes: link.delivered,
            })
        });
        all.filter(|link| link.bytes > 0).collect()
    }
}

/// What strikes a transmission, as offsets from its first byte.
#[derive(Debug, Default)]
pub(super) struct Struck {
    pub(super) corrupt: Vec<u64>,
    pub(super) reset: Option<u64>,
}

fn take_within(positions: &mut Vec<u64>, start: u64, end: u64, mut take: impl FnMut(u64)) {
    if positions.is_empty() {
        return;
    }
    positions.retain(|&at| {
        let struck = (start..end).contains(&at);
        if struck {
            take(at - start);
        }
        !struck
    });
}

fn link_chance(chance: &Chance, (from, to): (&str, &str)) -> Chance {
    chance.part(from, site_number(to))
}

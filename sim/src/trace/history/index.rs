//! Where to find the parts of a history again, so that no checker looks at all of them for each.

use std::collections::BTreeMap;

use rmq_remoting::observe::Name;

use super::{History, SendHistory, Timestamp, WidthSource};
use crate::trace::{NodeId, work};

/// Lists by node and name.
type ByName<'t, T> = BTreeMap<NodeId, BTreeMap<&'t str, Vec<T>>>;

/// Places in the lists of a history, by what checkers ask for.
#[derive(Debug, Default)]
pub struct Index<'t> {
    /// Routes by producer and topic, in the order they were published.
    routes: ByName<'t, usize>,
    /// Connections by producer and address, in the order of the dials.
    connections: ByName<'t, usize>,
    /// Topics that a broker created, and when.
    created: BTreeMap<NodeId, Vec<(Timestamp, &'t Name)>>,
    /// Attempts (send, attempt) by producer and broker, in the order of their starts.
    attempts: ByName<'t, (usize, usize)>,
    /// The longest time from the start of an attempt to the end of its send, in milliseconds.
    longest_attempt_ms: u64,
    /// The longest time for which any broker was avoided, in milliseconds.
    pub(super) longest_isolation_ms: u64,
}

impl<'t> Index<'t> {
    /// Looks at everything once.
    pub(super) fn of(history: &History<'t>) -> Self {
        let mut index = Self::default();
        for (at, route) in history.snapshots.iter().enumerate() {
            let of = index.routes.entry(route.node).or_default();
            of.entry(route.topic).or_default().push(at);
        }
        for (at, connection) in history.connections.iter().enumerate() {
            let of = index.connections.entry(connection.node).or_default();
            of.entry(connection.to).or_default().push(at);
        }
        for width in &history.widths {
            if let WidthSource::Broker(broker, _) = width.source {
                let created = (width.timestamp, width.topic);
                index.created.entry(broker).or_default().push(created);
            }
        }
        for (at, send) in history.sends.iter().enumerate() {
            for (number, attempt) in send.attempts.iter().enumerate() {
                let of = index.attempts.entry(send.node).or_default();
                of.entry(&attempt.to.broker).or_default().push((at, number));
            }
        }
        for lists in index.attempts.values_mut() {
            for list in lists.values_mut() {
                list.sort_by_key(|(send, attempt)| history.sends[*send].attempts[*attempt].started);
            }
        }
        let lives = history.sends.iter().map(life_ms);
        index.longest_attempt_ms = lives.max().unwrap_or(0);
        let isolations = history.health.iter().map(|it| it.for_ms);
        index.longest_isolation_ms = isolations.max().unwrap_or(0);
        index
    }

    /// The routes of a topic that a producer published, in order.
    pub fn routes(&self, node: NodeId, topic: &str) -> &[usize] {
        named(&self.routes, node, topic)
    }

    /// The connections of a producer to an address, in the order of the dials.
    pub fn connections(&self, node: NodeId, to: &str) -> &[usize] {
        named(&self.connections, node, to)
    }

    /// The topics that a broker created, and when.
    pub fn created(&self, broker: NodeId) -> &[(Timestamp, &'t Name)] {
        list(self.created.get(&broker))
    }

    /// The attempts of a producer that were meant for a broker, as send and attempt, that may have
    /// been open, or have ended, from `from_ms` to `to_ms`: none that is left out was.
    pub(super) fn attempts(
        &self,
        sends: &[SendHistory<'_>],
        (node, broker): (NodeId, &str),
        (from_ms, to_ms): (u64, u64),
    ) -> &[(usize, usize)] {
        let all = self.attempts.get(&node).and_then(|of| of.get(broker));
        let all = all.map_or(&[][..], Vec::as_slice);
        let started = |(send, attempt): &(usize, usize)| sends[*send].attempts[*attempt].started.ms;
        let earliest = from_ms.saturating_sub(self.longest_attempt_ms);
        let start = all.partition_point(|it| started(it) < earliest);
        let end = all.partition_point(|it| started(it) <= to_ms);
        let found = all.get(start..end).unwrap_or_default();
        work::done(1 + found.len());
        found
    }
}

/// The longest time from the start of an attempt of a send to the end of the send, or to whatever
/// was heard of the attempt later.
fn life_ms(send: &SendHistory<'_>) -> u64 {
    let Some(first) = send.attempts.first() else {
        return 0;
    };
    let Some(over) = send.over() else {
        return u64::MAX;
    };
    let ends = send.attempts.iter().filter_map(|it| it.ended);
    let last = ends.map(|end| end.timestamp.ms).chain([over.ms]).max();
    last.unwrap_or(over.ms).saturating_sub(first.started.ms)
}

fn named<'i, T>(map: &'i ByName<'_, T>, node: NodeId, name: &str) -> &'i [T] {
    list(map.get(&node).and_then(|of| of.get(name)))
}

fn list<T>(found: Option<&Vec<T>>) -> &[T] {
    let list = found.map_or(&[][..], Vec::as_slice);
    work::done(1 + list.len());
    list
}

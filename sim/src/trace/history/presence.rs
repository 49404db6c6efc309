//! Which producers there are: what they say of themselves, and what brokers hear of them.

use std::net::SocketAddr;

use rmq_producer::event::Stage;
use rmq_remoting::observe::Name;

use super::{AttemptHistory, HealthHistory, History, SendHistory, Timestamp};
use crate::trace::{NodeId, TraceHeader};

/// One producer: its node, and its group where several share the client of the node.
pub(crate) type ProducerKey<'t> = (NodeId, Option<&'t Name>);

/// A turn in a producer's life.
#[derive(Debug, Clone, Copy)]
pub struct LifeHistory<'t> {
    /// The node of the producer.
    pub node: NodeId,
    /// What the producer is from now on.
    pub phase: ProducerPhase,
    /// When that was so.
    pub timestamp: Timestamp,
    /// The group of the producer, as brokers know it; none where nobody has told whose turn it is.
    pub group: Option<&'t Name>,
}

/// What a producer is from some moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProducerPhase {
    /// The producer has started and can send.
    Started,
    /// The producer's `stop` was called.
    Stopping,
    /// The producer's `stop` is done.
    Stopped,
    /// The program has dropped the last handle of the producer, and has not stopped it.
    Dropped,
}

/// A heartbeat as a broker read it.
#[derive(Debug, Clone, Copy)]
pub struct HeartbeatHistory<'t> {
    /// The broker that read it.
    pub broker: NodeId,
    /// The address of the client's end of the connection.
    pub peer: SocketAddr,
    /// The opaque of the request.
    pub opaque: i32,
    /// When the broker read it.
    pub timestamp: Timestamp,
    /// The groups that it names; none if it cannot be read.
    pub groups: Option<&'t [Name]>,
}

/// A request that takes a producer's group back, as a broker read it.
#[derive(Debug, Clone, Copy)]
pub struct GoodbyeHistory<'t> {
    /// The broker that read it.
    pub broker: NodeId,
    /// The address of the client's end of the connection.
    pub peer: SocketAddr,
    /// When the broker read it.
    pub timestamp: Timestamp,
    /// The group that is gone; none if the request cannot be read, or names none.
    pub group: Option<&'t Name>,
}

/// Finds out which of the producers of a shared client avoids a broker: the one whose send tells of the
/// attempt that has taught it, right before it or right behind it.
pub(super) fn whose(history: &mut History<'_>, header: &TraceHeader) {
    let sends = &history.sends;
    for health in &mut history.health {
        if !header.is_shared(health.node) {
            continue;
        }
        let own = sends.iter().filter(|send| send.node == health.node);
        let attempts = own.flat_map(|send| send.attempts.iter().map(move |it| (send, it)));
        let there = attempts.filter(|(_, it)| it.to.broker == *health.broker);
        let taught = there.filter_map(|(send, it)| {
            // One that remembers nothing is the last to have learnt it.
            let policy = header.policy_of(send.producer());
            let learns = policy.is_some_and(|it| it.isolation.is_some());
            Some(((!learns, distance(health, send, it)?), send))
        });
        let nearest = taught.min_by_key(|(key, _)| *key);
        health.group = nearest.and_then(|(_, send)| send.group);
    }
}

/// How far what an attempt tells is from what was learnt, in records; none of an attempt that has not taught
/// it. One that is silent and goes on tells nothing, and comes behind all others.
fn distance(
    health: &HealthHistory<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
) -> Option<usize> {
    let now = health.timestamp;
    let ended = attempt.ended.filter(|end| end.stage == health.reason);
    let silent = health.reason == Stage::Silent;
    // An end is told before what it teaches.
    let told = ended.map(|end| end.timestamp).filter(|at| *at < now);
    let told = told.into_iter().chain(attempt.hedged.filter(|_| silent));
    let near = told
        .filter(|at| at.ms == now.ms)
        .map(|at| at.at.abs_diff(now.at));
    let waits = silent
        && attempt.open_at(now, send.over())
        && attempt.started.ms.saturating_add(attempt.timeout_ms) <= now.ms;
    near.min().or(waits.then_some(usize::MAX))
}

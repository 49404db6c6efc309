//! What was really wrong, where and when.
//!
//! Several invariants are about what a producer may expect of a broker, and that depends on the
//! faults of the run. This module alone folds the faults of a trace into intervals; no invariant
//! makes its own picture of them.

use rmq_remoting::observe::Name;

use crate::fault::{Fault, FaultEvent, FaultKind, Place, RuleAction};
use crate::trace::{Header, NodeId, Trace, What};

/// What one node is for another, at some time. Ordered from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It answers as it should.
    Healthy,
    /// It answers, late.
    Slow,
    /// It answers, but some answers are errors or broken connections.
    Refusing,
    /// It may not answer at all, and says nothing about it.
    Silent,
    /// Its process is not there.
    Gone,
}

/// One fault while it was on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// The fault's number in the plan.
    pub fault: u32,
    /// From this millisecond on.
    pub from_ms: u64,
    /// Up to this millisecond, which is included: an event of the last one may be either way.
    pub to_ms: u64,
    /// What it makes of the nodes concerned.
    pub state: State,
    /// The nodes concerned.
    pub scope: Scope,
}

impl Interval {
    fn overlaps(&self, from_ms: u64, to_ms: u64) -> bool {
        self.from_ms <= to_ms && from_ms <= self.to_ms
    }
}

/// Whom a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everybody who talks to this node, and the node itself.
    Node(NodeId),
    /// Only these two.
    Pair(NodeId, NodeId),
}

/// The ground truth of a run.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    intervals: Vec<Interval>,
    frozen: Vec<(NodeId, u64, u64)>,
    gone: Vec<(NodeId, u64, u64)>,
}

impl Truth {
    /// Folds the faults of a trace.
    pub fn of(trace: &Trace) -> Self {
        let mut open: Vec<(u32, u64, &Fault)> = Vec::new();
        let mut truth = Truth::default();
        for record in &trace.records {
            match &record.what {
                What::Fault(FaultEvent::On { fault, data }) => {
                    open.push((*fault, record.ms, data));
                }
                What::Fault(FaultEvent::Off { fault }) => {
                    if let Some(at) = open.iter().position(|(number, ..)| number == fault) {
                        let (number, from_ms, data) = open.remove(at);
                        truth.add(&trace.header, number, data, (from_ms, record.ms));
                    }
                }
                _ => {}
            }
        }
        for (number, from_ms, data) in open {
            truth.add(&trace.header, number, data, (from_ms, u64::MAX));
        }
        truth
    }

    fn add(&mut self, header: &Header, fault: u32, data: &Fault, (from_ms, to_ms): (u64, u64)) {
        let Some(scope) = scope(header, &data.place) else {
            return;
        };
        let state = state(&data.kind);
        if let Scope::Node(node) = scope {
            match &data.kind {
                FaultKind::Freeze | FaultKind::Slow { .. } => {
                    self.frozen.push((node, from_ms, to_ms));
                }
                FaultKind::Crash(_) | FaultKind::Stop(_) | FaultKind::PowerLoss(_) => {
                    self.gone.push((node, from_ms, to_ms));
                }
                _ => {}
            }
        }
        self.intervals.push(Interval {
            fault,
            from_ms,
            to_ms,
            state,
            scope,
        });
    }

    /// The worst that `server` was for `client` at any time from `from_ms` to `to_ms`.
    pub fn worst(&self, client: NodeId, server: NodeId, from_ms: u64, to_ms: u64) -> State {
        let concerns = |scope: Scope| match scope {
            Scope::Node(node) => node == client || node == server,
            Scope::Pair(a, b) => (a, b) == (client, server) || (b, a) == (client, server),
        };
        self.intervals
            .iter()
            .filter(|interval| interval.overlaps(from_ms, to_ms) && concerns(interval.scope))
            .map(|interval| interval.state)
            .max()
            .unwrap_or(State::Healthy)
    }

    /// What `server` was for `client` in one millisecond.
    pub fn state(&self, client: NodeId, server: NodeId, ms: u64) -> State {
        self.worst(client, server, ms, ms)
    }

    /// Whether no fault at all was on from `from_ms` to `to_ms`.
    pub fn calm(&self, from_ms: u64, to_ms: u64) -> bool {
        !self
            .intervals
            .iter()
            .any(|interval| interval.overlaps(from_ms, to_ms))
    }

    /// Whether no fault that concerns `node` was on from `from_ms` to `to_ms`: none of its own
    /// and none of a link of it.
    pub fn calm_at(&self, node: NodeId, from_ms: u64, to_ms: u64) -> bool {
        !self.intervals.iter().any(|interval| {
            let concerned = match interval.scope {
                Scope::Node(at) => at == node,
                Scope::Pair(a, b) => a == node || b == node,
            };
            concerned && interval.overlaps(from_ms, to_ms)
        })
    }

    /// When `node` runs again, if it was frozen (or slow) at any time from `from_ms` to `to_ms`:
    /// it cannot be blamed for what it misses until then.
    pub fn thaw(&self, node: NodeId, from_ms: u64, to_ms: u64) -> Option<u64> {
        self.frozen
            .iter()
            .filter(|(at, from, to)| *at == node && *from <= to_ms && from_ms <= *to)
            .map(|(.., to)| *to)
            .max()
    }

    /// Whether the process of `node` was gone, by a fault, at any time from `from_ms` to `to_ms`.
    pub fn was_gone(&self, node: NodeId, from_ms: u64, to_ms: u64) -> bool {
        self.gone
            .iter()
            .any(|(at, from, to)| *at == node && *from <= to_ms && from_ms <= *to)
    }

    /// All intervals, in the order the faults ended.
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }
}

fn scope(header: &Header, place: &Place) -> Option<Scope> {
    let node = |name: &Name| header.node(name);
    Some(match place {
        Place::Node(name) => Scope::Node(node(name)?),
        Place::Link { from: a, to: b } | Place::Pair { a, b } => Scope::Pair(node(a)?, node(b)?),
    })
}

fn state(kind: &FaultKind) -> State {
    match kind {
        FaultKind::Crash(_) | FaultKind::Stop(_) | FaultKind::PowerLoss(_) => State::Gone,
        FaultKind::Freeze | FaultKind::Partition | FaultKind::BlackHole => State::Silent,
        FaultKind::Slow { .. } | FaultKind::Loss { .. } | FaultKind::Latency { .. } => State::Slow,
        FaultKind::Refuse | FaultKind::Corrupt { .. } => State::Refusing,
        FaultKind::Rule(rule) => match rule.then {
            RuleAction::Answer { .. } | RuleAction::CloseBefore | RuleAction::CloseAfter => {
                State::Refusing
            }
            RuleAction::Delay { .. } => State::Slow,
            RuleAction::DropRequest | RuleAction::DropReply => State::Silent,
        },
    }
}

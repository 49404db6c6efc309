//! What was really wrong, where and when.
//!
//! Several invariants are about what a producer may expect of a broker, and that depends on the
//! faults of the run. This module alone folds the faults of a trace into intervals; no invariant
//! makes its own picture of them.

use rmq_remoting::observe::Name;

use crate::fault::{Fault, FaultEvent, Place};
use crate::trace::{NodeEvent, NodeId, Trace, TraceHeader, work};

/// What one node is for another, at some time. Ordered from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// It answers as it should.
    Healthy,
    /// It answers, but late.
    Slow,
    /// It answers, but some answers are errors or broken connections.
    Refusing,
    /// It may not answer at all, and says nothing about it.
    Silent,
    /// Its process is not there.
    Gone,
}

/// What a fault means for whoever deals with the nodes it is on. Each kind of fault says it of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// What it makes of the nodes.
    pub(crate) condition: Condition,
    /// What it does to the process of its node.
    pub(crate) process: Option<Process>,
    /// So many milliseconds after its end it is still felt.
    pub(crate) after_ms: u64,
    /// While it is on, a name server may answer as of its start.
    pub(crate) stale_routes: bool,
    /// The topic whose number of queues it changes.
    pub(crate) resized: Option<Name>,
}

/// What a fault does to the process of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    /// It runs late or not at all, and cannot be blamed for what it misses meanwhile.
    Frozen,
    /// It is not there.
    Gone,
}

impl Meaning {
    /// It makes this of the nodes, as long as it is on, and changes nothing else.
    pub(crate) fn of(condition: Condition) -> Self {
        Self {
            condition,
            process: None,
            after_ms: 0,
            stale_routes: false,
            resized: None,
        }
    }

    /// And does this to the process.
    pub(crate) fn of_process(self, process: Process) -> Self {
        Self {
            process: Some(process),
            ..self
        }
    }
}

/// One fault while it was on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// The fault's number in the plan.
    pub fault: u32,
    /// The first millisecond in which the fault is felt.
    pub from_ms: u64,
    /// Up to this millisecond, which is included: an event of the last one may be either way.
    pub to_ms: u64,
    /// What it makes of the nodes concerned.
    pub state: Condition,
    /// The nodes that the fault concerns.
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
    /// Only these two, when they talk to each other.
    Pair(NodeId, NodeId),
}

/// The ground truth of a run.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    intervals: Vec<Interval>,
    frozen: Vec<(NodeId, u64, u64)>,
    gone: Vec<(NodeId, u64, u64)>,
    /// When a name server answered as of the first of the two milliseconds.
    stale: Vec<(u64, u64)>,
    /// The topics whose number of queues an operator changed somewhere.
    resized: Vec<Name>,
}

impl Truth {
    /// Folds the faults of a trace.
    pub fn of(trace: &Trace) -> Self {
        let mut open: Vec<(u32, u64, &Fault)> = Vec::new();
        let mut truth = Truth::default();
        for record in &trace.records {
            match &record.what {
                NodeEvent::Fault(FaultEvent::On { fault, data }) => {
                    open.push((*fault, record.ms, data));
                }
                NodeEvent::Fault(FaultEvent::Off { fault }) => {
                    let Some(at) = open.iter().position(|(number, ..)| number == fault) else {
                        unreachable!("fault {fault} ends that has not started")
                    };
                    let (number, from_ms, data) = open.remove(at);
                    truth.add(&trace.header, number, data, (from_ms, record.ms));
                }
                // Nothing else tells of a fault's start or end.
                _ => {}
            }
        }
        for (number, from_ms, data) in open {
            truth.add(&trace.header, number, data, (from_ms, u64::MAX));
        }
        truth
    }

    fn add(
        &mut self,
        header: &TraceHeader,
        fault: u32,
        data: &Fault,
        (from_ms, to_ms): (u64, u64),
    ) {
        let Some(scope) = scope(header, &data.place) else {
            // It has waited to the end for a node that never came, and so concerns nobody.
            return;
        };
        let meaning = data.kind.behaviour().meaning();
        let lasted = (from_ms, to_ms);
        if meaning.stale_routes {
            self.stale.push(lasted);
        }
        self.resized.extend(meaning.resized);
        let to_ms = to_ms.saturating_add(meaning.after_ms);
        if let Scope::Node(node) = scope {
            match meaning.process {
                Some(Process::Frozen) => self.frozen.push((node, from_ms, to_ms)),
                Some(Process::Gone) => self.gone.push((node, from_ms, to_ms)),
                None => {}
            }
        }
        let state = meaning.condition;
        self.intervals.push(Interval {
            fault,
            from_ms,
            to_ms,
            state,
            scope,
        });
    }

    /// The worst that `server` was for `client` at any time from `from_ms` to `to_ms`.
    pub fn worst(&self, client: NodeId, server: NodeId, from_ms: u64, to_ms: u64) -> Condition {
        let concerns = |scope: Scope| match scope {
            Scope::Node(node) => node == client || node == server,
            Scope::Pair(a, b) => (a, b) == (client, server) || (b, a) == (client, server),
        };
        work::done(self.intervals.len());
        self.intervals
            .iter()
            .filter(|interval| interval.overlaps(from_ms, to_ms) && concerns(interval.scope))
            .map(|interval| interval.state)
            .fold(Condition::Healthy, Condition::max)
    }

    /// What `server` was for `client` in one millisecond.
    pub fn state(&self, client: NodeId, server: NodeId, ms: u64) -> Condition {
        self.worst(client, server, ms, ms)
    }

    /// Whether no fault at all was on from `from_ms` to `to_ms`.
    pub fn calm(&self, from_ms: u64, to_ms: u64) -> bool {
        work::done(self.intervals.len());
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

    /// Since when `node` is frozen or slow, if it is at `ms` or was until then.
    pub fn slow_since(&self, node: NodeId, ms: u64) -> Option<u64> {
        let intervals = self.frozen.iter();
        let intervals =
            intervals.filter(|(at, from, to)| *at == node && (*from..=*to).contains(&ms));
        intervals.map(|(_, from, _)| *from).min()
    }

    /// Whether the process of `node` was gone, by a fault, at any time from `from_ms` to `to_ms`.
    pub fn was_gone(&self, node: NodeId, from_ms: u64, to_ms: u64) -> bool {
        self.gone
            .iter()
            .any(|(at, from, to)| *at == node && *from <= to_ms && from_ms <= *to)
    }

    /// Whether any process was gone, by a fault, before this millisecond or in it.
    pub fn anyone_gone(&self, ms: u64) -> bool {
        self.gone.iter().any(|(_, from, _)| *from <= ms)
    }

    /// As of when a name server may have answered what was asked and told between these two
    /// milliseconds.
    pub fn answered_as_of(&self, asked_ms: u64, told_ms: u64) -> u64 {
        let stale = self.stale.iter();
        let stale = stale.filter(|(from, to)| *from <= told_ms && asked_ms <= *to);
        let as_of = stale.map(|(from, _)| *from).min();
        as_of.map_or(told_ms, |as_of| as_of.min(told_ms))
    }

    /// Whether an operator changed the number of queues of a topic at some broker.
    pub fn was_resized(&self, topic: &str) -> bool {
        self.resized.iter().any(|it| **it == *topic)
    }

    /// All intervals, in the order the faults ended.
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }
}

fn scope(header: &TraceHeader, place: &Place) -> Option<Scope> {
    let node = |name: &Name| header.node(name);
    Some(match place {
        Place::Node(name) => Scope::Node(node(name)?),
        Place::Link { from: a, to: b } | Place::Pair { a, b } => Scope::Pair(node(a)?, node(b)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Crash, FaultKind, Position, Slow};
    use crate::invariant::scene::Scene;

    fn nodes(scene: &Scene) -> (NodeId, NodeId, NodeId) {
        (
            scene.node("p1"),
            scene.node("broker-a"),
            scene.node("broker-b"),
        )
    }

    #[test]
    fn a_crashed_broker_is_gone_from_the_crash_to_its_return() {
        let crash = FaultKind::Crash(Crash::default());
        let scene = Scene::new().at(100).fault(1, crash, "broker-a");
        let scene = scene.at(200).fault_ends(1, "broker-a");
        let (p1, a, b) = nodes(&scene);
        let truth = Truth::of(&scene.trace);
        let states = [99, 100, 200, 201].map(|ms| truth.state(p1, a, ms));
        assert_eq!(
            states,
            [
                Condition::Healthy,
                Condition::Gone,
                Condition::Gone,
                Condition::Healthy
            ]
        );
        assert_eq!(truth.worst(p1, b, 0, 1000), Condition::Healthy);
        assert_eq!(truth.worst(p1, a, 0, 1000), Condition::Gone);
        assert!(truth.was_gone(a, 0, 100) && !truth.was_gone(a, 0, 99));
        assert!(truth.calm(0, 99) && !truth.calm(0, 100));
        assert!(truth.calm_at(b, 0, 1000) && !truth.calm_at(a, 0, 1000));
    }

    #[test]
    fn a_fault_that_never_ends_lasts_and_the_worst_of_two_counts() {
        let scene =
            Scene::new()
                .at(100)
                .fault(1, FaultKind::Slow(Slow { ms_per_step: 5 }), "broker-a");
        let scene = scene.at(300).fault(2, FaultKind::Freeze, "broker-a");
        let scene = scene.at(400).fault_ends(2, "broker-a");
        let (p1, a, _) = nodes(&scene);
        let truth = Truth::of(&scene.trace);
        let states = [200, 350, 500, 9_000_000].map(|ms| truth.state(p1, a, ms));
        assert_eq!(
            states,
            [
                Condition::Slow,
                Condition::Silent,
                Condition::Slow,
                Condition::Slow
            ]
        );
    }

    #[test]
    fn a_partition_concerns_only_its_two_nodes() {
        let place = Place::Pair {
            a: "p1".into(),
            b: "broker-b".into(),
        };
        let at = Position::Time { ms: 0 };
        let data = Fault {
            kind: FaultKind::Partition,
            place,
            at,
            for_ms: None,
        };
        let mut scene = Scene::new();
        let what = NodeEvent::Fault(FaultEvent::On {
            fault: 1,
            data: data.into(),
        });
        let record = crate::trace::TraceRecord {
            ms: 50,
            node: NodeId::OUTSIDE,
            what,
        };
        scene.trace.records.push(record);
        let (p1, a, b) = nodes(&scene);
        let truth = Truth::of(&scene.trace);
        assert_eq!(truth.state(p1, b, 60), Condition::Silent);
        assert_eq!(truth.state(p1, a, 60), Condition::Healthy);
        assert_eq!(truth.state(a, b, 60), Condition::Healthy);
    }

    #[test]
    fn a_frozen_producer_is_excused_until_it_runs_again() {
        let scene = Scene::new().at(100).fault(1, FaultKind::Freeze, "p1");
        let scene = scene.at(900).fault_ends(1, "p1");
        let (p1, ..) = nodes(&scene);
        let truth = Truth::of(&scene.trace);
        assert_eq!(truth.thaw(p1, 0, 99), None);
        assert_eq!(truth.thaw(p1, 0, 100), Some(900));
        assert_eq!(truth.thaw(p1, 901, 1000), None);
    }
}

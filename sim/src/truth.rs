//! What was really wrong, where and when.
//!
//! Several invariants are about what a producer may expect of a broker, and that depends on the
//! faults of the run. This module alone folds the faults of a trace into intervals; no invariant
//! makes its own picture of them.

use std::collections::BTreeMap;

use rmq_mock_broker::event::{Event as BrokerEvent, RequestNumber};
use rmq_mock_namesrv::event::Event as NameServerEvent;
use rmq_remoting::observe::Name;

use crate::fault::{Fault, FaultEvent, FaultKind, Place};
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
    /// The fault's number in the plan; 0: a hook of the program forbids the broker.
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

/// Intervals in the order in which they began: those that overlap a window are found without looking at
/// all of them. Rules make one for each request that they are applied to.
#[derive(Debug, Clone, Default)]
struct Timeline {
    intervals: Vec<Interval>,
    /// For each interval, the last millisecond of it and of all before it.
    furthest: Vec<u64>,
}

impl Timeline {
    fn of(mut intervals: Vec<Interval>) -> Self {
        intervals.sort_by_key(|it| it.from_ms);
        let furthest = intervals.iter().scan(0, |furthest, it| {
            *furthest = it.to_ms.max(*furthest);
            Some(*furthest)
        });
        Self {
            furthest: furthest.collect(),
            intervals,
        }
    }

    fn overlapping(&self, from_ms: u64, to_ms: u64) -> impl Iterator<Item = &Interval> {
        let end = self.intervals.partition_point(|it| it.from_ms <= to_ms);
        let began = self.intervals[..end].iter().zip(&self.furthest).rev();
        let near = began.take_while(move |(_, furthest)| **furthest >= from_ms);
        near.map(|(it, _)| {
            work::done(1);
            it
        })
        .filter(move |it| it.overlaps(from_ms, to_ms))
    }
}

/// The ground truth of a run.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    intervals: Vec<Interval>,
    /// All of them again, by their time.
    all: Timeline,
    /// Those that concern a node, or a link of it.
    of_node: BTreeMap<NodeId, Timeline>,
    frozen: Vec<(NodeId, u64, u64)>,
    gone: Vec<(NodeId, u64, u64)>,
    /// When a name server answered as of the first of the two milliseconds.
    stale: Vec<(u64, u64)>,
    /// The topics whose number of queues an operator changed somewhere.
    resized: Vec<Name>,
}

impl Truth {
    /// Folds what the faults of a trace did: rules where a server applied them to a request, other faults
    /// where they were on, unless the engine has counted that they struck nothing.
    pub fn of(trace: &Trace) -> Self {
        let mut open: Vec<(u32, u64, &Fault)> = Vec::new();
        let mut truth = Truth::default();
        for (producer, broker) in &trace.header.forbidden {
            truth.intervals.push(Interval {
                fault: 0,
                from_ms: 0,
                to_ms: u64::MAX,
                state: Condition::Refusing,
                scope: Scope::Pair(*producer, *broker),
            });
        }
        let mut ruled = Ruled::default();
        for record in &trace.records {
            match &record.what {
                NodeEvent::Fault(FaultEvent::On { fault, data }) => {
                    ruled.rules.extend(rule(*fault, data));
                    open.push((*fault, record.ms, data));
                }
                NodeEvent::Fault(FaultEvent::Off { fault, struck }) => {
                    let Some(at) = open.iter().position(|(number, ..)| number == fault) else {
                        unreachable!("fault {fault} ends that has not started")
                    };
                    let (number, from_ms, data) = open.remove(at);
                    if *struck != Some(0) {
                        truth.add(&trace.header, number, data, (from_ms, record.ms));
                    }
                }
                NodeEvent::Broker(BrokerEvent::Ruled { request, rule })
                | NodeEvent::NameServer(NameServerEvent::Ruled { request, rule }) => {
                    let request = (record.node, *request);
                    ruled.applied(&mut truth.intervals, request, rule, record.ms);
                }
                NodeEvent::Broker(BrokerEvent::Ended { request, .. })
                | NodeEvent::NameServer(NameServerEvent::Answered { request, .. }) => {
                    ruled.ended(&mut truth.intervals, (record.node, *request), record.ms);
                }
                // Nothing else tells of what a fault did.
                _ => {}
            }
        }
        for (number, from_ms, data) in open {
            truth.add(&trace.header, number, data, (from_ms, u64::MAX));
        }
        truth.sort();
        truth
    }

    /// Sorts the intervals by time, and by the nodes that they concern.
    fn sort(&mut self) {
        let mut of_node: BTreeMap<NodeId, Vec<Interval>> = BTreeMap::new();
        for interval in &self.intervals {
            let (first, second) = match interval.scope {
                Scope::Node(node) => (node, None),
                Scope::Pair(a, b) => (a, Some(b)),
            };
            for node in [Some(first), second].into_iter().flatten() {
                of_node.entry(node).or_default().push(interval.clone());
            }
        }
        let timelines = of_node.into_iter();
        self.of_node = timelines
            .map(|(node, it)| (node, Timeline::of(it)))
            .collect();
        self.all = Timeline::of(self.intervals.clone());
    }

    /// What concerned a node or a link of it in a window.
    fn concerning(
        &self,
        node: NodeId,
        (from_ms, to_ms): (u64, u64),
    ) -> impl Iterator<Item = &Interval> {
        let timeline = self.of_node.get(&node).into_iter();
        timeline.flat_map(move |it| it.overlapping(from_ms, to_ms))
    }

    fn add(
        &mut self,
        header: &TraceHeader,
        fault: u32,
        data: &Fault,
        (from_ms, to_ms): (u64, u64),
    ) {
        // One that has waited to the end for a node that never came concerns nobody.
        for scope in scopes(header, &data.place) {
            self.add_at(scope, fault, data, (from_ms, to_ms));
        }
    }

    fn add_at(&mut self, scope: Scope, fault: u32, data: &Fault, (from_ms, to_ms): (u64, u64)) {
        let meaning = data.kind.behaviour().meaning();
        let lasted = (from_ms, to_ms);
        if meaning.stale_routes {
            self.stale.push(lasted);
        }
        if matches!(data.kind, FaultKind::Rule(_)) {
            // What it did is known request by request.
            return;
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
        let window = (from_ms, to_ms);
        let at_server = self.concerning(server, window).filter(|it| match it.scope {
            Scope::Node(_) => true,
            Scope::Pair(a, b) => (a, b) == (client, server) || (b, a) == (client, server),
        });
        let at_client = self
            .concerning(client, window)
            .filter(|it| it.scope == Scope::Node(client));
        at_server
            .chain(at_client)
            .map(|interval| interval.state)
            .fold(Condition::Healthy, Condition::max)
    }

    /// What `server` was for `client` in one millisecond.
    pub fn state(&self, client: NodeId, server: NodeId, ms: u64) -> Condition {
        self.worst(client, server, ms, ms)
    }

    /// Whether no fault at all was on from `from_ms` to `to_ms`.
    pub fn calm(&self, from_ms: u64, to_ms: u64) -> bool {
        self.all.overlapping(from_ms, to_ms).next().is_none()
    }

    /// Whether no fault that concerns `node` was on from `from_ms` to `to_ms`: none of its own
    /// and none of a link of it.
    pub fn calm_at(&self, node: NodeId, from_ms: u64, to_ms: u64) -> bool {
        self.concerning(node, (from_ms, to_ms)).next().is_none()
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

/// What the rules of a run have done so far.
#[derive(Default)]
struct Ruled {
    /// The names of the rules, and what each of them means.
    rules: BTreeMap<String, (u32, Meaning)>,
    /// Requests that a rule was applied to and that have not left their server: the server, the request's
    /// number there, the interval (an index).
    open: BTreeMap<(NodeId, RequestNumber), usize>,
}

/// The name of a rule at its server, and what it means; none of a fault that is no rule.
fn rule(number: u32, data: &Fault) -> Option<(String, (u32, Meaning))> {
    let is_rule = matches!(data.kind, FaultKind::Rule(_));
    let meaning = || data.kind.behaviour().meaning();
    is_rule.then(|| (format!("fault {number}"), (number, meaning())))
}

impl Ruled {
    /// A server applies a rule to a request.
    fn applied(
        &mut self,
        intervals: &mut Vec<Interval>,
        request: (NodeId, RequestNumber),
        name: &str,
        ms: u64,
    ) {
        // A fault that takes the process away with the request is no rule.
        let Some((fault, meaning)) = self.rules.get(name) else {
            return;
        };
        self.open.insert(request, intervals.len());
        intervals.push(Interval {
            fault: *fault,
            from_ms: ms,
            to_ms: ms.saturating_add(meaning.after_ms),
            state: meaning.condition,
            scope: Scope::Node(request.0),
        });
    }

    /// A request leaves its server: what a rule did to it is done.
    fn ended(&mut self, intervals: &mut [Interval], request: (NodeId, RequestNumber), ms: u64) {
        if let Some(index) = self.open.remove(&request) {
            let interval = &mut intervals[index];
            interval.to_ms = interval.to_ms.max(ms);
        }
    }
}

/// What a fault at a place concerns: the nodes that it names, and what is part of their processes.
fn scopes(header: &TraceHeader, place: &Place) -> Vec<Scope> {
    match place {
        Place::Node(name) => header.with_parts(name).map(Scope::Node).collect(),
        Place::Link { from: a, to: b } | Place::Pair { a, b } => {
            let pairs = header.with_parts(a).flat_map(|a| {
                let others = header.with_parts(b);
                others.map(move |b| Scope::Pair(a, b))
            });
            pairs.collect()
        }
    }
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
            may_miss: false,
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

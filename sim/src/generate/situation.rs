//! Situations that two faults drawn apart would hardly ever make: one thing is wrong, and just then another one.
//!
//! A client has branches for what happens while it waits: the list changes under a lookup, a broker comes
//! into the route under a pause, an answer is due on a connection that nobody needs any more. Each of these takes
//! faults that know of each other. So in a part of the runs one of them is arranged around a workload, at times
//! and places that are drawn; a cluster that lacks what it takes has none.

use rmq_remoting::code::response;
use rmq_remoting::observe::Name;

use super::draw::Draw;
use super::knobs::{Knobs, Reached};
use super::plan::POLL_MS;
use crate::fault::rule::delay::Delay;
use crate::fault::rule::{Answer, PartialRoute, Since};
use crate::fault::{
    Crash, Fault, FaultKind, NameServerList, Place, Position, Restart, Rule, RuleAction, TARGET,
};
use crate::scenario::{ProducerPlan, Target, Workload};

/// A workload that something is arranged around, and who sends it.
#[derive(Debug, Clone, Copy)]
struct Around<'k> {
    draw: &'k Draw,
    knobs: &'k Knobs,
    reached: Reached,
    work: &'k Workload,
    owner: &'k ProducerPlan,
}

/// Arranges a situation, if what it takes is there.
type Arrange = fn(Around<'_>) -> Option<Vec<Fault>>;

const SITUATIONS: [Arrange; 9] = [
    list_changes_under_a_lookup,
    name_server_is_replaced,
    last_name_server_is_slow,
    name_servers_disagree,
    topic_is_lost,
    queue_comes_back,
    broker_comes_under_a_pause,
    second_outage,
    answers_are_due_as_a_broker_leaves,
];

/// The faults of a run's situation, if it has one.
pub(super) fn faults(draw: &Draw, knobs: &Knobs) -> Vec<Fault> {
    let draw = draw.part("situation", 0);
    if !draw.coin("situation", 400) {
        return Vec::new();
    }
    let reached = draw.pick("workload", &knobs.reached());
    let work = &knobs.workloads[reached.workload];
    let owner = knobs.producers.iter().find(|it| it.name == work.producer);
    let arrange = draw.pick("which", &SITUATIONS);
    let around = owner.map(|owner| Around {
        draw: &draw,
        knobs,
        reached,
        work,
        owner,
    });
    around.and_then(arrange).unwrap_or_default()
}

impl Around<'_> {
    /// The producer's name servers, in the order in which it asks them first.
    fn name_servers(&self) -> Vec<Name> {
        let mut servers = self.knobs.cluster.name_server_names();
        let node = self.knobs.node_of(&self.owner.name);
        let client = self.knobs.producers.iter().find(|it| it.name == node);
        let first = client.and_then(|it| it.first_name_server).unwrap_or(0);
        let count = servers.len().max(1);
        servers.rotate_left(first as usize % count);
        servers
    }

    /// The time of a lookup for which the producer has connections already, or of the topic's first one.
    fn lookup_ms(&self) -> u64 {
        match self.work.start_ms < POLL_MS && self.draw.coin("at-poll", 500) {
            true => POLL_MS,
            false => self.work.start_ms,
        }
    }

    /// A send of the workload that leaves some of the others before and behind it, and its time.
    fn send(&self) -> (u64, u64) {
        let Reached { first, last, .. } = self.reached;
        let send = self.draw.between("send", first, first + (last - first) / 2);
        (send, self.work.start_ms + (send - 1) * self.work.every_ms)
    }

    /// The first send of the workload at a time or behind it, and how many follow.
    fn sends_from(&self, ms: u64) -> Option<(u64, u64)> {
        let passed = ms.saturating_sub(self.work.start_ms);
        let send = passed.div_ceil(self.work.every_ms.max(1)) + 1;
        let Reached { first, last, .. } = self.reached;
        (first..=last)
            .contains(&send)
            .then(|| (send, last - send + 1))
    }

    /// Every name server answers lookups so, of all topics or of one.
    fn routes_everywhere(
        &self,
        topic: Option<&Name>,
        times: (u64, u64),
        then: &RuleAction,
    ) -> Vec<Fault> {
        let servers = self.name_servers();
        let rules = servers
            .iter()
            .map(|it| routes(it, topic, times, then.clone()));
        rules.collect()
    }

    /// No route names a broker.
    fn hidden(&self, broker: &Name, times: (u64, u64)) -> Vec<Fault> {
        let broker = Name::clone(broker);
        let then = RuleAction::PartialRoute(PartialRoute { broker });
        self.routes_everywhere(None, times, &then)
    }

    fn is_known(&self) -> bool {
        let mut topics = self.knobs.cluster.topics.iter();
        topics.any(|(topic, _)| *topic == self.work.topic)
    }
}

/// A name server's rule for route requests, for all topics or for one.
fn routes(
    server: &Name,
    topic: Option<&Name>,
    (from, for_ms): (u64, u64),
    then: RuleAction,
) -> Fault {
    let rule = Rule {
        topic: topic.cloned(),
        ..Rule::of(Rule::default_codes(false), then)
    };
    timed(FaultKind::Rule(rule), server, (from, for_ms))
}

fn timed(kind: FaultKind, node: &Name, (from, for_ms): (u64, u64)) -> Fault {
    Fault {
        kind,
        place: Place::Node(Name::clone(node)),
        at: Position::Time { ms: from },
        for_ms: Some(for_ms),
        may_miss: false,
    }
}

/// A fault at a send's first attempt, wherever that goes.
fn at_send(
    around: &Around<'_>,
    kind: FaultKind,
    (send, sends): (u64, u64),
    for_ms: Option<u64>,
) -> Fault {
    let is_rule = matches!(kind, FaultKind::Rule(_));
    Fault {
        kind,
        place: Place::Node(Name::from(TARGET)),
        at: Position::Send {
            workload: around.reached.workload as u32 + 1,
            send,
            attempt: (!is_rule || sends == 1).then_some(1),
            sends,
            after_ms: 0,
        },
        for_ms,
        may_miss: false,
    }
}

fn sends_rule(then: RuleAction) -> FaultKind {
    FaultKind::Rule(Rule::of(Rule::default_codes(true), then))
}

fn unknown_topic() -> RuleAction {
    RuleAction::Answer(Answer {
        code: response::TOPIC_NOT_EXIST,
        remark: None,
    })
}

/// The first name server says nothing, and while a lookup waits for it the second one leaves the list.
fn list_changes_under_a_lookup(around: Around<'_>) -> Option<Vec<Fault>> {
    let (draw, servers) = (around.draw, around.name_servers());
    let [first, second, ..] = &servers[..] else {
        return None;
    };
    let at = around.lookup_ms();
    let silent = (at.saturating_sub(20), 4_000);
    let change = FaultKind::NameServerList(NameServerList {
        without: Name::clone(second),
        instead: None,
    });
    let node = around.knobs.node_of(&around.owner.name);
    let changed = (
        at + draw.between("after", 5, 60),
        draw.one_of("for", [3_000, 20_000]),
    );
    Some(vec![
        routes(first, None, silent, RuleAction::DropRequest),
        timed(change, &node, changed),
    ])
}

/// The list has another name server in the place of one, for a while.
fn name_server_is_replaced(around: Around<'_>) -> Option<Vec<Fault>> {
    let (draw, servers) = (around.draw, around.name_servers());
    let (first, others) = servers
        .split_first()
        .filter(|(_, others)| !others.is_empty())?;
    let change = FaultKind::NameServerList(NameServerList {
        without: Name::clone(first),
        instead: Some(draw.pick("instead", others)),
    });
    let node = around.knobs.node_of(&around.owner.name);
    let (_, at) = around.send();
    let for_ms = draw.one_of("for", [1_000, 5_000, 20_000]);
    Some(vec![timed(change, &node, (at.max(200), for_ms))])
}

/// No name server answers but the last one, which takes more than half of its time, and takes no other
/// connection meanwhile.
fn last_name_server_is_slow(around: Around<'_>) -> Option<Vec<Fault>> {
    let draw = around.draw;
    let mut servers = around.name_servers();
    let last = servers.pop()?;
    let at = around.lookup_ms();
    let time = match at {
        POLL_MS => 3_000,
        _ => around
            .work
            .timeout_ms
            .unwrap_or(around.owner.timeout_and_attempts().0.min(3_000)),
    };
    let slice = time / (servers.len() as u64 + 1);
    let window = (at.saturating_sub(20), 4_000);
    let late = RuleAction::Delay(Delay {
        ms: draw
            .between("late", slice * 55 / 100, slice * 85 / 100)
            .max(1),
        jitter_ms: 0,
        since: Since::Received,
    });
    let silent = servers.iter();
    let silent = silent.map(|it| routes(it, None, window, RuleAction::DropRequest));
    let mut faults: Vec<Fault> = silent.collect();
    faults.push(routes(&last, None, window, late));
    // The last one is asked when the others have had their parts, and its connection is there a moment later.
    let asked = at + slice * servers.len() as u64;
    let dials = (asked + 2 * around.knobs.network.latency_ms + 10, 4_000);
    faults.push(timed(FaultKind::SwallowDials, &last, dials));
    Some(faults)
}

/// One name server knows the topic, which nobody can write to, and another one has never heard of it.
fn name_servers_disagree(around: Around<'_>) -> Option<Vec<Fault>> {
    let servers = around.name_servers();
    if servers.len() < 2 || !around.is_known() {
        return None;
    }
    let ignorant = around.draw.pick("ignorant", &servers);
    let at = around.work.start_ms;
    let read_only = (at.saturating_sub(300), 1_500);
    let brokers = around.knobs.cluster.brokers.iter();
    let read_only = brokers.map(|it| timed(FaultKind::ReadOnly, it, read_only));
    let topic = Some(&around.work.topic);
    let ignores = (at.saturating_sub(300), 2_000);
    let ignores = routes(&ignorant, topic, ignores, unknown_topic());
    Some(read_only.chain([ignores]).collect())
}

/// The name servers lose a topic, and a send to it meets a broker that fails, and may come back elsewhere.
fn topic_is_lost(around: Around<'_>) -> Option<Vec<Fault>> {
    if !around.is_known() {
        return None;
    }
    let (send, at) = around.send();
    let lost = (
        at.saturating_sub(200),
        around.draw.one_of("lost-for", [5_000, 20_000]),
    );
    let topic = Some(&around.work.topic);
    let mut faults = around.routes_everywhere(topic, lost, &unknown_topic());
    let moves = around.knobs.gives_dead_peers_up() && around.draw.coin("moves", 600);
    let restart = Restart {
        keep_data: true,
        new_address: moves,
    };
    let crash = FaultKind::Crash(Crash(restart));
    let down_ms = around.draw.one_of("down-for", [300, 1_000, 3_000]);
    faults.push(at_send(&around, crash, (send, 1), Some(down_ms)));
    Some(faults)
}

/// No route has the broker that the sends of a workload go to; then it is in the route again.
fn queue_comes_back(around: Around<'_>) -> Option<Vec<Fault>> {
    let Target::Queue { broker, .. } = &around.work.target else {
        return None;
    };
    let (_, at) = around.send();
    let from = around.work.start_ms.saturating_sub(100);
    let hidden = (from, (at - from.min(at)).max(200));
    Some(around.hidden(broker, hidden))
}

/// The only broker of the route refuses connections, and another one comes into the route just then.
fn broker_comes_under_a_pause(around: Around<'_>) -> Option<Vec<Fault>> {
    let [one, other] = &around.knobs.cluster.brokers[..] else {
        return None;
    };
    let (_, at) = around.send();
    let from = around.work.start_ms.saturating_sub(100);
    // The last route request that leaves it out was before the send.
    let hidden = (from, at.saturating_sub(from + 3).max(1));
    let mut faults = around.hidden(other, hidden);
    let crash = FaultKind::Crash(Crash(Restart::default()));
    faults.push(timed(crash, one, (at.saturating_sub(2), 5_000)));
    Some(faults)
}

/// All brokers are away for a while; later one of them is away again, and the others lose what they are sent.
fn second_outage(around: Around<'_>) -> Option<Vec<Fault>> {
    let (send, at) = around.send();
    let crash = || FaultKind::Crash(Crash(Restart::default()));
    let brokers = &around.knobs.cluster.brokers;
    let outage = brokers.iter().map(|it| timed(crash(), it, (at, 1_000)));
    let mut faults: Vec<Fault> = outage.collect();
    let later_ms = around.draw.one_of("later", [2_500, 5_000, 12_000]);
    let (next, left) = around.sends_from(at + later_ms)?;
    let sends = left
        .min(20)
        .min(around.knobs.in_a_row(around.reached.workload));
    faults.push(at_send(
        &around,
        sends_rule(RuleAction::ResetAfter),
        (next, sends),
        None,
    ));
    let away = around.draw.pick("away", brokers);
    let again = around.work.start_ms + (next - 1) * around.work.every_ms;
    faults.push(timed(crash(), &away, (again.max(send), 5_000)));
    Some(faults)
}

/// A broker leaves the route while it owes answers.
fn answers_are_due_as_a_broker_leaves(around: Around<'_>) -> Option<Vec<Fault>> {
    let draw = around.draw;
    let brokers = &around.knobs.cluster.brokers;
    if brokers.len() < 2 {
        return None;
    }
    let before = draw.between("before", 20, 400);
    let (send, left) = around.sends_from(POLL_MS - before)?;
    let leaving = draw.pick("leaving", brokers);
    let mut faults = around.hidden(&leaving, (POLL_MS - 500, 2_000));
    let late = RuleAction::Delay(Delay {
        // Connections that nobody needs are closed at the heartbeat, a second after the poll.
        ms: before + 1_000 + draw.between("late", 0, 200),
        jitter_ms: 0,
        since: Since::Received,
    });
    faults.push(at_send(
        &around,
        sends_rule(late),
        (send, left.min(10)),
        None,
    ));
    Some(faults)
}

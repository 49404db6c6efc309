//! Where and when the faults of a generated run happen.
//!
//! A fault that meets nothing has tested nothing. So most of them wait for a send, and are where it
//! goes: at the broker of the attempt, on the connection to it, at a name server while the topic is looked
//! up. A second fault often strikes the reaction to the first one: the attempt after it, the dial, the
//! lookup. What can wait for no send is set just before something that is certain to come: the first
//! lookup of a workload, a poll, a heartbeat.

use rmq_remoting::code::request;
use rmq_remoting::observe::Name;

use super::draw::Draw;
use super::kinds::{self, Target};
use super::knobs::{Knobs, Reached};
use crate::fault::rule::near_a_deadline;
use crate::fault::{
    Changes, Fault, FaultKind, Kind, Place, Position, Rule, RuleAction, Site, TARGET,
};
use crate::scenario::ProducerPlan;

/// The last millisecond in which a fault that is anchored to a time starts.
const LAST_MS: u64 = 50_000;
/// The second poll of a client that starts with the run.
pub(super) const POLL_MS: u64 = 30_010;
/// Its second heartbeat.
const BEAT_MS: u64 = 31_000;
/// When brokers that start with the run register again.
const REGISTRATIONS_MS: [u64; 2] = [10_000, 40_000];

/// Where faults of a run gather: a send, and what is done for it.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    /// The number of the workload, from 1.
    workload: u32,
    /// The send of the workload, from 1.
    send: u64,
    /// The last send of the workload that makes attempts.
    last: u64,
}

/// Draws up to eight faults, of the kinds that exist in this run, and reactions to them.
pub(super) fn faults(draw: &Draw, knobs: &Knobs) -> Vec<Fault> {
    let count = draw.one_of("faults", [0, 1, 2, 3, 3, 4, 4, 5, 6, 8]);
    let mut faults: Vec<Fault> = Vec::new();
    for number in 0..count {
        let draw = draw.part("fault", number);
        let Some(kind) = kinds::choose(&draw, &knobs.kinds) else {
            // No kind of fault exists in this run.
            continue;
        };
        let anchor = anchor(&draw, knobs, kind.site);
        add(
            &mut faults,
            knobs,
            of_kind(&draw, knobs, kind, anchor, false),
        );
        let reaction = draw.part("reaction", 0);
        if draw.coin("reacts", 350)
            && let Some(kind) = kinds::choose(&reaction, &knobs.kinds)
        {
            add(
                &mut faults,
                knobs,
                of_kind(&reaction, knobs, kind, anchor, true),
            );
        }
    }
    faults
}

fn add(faults: &mut Vec<Fault>, knobs: &Knobs, fault: Fault) {
    if !faults.iter().any(|other| clash(other, &fault)) && leaves_a_way(knobs, faults, &fault) {
        faults.push(fault);
    }
}

/// The send that a fault waits for: often a first one, whose topic has to be looked up.
fn anchor(draw: &Draw, knobs: &Knobs, site: Site) -> Anchor {
    let Reached {
        workload,
        first,
        last,
    } = draw.pick("at-workload", &knobs.reached());
    let at_first = match site {
        Site::NameServer | Site::Server => 400,
        _ => 150,
    };
    let send = match draw.coin("at-first-send", at_first) {
        true => first,
        false => draw.between("at-send", first, last.saturating_sub(1).max(first)),
    };
    Anchor {
        workload: workload as u32 + 1,
        send,
        last,
    }
}

fn of_kind(draw: &Draw, knobs: &Knobs, kind: &Kind, anchor: Anchor, reacts: bool) -> Fault {
    let by_send = draw.coin("by-send", 930);
    let (place, target) = place(draw, knobs, kind.site, (anchor, by_send));
    let mut what = kinds::make(kind, draw, knobs, target);
    let at = match &what {
        FaultKind::Rule(rule) => rule_position(draw, knobs, rule, (target, anchor)),
        _ if place.has_target() || (by_send && !has_name_server(&place)) => {
            position(draw, knobs, anchor, reacts)
        }
        _ => time(draw, knobs, anchor),
    };
    if let FaultKind::Rule(rule) = &mut what
        && rule.topic.is_some()
    {
        rule.topic = Some(Name::clone(
            &knobs.workloads[anchor.workload as usize - 1].topic,
        ));
    }
    if let (FaultKind::Rule(rule), Position::Send { sends, .. }) = (&mut what, &at) {
        // The sends are named, and few of them by chance may be none.
        rule.topic = None;
        rule.per_mille = rule.per_mille.filter(|_| *sends >= 10);
    }
    if let (FaultKind::Rule(rule), Position::Time { .. }) = (&mut what, &at) {
        // Only of sends is it known when their attempts started.
        rule.then = rule.then.since_attempt(0);
    }
    let for_ms = match (&what, &at) {
        (kind, _) if kind.is_at_once() => None,
        (FaultKind::Rule(_), Position::Send { .. }) => None,
        // A name server is asked twice a minute: a shorter lie would mostly meet no question.
        (FaultKind::Rule(rule), _) if rule.then.is_about_routes() => {
            Some(draw.one_of("lasts-routes", [5_000, 35_000, 60_000]))
        }
        // What comes at a known time takes a dial before it.
        (_, Position::Time { .. }) => Some(lasts(draw).max(40 + 4 * knobs.network.latency_ms)),
        _ => Some(lasts(draw)),
    };
    let waits_for_send = matches!(at, Position::Send { .. });
    let place = match (&what, waits_for_send) {
        // Wherever the send comes to.
        (FaultKind::Rule(_), true) => Place::Node(Name::from(TARGET)),
        (FaultKind::Rule(_), false) if place.has_target() => {
            Place::Node(draw.pick("broker", &knobs.cluster.brokers))
        }
        _ => place,
    };
    Fault {
        kind: what,
        place,
        at,
        for_ms,
        may_miss: false,
    }
}

fn has_name_server(place: &Place) -> bool {
    place.names().any(|name| name.starts_with("ns-"))
}

/// The moment of a fault that is no rule: at an attempt of its send, or a part of a round trip or of the
/// attempt's time after it.
fn position(draw: &Draw, knobs: &Knobs, anchor: Anchor, reacts: bool) -> Position {
    let latency = knobs.network.latency_ms;
    let work = &knobs.workloads[anchor.workload as usize - 1];
    let owner = knobs.producers.iter().find(|it| it.name == work.producer);
    let time = owner.map_or((3_000, 3), ProducerPlan::timeout_and_attempts);
    // What answers the first fault comes a round trip later: a resend, a dial, a lookup.
    // Only what is broken already is still open later than that.
    let after = match reacts {
        true => draw.one_of("after", [0, 0, 1, 2, 2, 3, 4]),
        false => draw.one_of("after", [0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4]),
    };
    let after_ms = match after {
        0 if !reacts => 0,
        0 | 1 => draw.between("after-ms", 1, latency),
        2 => (2 * latency + draw.between("after-around", 0, 2)).saturating_sub(1),
        3 => draw.between("after-more", 2 * latency, 8 * latency),
        _ => near_a_deadline(draw, time),
    };
    // A second attempt is rarer than a first one.
    let attempt = match reacts && draw.coin("at-second-attempt", 60) {
        true => Some(2),
        false => Some(1),
    };
    Position::Send {
        workload: anchor.workload,
        send: anchor.send,
        attempt,
        sends: 1,
        after_ms: if attempt == Some(2) && reacts {
            0
        } else {
            after_ms
        },
    }
}

/// When a rule is on: for some sends in a row, wherever they come to; or from shortly before something
/// that its requests are certain to be part of.
fn rule_position(
    draw: &Draw,
    knobs: &Knobs,
    rule: &Rule,
    (target, anchor): (Target, Anchor),
) -> Position {
    let beats = rule.codes.contains(&request::HEART_BEAT);
    let goodbyes = rule.codes.contains(&request::UNREGISTER_CLIENT);
    let of_sends = target == Target::Broker && !beats && !goodbyes;
    if of_sends && (rule.then.counts_from_attempt() || draw.coin("rule-by-send", 900)) {
        let left = anchor.last - anchor.send + 1;
        let left = left.min(knobs.in_a_row(anchor.workload as usize - 1));
        return Position::Send {
            workload: anchor.workload,
            send: anchor.send,
            attempt: draw.one_of("at-attempt", [Some(1), Some(1), Some(1), None, None, None]),
            sends: draw.one_of("at-sends", [1, 1, 3, 10, 30]).min(left),
            after_ms: 0,
        };
    }
    let mut stops = knobs.producers.iter().filter_map(|it| it.stop_ms);
    if let Some(stop) = stops.next().filter(|_| goodbyes) {
        before(draw, stop)
    } else if beats {
        before(draw, BEAT_MS)
    } else if rule.codes.contains(&request::REGISTER_BROKER) {
        before(draw, draw.one_of("registration", REGISTRATIONS_MS))
    } else {
        time(draw, knobs, anchor)
    }
}

/// A time at which something is looked up: the start of a workload, whose topic may be new to the
/// producer, or a poll; or any time.
fn time(draw: &Draw, knobs: &Knobs, anchor: Anchor) -> Position {
    let work = &knobs.workloads[anchor.workload as usize - 1];
    let node = knobs.node_of(&work.producer);
    let own = knobs.workloads.iter();
    let own = own.filter(|it| knobs.node_of(&it.producer) == node);
    let first = own.clone().map(|it| it.start_ms).min();
    let knows_a_topic = first.is_some_and(|first| first < POLL_MS);
    let same = own.filter(|it| it.topic == work.topic);
    let looked_up = same.map(|it| it.start_ms).min().unwrap_or(work.start_ms);
    if draw.coin("any-time", 25) {
        let ms = draw.between("at", 0, LAST_MS);
        return Position::Time { ms };
    }
    match draw.one_of("time", [0, 0, 1]) {
        1 if knows_a_topic => before(draw, POLL_MS),
        _ => before(draw, looked_up),
    }
}

/// A moment before something that comes at `ms`, or a round trip after it.
fn before(draw: &Draw, ms: u64) -> Position {
    let before = draw.one_of("before", [30, 5, 1]);
    let around = draw.between("around", 0, before + 1);
    Position::Time {
        ms: (ms.saturating_sub(before) + around).min(LAST_MS),
    }
}

/// In some runs a box on the way forgets all open connections of a producer at once: what is sent on
/// them is swallowed, to every broker and perhaps to every name server, and new ones work. Only the
/// default policy gives such connections up.
pub(super) fn forgotten(draw: &Draw, knobs: &mut Knobs) {
    if !draw.coin("forgets-connections", 60) || !knobs.gives_dead_peers_up() {
        return;
    }
    let producers = knobs.producer_nodes();
    let a = draw.pick("forgotten-producer", &producers);
    let mut servers = knobs.cluster.brokers.clone();
    if draw.coin("forgets-name-servers", 500) {
        servers.extend(knobs.cluster.name_server_names());
    }
    let draw = draw.part("forgotten", 0);
    let anchor = anchor(&draw, knobs, Site::Pair);
    let at = position(&draw, knobs, anchor, false);
    for b in servers {
        let fault = Fault {
            kind: FaultKind::BlackHole,
            place: Place::Pair {
                a: Name::clone(&a),
                b,
            },
            at: at.clone(),
            for_ms: None,
            may_miss: false,
        };
        if !knobs.faults.iter().any(|other| clash(other, &fault)) {
            knobs.faults.push(fault);
        }
    }
}

/// Whether every producer keeps a name server to which its connection works, with this fault after
/// the others. A swallowed connection never comes back. The default policy replaces it after some
/// unanswered requests, which takes minutes for a server that is asked twice a minute; those of other
/// clients keep it for good.
pub(super) fn leaves_a_way(knobs: &Knobs, others: &[Fault], next: &Fault) -> bool {
    // Half an answer makes a connection as useless, to whoever does not give it up.
    let halves = |fault: &Fault| match (&fault.kind, &fault.place) {
        (FaultKind::Rule(rule), Place::Node(server)) => {
            rule.then == RuleAction::HalfFrame && server.starts_with("ns-")
        }
        _ => false,
    };
    if halves(next) {
        return knobs.gives_dead_peers_up();
    }
    let swallowed = |fault: &Fault| match (&fault.kind, &fault.place) {
        (FaultKind::BlackHole, Place::Pair { a, b }) => Some((Name::clone(a), Name::clone(b))),
        _ => None,
    };
    let Some((producer, server)) = swallowed(next) else {
        return true;
    };
    if !knobs.gives_dead_peers_up() {
        return false;
    }
    if knobs.cluster.brokers.contains(&server) {
        return true;
    }
    let mut gone: Vec<Name> = others
        .iter()
        .filter_map(swallowed)
        .filter(|(a, b)| *a == producer && !knobs.cluster.brokers.contains(b))
        .map(|(_, b)| b)
        .chain([server])
        .collect();
    gone.sort();
    gone.dedup();
    let is_producer = knobs.producers.iter().any(|one| one.name == producer);
    !is_producer || gone.len() < knobs.cluster.name_servers as usize
}

pub(super) fn lasts(draw: &Draw) -> u64 {
    let about = draw.one_of(
        "lasts",
        [50, 1_000, 3_000, 5_000, 10_000, 10_000, 20_000, 35_000],
    );
    about + draw.between("lasts-more", 0, about / 4)
}

/// Where a fault is. Of one that waits for a send: where the send goes, mostly.
fn place(
    draw: &Draw,
    knobs: &Knobs,
    site: Site,
    (anchor, by_send): (Anchor, bool),
) -> (Place, Target) {
    let name_servers = knobs.cluster.name_server_names();
    let producers = knobs.producer_nodes();
    let target = match site {
        Site::Server => draw.one_of(
            "server",
            [Target::Broker, Target::Broker, Target::NameServer],
        ),
        Site::Node => draw.one_of(
            "process",
            [
                Target::Broker,
                Target::Broker,
                Target::Producer,
                Target::NameServer,
            ],
        ),
        Site::Producer => Target::Producer,
        Site::Broker => Target::Broker,
        Site::NameServer => Target::NameServer,
        Site::Link | Site::Pair | Site::LinkOrPair => Target::Network,
    };
    let work = &knobs.workloads[anchor.workload as usize - 1];
    let broker = match by_send && draw.coin("at-target", 920) {
        true => Name::from(TARGET),
        false => draw.pick("broker", &knobs.cluster.brokers),
    };
    let producer = match draw.coin("at-sender", 900) {
        true => knobs.node_of(&work.producer),
        false => draw.pick("producer", &producers),
    };
    let own = knobs.producers.iter().find(|it| it.name == producer);
    // The one that is asked first is asked most.
    let first = own.and_then(|it| name_servers.get(it.first_name_server? as usize));
    let any = draw.pick("name-server", &name_servers);
    let name_server = match first.filter(|_| draw.coin("first-asked", 950)) {
        Some(first) => Name::clone(first),
        None => any,
    };
    let place = match target {
        Target::Broker => Place::Node(broker),
        Target::NameServer => Place::Node(name_server),
        Target::Producer => Place::Node(producer),
        Target::Network => {
            // Between servers no producer meets it itself.
            let (a, b) = match draw.between("ends", 1, 40) {
                1..=26 => (producer, broker),
                27..=39 => (producer, name_server),
                _ => (broker, name_server),
            };
            ends(draw, site, a, b)
        }
    };
    (place, target)
}

/// A link, or both directions of it.
pub(super) fn ends(draw: &Draw, site: Site, a: Name, b: Name) -> Place {
    let both = match site {
        Site::Pair => true,
        Site::Link => false,
        _ => draw.coin("both-ways", 600),
    };
    match (both, draw.coin("backwards", 500)) {
        (true, _) => Place::Pair { a, b },
        (false, false) => Place::Link { from: a, to: b },
        (false, true) => Place::Link { from: b, to: a },
    }
}

/// Whether two faults would undo each other: the end of one heals what the other one still breaks.
pub(super) fn clash(one: &Fault, other: &Fault) -> bool {
    let same = shares_state(&one.kind, &other.kind) && shares_node(&one.place, &other.place);
    (same && !apart(one, other) && !apart(other, one)) || hides(one, other)
}

/// Whether a rule leaves nothing to a later one: it takes all requests of the other one, and the first of two
/// rules is the one that a server goes by.
pub(super) fn hides(first: &Fault, other: &Fault) -> bool {
    let (FaultKind::Rule(rule), FaultKind::Rule(later)) = (&first.kind, &other.kind) else {
        return false;
    };
    let takes_all = rule.per_mille.is_none() && rule.times.is_none();
    let same = later.codes.iter().any(|code| rule.codes.contains(code));
    let while_on = match (&first.at, &other.at) {
        // What comes at a known time comes once or twice.
        (Position::Time { .. }, Position::Time { .. }) => {
            !apart(first, other) && !apart(other, first)
        }
        (
            Position::Send {
                workload,
                send,
                sends,
                attempt,
                ..
            },
            Position::Send {
                workload: of,
                send: from,
                sends: more,
                attempt: nth,
                ..
            },
        ) => {
            let within = send <= from && from + more <= send + sends;
            takes_all && workload == of && within && (attempt.is_none() || attempt == nth)
        }
        _ => false,
    };
    same && while_on && shares_node(&first.place, &other.place)
}

/// Whether both kinds set the same thing of a node or a link.
fn shares_state(one: &FaultKind, other: &FaultKind) -> bool {
    match (one.kind().changes, other.kind().changes) {
        (Changes::Requests, _) | (_, Changes::Requests) => false,
        (Changes::Life, Changes::Life) => true,
        (Changes::Life | Changes::ItsOwn, _) => one.name() == other.name(),
    }
}

/// Whether they are on one node or between the same two; [`TARGET`] may be any broker.
fn shares_node(one: &Place, other: &Place) -> bool {
    let may_be_one = |a: &Name, b: &Name| {
        let is_broker = |name: &Name| !name.starts_with("ns-") && !name.starts_with('p');
        let any = |target: &Name, other: &Name| **target == *TARGET && is_broker(other);
        a == b || any(a, b) || any(b, a)
    };
    let ends = |place: &Place| {
        let mut names = place.names().cloned();
        let first = names.next();
        let second = names.next().or_else(|| first.clone());
        first.zip(second)
    };
    let (Some((a, b)), Some((c, d))) = (ends(one), ends(other)) else {
        unreachable!("a place names a node: {one}, {other}")
    };
    (may_be_one(&a, &c) && may_be_one(&b, &d)) || (may_be_one(&a, &d) && may_be_one(&b, &c))
}

/// Whether the first one is certainly over when the second one starts.
fn apart(first: &Fault, second: &Fault) -> bool {
    match (&first.at, first.for_ms, &second.at) {
        (Position::Time { ms }, Some(for_ms), Position::Time { ms: next }) => ms + for_ms < *next,
        _ => false,
    }
}

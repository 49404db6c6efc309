//! Where and when the faults of a generated run happen.

use rmq_remoting::observe::Name;

use super::draw::Draw;
use super::kinds::{self, Target};
use super::knobs::Knobs;
use crate::fault::{Changes, Fault, FaultKind, Kind, Place, Position, Site};

/// The last millisecond in which a fault that is anchored to a time starts.
const LAST_MS: u64 = 50_000;

/// Draws up to eight faults, of the kinds that exist in this run.
pub(super) fn faults(draw: &Draw, knobs: &Knobs) -> Vec<Fault> {
    let count = draw.one_of("faults", [0, 1, 2, 3, 3, 4, 5, 6, 8]);
    let mut faults: Vec<Fault> = Vec::new();
    for number in 0..count {
        let draw = draw.part("fault", number);
        let Some(kind) = kinds::choose(&draw, &knobs.kinds) else {
            // No kind of fault exists in this run.
            continue;
        };
        for fault in of_kind(&draw, knobs, kind) {
            if !faults.iter().any(|other| clash(other, &fault))
                && leaves_a_way(knobs, &faults, &fault)
            {
                faults.push(fault);
            }
        }
    }
    faults
}

/// One fault; where a rule waits for a send, one for each broker the send may come to.
fn of_kind(draw: &Draw, knobs: &Knobs, kind: &Kind) -> Vec<Fault> {
    let (place, target) = place(draw, knobs, kind.site);
    let what = kinds::make(kind, draw, knobs, target);
    let is_rule = matches!(what, FaultKind::Rule(_));
    // What no message is part of cannot wait for one.
    let by_send = match &what {
        FaultKind::Rule(rule) => {
            target == Target::Broker
                && !rule
                    .codes
                    .contains(&rmq_remoting::code::request::HEART_BEAT)
        }
        _ => true,
    };
    let at = position(draw, knobs, is_rule, by_send);
    let for_ms = match (&what, &at) {
        (kind, _) if kind.is_at_once() => None,
        (FaultKind::Rule(_), Position::Send { .. }) => None,
        // A name server is asked twice a minute: a shorter lie would mostly meet no question.
        (FaultKind::Rule(rule), _) if rule.then.is_about_routes() => {
            Some(draw.one_of("lasts-routes", [5_000, 35_000, 60_000]))
        }
        _ => Some(lasts(draw)),
    };
    let mut places = vec![place];
    if is_rule && matches!(at, Position::Send { .. }) {
        let brokers = knobs.cluster.brokers.iter();
        places = brokers.map(|name| Place::Node(Name::clone(name))).collect();
    }
    let fault = |place| Fault {
        kind: what.clone(),
        place,
        at: at.clone(),
        for_ms,
    };
    places.into_iter().map(fault).collect()
}

/// In some runs a box on the way forgets all open connections of a producer at once: what is sent on
/// them is swallowed, to every broker and perhaps to every name server, and new ones work. Only the
/// default policy gives such connections up.
pub(super) fn forgotten(draw: &Draw, knobs: &mut Knobs) {
    if !draw.coin("forgets-connections", 60) || !knobs.is_strict() {
        return;
    }
    let producers: Vec<Name> = knobs
        .producers
        .iter()
        .map(|it| Name::clone(&it.name))
        .collect();
    let a = draw.pick("forgotten-producer", &producers);
    let mut servers = knobs.cluster.brokers.clone();
    if draw.coin("forgets-name-servers", 500) {
        servers.extend(knobs.cluster.name_server_names());
    }
    let at = position(&draw.part("forgotten", 0), knobs, false, true);
    for b in servers {
        let fault = Fault {
            kind: FaultKind::BlackHole,
            place: Place::Pair {
                a: Name::clone(&a),
                b,
            },
            at: at.clone(),
            for_ms: None,
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
fn leaves_a_way(knobs: &Knobs, others: &[Fault], next: &Fault) -> bool {
    let swallowed = |fault: &Fault| match (&fault.kind, &fault.place) {
        (FaultKind::BlackHole, Place::Pair { a, b }) => Some((Name::clone(a), Name::clone(b))),
        _ => None,
    };
    let Some((producer, server)) = swallowed(next) else {
        return true;
    };
    if !knobs.is_strict() {
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

fn lasts(draw: &Draw) -> u64 {
    let about = draw.one_of(
        "lasts",
        [50, 1_000, 3_000, 5_000, 10_000, 10_000, 20_000, 35_000],
    );
    about + draw.between("lasts-more", 0, about / 4)
}

fn position(draw: &Draw, knobs: &Knobs, is_rule: bool, by_send: bool) -> Position {
    let at_time = Position::Time {
        ms: draw.between("at", 0, LAST_MS),
    };
    if !by_send || draw.coin("by-time", 500) {
        return at_time;
    }
    let number = draw.index("at-workload", knobs.workloads.len());
    let attempt = draw.one_of("at-attempt", [Some(1), Some(2), None, None]);
    Position::Send {
        workload: number as u32 + 1,
        send: draw.between("at-send", 1, knobs.workloads[number].sends),
        attempt: if is_rule {
            attempt
        } else {
            attempt.or(Some(1))
        },
    }
}

fn place(draw: &Draw, knobs: &Knobs, site: Site) -> (Place, Target) {
    let name_servers = knobs.cluster.name_server_names();
    let producers: Vec<Name> = knobs
        .producers
        .iter()
        .map(|one| Name::clone(&one.name))
        .collect();
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
    let broker = draw.pick("broker", &knobs.cluster.brokers);
    let name_server = draw.pick("name-server", &name_servers);
    let producer = draw.pick("producer", &producers);
    let place = match target {
        Target::Broker => Place::Node(broker),
        Target::NameServer => Place::Node(name_server),
        Target::Producer => Place::Node(producer),
        Target::Network => {
            let (a, b) = match draw.one_of("ends", [0, 0, 0, 1, 2]) {
                0 => (producer, broker),
                1 => (producer, name_server),
                _ => (broker, name_server),
            };
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
    };
    (place, target)
}

/// Whether two faults would undo each other: the end of one heals what the other one still breaks.
fn clash(one: &Fault, other: &Fault) -> bool {
    shares_state(&one.kind, &other.kind)
        && shares_node(&one.place, &other.place)
        && !apart(one, other)
        && !apart(other, one)
}

/// Whether both kinds set the same thing of a node or a link.
fn shares_state(one: &FaultKind, other: &FaultKind) -> bool {
    match (one.kind().changes, other.kind().changes) {
        (Changes::Requests, _) | (_, Changes::Requests) => false,
        (Changes::Life, Changes::Life) => true,
        (Changes::Life | Changes::ItsOwn, _) => one.name() == other.name(),
    }
}

fn shares_node(one: &Place, other: &Place) -> bool {
    let ends = |place: &Place| match place {
        Place::Node(node) => [Name::clone(node), Name::clone(node)],
        Place::Link { from: a, to: b } | Place::Pair { a, b } => {
            let mut ends = [Name::clone(a), Name::clone(b)];
            ends.sort();
            ends
        }
    };
    ends(one) == ends(other)
}

/// Whether the first one is certainly over when the second one starts.
fn apart(first: &Fault, second: &Fault) -> bool {
    match (&first.at, first.for_ms, &second.at) {
        (Position::Time { ms }, Some(for_ms), Position::Time { ms: next }) => ms + for_ms < *next,
        _ => false,
    }
}

//! Who sends what.

use rmq_remoting::observe::Name;

use super::draw::Draw;
use crate::scenario::{
    Callback, ClusterPlan, Hooks, Limits, Namespace, NetworkPlan, PolicySource, ProducerPlan,
    SendMode, Target, Workload,
};

/// About so many sends in a run, over all workloads; in some runs more, so that what is counted or leaks
/// shows.
const SENDS: [u64; 12] = [60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 120, 300];
/// The last send of a workload is planned for this time at the latest.
const LAST_MS: u64 = 55_000;
/// The first send of most workloads: the cluster is up by then.
const FIRST_MS: u64 = 1_000;
/// A send has time for so many round trips: two name servers asked for a topic and for the default
/// one, two dials, and an attempt.
const ROUND_TRIPS: u64 = 12;
/// And for so many more for each further name server.
const ROUND_TRIPS_MORE: u64 = 4;
/// The queue counter is about to wrap.
const EDGE: Option<u32> = Some(i32::MAX as u32 - 5);
/// A topic that no broker has from the start.
const NEW_TOPIC: &str = "topic-new";

/// One producer, or two: most of them know nothing of each other, some share a client.
pub(super) fn producers(
    draw: &Draw,
    cluster: &ClusterPlan,
    network: NetworkPlan,
) -> Vec<ProducerPlan> {
    let more = cluster.name_servers.saturating_sub(2);
    let round_trips = ROUND_TRIPS + ROUND_TRIPS_MORE * u64::from(more);
    let shortest_ms = round_trips * 2 * (network.latency_ms + network.jitter_ms);
    let count = draw.one_of("producers", [1_usize, 1, 2]);
    // Most runs look for bugs of the default; the presets share its code.
    let policy = match draw.between("policy", 1, 18) {
        16 => "java_5_3",
        17 => "java_4_9",
        18 => "go_2_1",
        _ => "strict",
    };
    let plans = (0..count).map(|number| {
        let draw = draw.part("producer", number);
        let name = format!("p{}", number + 1);
        let asked_first = draw.between("first-name-server", 1, cluster.name_servers.into()) - 1;
        let is_drawn = draw.coin("draws-name-server", 150);
        ProducerPlan {
            group: format!("group-{name}"),
            name: Name::from(name),
            client: None,
            dropped: false,
            policy: PolicySource::Preset(policy),
            timeout_ms: Some(match draw.coin("hasty", 60) {
                // Just enough time on a healthy network, and not for a second attempt.
                true => draw.between("hasty-timeout", shortest_ms * 3 / 4, shortest_ms),
                false => draw
                    .one_of(
                        "timeout",
                        [300, 300, 500, 1_000, 2_000, 3_000, 3_000, 5_000, 10_000],
                    )
                    .max(shortest_ms),
            }),
            retries: draw.one_of(
                "retries",
                [None, None, None, None, Some(0), Some(1), Some(2), Some(4)],
            ),
            first_queue: draw.one_of("first-queue", [None, None, None, Some(0), EDGE, EDGE]),
            // Otherwise the producer draws it itself.
            first_name_server: (!is_drawn).then_some(asked_first as u32),
            id_constant: None,
            first_opaque: draw.coin("opaque-wraps", 125).then(|| {
                let before = draw.between("opaque-before", 0, 40);
                i32::MAX - before as i32
            }),
            first_message: draw.coin("message-wraps", 100).then(|| {
                let before = draw.between("message-before", 0, 20);
                u16::MAX - before as u16
            }),
            fault_tolerance: draw.coin("forgets", 200).then_some(false),
            stop_ms: None,
            changes: (policy == "strict" && draw.coin("changes", 250))
                .then(|| draw.one_of("change", CHANGES).to_owned()),
            limits: limits(&draw),
            namespace: namespace(&draw),
            hooks: hooks(&draw, cluster, policy == "strict"),
        }
    });
    share(draw, plans.collect())
}

/// In some runs with two producers the second one shares the client of the first.
fn share(draw: &Draw, mut plans: Vec<ProducerPlan>) -> Vec<ProducerPlan> {
    if let [owner, sharing] = &mut plans[..]
        && draw.coin("shares-client", 450)
    {
        sharing.client = Some(Name::clone(&owner.name));
        sharing.changes.clone_from(&owner.changes);
        sharing.first_name_server = None;
        sharing.first_opaque = None;
        sharing.first_message = None;
        for plan in [owner, sharing] {
            // What a broker is for one of them it is for the other.
            if matches!(plan.hooks, Hooks::Forbid(_)) {
                plan.hooks = Hooks::None;
            }
            if plan.client.is_some() && matches!(plan.namespace, Some(Namespace::V2(_))) {
                plan.namespace = None;
            }
        }
    }
    plans
}

/// What a program may change of the default policy, one at a time: each of them is a branch of a
/// decision that the presets share or that none of them takes.
const CHANGES: [&str; 21] = [
    r#"{ health = { detector = { enabled = true } } }"#,
    r#"{ not-safe = "retry" }"#,
    r#"{ not-safe = "retry-sync" }"#,
    r#"{ hedged-answer = "ignore" }"#,
    r#"{ hedge-over = "first" }"#,
    r#"{ hedging-tokens = 1 }"#,
    r#"{ avoid = "last" }"#,
    r#"{ attempt-timeout = "whole" }"#,
    r#"{ drain = "retry" }"#,
    r#"{ refresh-on-failure = false }"#,
    r#"{ dead-peer = "keep" }"#,
    r#"{ auto-create = "first-broker" }"#,
    r#"{ oneway = "dispatched" }"#,
    r#"{ compress-over = 100 }"#,
    r#"{ compress-over = 100, compression = "lz4" }"#,
    r#"{ compress-over = 100, compression = "zstd" }"#,
    r#"{ wire = { request = "v1" } }"#,
    r#"{ wire = { header = "binary" } }"#,
    r#"{ checks = { max-body = 1000 } }"#,
    r#"{ periods = { poll = 5000, heartbeat = 7000 } }"#,
    r#"{ default-queues = 16 }"#,
];

/// How much is open at a time: for most producers, as much as they like.
fn limits(draw: &Draw) -> Limits {
    if !draw.coin("limited", 220) {
        return Limits::default();
    }
    let by = draw.one_of("limit-by", ["sends", "bytes", "both"]);
    let (by_sends, by_bytes) = (by != "bytes", by != "sends");
    Limits {
        sends: by_sends.then(|| draw.one_of("limit-sends", [1, 2, 4, 8])),
        // Bodies of a workload fill some of them to the last byte, and lack one byte in others.
        bytes: by_bytes.then(|| {
            draw.one_of(
                "limit-of-bytes",
                [16, 47, 48, 199, 200, 400, 4_095, 8_191, 8_192, 30_000],
            )
        }),
        refuses: draw.coin("limit-refuses", 500),
    }
}

fn namespace(draw: &Draw) -> Option<Namespace> {
    let name = || "lab".to_owned();
    match draw.between("namespace", 1, 25) {
        1 => Some(Namespace::V1(name())),
        2 | 3 => Some(Namespace::V2(name())),
        _ => None,
    }
}

/// The hooks of the program: seldom any. One that forbids a broker leaves the first one, which has every
/// topic, and is for a policy that goes on to another broker.
fn hooks(draw: &Draw, cluster: &ClusterPlan, goes_on: bool) -> Hooks {
    match (draw.between("hooks", 1, 25), cluster.brokers.get(1..)) {
        (1, _) => Hooks::Panic,
        (2 | 3, Some(others)) if goes_on && !others.is_empty() => {
            Hooks::Forbid(draw.pick("forbidden", others))
        }
        (4..=6, _) => Hooks::Watch,
        _ => Hooks::None,
    }
}

/// Stops some producers early: at any time, or while a send of theirs may be under way; and drops some
/// without that. Where others share the client, which must go on, that is frequent.
pub(super) fn stops(draw: &Draw, producers: &mut [ProducerPlan], workloads: &[Workload]) {
    let is_shared = producers.iter().any(|it| it.client.is_some());
    let (stops, drops) = if is_shared { (350, 250) } else { (120, 20) };
    for (number, producer) in producers.iter_mut().enumerate() {
        let draw = draw.part("producer", number);
        if !draw.coin("stops", stops) {
            producer.dropped = draw.coin("dropped", drops);
            continue;
        }
        let own = workloads.iter().filter(|one| one.producer == producer.name);
        let own: Vec<&Workload> = own.collect();
        let work = own[draw.index("stop-in", own.len())];
        // Few sends are left then: one on a stopped producer is like another.
        let first = match draw.coin("stop-any-time", 150) {
            true => 1,
            false => work.sends.saturating_sub(4).max(1),
        };
        let nth = draw.between("stop-send", first, work.sends) - 1;
        let after = draw.one_of("stop-after", [0, 1, 2, 5, 20, 100, 500]);
        producer.stop_ms = Some(work.start_ms + nth * work.every_ms + after);
    }
}

/// One or two workloads for each producer.
pub(super) fn workloads(
    draw: &Draw,
    cluster: &ClusterPlan,
    producers: &[ProducerPlan],
) -> Vec<Workload> {
    let mut owners = Vec::new();
    for (number, producer) in producers.iter().enumerate() {
        // Those of a limited producer get into each other's way.
        let draw = draw.part("producer", number);
        let count = match producer.limits == Limits::default() {
            true => draw.one_of("workloads", [1, 1, 2]),
            false => draw.one_of("limited-workloads", [1, 2, 2]),
        };
        owners.extend(std::iter::repeat_n(producer, count));
    }
    let sends = draw.one_of("sends", SENDS) / owners.len().max(1) as u64;
    let each = owners.into_iter().enumerate();
    each.map(|(number, owner)| workload(&draw.part("workload", number), cluster, owner, sends))
        .collect()
}

/// The topic of a workload, none if no broker has it from the start, and its queues.
fn topic_and_target<'c>(
    draw: &Draw,
    cluster: &'c ClusterPlan,
) -> (Option<&'c (Name, i32)>, Target) {
    let known = draw.index("topic", cluster.topics.len());
    let topic = Some(&cluster.topics[known]).filter(|_| !draw.coin("new-topic", 125));
    let target = match (topic, draw.between("target", 1, 100)) {
        (Some((_, queues)), 1..=18) => {
            let last = u64::from(queues.unsigned_abs() - 1);
            Target::Queue {
                broker: draw.pick("pinned-broker", &cluster.brokers),
                queue: draw.between("pinned-queue", 0, last) as i32,
                topic: draw
                    .coin("queue-of-another", 80)
                    .then(|| Name::from(NEW_TOPIC)),
            }
        }
        (_, 19..=30) => Target::Keys(draw.one_of("keys", [1, 3, 10])),
        (_, 31..=33) => Target::Random,
        (_, 34..=36) => Target::Last,
        (_, 37) => Target::Nothing,
        _ => Target::Any,
    };
    (topic, target)
}

fn workload(draw: &Draw, cluster: &ClusterPlan, owner: &ProducerPlan, sends: u64) -> Workload {
    use SendMode::{Async, Oneway, Sync};
    // Limits are about async sends.
    let is_limited = owner.limits != Limits::default();
    let mode = match is_limited {
        true => draw.one_of("limited-mode", [Async, Async, Async, Async, Sync, Oneway]),
        false => draw.one_of("mode", [Sync, Sync, Sync, Async, Async, Oneway]),
    };
    let sends = draw.between("sends", sends * 3 / 4, sends * 5 / 4);
    let evenly = LAST_MS / sends.max(1);
    // Faults last for seconds: most sends are close enough to each other for many to meet one.
    let every_ms = match draw.one_of("pace", [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]) {
        0 => evenly,
        1 => draw.between("every", 10, evenly.clamp(10, 300)),
        // A burst.
        _ => draw.one_of("burst-every", [1, 1, 2, 5]),
    };
    let latest = LAST_MS.saturating_sub(sends * every_ms);
    let start_ms = match draw.one_of("start", [0, 0, 0, 1, 2, 3, 3, 3, 3, 3]) {
        0 => FIRST_MS,
        // While the servers are starting.
        1 => draw.between("start-early", 0, FIRST_MS),
        2 => 0,
        _ => draw.between("start-ms", FIRST_MS, latest.max(FIRST_MS)),
    };
    let (topic, target) = topic_and_target(draw, cluster);
    Workload {
        producer: Name::clone(&owner.name),
        topic: topic.map_or_else(|| Name::from(NEW_TOPIC), |(topic, _)| Name::clone(topic)),
        mode,
        sends,
        every_ms,
        start_ms,
        // The limit of compression is 4096.
        body_bytes: draw.one_of("body", [16, 16, 16, 200, 200, 4_095, 4_096, 20_000]),
        target,
        callers: match mode {
            Sync => draw.one_of("callers", [1, 1, 1, 4, 16]),
            Async | Oneway => 1,
        },
        drop_after_ms: match mode {
            Sync if draw.coin("drops", 80) => {
                Some(draw.one_of("drop-after", [0, 1, 5, 50, 500, 2_000]))
            }
            _ => None,
        },
        callback: match mode {
            Async => callback(draw),
            Sync | Oneway => Callback::Plain,
        },
        timeout_ms: draw
            .coin("own-timeout", if is_limited { 400 } else { 80 })
            .then(|| {
                let (timeout, _) = owner.timeout_and_attempts();
                draw.one_of("own-timeout-of", [timeout / 2, timeout * 2])
                    .max(1)
            }),
        tag: draw.coin("tagged", 200).then(|| "lab".to_owned()),
        // Seldom: the brokers of the laboratory refuse messages with a delay, so every such send fails.
        delay_level: draw
            .coin("delayed", 25)
            .then(|| draw.one_of("delay-level", [1, 3, 18])),
        flag: match draw.coin("flagged", 150) {
            true => draw.one_of("flag", [1, 0x1234_5678, -1]),
            false => 0,
        },
        property: draw
            .coin("property", 200)
            .then(|| "of the laboratory".to_owned()),
        waits_stored: !draw.coin("does-not-wait", 100),
        own_ids: draw.coin("own-ids", 80),
    }
}

fn callback(draw: &Draw) -> Callback {
    match draw.between("callback", 1, 7) {
        1 => Callback::Panics,
        2 => Callback::SendsAgain,
        _ => Callback::Plain,
    }
}

//! Who sends what.

use rmq_remoting::observe::Name;

use super::draw::Draw;
use crate::scenario::{
    Callback, ClusterPlan, NetworkPlan, PolicySource, ProducerPlan, SendMode, Target, Workload,
};

/// About so many sends in a run, over all workloads.
const SENDS: u64 = 60;
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

/// One producer, or two that know nothing of each other.
pub(super) fn producers(
    draw: &Draw,
    cluster: &ClusterPlan,
    network: NetworkPlan,
) -> Vec<ProducerPlan> {
    let more = cluster.name_servers.saturating_sub(2);
    let round_trips = ROUND_TRIPS + ROUND_TRIPS_MORE * u64::from(more);
    let shortest_ms = round_trips * 2 * (network.latency_ms + network.jitter_ms);
    let count = draw.one_of("producers", [1_usize, 1, 2]);
    // Nearly all runs look for bugs of the default; the presets share its code.
    let policy = match draw.between("policy", 1, 60) {
        58 => "java_5_3",
        59 => "java_4_9",
        60 => "go_2_1",
        _ => "strict",
    };
    (0..count)
        .map(|number| {
            let draw = draw.part("producer", number);
            let name = format!("p{}", number + 1);
            let asked_first = draw.between("first-name-server", 0, cluster.name_servers.into());
            ProducerPlan {
                group: format!("group-{name}"),
                name: Name::from(name),
                policy: PolicySource::Preset(policy),
                timeout_ms: Some(match draw.coin("hasty", 100) {
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
                    [
                        None,
                        None,
                        None,
                        Some(0),
                        Some(0),
                        Some(1),
                        Some(2),
                        Some(4),
                    ],
                ),
                first_queue: draw
                    .one_of("first-queue", [None, None, None, Some(0), EDGE, EDGE])
                    .filter(|first| *first == 0 || wraps_evenly(cluster)),
                // One beyond the last: drawn by the producer itself.
                first_name_server: Some(asked_first as u32)
                    .filter(|first| *first < cluster.name_servers),
                id_constant: None,
                first_opaque: draw.coin("opaque-wraps", 125).then(|| {
                    let before = draw.between("opaque-before", 0, 40);
                    i32::MAX - before as i32
                }),
                fault_tolerance: draw.coin("forgets", 200).then_some(false),
                stop_ms: None,
            }
        })
        .collect()
}

/// Stops some producers early: at any time, or while a send of theirs may be under way.
pub(super) fn stops(draw: &Draw, producers: &mut [ProducerPlan], workloads: &[Workload]) {
    for (number, producer) in producers.iter_mut().enumerate() {
        let draw = draw.part("producer", number);
        if !draw.coin("stops", 120) {
            continue;
        }
        let own = workloads.iter().filter(|one| one.producer == producer.name);
        let own: Vec<&Workload> = own.collect();
        let work = own[draw.index("stop-in", own.len())];
        let send = draw.coin("stop-near", 700).then(|| {
            let nth = draw.between("stop-send", 1, work.sends) - 1;
            work.start_ms + nth * work.every_ms
        });
        let after = draw.one_of("stop-after", [0, 1, 2, 5, 20, 100, 500]);
        let any = draw.between("stop-ms", FIRST_MS, LAST_MS);
        producer.stop_ms = Some(send.map_or(any, |at| at + after));
    }
}

/// Whether a rotation goes on evenly where its counter wraps: what is checked of its spread holds there
/// only if the number of queues divides the counter's range.
fn wraps_evenly(cluster: &ClusterPlan) -> bool {
    let mut topics = cluster.topics.iter();
    cluster.brokers.len().is_power_of_two()
        && topics.all(|(_, queues)| queues.unsigned_abs().is_power_of_two())
}

/// One or two workloads for each producer.
pub(super) fn workloads(
    draw: &Draw,
    cluster: &ClusterPlan,
    producers: &[ProducerPlan],
) -> Vec<Workload> {
    let mut owners = Vec::new();
    for (number, producer) in producers.iter().enumerate() {
        let count = draw.part("producer", number).one_of("workloads", [1, 1, 2]);
        owners.extend(std::iter::repeat_n(producer, count));
    }
    let sends = SENDS / owners.len().max(1) as u64;
    let each = owners.into_iter().enumerate();
    each.map(|(number, owner)| workload(&draw.part("workload", number), cluster, owner, sends))
        .collect()
}

fn workload(draw: &Draw, cluster: &ClusterPlan, owner: &ProducerPlan, sends: u64) -> Workload {
    use SendMode::{Async, Oneway, Sync};
    let mode = draw.one_of("mode", [Sync, Sync, Sync, Async, Async, Oneway]);
    let sends = draw.between("sends", sends * 3 / 4, sends * 5 / 4);
    let evenly = LAST_MS / sends.max(1);
    let every_ms = match draw.one_of("pace", [0, 0, 0, 1, 2]) {
        0 => evenly,
        1 => draw.between("every", 10, evenly),
        // A burst.
        _ => draw.one_of("burst-every", [1, 1, 2, 5]),
    };
    let latest = LAST_MS.saturating_sub(sends * every_ms);
    let start_ms = match draw.one_of("start", [0, 0, 0, 1, 2, 2, 2, 2, 2]) {
        0 => FIRST_MS,
        // While the servers are starting.
        1 => draw.between("start-early", 0, FIRST_MS),
        _ => draw.between("start-ms", FIRST_MS, latest.max(FIRST_MS)),
    };
    let known = draw.index("topic", cluster.topics.len());
    let topic = Some(&cluster.topics[known]).filter(|_| !draw.coin("new-topic", 125));
    let target = match topic {
        Some((_, queues)) if mode == Sync && draw.coin("pinned", 300) => {
            let last = u64::from(queues.unsigned_abs() - 1);
            Target::Queue {
                broker: draw.pick("pinned-broker", &cluster.brokers),
                queue: draw.between("pinned-queue", 0, last) as i32,
            }
        }
        _ if mode == Sync && draw.coin("keyed", 200) => {
            Target::Keys(draw.one_of("keys", [1, 3, 10]))
        }
        _ => Target::Any,
    };
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
    }
}

fn callback(draw: &Draw) -> Callback {
    match draw.between("callback", 1, 7) {
        1 => Callback::Panics,
        2 => Callback::SendsAgain,
        _ => Callback::Plain,
    }
}

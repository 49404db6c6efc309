//! Everything a seed decides of a scenario, in one plain struct.

use std::fmt;

use rmq_remoting::observe::Name;
use rmq_remoting::profile::Profile::{V4_9_7, V5_2_0, V5_3_3};
use serde::Serialize;

use super::draw::Draw;
use super::kinds;
use super::{aim, plan, situation, work};
use crate::fault::{Fault, Millis};
use crate::scenario::{
    ClusterPlan, Expect, Hooks, NetworkPlan, Order, PolicySource, ProducerPlan, Scenario, SendMode,
    Target, Workload,
};

/// How long a generated run lasts, before the liveness phase.
const SECONDS: u64 = 60;
/// Within so many milliseconds after the last fault the cluster serves again: a registration and a
/// poll (30 s each), what a retransmission holds back, and a send.
const LIVENESS_MS: u64 = 90_000;

/// By then the servers are there, and the name servers know the brokers.
const BOOTED_MS: u64 = 300;
/// The longest body where a producer's policy has another limit than its preset.
const MAX_BODY: u32 = 1_000;
/// Sends of one caller that fail one after the other take no longer than this.
const IN_A_ROW_MS: u64 = 30_000;

/// The sends of a workload that find the servers there and their producer not stopped yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reached {
    /// The index of the workload.
    pub workload: usize,
    /// The first of its sends, from 1.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

/// Everything a seed decides of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Knobs {
    /// The seed that everything else is drawn from.
    pub seed: u64,
    /// The kinds of fault that exist in this run.
    pub kinds: Vec<&'static str>,
    /// Whether answers are sought that come within a millisecond of a deadline.
    pub near: bool,
    /// The name servers, brokers and topics of the run.
    pub cluster: ClusterPlan,
    /// The network without faults.
    pub network: NetworkPlan,
    /// The producers, each with its policy.
    pub producers: Vec<ProducerPlan>,
    /// What the producers are asked to send.
    pub workloads: Vec<Workload>,
    /// The faults, in the order of their numbers.
    pub faults: Vec<Fault>,
}

impl Knobs {
    /// Draws every knob of a seed.
    pub(crate) fn draw(seed: u64) -> Self {
        let draw = Draw::of(seed);
        let cluster = cluster(&draw);
        let network = network(&draw);
        let mut producers = work::producers(&draw, &cluster, network);
        let workloads = work::workloads(&draw, &cluster, &producers);
        work::stops(&draw, &mut producers, &workloads);
        let mut knobs = Self {
            seed,
            kinds: kinds::of_this_run(&draw),
            near: draw.coin("near", 250),
            network,
            cluster,
            producers,
            workloads,
            faults: Vec::new(),
        };
        knobs.faults = plan::faults(&draw, &knobs);
        // What is arranged is whole, or it is not there.
        let arranged = situation::faults(&draw, &knobs);
        knobs
            .faults
            .retain(|it| !arranged.iter().any(|other| plan::clash(it, other)));
        knobs.faults.extend(arranged);
        for fault in aim::faults(&draw, &knobs) {
            if !knobs.faults.iter().any(|other| plan::hides(other, &fault)) {
                knobs.faults.push(fault);
            }
        }
        plan::forgotten(&draw, &mut knobs);
        knobs
    }

    /// Whether every producer gives up connections that swallow what is sent, as the default policy does.
    pub(crate) fn gives_dead_peers_up(&self) -> bool {
        let strict = PolicySource::Preset("strict");
        let keeps = |changes: &String| changes.contains("dead-peer");
        let mut producers = self.producers.iter();
        producers.all(|plan| plan.policy == strict && !plan.changes.as_ref().is_some_and(keeps))
    }

    /// The nodes of the producers: of those that share a client, the one where all of them are.
    pub(crate) fn producer_nodes(&self) -> Vec<Name> {
        let own = self.producers.iter().filter(|it| it.client.is_none());
        own.map(|it| Name::clone(&it.name)).collect()
    }

    /// The node where a producer lives.
    pub(crate) fn node_of(&self, producer: &Name) -> Name {
        let plan = self.producers.iter().find(|it| it.name == *producer);
        Name::clone(plan.map_or(producer, ProducerPlan::node))
    }

    /// The sends that make attempts, as far as can be said before the run, of each workload that has any; all
    /// sends of all workloads if there are none.
    pub(crate) fn reached(&self) -> Vec<Reached> {
        let all = 0..self.workloads.len();
        let reached: Vec<_> = all.clone().filter_map(|nth| self.reached_of(nth)).collect();
        if !reached.is_empty() {
            return reached;
        }
        let whole = |workload: usize| Reached {
            workload,
            first: 1,
            last: self.workloads[workload].sends,
        };
        all.map(whole).collect()
    }

    fn reached_of(&self, workload: usize) -> Option<Reached> {
        let work = &self.workloads[workload];
        let before = |ms: u64| {
            let passed = ms.saturating_sub(work.start_ms);
            passed.div_ceil(work.every_ms.max(1)).min(work.sends)
        };
        let owner = self.producers.iter().find(|it| it.name == work.producer);
        let stop = owner.and_then(|it| it.stop_ms);
        let (first, last) = (before(BOOTED_MS) + 1, stop.map_or(work.sends, before));
        let is_invalid = work.target == Target::Nothing || work.target.other_topic().is_some();
        let may_go = !is_invalid && !owner.is_some_and(|it| refuses(it, work));
        (may_go && first <= last).then_some(Reached {
            workload,
            first,
            last,
        })
    }

    /// So many sends of a workload may fail one after the other: a caller that waits for each of them makes
    /// the next one later, and a run must not last for ever.
    pub(crate) fn in_a_row(&self, workload: usize) -> u64 {
        let work = &self.workloads[workload];
        let owner = self.producers.iter().find(|it| it.name == work.producer);
        let (timeout, _) = owner.map_or((3_000, 3), ProducerPlan::timeout_and_attempts);
        let timeout = work.timeout_ms.unwrap_or(timeout).max(1);
        match work.mode {
            SendMode::Sync => (IN_A_ROW_MS / timeout * u64::from(work.callers)).max(3),
            SendMode::Async | SendMode::Oneway => u64::MAX,
        }
    }

    /// The scenario that these knobs describe.
    pub(crate) fn scenario(self) -> Scenario {
        let mut producers = self.producers.iter();
        let forbids = producers.any(|it| matches!(it.hooks, Hooks::Forbid(_)));
        Scenario {
            name: "generated".to_owned(),
            seconds: SECONDS,
            cluster: self.cluster,
            network: self.network,
            producers: self.producers,
            workloads: self.workloads,
            faults: self.faults,
            // A topic may be on the broker alone that a hook forbids.
            liveness_ms: (!forbids).then_some(LIVENESS_MS),
            expect: Expect::default(),
        }
    }
}

/// Whether a producer refuses every message of a workload for its length.
fn refuses(owner: &ProducerPlan, work: &Workload) -> bool {
    let is_long = |limit: u32| work.body_bytes > limit as usize;
    let checks = owner.changes.as_ref();
    let checks = checks.is_some_and(|it| it.contains("max-body")) && is_long(MAX_BODY);
    let limits = work.mode == SendMode::Async && owner.limits.bytes.is_some_and(is_long);
    checks || limits
}

impl fmt::Display for Knobs {
    /// In a few lines for a person; faults and network are printed with the run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = match self.kinds.len() {
            0 => "none".to_owned(),
            all if all == kinds::all().count() => "all".to_owned(),
            _ => self.kinds.join(", "),
        };
        writeln!(f, "kinds    {kinds}")?;
        let topics: Vec<String> = self
            .cluster
            .topics
            .iter()
            .map(|(topic, queues)| format!("{topic} with {queues} queues"))
            .collect();
        writeln!(
            f,
            "cluster  {} name servers, {}, of {}; {}",
            self.cluster.name_servers,
            self.cluster.brokers.join(", "),
            self.cluster.profile,
            topics.join(", "),
        )?;
        for plan in &self.producers {
            let timeout = plan
                .timeout_ms
                .map_or("default".to_owned(), |ms| Millis(ms).to_string());
            let retries = plan.retries.map_or("default".to_owned(), |n| n.to_string());
            writeln!(
                f,
                "client   {} {} timeout {timeout}, retries {retries}",
                plan.name,
                match &plan.policy {
                    PolicySource::Preset(name) => name,
                    PolicySource::Text { file, .. } => file.as_str(),
                },
            )?;
            if let Some(owner) = &plan.client {
                writeln!(f, "         {} shares the client of {owner}", plan.name)?;
            }
            if let Some(changes) = &plan.changes {
                writeln!(f, "         {} with {changes}", plan.name)?;
            }
        }
        for (number, one) in (1..).zip(&self.workloads) {
            let mode = match one.mode {
                SendMode::Sync => "sync",
                SendMode::Async => "async",
                SendMode::Oneway => "oneway",
            };
            write!(
                f,
                "work {number}   {} {} sends by {} to {}, one per {}, from {}, {} bytes",
                one.sends,
                mode,
                one.producer,
                one.topic,
                Millis(one.every_ms),
                Millis(one.start_ms),
                one.body_bytes,
            )?;
            writeln!(f, "{}", goes_to(&one.target))?;
        }
        Ok(())
    }
}

/// Where the sends of a workload go, as a person reads it behind the rest of its line.
fn goes_to(target: &Target) -> String {
    match target {
        Target::Any => String::new(),
        Target::Queue {
            broker,
            queue,
            topic: None,
        } => format!(", to queue {broker}/{queue}"),
        Target::Queue {
            broker,
            queue,
            topic: Some(topic),
        } => format!(", to queue {broker}/{queue} of {topic}"),
        Target::Keys(keys) => format!(", by {keys} keys"),
        Target::Random => ", to a drawn queue".to_owned(),
        Target::Last => ", to the last queue".to_owned(),
        Target::Nothing => ", to no queue".to_owned(),
    }
}

fn cluster(draw: &Draw) -> ClusterPlan {
    let mut brokers = draw.one_of("brokers", [1, 2, 2, 3, 3, 3, 4]);
    if draw.coin("many-brokers", 30) {
        brokers = draw.one_of("many-brokers-count", [5, 6, 8, 12]);
    }
    let topics = draw.one_of("topics", [1_usize, 1, 2]);
    let topics = (0..topics).map(|number| {
        let draw = draw.part("topic", number);
        let mut queues = draw.one_of("queues", [1, 2, 3, 4, 4, 4, 8]);
        if draw.coin("many-queues", 40) {
            queues = draw.one_of("many-queues-count", [16, 64, 100, 256, 300]);
        }
        (Name::from(format!("topic-{}", number + 1)), queues)
    });
    let mut cluster = ClusterPlan {
        name_servers: draw.one_of("name-servers", [1, 2, 2, 3]),
        brokers: (b'a'..)
            .take(brokers)
            .map(|letter| Name::from(format!("broker-{}", char::from(letter))))
            .collect(),
        profile: draw.one_of("profile", [V5_3_3, V5_3_3, V5_3_3, V5_2_0, V4_9_7]),
        topics: topics.collect(),
        only_on: Vec::new(),
        without_master: Vec::new(),
    };
    let (first, more) = (cluster.brokers.first().cloned(), cluster.brokers.len() > 1);
    if let Some(first) = first.filter(|_| more) {
        // The first broker has every topic, and a master.
        let others = &cluster.brokers[1..];
        if draw.coin("topic-on-a-part", 80) {
            let (topic, _) = draw.pick("part-topic", &cluster.topics);
            let also = draw.pick("part-broker", others);
            let part = match draw.coin("part-of-two", 500) {
                true => vec![first, also],
                false => vec![first],
            };
            cluster.only_on.push((topic, part));
        }
        if draw.coin("without-master", 50) {
            let broker = draw.pick("masterless", &cluster.brokers[1..]);
            cluster.without_master.push(broker);
        }
    }
    cluster
}

fn network(draw: &Draw) -> NetworkPlan {
    NetworkPlan {
        latency_ms: draw.one_of("latency", [1, 1, 2, 5, 20, 50]),
        jitter_ms: draw.one_of("jitter", [0, 0, 0, 1, 3, 20]),
        ready_order: Order::Drawn,
    }
}

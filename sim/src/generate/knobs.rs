//! Everything a seed decides of a scenario, in one plain struct.

use std::fmt;

use rmq_remoting::observe::Name;
use rmq_remoting::profile::Profile::{V4_9_7, V5_2_0, V5_3_3};
use serde::Serialize;

use super::draw::Draw;
use super::kinds;
use super::{plan, work};
use crate::fault::{Fault, Millis};
use crate::scenario::{
    ClusterPlan, Expect, NetworkPlan, Order, PolicySource, ProducerPlan, Scenario, SendMode,
    Target, Workload,
};

/// How long a generated run lasts, before the liveness phase.
const SECONDS: u64 = 60;
/// Within so many milliseconds after the last fault the cluster serves again: a registration and a
/// poll (30 s each), what a retransmission holds back, and a send.
const LIVENESS_MS: u64 = 90_000;

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
        plan::forgotten(&draw, &mut knobs);
        knobs
    }

    /// Whether every producer behaves by the default policy.
    pub(crate) fn is_strict(&self) -> bool {
        let strict = PolicySource::Preset("strict");
        self.producers.iter().all(|plan| plan.policy == strict)
    }

    /// The scenario that these knobs describe.
    pub(crate) fn scenario(self) -> Scenario {
        Scenario {
            name: "generated".to_owned(),
            seconds: SECONDS,
            cluster: self.cluster,
            network: self.network,
            producers: self.producers,
            workloads: self.workloads,
            faults: self.faults,
            liveness_ms: Some(LIVENESS_MS),
            expect: Expect::default(),
        }
    }
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
            match &one.target {
                Target::Any => writeln!(f)?,
                Target::Queue { broker, queue } => {
                    writeln!(f, ", to queue {broker}/{queue}")?;
                }
                Target::Keys(keys) => writeln!(f, ", by {keys} keys")?,
            }
        }
        Ok(())
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
    ClusterPlan {
        name_servers: draw.one_of("name-servers", [1, 2, 2, 3]),
        brokers: (b'a'..)
            .take(brokers)
            .map(|letter| Name::from(format!("broker-{}", char::from(letter))))
            .collect(),
        profile: draw.one_of("profile", [V5_3_3, V5_3_3, V5_3_3, V5_2_0, V4_9_7]),
        topics: topics.collect(),
    }
}

fn network(draw: &Draw) -> NetworkPlan {
    NetworkPlan {
        latency_ms: draw.one_of("latency", [1, 1, 2, 5, 20, 50]),
        jitter_ms: draw.one_of("jitter", [0, 0, 0, 1, 3, 20]),
        ready_order: Order::Drawn,
    }
}

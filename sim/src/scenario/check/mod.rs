//! From the file as written to a scenario that can be run: names exist, figures are possible.

use std::collections::BTreeSet;
use std::ops::Range;

use rmq_producer::policy::PRESETS;
use rmq_remoting::observe::Name;
use rmq_remoting::profile::Profile;
use toml::Spanned;

use super::error::{ScenarioError, Source};
use super::file::FORMAT;
use super::value::Ms;
use super::{
    ClusterPlan, Expect, NetworkPlan, Order, PolicySource, ProducerPlan, Scenario, file, format_1,
};
use crate::trace::NodeKind;

mod fault;
mod keys;
mod position;
mod rule;
mod workload;

pub(crate) use keys::FaultKeys;
pub(super) use rule::{LAST_CODE, default_codes};

const MAX_SECONDS: u64 = 86_400;
const MAX_NAME_SERVERS: u32 = 9;
const MAX_BROKERS: usize = 100;

/// Reads a file that a policy is named by; relative to the scenario's folder.
pub(super) type Load<'a> = &'a dyn Fn(&str) -> std::io::Result<String>;

/// The nodes of a scenario, for looking up names.
#[derive(Debug)]
pub(crate) struct Nodes<'a> {
    pub(super) source: Source<'a>,
    pub(super) name_servers: Vec<Name>,
    pub(super) brokers: Vec<Name>,
    pub(super) producers: Vec<Name>,
}

impl Nodes<'_> {
    pub(super) fn is_server(&self, name: &str) -> bool {
        has(&self.name_servers, name) || has(&self.brokers, name)
    }

    pub(super) fn is_broker(&self, name: &str) -> bool {
        has(&self.brokers, name)
    }

    /// What the node is; none for a name that no node has.
    pub(super) fn kind(&self, name: &str) -> Option<NodeKind> {
        let all = [
            (&self.producers, NodeKind::Producer),
            (&self.name_servers, NodeKind::NameServer),
            (&self.brokers, NodeKind::Broker),
        ];
        let mut all = all.into_iter();
        all.find_map(|(names, kind)| has(names, name).then_some(kind))
    }

    /// Refuses a name that no node has.
    pub(super) fn known(&self, name: &str, at: Range<usize>) -> Result<(), ScenarioError> {
        if self.is_server(name) || has(&self.producers, name) {
            return Ok(());
        }
        let all = self.producers.iter().chain(&self.name_servers);
        let all: Vec<&str> = all.chain(&self.brokers).map(|name| &**name).collect();
        Err(self.source.error(
            at,
            format!("no node is called \"{name}\""),
            format!("use one of: {}", all.join(", ")),
        ))
    }
}

fn has(list: &[Name], name: &str) -> bool {
    list.iter().any(|known| &**known == name)
}

/// Checks a file and makes the scenario.
pub(super) fn scenario(
    source: Source<'_>,
    name: String,
    raw: file::File,
    load: Load<'_>,
) -> Result<Scenario, ScenarioError> {
    if *raw.format.get_ref() != FORMAT {
        return Err(source.error(
            raw.format.span(),
            format!("format {} is unknown", raw.format.get_ref()),
            "write `format = 2`",
        ));
    }
    let seconds = within(source, "seconds", &raw.seconds, 1, MAX_SECONDS)?;
    let cluster_at = raw.cluster.span();
    let cluster = cluster(source, raw.cluster.into_inner())?;
    let network = network(source, raw.network)?;
    let mut producers = Vec::new();
    for (name, producer) in raw.producer {
        producers.push(self::producer(source, &cluster, &name, producer, load)?);
    }
    let nodes = Nodes {
        source,
        name_servers: cluster.name_server_names(),
        brokers: cluster.brokers.clone(),
        producers: producers.iter().map(|one| Name::clone(&one.name)).collect(),
    };
    if let Some(twice) = nodes.producers.iter().find(|name| nodes.is_server(name)) {
        return Err(source.error(
            cluster_at,
            format!("\"{twice}\" is a server and a producer"),
            "give each node a name of its own",
        ));
    }
    let mut workloads = Vec::new();
    for workload in raw.workload {
        workloads.push(workload::workload(&nodes, &cluster, seconds, workload)?);
    }
    let mut faults = Vec::new();
    for fault in raw.fault {
        faults.extend(fault::fault(&nodes, seconds, &workloads, fault)?);
    }
    let liveness_ms = match &raw.liveness {
        Some(bound) => Some(duration(source, "liveness", bound, 1_000, 3_600_000)?),
        None => None,
    };
    Ok(Scenario {
        name,
        seconds,
        cluster,
        network,
        producers,
        workloads,
        faults,
        liveness_ms,
        expect: expect(&raw.expect),
    })
}

/// A figure within its limits.
pub(super) fn within<T: Copy + Ord + std::fmt::Display>(
    source: Source<'_>,
    what: &str,
    figure: &Spanned<T>,
    min: T,
    max: T,
) -> Result<T, ScenarioError> {
    let value = *figure.get_ref();
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(source.error(
        figure.span(),
        format!("{what} cannot be {value}"),
        format!("write a number from {min} to {max}"),
    ))
}

/// A name that can stand in a trace, a link and a file name.
fn node_name(
    source: Source<'_>,
    name: &str,
    at: Range<usize>,
    taken: &mut BTreeSet<String>,
) -> Result<Name, ScenarioError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
        return Err(source.error(
            at,
            format!("\"{name}\" is no name for a node"),
            "use up to 32 letters, digits, '-' and '_'",
        ));
    }
    if name.starts_with("ns-") {
        return Err(source.error(
            at,
            format!("\"{name}\" looks like a name server"),
            "name servers are called ns-1, ns-2 … by themselves; choose another name",
        ));
    }
    if !taken.insert(name.to_owned()) {
        return Err(source.error(
            at,
            format!("\"{name}\" is there twice"),
            "give each node a name of its own",
        ));
    }
    Ok(Name::from(name))
}

fn cluster(source: Source<'_>, raw: file::Cluster) -> Result<ClusterPlan, ScenarioError> {
    let name_servers = match raw.name_servers {
        Some(count) => within(source, "name-servers", &count, 1, MAX_NAME_SERVERS)?,
        None => 1,
    };
    let list = raw.brokers.get_ref();
    if list.is_empty() || list.len() > MAX_BROKERS {
        return Err(source.error(
            raw.brokers.span(),
            format!("a cluster cannot have {} brokers", list.len()),
            format!("name 1 to {MAX_BROKERS} brokers: brokers = [\"broker-a\"]"),
        ));
    }
    let mut taken = BTreeSet::new();
    let mut brokers = Vec::new();
    for broker in list {
        brokers.push(node_name(
            source,
            broker.get_ref(),
            broker.span(),
            &mut taken,
        )?);
    }
    let profile = match raw.profile {
        Some(profile) => profile.get_ref().parse().map_err(|_| {
            let all = Profile::ALL.map(|known| format!("\"{known}\""));
            source.error(
                profile.span(),
                format!("the servers cannot behave as release {}", profile.get_ref()),
                format!("write one of: {}", all.join(", ")),
            )
        })?,
        None => Profile::default(),
    };
    let mut topics = Vec::new();
    for (topic, queues) in raw.topics {
        let queues = within(source, "the number of queues", &queues, 1, 1024)?;
        topics.push((Name::from(topic), queues));
    }
    Ok(ClusterPlan {
        name_servers,
        brokers,
        profile,
        topics,
    })
}

fn network(source: Source<'_>, raw: file::Network) -> Result<NetworkPlan, ScenarioError> {
    let mut plan = NetworkPlan::default();
    if let Some(latency) = raw.latency {
        let (ms, jitter) = latency_range(source, &latency)?;
        plan.latency_ms = ms;
        plan.jitter_ms = jitter;
    }
    if let Some(order) = raw.ready_order {
        plan.ready_order = match order.get_ref().as_str() {
            "fifo" => Order::Fifo,
            "seeded" => Order::Seeded,
            "drawn" => Order::Drawn,
            other => {
                return Err(source.error(
                    order.span(),
                    format!("there is no ready order \"{other}\""),
                    "write \"fifo\", \"seeded\", or \"drawn\" for one of them by seed",
                ));
            }
        };
    }
    Ok(plan)
}

/// A latency and its jitter, at least a millisecond and at most a minute.
pub(super) fn latency_range(
    source: Source<'_>,
    raw: &Spanned<file::Latency>,
) -> Result<(u64, u64), ScenarioError> {
    let (ms, jitter) = (raw.get_ref().ms, raw.get_ref().jitter);
    if (1..=60_000).contains(&ms) && jitter <= 60_000 {
        return Ok((ms, jitter));
    }
    Err(source.error(
        raw.span(),
        format!("a latency of {ms} ms with {jitter} ms of jitter is impossible"),
        "time moves in whole milliseconds: write ms from 1 to 60000 and jitter from 0 to 60000",
    ))
}

/// A preset, or a file beside the scenario.
fn policy(
    source: Source<'_>,
    policy: &Spanned<String>,
    load: Load<'_>,
) -> Result<PolicySource, ScenarioError> {
    let preset = PRESETS.into_iter().find(|name| name == policy.get_ref());
    if let Some(name) = preset {
        return Ok(PolicySource::Preset(name));
    }
    let file = policy.get_ref().clone();
    let text = load(&file).map_err(|error| {
        source.error(
            policy.span(),
            format!("\"{file}\" is no preset, and as a file it cannot be read: {error}"),
            format!(
                "write one of {}, or a policy file beside the scenario",
                PRESETS.join(", ")
            ),
        )
    })?;
    let text = format_1::policy(&text).into_owned();
    Ok(PolicySource::Text { file, text })
}

fn producer(
    source: Source<'_>,
    cluster: &ClusterPlan,
    name: &str,
    raw: Spanned<file::Producer>,
    load: Load<'_>,
) -> Result<ProducerPlan, ScenarioError> {
    let at = raw.span();
    let raw = raw.into_inner();
    let name = node_name(source, name, at, &mut BTreeSet::new())?;
    let policy = match raw.policy {
        None => PolicySource::Preset("strict"),
        Some(policy) => self::policy(source, &policy, load)?,
    };
    let timeout_ms = match raw.timeout {
        Some(timeout) => Some(duration(source, "a timeout", &timeout, 1, 600_000)?),
        None => None,
    };
    let retries = match raw.retries {
        Some(retries) => Some(within(source, "retries", &retries, 0, 100)?),
        None => None,
    };
    let stop_ms = match raw.stop {
        Some(stop) => Some(duration(source, "the stop", &stop, 1, MAX_SECONDS * 1_000)?),
        None => None,
    };
    let first_name_server = match raw.first_name_server {
        Some(first) => Some(within(
            source,
            "first-name-server",
            &first,
            0,
            cluster.name_servers - 1,
        )?),
        None => None,
    };
    Ok(ProducerPlan {
        group: raw.group.unwrap_or_else(|| format!("group-{name}")),
        name,
        policy,
        timeout_ms,
        retries,
        first_queue: raw.first_queue,
        first_name_server,
        id_constant: raw.id_constant,
        first_opaque: raw.first_opaque,
        fault_tolerance: raw.fault_tolerance,
        stop_ms,
    })
}

/// A duration within its limits, in milliseconds.
pub(super) fn duration(
    source: Source<'_>,
    what: &str,
    figure: &Spanned<Ms>,
    min: u64,
    max: u64,
) -> Result<u64, ScenarioError> {
    let ms = figure.get_ref().0;
    if (min..=max).contains(&ms) {
        return Ok(ms);
    }
    Err(source.error(
        figure.span(),
        format!("{what} cannot be {ms} ms"),
        format!("write a duration from \"{min}ms\" to \"{max}ms\""),
    ))
}

fn expect(raw: &file::Expect) -> Expect {
    Expect {
        ok: raw.ok,
        failed: raw.failed,
        attempts: raw.attempts,
        max_attempts: raw.max_attempts,
        max_send_ms: raw.max_send_ms,
        copies: raw.copies,
        stored: raw.stored,
        hedged: raw.hedged,
    }
}

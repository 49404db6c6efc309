//! From the file as written to a scenario that can be run: names exist, figures are possible.

use std::collections::BTreeSet;
use std::ops::Range;

use rmq_producer::policy::PRESETS;
use rmq_remoting::observe::Name;
use toml::Spanned;

use super::error::{ScenarioError, Source};
use super::value::Ms;
use super::{
    Callback, ClusterPlan, Expect, NetworkPlan, Order, PolicySource, ProducerPlan, Scenario,
    SendMode, Workload, file,
};

/// The only version of the format there is.
pub(super) const FORMAT: i64 = 1;
const MAX_SECONDS: u64 = 86_400;
const MAX_NAME_SERVERS: u32 = 9;
const MAX_BROKERS: usize = 100;
const MAX_SENDS: u64 = 1_000_000;
const MAX_CALLERS: u32 = 1_000;
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Reads a file that a policy is named by; relative to the scenario's folder.
pub(super) type Load<'a> = &'a dyn Fn(&str) -> std::io::Result<String>;

/// The nodes of a scenario, for looking up names.
pub(super) struct Nodes<'a> {
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
            "write `format = 1`",
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
        workloads.push(self::workload(&nodes, &cluster, seconds, workload)?);
    }
    let mut faults = Vec::new();
    for fault in raw.fault {
        faults.extend(super::check_fault::fault(
            &nodes, seconds, &workloads, fault,
        )?);
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
        Some(profile) if profile.get_ref() != "5.3.3" => {
            return Err(source.error(
                profile.span(),
                format!("the brokers cannot behave as version {}", profile.get_ref()),
                "write profile = \"5.3.3\"",
            ));
        }
        _ => "5.3.3".to_owned(),
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

fn workload(
    nodes: &Nodes<'_>,
    cluster: &ClusterPlan,
    seconds: u64,
    raw: Spanned<file::Workload>,
) -> Result<Workload, ScenarioError> {
    let source = nodes.source;
    let raw = raw.into_inner();
    let producer = raw.producer.get_ref();
    if !has(&nodes.producers, producer) {
        return Err(source.error(
            raw.producer.span(),
            format!("no producer is called \"{producer}\""),
            format!(
                "add a table [producer.{producer}], or use one of: {}",
                nodes.producers.join(", ")
            ),
        ));
    }
    let mode = mode(source, raw.mode)?;
    let sends_at = raw.sends.span();
    let sends = within(source, "sends", &raw.sends, 1, MAX_SENDS)?;
    let every_ms = raw.every.map_or(Ok(1_000), |every| {
        duration(source, "the pause between sends", &every, 1, 3_600_000)
    })?;
    let start_ms = raw.start.map_or(Ok(1_000), |start| {
        duration(source, "the first send", &start, 0, seconds * 1_000)
    })?;
    let last_ms = start_ms + (sends - 1) * every_ms;
    if last_ms >= seconds * 1_000 {
        return Err(source.error(
            sends_at,
            format!("the last send would be at {last_ms} ms, and the run ends at {seconds} s"),
            "lower sends, every or start, or raise seconds",
        ));
    }
    if let Some(pinned) = &raw.queue
        && !nodes.is_broker(&pinned.get_ref().broker)
    {
        return Err(source.error(
            pinned.span(),
            format!("no broker is called \"{}\"", pinned.get_ref().broker),
            format!("use one of: {}", cluster.brokers.join(", ")),
        ));
    }
    let body_bytes = raw
        .body
        .map_or(Ok(16), |body| within(source, "body", &body, 1, MAX_BODY))?;
    let (callers, drop_after_ms, callback) =
        manners(source, mode, raw.callers, raw.drop_after, raw.callback)?;
    Ok(Workload {
        callers,
        drop_after_ms,
        callback,
        producer: Name::from(producer.as_str()),
        topic: Name::from(raw.topic.get_ref().as_str()),
        mode,
        sends,
        every_ms,
        start_ms,
        body_bytes,
        pinned: raw.queue.map(|queue| {
            let pinned = queue.into_inner();
            (Name::from(pinned.broker), pinned.id)
        }),
    })
}

/// How the callers behave: how many there are, when they drop a send, what their callback does.
fn manners(
    source: Source<'_>,
    mode: SendMode,
    callers: Option<Spanned<u32>>,
    drop_after: Option<Spanned<Ms>>,
    callback: Option<Spanned<String>>,
) -> Result<(u32, Option<u64>, Callback), ScenarioError> {
    let one_way_or_sync = mode != SendMode::Async;
    let drop_after_ms = match drop_after {
        Some(after) if !one_way_or_sync => {
            return Err(source.error(
                after.span(),
                "an async send has no future to drop",
                "remove drop-after, or write mode = \"sync\"",
            ));
        }
        Some(after) => Some(duration(source, "drop-after", &after, 0, 600_000)?),
        None => None,
    };
    let callback = match callback {
        Some(word) if one_way_or_sync => {
            return Err(source.error(
                word.span(),
                "only an async send has a callback",
                "remove callback, or write mode = \"async\"",
            ));
        }
        callback => self::callback(source, callback)?,
    };
    let callers = match callers {
        Some(callers) => within(source, "callers", &callers, 1, MAX_CALLERS)?,
        None => 1,
    };
    Ok((callers, drop_after_ms, callback))
}

fn callback(source: Source<'_>, raw: Option<Spanned<String>>) -> Result<Callback, ScenarioError> {
    let Some(raw) = raw else {
        return Ok(Callback::Plain);
    };
    match raw.get_ref().as_str() {
        "plain" => Ok(Callback::Plain),
        "panics" => Ok(Callback::Panics),
        "sends-again" => Ok(Callback::SendsAgain),
        other => Err(source.error(
            raw.span(),
            format!("there is no callback \"{other}\""),
            "write \"plain\", \"panics\" or \"sends-again\"",
        )),
    }
}

fn mode(source: Source<'_>, raw: Option<Spanned<String>>) -> Result<SendMode, ScenarioError> {
    let Some(raw) = raw else {
        return Ok(SendMode::Sync);
    };
    match raw.get_ref().as_str() {
        "sync" => Ok(SendMode::Sync),
        "async" => Ok(SendMode::Async),
        "oneway" => Ok(SendMode::Oneway),
        other => Err(source.error(
            raw.span(),
            format!("there is no mode \"{other}\""),
            "write \"sync\", \"async\" or \"oneway\"",
        )),
    }
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
        overtaken: raw.overtaken,
    }
}

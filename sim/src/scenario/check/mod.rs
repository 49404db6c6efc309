//! From the file as written to a scenario that can be run: names exist, figures are possible.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rmq_remoting::observe::Name;
use rmq_remoting::profile::Profile;
use toml::Spanned;

use super::error::{ScenarioError, Source};
use super::read::Suspects;
use super::value::Ms;
use super::{ClusterPlan, Expect, NetworkPlan, Order, ProducerPlan, Scenario, file};
use crate::fault::TARGET;
use crate::run::{self, Subject};
use crate::trace::NodeKind;

mod client;
mod fault;
mod keys;
mod position;
mod producer;
mod rule;
mod workload;

pub(crate) use keys::FaultKeys;

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
    /// Producers that have no node of their own: each with the one whose client it shares.
    pub(super) shared: Vec<(Name, Name)>,
}

impl Nodes<'_> {
    pub(super) fn is_server(&self, name: &str) -> bool {
        has(&self.name_servers, name) || has(&self.brokers, name)
    }

    /// Whether it is a broker, or stands for the one that a send goes to.
    pub(super) fn is_broker(&self, name: &str) -> bool {
        has(&self.brokers, name) || name == TARGET
    }

    /// What the node is; none for a name that no node has.
    pub(super) fn kind(&self, name: &str) -> Option<NodeKind> {
        if name == TARGET {
            return Some(NodeKind::Broker);
        }
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
        if let Some((_, owner)) = self.shared.iter().find(|(shares, _)| **shares == *name) {
            return Err(self.source.error(
                at,
                format!("\"{name}\" is no node: it shares the client of {owner}"),
                format!("write \"{owner}\", where both of them are"),
            ));
        }
        if self.is_server(name) || has(&self.producers, name) || name == TARGET {
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

/// The producers that have no node of their own.
fn shared(producers: &[ProducerPlan]) -> Vec<(Name, Name)> {
    let shares = producers.iter();
    let shares = shares.filter_map(|plan| Some((&plan.name, plan.client.as_ref()?)));
    shares
        .map(|(name, owner)| (Name::clone(name), Name::clone(owner)))
        .collect()
}

fn has(list: &[Name], name: &str) -> bool {
    list.iter().any(|known| &**known == name)
}

/// Checks a file and makes the scenario, which is worth nothing if anything wrong was noted.
pub(super) fn scenario(
    source: Source<'_>,
    name: String,
    (raw, suspects): (file::File, &Suspects),
    load: Load<'_>,
) -> Scenario {
    let seconds = within(source, "seconds", &raw.seconds, 1, MAX_SECONDS);
    let seconds = source.or(seconds, MAX_SECONDS);
    let cluster_at = raw.cluster.span();
    let cluster = cluster(source, raw.cluster.into_inner());
    let network = network(source, raw.network);
    let producers_at = raw.producer.iter();
    let producers_at = producers_at.map(|(name, table)| (Name::from(name.as_str()), table.span()));
    let producers_at = producers_at.collect();
    let producers = producer::producers(source, &cluster, (raw.producer, suspects), load);
    let nodes = Nodes {
        source,
        name_servers: cluster.name_server_names(),
        brokers: cluster.brokers.clone(),
        producers: producers.iter().map(|one| Name::clone(&one.name)).collect(),
        shared: shared(&producers),
    };
    if let Some(twice) = nodes.producers.iter().find(|name| nodes.is_server(name)) {
        let what = format!("\"{twice}\" is a server and a producer");
        let flaw = source.error(cluster_at, what, "give each node a name of its own");
        source.or(Err(flaw), ());
    }
    let workloads = raw.workload.into_iter();
    let workloads = workloads.map(|raw| {
        source.checked(suspects.has(&raw), || {
            workload::workload(&nodes, &cluster, seconds, raw)
        })
    });
    let workloads: Vec<_> = workloads.collect();
    let mut places = Places::of(&producers, &producers_at);
    let faults = raw.fault.into_iter().flat_map(|raw| {
        let at = raw.get_ref().kind.span();
        let faults = source.checked(suspects.has(&raw), || {
            let faults = fault::fault(&nodes, seconds, &workloads, raw);
            source.or(faults, Vec::new())
        });
        places.faults.extend(faults.iter().map(|_| at.clone()));
        faults
    });
    let faults = faults.collect();
    let bound = raw.liveness.as_ref();
    let liveness = bound.map(|bound| duration(source, "liveness", bound, 1_000, 3_600_000));
    let scenario = Scenario {
        name,
        seconds,
        cluster,
        network,
        producers,
        workloads,
        faults,
        liveness_ms: source.maybe(liveness),
        expect: expect(&raw.expect),
    };
    if source.flaws.borrow().is_empty() {
        places.refuse(source, &scenario);
    }
    scenario
}

/// Where the parts of a scenario stand in its file.
struct Places {
    /// By the scenario's list of producers.
    producers: Vec<Range<usize>>,
    /// By the scenario's list of faults.
    faults: Vec<Range<usize>>,
}

impl Places {
    fn of(producers: &[ProducerPlan], tables: &BTreeMap<Name, Range<usize>>) -> Self {
        let place = |plan: &ProducerPlan| tables.get(&plan.name).cloned().unwrap_or_default();
        Self {
            producers: producers.iter().map(place).collect(),
            faults: Vec::new(),
        }
    }

    /// Notes what a run would refuse, whatever carries it out, where the file says it.
    fn refuse(&self, source: Source<'_>, scenario: &Scenario) {
        for (subject, error) in run::flaws(scenario, run::Nodes::OfScenario) {
            let place = match subject {
                Subject::Fault(index) => self.faults.get(index),
                Subject::Producer(index) => self.producers.get(index),
            };
            let text = error.to_string();
            let (what, remedy) = text.split_once("\n  remedy: ").unwrap_or((&text, ""));
            let flaw = source.error(place.cloned().unwrap_or_default(), what, remedy);
            source.or(Err(flaw), ());
        }
    }
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
    if name == TARGET {
        return Err(source.error(
            at,
            format!("\"{name}\" stands for the broker that a send goes to"),
            "choose another name",
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

fn cluster(source: Source<'_>, raw: file::Cluster) -> ClusterPlan {
    let name_servers = match raw.name_servers {
        Some(count) => {
            let count = within(source, "name-servers", &count, 1, MAX_NAME_SERVERS);
            source.or(count, MAX_NAME_SERVERS)
        }
        None => 1,
    };
    let brokers = brokers(source, &raw.brokers);
    let profile = raw.profile.map(|profile| {
        profile.get_ref().parse().map_err(|_| {
            let all = Profile::ALL.map(|known| format!("\"{known}\""));
            source.error(
                profile.span(),
                format!("the servers cannot behave as release {}", profile.get_ref()),
                format!("write one of: {}", all.join(", ")),
            )
        })
    });
    let profile = source.maybe(profile).unwrap_or_default();
    let mut topics = Vec::new();
    for (topic, queues) in raw.topics {
        let queues = within(source, "the number of queues", &queues, 1, 1024);
        topics.push((Name::from(topic), source.or(queues, 1)));
    }
    let mut only_on = Vec::new();
    for (topic, on) in raw.only_on {
        if !topics.iter().any(|(known, _)| **known == *topic) {
            let flaw = source.error(
                on.span(),
                format!("there is no topic \"{topic}\""),
                "name one of the topics of this table",
            );
            source.or(Err(flaw), ());
        }
        let names = on.get_ref().iter().map(|name| Name::from(name.as_str()));
        let names: Vec<Name> = names.collect();
        for name in &names {
            source.or(known_broker(source, &brokers, name, on.span()), ());
        }
        only_on.push((Name::from(topic), names));
    }
    let mut without_master = Vec::new();
    for broker in raw.without_master {
        let known = known_broker(source, &brokers, broker.get_ref(), broker.span());
        source.or(known, ());
        without_master.push(Name::from(broker.get_ref().as_str()));
    }
    ClusterPlan {
        name_servers,
        brokers,
        profile,
        topics,
        only_on,
        without_master,
    }
}

/// The brokers' names. One that is no name stays: who names it elsewhere need not be told of it again.
fn brokers(source: Source<'_>, raw: &Spanned<Vec<Spanned<String>>>) -> Vec<Name> {
    let list = raw.get_ref();
    if list.is_empty() || list.len() > MAX_BROKERS {
        let flaw = source.error(
            raw.span(),
            format!("a cluster cannot have {} brokers", list.len()),
            format!("name 1 to {MAX_BROKERS} brokers: brokers = [\"broker-a\"]"),
        );
        source.or(Err(flaw), ());
    }
    let mut taken = BTreeSet::new();
    let name = |broker: &Spanned<String>| {
        let name = node_name(source, broker.get_ref(), broker.span(), &mut taken);
        source.or(name, Name::from(broker.get_ref().as_str()))
    };
    list.iter().map(name).collect()
}

fn known_broker(
    source: Source<'_>,
    brokers: &[Name],
    name: &str,
    at: Range<usize>,
) -> Result<(), ScenarioError> {
    if has(brokers, name) {
        return Ok(());
    }
    Err(source.error(
        at,
        format!("no broker is called \"{name}\""),
        format!("use one of: {}", brokers.join(", ")),
    ))
}

fn network(source: Source<'_>, raw: file::Network) -> NetworkPlan {
    let mut plan = NetworkPlan::default();
    let latency = raw.latency.map(|latency| latency_range(source, &latency));
    if let Some((ms, jitter)) = source.maybe(latency) {
        plan.latency_ms = ms;
        plan.jitter_ms = jitter;
    }
    let order = raw.ready_order.map(|order| match order.get_ref().as_str() {
        "fifo" => Ok(Order::Fifo),
        "seeded" => Ok(Order::Seeded),
        "drawn" => Ok(Order::Drawn),
        other => Err(source.error(
            order.span(),
            format!("there is no ready order \"{other}\""),
            "write \"fifo\", \"seeded\", or \"drawn\" for one of them by seed",
        )),
    });
    plan.ready_order = source.maybe(order).unwrap_or(plan.ready_order);
    plan
}

/// A latency and its jitter, at least a millisecond and at most a minute.
pub(super) fn latency_range(
    source: Source<'_>,
    raw: &Spanned<file::Latency>,
) -> Result<(u64, u64), ScenarioError> {
    let ms = raw.get_ref().ms.0;
    let jitter = raw.get_ref().jitter.map_or(0, |jitter| jitter.0);
    if (1..=60_000).contains(&ms) && jitter <= 60_000 {
        return Ok((ms, jitter));
    }
    Err(source.error(
        raw.span(),
        format!("a latency of {ms} ms with {jitter} ms of jitter is impossible"),
        "time moves in whole milliseconds: write ms from 1 to 60000 and jitter from 0 to 60000",
    ))
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
        format!("write a duration from \"{min}ms\" to \"{max}ms\", or the number of milliseconds"),
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

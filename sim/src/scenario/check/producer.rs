//! Checks one producer of a file: its policy can be read, and its settings fit each other and the cluster.

use std::collections::{BTreeMap, BTreeSet};

use rmq_producer::policy::PRESETS;
use rmq_remoting::observe::Name;
use toml::Spanned;

use super::client;
use super::{Load, MAX_SECONDS, duration, known_broker, node_name, within};
use crate::scenario::error::{ScenarioError, Source};
use crate::scenario::read::Suspects;
use crate::scenario::{
    ClusterPlan, Hooks, Limits, Namespace, PolicySource, ProducerPlan, file, format_1,
};

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

/// Checks the producers of a scenario file, each by itself and those that share a client together.
pub(super) fn producers(
    source: Source<'_>,
    cluster: &ClusterPlan,
    (raw, suspects): (BTreeMap<String, Spanned<file::Producer>>, &Suspects),
    load: Load<'_>,
) -> Vec<ProducerPlan> {
    let mut plans = Vec::new();
    let mut clients = Vec::new();
    for (name, raw) in raw {
        if let Some(client) = &raw.get_ref().client {
            client::refuse_its_settings(source, raw.get_ref(), client);
            clients.push((plans.len(), client.clone()));
        }
        let suspect = suspects.has(&raw);
        plans.push(source.checked(suspect, || producer(source, cluster, &name, raw, load)));
    }
    client::share(source, &mut plans, clients);
    plans
}

/// Checks one producer of a scenario file.
fn producer(
    source: Source<'_>,
    cluster: &ClusterPlan,
    name: &str,
    raw: Spanned<file::Producer>,
    load: Load<'_>,
) -> ProducerPlan {
    let at = raw.span();
    let raw = raw.into_inner();
    let known = node_name(source, name, at, &mut BTreeSet::new());
    let name = source.or(known, Name::from(name));
    let strict = PolicySource::Preset("strict");
    let policy = raw.policy.map(|policy| self::policy(source, &policy, load));
    let policy = source.maybe(policy).unwrap_or(strict);
    let time = |what, time: &Option<_>, most| {
        let time = time.as_ref();
        source.maybe(time.map(|time| duration(source, what, time, 1, most)))
    };
    let timeout_ms = time("a timeout", &raw.timeout, 600_000);
    let stop_ms = time("the stop", &raw.stop, MAX_SECONDS * 1_000);
    let retries = raw.retries.as_ref();
    let retries = source.maybe(retries.map(|it| within(source, "retries", it, 0, 100)));
    let last = cluster.name_servers - 1;
    let first = raw.first_name_server.as_ref();
    let first = first.map(|first| within(source, "first-name-server", first, 0, last));
    let first_name_server = source.maybe(first);
    let hooks = hooks(source, cluster, raw.hooks, raw.forbids);
    let hooks = source.or(hooks, Hooks::None);
    let namespace = namespace(source, raw.namespace, raw.namespace_v2);
    let limits = Limits {
        sends: raw.max_open_sends,
        bytes: raw.max_open_bytes,
        refuses: source.or(refuses(source, raw.when_full), false),
    };
    let dropped = raw.dropped.is_some_and(|dropped| *dropped.get_ref());
    if let (true, Some(stop)) = (dropped, &raw.stop) {
        let what = "a producer is stopped, or it is dropped without that";
        let flaw = source.error(stop.span(), what, "remove stop or dropped");
        source.or(Err(flaw), ());
    }
    let changes = changes(source, &policy, raw.changes);
    ProducerPlan {
        client: raw.client.map(|client| Name::from(client.into_inner())),
        dropped,
        changes: source.or(changes, None),
        limits,
        namespace: source.or(namespace, None),
        hooks,
        group: raw.group.unwrap_or_else(|| format!("group-{name}")),
        name,
        policy,
        timeout_ms,
        retries,
        first_queue: raw.first_queue,
        first_name_server,
        id_constant: raw.id_constant.map(Spanned::into_inner),
        first_opaque: raw.first_opaque.map(Spanned::into_inner),
        first_message: raw.first_message.map(Spanned::into_inner),
        fault_tolerance: raw.fault_tolerance,
        stop_ms,
    }
}

/// The differences from the policy, which must give a policy with it.
fn changes(
    source: Source<'_>,
    policy: &PolicySource,
    raw: Option<Spanned<toml::Table>>,
) -> Result<Option<String>, ScenarioError> {
    let Some(raw) = raw else { return Ok(None) };
    let at = raw.span();
    let text = toml::Value::Table(raw.into_inner()).to_string();
    match policy.with_changes(Some(&text)) {
        Ok(_) => Ok(Some(text)),
        Err(cause) => Err(source.error(
            at,
            format!("these changes make no policy: {cause}"),
            "write keys of a policy file, as { compress-over = 100 }",
        )),
    }
}

fn refuses(source: Source<'_>, raw: Option<Spanned<String>>) -> Result<bool, ScenarioError> {
    let Some(raw) = raw else { return Ok(false) };
    match raw.get_ref().as_str() {
        "wait" => Ok(false),
        "refuse" => Ok(true),
        other => Err(source.error(
            raw.span(),
            format!("a full producer cannot do \"{other}\""),
            "write \"wait\" or \"refuse\"",
        )),
    }
}

fn namespace(
    source: Source<'_>,
    v1: Option<Spanned<String>>,
    v2: Option<Spanned<String>>,
) -> Result<Option<Namespace>, ScenarioError> {
    match (v1, v2) {
        (None, None) => Ok(None),
        (Some(v1), None) => Ok(Some(Namespace::V1(v1.into_inner()))),
        (None, Some(v2)) => Ok(Some(Namespace::V2(v2.into_inner()))),
        (Some(_), Some(v2)) => Err(source.error(
            v2.span(),
            "a producer is in one namespace",
            "remove namespace or namespace-v2",
        )),
    }
}

fn hooks(
    source: Source<'_>,
    cluster: &ClusterPlan,
    hooks: Option<Spanned<String>>,
    forbids: Option<Spanned<String>>,
) -> Result<Hooks, ScenarioError> {
    match (hooks, forbids) {
        (None, None) => Ok(Hooks::None),
        (None, Some(broker)) => {
            known_broker(source, &cluster.brokers, broker.get_ref(), broker.span())?;
            Ok(Hooks::Forbid(Name::from(broker.get_ref().as_str())))
        }
        (Some(hooks), None) if hooks.get_ref() == "panic" => Ok(Hooks::Panic),
        (Some(hooks), None) if hooks.get_ref() == "watch" => Ok(Hooks::Watch),
        (Some(hooks), _) => Err(source.error(
            hooks.span(),
            format!("hooks cannot be \"{}\" here", hooks.get_ref()),
            "write hooks = \"panic\" or \"watch\", or forbids = \"broker-a\"",
        )),
    }
}

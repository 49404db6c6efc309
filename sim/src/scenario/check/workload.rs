//! Checks one workload of a file: its producer exists, its sends fit into the run, and its callers
//! can do what their mode asks of them.

use rmq_remoting::observe::Name;
use toml::Spanned;

use super::{Nodes, duration, has, within};
use crate::scenario::error::{ScenarioError, Source};
use crate::scenario::value::Ms;
use crate::scenario::{Callback, ClusterPlan, SendMode, Target, Workload, file};

const MAX_SENDS: u64 = 1_000_000;
const MAX_CALLERS: u32 = 1_000;
const MAX_KEYS: u32 = 1_000_000;
const MAX_BODY: usize = 4 * 1024 * 1024;
/// The last level of a broker's table.
const MAX_DELAY_LEVEL: u32 = 18;

/// Checks one workload of a scenario file against the nodes and topics that it names.
pub(super) fn workload(
    nodes: &Nodes<'_>,
    cluster: &ClusterPlan,
    seconds: u64,
    raw: Spanned<file::Workload>,
) -> Workload {
    let source = nodes.source;
    let raw = raw.into_inner();
    let producer = raw.producer.get_ref();
    if !has(&nodes.producers, producer) {
        let flaw = source.error(
            raw.producer.span(),
            format!("no producer is called \"{producer}\""),
            format!(
                "add a table [producer.{producer}], or use one of: {}",
                nodes.producers.join(", ")
            ),
        );
        source.or(Err(flaw), ());
    }
    let mode = source.or(mode(source, raw.mode), SendMode::Sync);
    let times = times(source, seconds, &raw.sends, &raw.every, &raw.start);
    let (sends, every_ms, start_ms) = source.or(times, (MAX_SENDS, 1, 0));
    let target = target(nodes, cluster, raw.queue, raw.keys, raw.select);
    let body = raw
        .body
        .map(|body| within(source, "body", &body, 0, MAX_BODY));
    let timeout = raw.timeout;
    let timeout = timeout.map(|timeout| duration(source, "a timeout", &timeout, 1, 600_000));
    let level = raw.delay_level;
    let level = level.map(|level| within(source, "delay-level", &level, 1, MAX_DELAY_LEVEL));
    let manners = manners(source, mode, raw.callers, raw.drop_after, raw.callback);
    let (callers, drop_after_ms, callback) = source.or(manners, (1, None, Callback::Plain));
    Workload {
        callers,
        drop_after_ms,
        callback,
        producer: Name::from(producer.as_str()),
        topic: Name::from(raw.topic.get_ref().as_str()),
        mode,
        sends,
        every_ms,
        start_ms,
        body_bytes: source.maybe(body).unwrap_or(16),
        target: source.or(target, Target::Any),
        timeout_ms: source.maybe(timeout),
        tag: raw.tag,
        delay_level: source.maybe(level),
        flag: raw.flag.unwrap_or(0),
        property: raw.property,
        waits_stored: raw.waits_stored.unwrap_or(true),
        own_ids: raw.own_ids.unwrap_or(false),
    }
}

/// How many sends, how far apart, and when the first: the last must begin within the run.
fn times(
    source: Source<'_>,
    seconds: u64,
    sends: &Spanned<u64>,
    every: &Option<Spanned<Ms>>,
    start: &Option<Spanned<Ms>>,
) -> Result<(u64, u64, u64), ScenarioError> {
    let sends_at = sends.span();
    let sends = within(source, "sends", sends, 1, MAX_SENDS)?;
    let every_ms = every.as_ref().map_or(Ok(1_000), |every| {
        duration(source, "the pause between sends", every, 1, 3_600_000)
    })?;
    let start_ms = start.as_ref().map_or(Ok(1_000), |start| {
        duration(source, "the first send", start, 0, seconds * 1_000)
    })?;
    let last_ms = start_ms + (sends - 1) * every_ms;
    if last_ms < seconds * 1_000 {
        return Ok((sends, every_ms, start_ms));
    }
    Err(source.error(
        sends_at,
        format!("the last send would be at {last_ms} ms, and the run ends at {seconds} s"),
        "lower sends, every or start, or raise seconds",
    ))
}

/// Where the sends go, if the caller chooses: a queue, so many keys, or a selector of its own.
fn target(
    nodes: &Nodes<'_>,
    cluster: &ClusterPlan,
    queue: Option<Spanned<file::TargetQueue>>,
    keys: Option<Spanned<u32>>,
    select: Option<Spanned<String>>,
) -> Result<Target, ScenarioError> {
    let source = nodes.source;
    match (queue, keys, select) {
        (None, None, None) => Ok(Target::Any),
        (Some(queue), None, None) => {
            let at = queue.span();
            let queue = queue.into_inner();
            if !has(&nodes.brokers, &queue.broker) {
                return Err(source.error(
                    at,
                    format!("no broker is called \"{}\"", queue.broker),
                    format!("use one of: {}", cluster.brokers.join(", ")),
                ));
            }
            Ok(Target::Queue {
                broker: Name::from(queue.broker),
                queue: queue.id,
                topic: queue.topic.map(Name::from),
            })
        }
        (None, Some(keys), None) => within(source, "keys", &keys, 1, MAX_KEYS).map(Target::Keys),
        (None, None, Some(select)) => match select.get_ref().as_str() {
            "random" => Ok(Target::Random),
            "last" => Ok(Target::Last),
            "nothing" => Ok(Target::Nothing),
            other => Err(source.error(
                select.span(),
                format!("there is no selector \"{other}\""),
                "write \"random\", \"last\" or \"nothing\"; keys = 3 chooses by the hash of a key",
            )),
        },
        (queue, keys, select) => {
            let last = select.map(|it| it.span()).or(keys.map(|it| it.span()));
            Err(source.error(
                last.or(queue.map(|it| it.span())).unwrap_or(0..0),
                "a send has a queue, a key or a selector, and not two of them",
                "remove all but one of queue, keys and select",
            ))
        }
    }
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

//! Checks one fault of a file: the kind fits the place, and every key means something for the kind.

use std::ops::Range;

use rmq_remoting::observe::Name;
use toml::Spanned;

use super::position::Frame;
use super::{Nodes, duration, latency_range, rule, within};
use crate::catalogue;
use crate::fault::{Fault, FaultKind, Place, Restart};
use crate::scenario::error::{ScenarioError, Source};
use crate::scenario::value::{Jump, Ms};
use crate::scenario::{Workload, file};

/// Checks a fault; one for each of the places it names.
pub(super) fn fault(
    nodes: &Nodes<'_>,
    seconds: u64,
    workloads: &[Workload],
    raw: Spanned<file::Fault>,
) -> Result<Vec<Fault>, ScenarioError> {
    let whole = raw.span();
    let raw = raw.into_inner();
    refuse_foreign_keys(nodes, &raw)?;
    let places = raw.on.get_ref().0.clone();
    let places_at = raw.on.span();
    if places.is_empty() {
        return Err(nodes.source.error(
            places_at,
            "a fault needs a place",
            "write on = \"broker-a\"",
        ));
    }
    let for_ms = match &raw.lasts {
        Some(lasts) => Some(duration(
            nodes.source,
            "a fault's duration",
            lasts,
            1,
            u64::MAX,
        )?),
        None => None,
    };
    let frame = Frame {
        nodes,
        seconds,
        workloads,
    };
    let kind_at = raw.kind.span();
    let mut faults = Vec::new();
    for place in places {
        let kind = kind(nodes, &raw, &whole, &place)?;
        check_place(nodes, &kind, &place, &places_at)?;
        if let Some(lie) = kind.lie() {
            let code_at = raw.code.as_ref().map_or(kind_at.clone(), Spanned::span);
            let what = format!("\"{}\" {}", kind.name(), lie.what);
            return Err(nodes.source.error(code_at, what, lie.remedy));
        }
        let at = frame.position(&kind, &place, raw.at.clone())?;
        if kind.is_at_once() && for_ms.is_some() {
            return Err(nodes.source.error(
                kind_at,
                format!("\"{}\" strikes connections once and for good", kind.name()),
                "remove `for`; use a partition for a link that heals",
            ));
        }
        faults.push(Fault {
            kind,
            place,
            at,
            for_ms,
        });
    }
    Ok(faults)
}

/// Refuses a key that means nothing for the kind of fault, as the catalogue has it.
fn refuse_foreign_keys(nodes: &Nodes<'_>, raw: &file::Fault) -> Result<(), ScenarioError> {
    let given = [
        ("data", raw.data.as_ref().map(Spanned::span)),
        ("address", raw.address.as_ref().map(Spanned::span)),
        ("step", raw.step.as_ref().map(Spanned::span)),
        ("without", raw.without.as_ref().map(Spanned::span)),
        ("queues", raw.queues.as_ref().map(Spanned::span)),
        ("latency", raw.latency.as_ref().map(Spanned::span)),
        ("bytes-per-ms", raw.bytes_per_ms.as_ref().map(Spanned::span)),
        ("bytes", raw.bytes.as_ref().map(Spanned::span)),
        ("byte", raw.byte.as_ref().map(Spanned::span)),
        ("per-mille", raw.per_mille.as_ref().map(Spanned::span)),
        ("request", raw.request.as_ref().map(Spanned::span)),
        ("topic", raw.topic.as_ref().map(Spanned::span)),
        ("queue", raw.queue.as_ref().map(Spanned::span)),
        ("times", raw.times.as_ref().map(Spanned::span)),
        ("code", raw.code.as_ref().map(Spanned::span)),
        ("remark", raw.remark.as_ref().map(Spanned::span)),
        ("by", raw.by.as_ref().map(Spanned::span)),
        ("jitter", raw.jitter.as_ref().map(Spanned::span)),
        ("broker", raw.broker.as_ref().map(Spanned::span)),
    ];
    let kind = raw.kind.get_ref().as_str();
    let Some(row) = catalogue::row(kind) else {
        let all: Vec<_> = catalogue::all();
        let all: Vec<&str> = all.iter().map(|row| row.example.name()).collect();
        return Err(nodes.source.error(
            raw.kind.span(),
            format!("there is no fault \"{kind}\""),
            format!("use one of: {}", all.join(", ")),
        ));
    };
    for (key, span) in given {
        if let Some(span) = span
            && !row.parameters.contains(&key)
        {
            let others = catalogue::all();
            let others = others.iter().filter(|row| row.parameters.contains(&key));
            let others: Vec<&str> = others.map(|row| row.example.name()).collect();
            return Err(nodes.source.error(
                span,
                format!("\"{key}\" means nothing for the fault \"{kind}\""),
                format!("remove it; it belongs to: {}", others.join(", ")),
            ));
        }
    }
    Ok(())
}

/// The keys of a fault that its kind cannot do without.
pub(super) struct Needed<'a> {
    nodes: &'a Nodes<'a>,
    raw: &'a file::Fault,
    whole: &'a Range<usize>,
}

impl Needed<'_> {
    /// The value of a key, or the advice to add it in this form.
    pub(super) fn get<T: Clone>(
        &self,
        value: &Option<Spanned<T>>,
        key: &str,
        form: &str,
    ) -> Result<Spanned<T>, ScenarioError> {
        value.clone().ok_or_else(|| {
            self.nodes.source.error(
                self.whole.clone(),
                format!(
                    "the fault \"{}\" needs the key \"{key}\"",
                    self.raw.kind.get_ref()
                ),
                format!("add {key} = {form}"),
            )
        })
    }

    /// A duration.
    fn duration(
        &self,
        value: &Option<Spanned<Ms>>,
        (what, key, form): (&str, &str, &str),
        most: u64,
    ) -> Result<u64, ScenarioError> {
        let value = self.get(value, key, form)?;
        duration(self.nodes.source, what, &value, 1, most)
    }
}

fn kind(
    nodes: &Nodes<'_>,
    raw: &file::Fault,
    whole: &Range<usize>,
    place: &Place,
) -> Result<FaultKind, ScenarioError> {
    let source = nodes.source;
    let needed = Needed { nodes, raw, whole };
    Ok(match raw.kind.get_ref().as_str() {
        "crash" => FaultKind::Crash(restart(nodes, raw)?),
        "stop" => FaultKind::Stop(restart(nodes, raw)?),
        "power-loss" => FaultKind::PowerLoss(restart(nodes, raw)?),
        "freeze" => FaultKind::Freeze,
        "slow" => FaultKind::Slow {
            ms_per_step: needed.duration(&raw.step, ("a step", "step", "\"20ms\""), 60_000)?,
        },
        "clock-jump" => FaultKind::ClockJump {
            ms: jump(source, &needed.get(&raw.by, "by", "\"-1m\"")?)?,
        },
        "refuse" => FaultKind::Refuse,
        "swallow-dials" => FaultKind::SwallowDials,
        "stop-reading" => FaultKind::StopReading,
        "name-server-list" => FaultKind::NameServerList {
            without: name_server(nodes, &needed.get(&raw.without, "without", "\"ns-1\"")?)?,
        },
        "read-only" => FaultKind::ReadOnly,
        "resize" => FaultKind::Resize {
            topic: {
                let topic = needed.get(&raw.topic, "topic", "\"topic-1\"")?;
                Name::from(topic.get_ref().as_str())
            },
            queues: {
                let queues = needed.get(&raw.queues, "queues", "2")?;
                within(source, "queues", &queues, 1, MOST_QUEUES)?
            },
        },
        "partition" => FaultKind::Partition,
        "hold" => FaultKind::Hold,
        "black-hole" => FaultKind::BlackHole,
        "half-open" => FaultKind::HalfOpen,
        "reset" => FaultKind::Reset {
            byte: byte_of(nodes, raw, place)?,
        },
        "loss" => {
            let per_mille = needed.get(&raw.per_mille, "per-mille", "100")?;
            FaultKind::Loss {
                per_mille: within(source, "per-mille", &per_mille, 1, 999)?,
            }
        }
        "latency" => {
            let latency = needed.get(&raw.latency, "latency", "{ ms = 200 }")?;
            let (ms, jitter_ms) = latency_range(source, &latency)?;
            FaultKind::Latency { ms, jitter_ms }
        }
        "bandwidth" => {
            let rate = needed.get(&raw.bytes_per_ms, "bytes-per-ms", "10")?;
            FaultKind::Bandwidth {
                bytes_per_ms: within(source, "bytes-per-ms", &rate, 1, 1_000_000)?,
            }
        }
        "slice" => {
            let bytes = needed.get(&raw.bytes, "bytes", "7")?;
            FaultKind::Slice {
                bytes: within(source, "bytes", &bytes, 1, 1_000_000)?,
            }
        }
        "corrupt" => FaultKind::Corrupt {
            byte: byte_of(nodes, raw, place)?,
        },
        // What is no fault was refused before.
        _ => FaultKind::Rule(rule::rule(nodes, raw, &needed, place)?),
    })
}

/// The most queues an operator gives a topic at a broker.
const MOST_QUEUES: i32 = 1_024;

/// The name of a name server.
fn name_server(nodes: &Nodes<'_>, raw: &Spanned<String>) -> Result<Name, ScenarioError> {
    let name = raw.get_ref().as_str();
    nodes.known(name, raw.span())?;
    if nodes.is_server(name) && !nodes.is_broker(name) {
        return Ok(Name::from(name));
    }
    Err(nodes.source.error(
        raw.span(),
        format!("\"{name}\" is no name server"),
        "name one, like \"ns-1\"",
    ))
}

/// A byte of a link, from 0; the first one unless given.
fn byte_of(nodes: &Nodes<'_>, raw: &file::Fault, place: &Place) -> Result<u64, ScenarioError> {
    match (&raw.byte, place) {
        (None, _) => Ok(0),
        (Some(byte), Place::Link { .. }) => Ok(*byte.get_ref()),
        (Some(byte), _) => Err(nodes.source.error(
            byte.span(),
            "bytes are counted along one direction",
            "remove byte, or name one direction, like \"p1 -> broker-a\"",
        )),
    }
}

/// How far a clock jumps, in milliseconds.
fn jump(source: Source<'_>, by: &Spanned<Jump>) -> Result<i64, ScenarioError> {
    let ms = by.get_ref().0;
    if ms != 0 && ms.unsigned_abs() <= LONGEST_JUMP_MS {
        return Ok(ms);
    }
    Err(source.error(
        by.span(),
        format!("a clock cannot jump by {ms} ms"),
        "write a duration up to a year, like \"90s\", or \"-90s\" into the past",
    ))
}

/// A year.
const LONGEST_JUMP_MS: u64 = 365 * 86_400_000;

fn restart(nodes: &Nodes<'_>, raw: &file::Fault) -> Result<Restart, ScenarioError> {
    let choose = |key: &Option<Spanned<String>>, what: &str, no: &str, yes: &str| match key {
        None => Ok(false),
        Some(word) if word.get_ref() == no => Ok(false),
        Some(word) if word.get_ref() == yes => Ok(true),
        Some(word) => Err(nodes.source.error(
            word.span(),
            format!("{what} cannot be \"{}\"", word.get_ref()),
            format!("write \"{no}\" or \"{yes}\""),
        )),
    };
    Ok(Restart {
        keep_data: !choose(&raw.data, "data", "kept", "lost")?,
        new_address: choose(&raw.address, "address", "same", "new")?,
    })
}

fn check_place(
    nodes: &Nodes<'_>,
    kind: &FaultKind,
    place: &Place,
    at: &Range<usize>,
) -> Result<(), ScenarioError> {
    let names: Vec<&Name> = match place {
        Place::Node(node) => vec![node],
        Place::Link { from: a, to: b } | Place::Pair { a, b } => vec![a, b],
    };
    for name in names {
        nodes.known(name, at.clone())?;
    }
    let site = catalogue::row(kind.name()).map(|row| row.site);
    let allowed = site.map_or(Ok(()), |site| site.allows(place, |node| nodes.kind(node)));
    allowed.map_err(|remedy| {
        nodes.source.error(
            at.clone(),
            format!("the fault \"{}\" cannot be on \"{place}\"", kind.name()),
            remedy.to_owned(),
        )
    })
}

//! Checks one fault of a file: the kind fits the place, and every key means something for the kind.

use std::ops::Range;

use toml::Spanned;

use super::keys::FaultKeys;
use super::position::Frame;
use super::{MAX_SECONDS, Nodes, duration, rule};
use crate::fault::{Fault, FaultKind, Kind, Place, Position, Read, catalogue};
use crate::scenario::error::ScenarioError;
use crate::scenario::value::{At, Logical};
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
    let known = known_kind(nodes, &raw)?;
    refuse_foreign_keys(nodes, &raw, known);
    let places = raw.on.get_ref().0.clone();
    let places_at = raw.on.span();
    if places.is_empty() {
        return Err(nodes.source.error(
            places_at,
            "a fault needs a place",
            "write on = \"broker-a\"",
        ));
    }
    let (source, most) = (nodes.source, MAX_SECONDS * 1_000);
    let lasts = raw.lasts.as_ref();
    let lasts = lasts.map(|lasts| duration(source, "a fault's duration", lasts, 1, most));
    let for_ms = source.maybe(lasts);
    let frame = Frame {
        nodes,
        seconds,
        workloads,
    };
    let kind_at = raw.kind.span();
    let mut faults = Vec::new();
    for place in places {
        let keys = FaultKeys {
            nodes,
            raw: &raw,
            whole: &whole,
            place: &place,
        };
        source.or(check_place(nodes, known, &place, &places_at), ());
        let Some(kind) = source.or(read(known, &keys).map(Some), None) else {
            continue;
        };
        if place.has_target() && !waits_for_send(&raw) {
            return Err(nodes.source.error(
                places_at,
                "\"target\" is the broker that a send goes to, and the fault waits for none",
                "add at = { send = 1, attempt = 1 }, or name a broker",
            ));
        }
        if let Some(lie) = kind.lie() {
            let code_at = raw.code.as_ref().map_or(kind_at.clone(), Spanned::span);
            let what = format!("\"{}\" {}", kind.name(), lie.what);
            return Err(nodes.source.error(code_at, what, lie.remedy));
        }
        let at = frame.position(&kind, &place, raw.at.clone());
        let at = source.or(at, Position::Time { ms: 0 });
        if kind.is_at_once() && for_ms.is_some() {
            let what = format!("\"{}\" strikes connections once and for good", kind.name());
            let remedy = "remove `for`; use a partition for a link that heals";
            source.or(Err(source.error(kind_at.clone(), what, remedy)), ());
        }
        faults.push(Fault {
            kind,
            place,
            at,
            for_ms,
            may_miss: raw.may_miss.unwrap_or(false),
        });
    }
    Ok(faults)
}

/// Whether the fault begins with a send.
fn waits_for_send(raw: &file::Fault) -> bool {
    let at = raw.at.as_ref().map(Spanned::get_ref);
    matches!(at, Some(At::Logical(Logical { send: Some(_), .. })))
}

/// The kind of fault that a file names.
fn known_kind(nodes: &Nodes<'_>, raw: &file::Fault) -> Result<&'static Kind, ScenarioError> {
    let name = raw.kind.get_ref().as_str();
    catalogue::find(name).ok_or_else(|| {
        let all: Vec<&str> = catalogue::all().map(|kind| kind.name).collect();
        nodes.source.error(
            raw.kind.span(),
            format!("there is no fault \"{name}\""),
            format!("use one of: {}", all.join(", ")),
        )
    })
}

/// Refuses a key that means nothing for the kind of fault, as the catalogue has it.
fn refuse_foreign_keys(nodes: &Nodes<'_>, raw: &file::Fault, kind: &Kind) {
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
        ("since", raw.since.as_ref().map(Spanned::span)),
        ("broker", raw.broker.as_ref().map(Spanned::span)),
    ];
    for (key, span) in given {
        if let Some(span) = span
            && !kind.has_key(key)
        {
            let others = catalogue::all().filter(|kind| kind.has_key(key));
            let others: Vec<&str> = others.map(|kind| kind.name).collect();
            let flaw = nodes.source.error(
                span,
                format!("\"{key}\" means nothing for the fault \"{}\"", kind.name),
                format!("remove it; it belongs to: {}", others.join(", ")),
            );
            nodes.source.or(Err(flaw), ());
        }
    }
}

/// Reads the parameters of a kind.
fn read(kind: &Kind, keys: &FaultKeys<'_>) -> Result<FaultKind, ScenarioError> {
    match kind.read {
        Read::Fault(read) => read(keys),
        Read::Rule(read) => Ok(FaultKind::Rule(rule::rule(keys, read(keys)?)?)),
    }
}

fn check_place(
    nodes: &Nodes<'_>,
    kind: &Kind,
    place: &Place,
    at: &Range<usize>,
) -> Result<(), ScenarioError> {
    for name in place.names() {
        nodes.known(name, at.clone())?;
    }
    let allowed = kind.site.allows(place, |node| nodes.kind(node));
    allowed.map_err(|remedy| {
        nodes.source.error(
            at.clone(),
            format!("the fault \"{}\" cannot be on \"{place}\"", kind.name),
            remedy.to_owned(),
        )
    })
}

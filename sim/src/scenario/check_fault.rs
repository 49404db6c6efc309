//! Checks one fault of a file: the kind fits the place, and every key means something for the kind.

use std::ops::Range;

use rmq_remoting::code;
use rmq_remoting::observe::Name;
use toml::Spanned;

use super::check::{Nodes, duration, latency_range, within};
use super::check_position::Frame;
use super::error::ScenarioError;
use super::value::{At, Code, Codes, Logical, Times};
use super::{Workload, file};
use crate::fault::{Fault, FaultKind, Place, Restart, Rule, RuleAction};

/// The keys that only some kinds of fault have, each with the kinds that have it.
const KEYS: [(&str, &[&str]); 11] = [
    ("data", &["crash", "stop", "power-loss"]),
    ("address", &["crash", "stop", "power-loss"]),
    ("step", &["slow"]),
    ("latency", &["latency"]),
    ("byte", &["corrupt"]),
    ("per-mille", &["loss", RULE]),
    ("request", &[RULE]),
    ("topic", &[RULE]),
    ("queue", &[RULE]),
    ("times", &[RULE]),
    ("by", &["delay"]),
];
/// Stands for all rules in [`KEYS`].
const RULE: &str = "a rule";

const KINDS: &str = "crash, stop, power-loss, freeze, slow, refuse, partition, black-hole, loss, \
    latency, corrupt, answer, delay, drop-request, drop-reply, close-before, close-after";

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
        let at = frame.position(&kind, &place, raw.at.clone())?;
        if matches!(kind, FaultKind::BlackHole) && for_ms.is_some() {
            return Err(nodes.source.error(
                kind_at,
                "a black hole never gives its connections back",
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

fn refuse_foreign_keys(nodes: &Nodes<'_>, raw: &file::Fault) -> Result<(), ScenarioError> {
    let given = [
        raw.data.as_ref().map(Spanned::span),
        raw.address.as_ref().map(Spanned::span),
        raw.step.as_ref().map(Spanned::span),
        raw.latency.as_ref().map(Spanned::span),
        raw.byte.as_ref().map(Spanned::span),
        raw.per_mille.as_ref().map(Spanned::span),
        raw.request.as_ref().map(Spanned::span),
        raw.topic.as_ref().map(Spanned::span),
        raw.queue.as_ref().map(Spanned::span),
        raw.times.as_ref().map(Spanned::span),
        raw.by.as_ref().map(Spanned::span),
    ];
    let kind = raw.kind.get_ref().as_str();
    let is_rule = RULES.contains(&kind);
    for ((key, kinds), span) in KEYS.iter().zip(given) {
        let fits = kinds.contains(&kind) || (is_rule && kinds.contains(&RULE));
        if let Some(span) = span
            && !fits
        {
            return Err(foreign(nodes, span, key, kind, &kinds.join(", ")));
        }
    }
    let answer_only = [
        ("code", raw.code.as_ref().map(Spanned::span)),
        ("remark", raw.remark.as_ref().map(Spanned::span)),
    ];
    for (key, span) in answer_only {
        if let Some(span) = span
            && kind != "answer"
        {
            return Err(foreign(nodes, span, key, kind, "answer"));
        }
    }
    Ok(())
}

fn foreign(
    nodes: &Nodes<'_>,
    at: Range<usize>,
    key: &str,
    kind: &str,
    kinds: &str,
) -> ScenarioError {
    nodes.source.error(
        at,
        format!("\"{key}\" means nothing for the fault \"{kind}\""),
        format!("remove it; it belongs to: {kinds}"),
    )
}

const RULES: [&str; 6] = [
    "answer",
    "delay",
    "drop-request",
    "drop-reply",
    "close-before",
    "close-after",
];

fn kind(
    nodes: &Nodes<'_>,
    raw: &file::Fault,
    whole: &Range<usize>,
    place: &Place,
) -> Result<FaultKind, ScenarioError> {
    let source = nodes.source;
    let needs = |key: &str, form: &str| {
        source.error(
            whole.clone(),
            format!(
                "the fault \"{}\" needs the key \"{key}\"",
                raw.kind.get_ref()
            ),
            format!("add {key} = {form}"),
        )
    };
    Ok(match raw.kind.get_ref().as_str() {
        "crash" => FaultKind::Crash(restart(nodes, raw)?),
        "stop" => FaultKind::Stop(restart(nodes, raw)?),
        "power-loss" => FaultKind::PowerLoss(restart(nodes, raw)?),
        "freeze" => FaultKind::Freeze,
        "slow" => {
            let step = raw.step.clone().ok_or_else(|| needs("step", "\"20ms\""))?;
            FaultKind::Slow {
                ms_per_step: duration(source, "a step", &step, 1, 60_000)?,
            }
        }
        "refuse" => FaultKind::Refuse,
        "partition" => FaultKind::Partition,
        "black-hole" => FaultKind::BlackHole,
        "loss" => {
            let per_mille = raw
                .per_mille
                .clone()
                .ok_or_else(|| needs("per-mille", "100"))?;
            FaultKind::Loss {
                per_mille: within(source, "per-mille", &per_mille, 1, 999)?,
            }
        }
        "latency" => {
            let latency = raw
                .latency
                .clone()
                .ok_or_else(|| needs("latency", "{ ms = 200 }"))?;
            let (ms, jitter_ms) = latency_range(source, &latency)?;
            FaultKind::Latency { ms, jitter_ms }
        }
        "corrupt" => FaultKind::Corrupt {
            byte: raw.byte.as_ref().map_or(0, |byte| *byte.get_ref()),
        },
        rule if RULES.contains(&rule) => FaultKind::Rule(self::rule(nodes, raw, &needs, place)?),
        other => {
            return Err(source.error(
                raw.kind.span(),
                format!("there is no fault \"{other}\""),
                format!("use one of: {KINDS}"),
            ));
        }
    })
}

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

fn rule(
    nodes: &Nodes<'_>,
    raw: &file::Fault,
    needs: &dyn Fn(&str, &str) -> ScenarioError,
    place: &Place,
) -> Result<Rule, ScenarioError> {
    let source = nodes.source;
    let then = match raw.kind.get_ref().as_str() {
        "answer" => RuleAction::Answer {
            code: response_code(
                nodes,
                raw.code
                    .clone()
                    .ok_or_else(|| needs("code", "\"SYSTEM_BUSY\""))?,
            )?,
            remark: raw.remark.as_ref().map(|remark| remark.get_ref().clone()),
        },
        "delay" => RuleAction::Delay {
            ms: duration(
                source,
                "a delay",
                &raw.by.clone().ok_or_else(|| needs("by", "\"1200ms\""))?,
                1,
                3_600_000,
            )?,
        },
        "drop-request" => RuleAction::DropRequest,
        "drop-reply" => RuleAction::DropReply,
        "close-before" => RuleAction::CloseBefore,
        _ => RuleAction::CloseAfter,
    };
    let codes = match &raw.request {
        Some(requests) => request_codes(nodes, requests)?,
        None => default_codes(matches!(place, Place::Node(node) if nodes.is_broker(node))).to_vec(),
    };
    let per_mille = match &raw.per_mille {
        Some(chance) => Some(within(source, "per-mille", chance, 1, 1_000)?),
        None => None,
    };
    let times = match &raw.times {
        Some(times) => match *times.get_ref() {
            Times::Any => None,
            Times::Most(most) => {
                let most = Spanned::new(times.span(), most);
                Some(within(source, "times", &most, 1, u32::MAX)?)
            }
        },
        None => match raw.at.as_ref().map(Spanned::get_ref) {
            // "Its fifth request" is one request.
            Some(At::Logical(Logical {
                received: Some(_), ..
            })) if raw.lasts.is_none() => Some(1),
            _ => None,
        },
    };
    Ok(Rule {
        codes,
        topic: raw
            .topic
            .as_ref()
            .map(|topic| Name::from(topic.get_ref().as_str())),
        queue: raw.queue.as_ref().map(|queue| *queue.get_ref()),
        per_mille,
        times,
        then,
    })
}

/// The largest code that a name is looked up for.
pub(super) const LAST_CODE: i32 = 2_000;

/// The codes of a rule that names none: sends at a broker, route requests at a name server.
pub(super) fn default_codes(at_broker: bool) -> &'static [i32] {
    if at_broker {
        &[code::request::SEND_MESSAGE, code::request::SEND_MESSAGE_V2]
    } else {
        &[code::request::GET_ROUTEINFO_BY_TOPIC]
    }
}

fn request_codes(nodes: &Nodes<'_>, raw: &Spanned<Codes>) -> Result<Vec<i32>, ScenarioError> {
    let codes = &raw.get_ref().0;
    if codes.is_empty() {
        return Err(nodes.source.error(
            raw.span(),
            "a rule about no request",
            "name one, like \"SEND_MESSAGE_V2\", or remove the key",
        ));
    }
    let one = |code: &Code| request_code(nodes, Spanned::new(raw.span(), code.clone()));
    codes.iter().map(one).collect()
}

pub(super) fn request_code(nodes: &Nodes<'_>, raw: Spanned<Code>) -> Result<i32, ScenarioError> {
    named_code(nodes, raw, code::request_name, "request", "SEND_MESSAGE_V2")
}

fn response_code(nodes: &Nodes<'_>, raw: Spanned<Code>) -> Result<i32, ScenarioError> {
    named_code(nodes, raw, code::response_name, "response", "SYSTEM_BUSY")
}

fn named_code(
    nodes: &Nodes<'_>,
    raw: Spanned<Code>,
    name_of: fn(i32) -> Option<&'static str>,
    what: &str,
    example: &str,
) -> Result<i32, ScenarioError> {
    let at = raw.span();
    match raw.into_inner() {
        Code::Number(number) => Ok(number),
        Code::Named(name) => (0..=LAST_CODE)
            .find(|number| name_of(*number) == Some(name.as_str()))
            .ok_or_else(|| {
                nodes.source.error(
                    at,
                    format!("no {what} code is called \"{name}\""),
                    format!("write its number, or its name in RocketMQ, like \"{example}\""),
                )
            }),
    }
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
    for name in &names {
        nodes.known(name, at.clone())?;
    }
    let wrong = |remedy: &str| {
        Err(nodes.source.error(
            at.clone(),
            format!("the fault \"{}\" cannot be on \"{place}\"", kind.name()),
            remedy.to_owned(),
        ))
    };
    if names.len() == 2 && names[0] == names[1] {
        return wrong("name two different nodes");
    }
    let is_server = matches!(place, Place::Node(node) if nodes.is_server(node));
    match (kind, place) {
        (FaultKind::Freeze | FaultKind::Slow { .. }, Place::Node(_)) => Ok(()),
        (FaultKind::Freeze | FaultKind::Slow { .. }, _) => wrong("name a node, like \"broker-a\""),
        (
            FaultKind::Crash(_)
            | FaultKind::Stop(_)
            | FaultKind::PowerLoss(_)
            | FaultKind::Refuse
            | FaultKind::Rule(_),
            _,
        ) if !is_server => wrong("name a broker or a name server, like \"broker-a\""),
        (FaultKind::Corrupt { .. }, Place::Node(_) | Place::Pair { .. }) => {
            wrong("name one direction, like \"p1 -> broker-a\"")
        }
        (FaultKind::BlackHole, Place::Node(_) | Place::Link { .. }) => {
            wrong("name both ends, like \"p1 <-> broker-a\"")
        }
        (
            FaultKind::Partition | FaultKind::Loss { .. } | FaultKind::Latency { .. },
            Place::Node(_),
        ) => wrong("name two nodes, like \"p1 -> broker-a\" or \"p1 <-> broker-a\""),
        _ => Ok(()),
    }
}

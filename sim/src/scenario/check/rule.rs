//! Checks the rule of a fault that a server plays: which requests it is about, and what it does
//! to them.

use rmq_remoting::code;
use rmq_remoting::observe::Name;
use toml::Spanned;

use super::keys::FaultKeys;
use super::{Nodes, within};
use crate::fault::{Place, Rule, RuleAction};
use crate::scenario::error::ScenarioError;
use crate::scenario::value::{At, Code, Codes, Logical, Times};

/// The latest answer: an hour.
pub(super) const LATEST_MS: u64 = 3_600_000;

/// Checks what a rule is about and how often it applies.
pub(super) fn rule(keys: &FaultKeys<'_>, then: RuleAction) -> Result<Rule, ScenarioError> {
    let (nodes, raw, place) = (keys.nodes, keys.raw, keys.place);
    let source = nodes.source;
    let codes = match &raw.request {
        Some(requests) => request_codes(nodes, requests)?,
        None => Rule::default_codes(matches!(place, Place::Node(node) if nodes.is_broker(node)))
            .to_vec(),
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
    named_code(nodes, raw, code::request_code, "request", "SEND_MESSAGE_V2")
}

pub(super) fn response_code(nodes: &Nodes<'_>, raw: Spanned<Code>) -> Result<i32, ScenarioError> {
    named_code(nodes, raw, code::response_code, "response", "SYSTEM_BUSY")
}

fn named_code(
    nodes: &Nodes<'_>,
    raw: Spanned<Code>,
    find: fn(&str) -> Option<i32>,
    what: &str,
    example: &str,
) -> Result<i32, ScenarioError> {
    let at = raw.span();
    match raw.into_inner() {
        Code::Number(number) => Ok(number),
        Code::Named(name) => find(&name).ok_or_else(|| {
            nodes.source.error(
                at,
                format!("no {what} code is called \"{name}\""),
                format!("write its number, or its name in RocketMQ, like \"{example}\""),
            )
        }),
    }
}

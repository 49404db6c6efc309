//! One fault as a table of the scenario file, without its place.

use rmq_remoting::code;

use super::{Table, duration, list, quote};
use crate::fault::{Fault, FaultKind, Position, Rule};

/// The table of a fault without its place; `default_codes` are those of a rule at its place that names none.
pub(super) fn table(fault: &Fault, default_codes: &[i32]) -> Table {
    let Fault {
        kind,
        place,
        at,
        for_ms,
        may_miss,
    } = fault;
    let mut table = Table::default();
    table.quoted("do", kind.name());
    match kind {
        FaultKind::Rule(rule) => {
            self::rule(rule, default_codes, &mut table);
            times(rule, at, *for_ms, &mut table);
        }
        kind => kind.behaviour().write(place, &mut table),
    }
    table.maybe("at", position(at));
    table.maybe("for", for_ms.map(duration));
    table.maybe("may-miss", may_miss.then_some(true));
    table
}

fn rule(rule: &Rule, default_codes: &[i32], table: &mut Table) {
    let Rule {
        codes,
        topic,
        queue,
        per_mille,
        times: _,
        then,
    } = rule;
    then.action().write(table);
    if codes != default_codes {
        let mut named = codes.iter().map(|code| named(*code, code::request_name));
        table.push(
            "request",
            match (named.next(), named.len()) {
                (Some(only), 0) => only,
                (first, _) => list(first.into_iter().chain(named)),
            },
        );
    }
    table.maybe("topic", topic.as_deref().map(quote));
    table.maybe("queue", *queue);
    table.maybe("per-mille", *per_mille);
}

/// A rule at "its fifth request" is used once unless the file says otherwise.
fn times(rule: &Rule, at: &Position, for_ms: Option<u64>, table: &mut Table) {
    let once = matches!(at, Position::Received { .. }) && for_ms.is_none();
    match rule.times {
        Some(1) if once => {}
        None if once => table.quoted("times", "any"),
        times => table.maybe("times", times),
    }
}

pub(super) fn named(number: i32, name_of: fn(i32) -> Option<&'static str>) -> String {
    match name_of(number) {
        Some(name) => quote(name),
        _ => number.to_string(),
    }
}

/// A position; none for the start of the run.
fn position(at: &Position) -> Option<String> {
    Some(match at {
        Position::Time { ms: 0 } => return None,
        Position::Time { ms } => duration(*ms),
        Position::Received { code, n } => {
            let code = named(*code, code::request_name);
            format!("{{ received = {code}, n = {n} }}")
        }
        Position::Stored { n } => format!("{{ stored = {n} }}"),
        Position::Send {
            workload,
            send,
            attempt,
            sends,
            after_ms,
        } => {
            let attempt = attempt.map_or_else(String::new, |it| format!(", attempt = {it}"));
            let sends = match sends {
                1 => String::new(),
                _ => format!(", sends = {sends}"),
            };
            let after = match after_ms {
                0 => String::new(),
                ms => format!(", after = {}", duration(*ms)),
            };
            let workload = match workload {
                1 => String::new(),
                _ => format!(", workload = {workload}"),
            };
            format!("{{ send = {send}{attempt}{sends}{workload}{after} }}")
        }
    })
}

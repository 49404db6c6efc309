//! One fault as a table of the scenario file, without its place.

use rmq_remoting::code;

use super::{Table, duration, latency, list, quote};
use crate::fault::{Fault, FaultKind, Place, Position, Restart, Rule, RuleAction};

/// The largest code that is written by its name.
const LAST_CODE: i32 = crate::scenario::check::LAST_CODE;

/// The table of a fault without its place; `default_codes` are those of a rule at its place that names none.
pub(super) fn table(fault: &Fault, default_codes: &[i32]) -> Table {
    let Fault {
        kind,
        place,
        at,
        for_ms,
    } = fault;
    let mut table = Table::default();
    table.quoted("do", kind.name());
    match kind {
        FaultKind::Crash(back) | FaultKind::Stop(back) | FaultKind::PowerLoss(back) => {
            restart(*back, &mut table);
        }
        FaultKind::Slow { ms_per_step } => table.push("step", duration(*ms_per_step)),
        FaultKind::ClockJump { ms } => {
            let sign = if *ms < 0 { "-" } else { "" };
            let size = duration(ms.unsigned_abs());
            table.push("by", size.replacen('"', &format!("\"{sign}"), 1));
        }
        FaultKind::Reset { byte } => {
            if matches!(place, Place::Link { .. }) {
                table.push("byte", byte);
            }
        }
        FaultKind::NameServerList { without } => table.quoted("without", without),
        FaultKind::Bandwidth { bytes_per_ms } => table.push("bytes-per-ms", bytes_per_ms),
        FaultKind::Resize { topic, queues } => {
            table.quoted("topic", topic);
            table.push("queues", queues);
        }
        FaultKind::Slice { bytes } => table.push("bytes", bytes),
        FaultKind::Loss { per_mille } => table.push("per-mille", per_mille),
        FaultKind::Latency { ms, jitter_ms } => table.push("latency", latency(*ms, *jitter_ms)),
        FaultKind::Corrupt { byte } => table.push("byte", byte),
        FaultKind::Rule(rule) => {
            self::rule(rule, default_codes, &mut table);
            times(rule, at, *for_ms, &mut table);
        }
        FaultKind::Freeze
        | FaultKind::Refuse
        | FaultKind::SwallowDials
        | FaultKind::StopReading
        | FaultKind::ReadOnly
        | FaultKind::Partition
        | FaultKind::Hold
        | FaultKind::BlackHole
        | FaultKind::HalfOpen => {}
    }
    table.maybe("at", position(at));
    table.maybe("for", for_ms.map(duration));
    table
}

fn restart(back: Restart, table: &mut Table) {
    let Restart {
        keep_data,
        new_address,
    } = back;
    if !keep_data {
        table.quoted("data", "lost");
    }
    if new_address {
        table.quoted("address", "new");
    }
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
    match then {
        RuleAction::Answer { code, remark } => {
            table.push("code", named(*code, code::response_name));
            table.maybe("remark", remark.as_deref().map(quote));
        }
        RuleAction::StoreThenAnswer { code } => {
            table.push("code", named(*code, code::response_name));
        }
        RuleAction::Delay { ms, jitter_ms } => {
            table.push("by", duration(*ms));
            table.maybe("jitter", (*jitter_ms > 0).then(|| duration(*jitter_ms)));
        }
        RuleAction::DelayRequest { ms } => table.push("by", duration(*ms)),
        RuleAction::PartialRoute { broker } => table.quoted("broker", broker),
        RuleAction::DropRequest
        | RuleAction::DropReply
        | RuleAction::CloseBefore
        | RuleAction::CloseAfter
        | RuleAction::ResetBefore
        | RuleAction::ResetAfter
        | RuleAction::ReplyTwice
        | RuleAction::UnknownOpaque
        | RuleAction::HalfFrame
        | RuleAction::HalfFrameClose
        | RuleAction::Garbage
        | RuleAction::StaleRoute
        | RuleAction::PermutedRoute
        | RuleAction::OddRoute(_) => {}
    }
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

fn named(number: i32, name_of: fn(i32) -> Option<&'static str>) -> String {
    match name_of(number) {
        Some(name) if number <= LAST_CODE => quote(name),
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
        } => {
            let attempt = attempt.map_or_else(String::new, |it| format!(", attempt = {it}"));
            let workload = match workload {
                1 => String::new(),
                _ => format!(", workload = {workload}"),
            };
            format!("{{ send = {send}{attempt}{workload} }}")
        }
    })
}

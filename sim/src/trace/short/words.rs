//! The words of the short trace: stages, outcomes, causes.

use rmq_producer::event::{Failure, LookupEnd, Outcome, Stage};
use rmq_remoting::code::response_name;
use rmq_remoting::event::CloseCause;

use crate::trace::history::{AttemptHistory, SendHistory};

use super::names::Names;

/// How an attempt ended: `lost`, `refused SYSTEM_BUSY`.
pub(super) fn stage(stage: Stage, code: Option<i32>) -> String {
    let word = match stage {
        Stage::Address => "has no address",
        Stage::Dial => "not connected",
        Stage::Write => "not written",
        Stage::Lost => "lost",
        Stage::Silent => "silent",
        Stage::Refused => "refused",
        Stage::Decode => "not understood",
        Stage::Accepted => "accepted",
        Stage::Superseded => "superseded",
        Stage::Vetoed => "forbidden",
        Stage::Hook => "refused by a hook",
        Stage::Denied => "refused the client",
    };
    match code {
        Some(code) if stage == Stage::Refused => format!("{word} {}", code_name(code)),
        _ => word.to_owned(),
    }
}

fn code_name(code: i32) -> String {
    response_name(code).map_or_else(|| code.to_string(), str::to_owned)
}

/// What an attempt's end leads to: another attempt, or nothing yet.
pub(super) fn attempt_end(
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    text: &str,
) -> String {
    let next = send.attempts.iter().any(|it| it.number > attempt.number);
    let waits = attempt.hedged.is_some();
    let then = if next && !waits { ", retry" } else { "" };
    let (number, k) = (send.number, attempt.number);
    let ended = attempt
        .ended
        .map_or(attempt.started.ms, |end| end.timestamp.ms);
    format!(
        "s{number} #{k} x {text} after {}ms{then}",
        ended - attempt.started.ms
    )
}

/// How a send ended.
pub(super) fn done(
    send: &SendHistory<'_>,
    outcome: &Outcome,
    ms: u64,
    names: &Names<'_>,
) -> String {
    let (number, attempts) = (send.number, send.attempts.len());
    let took = ms - send.called.ms;
    let plural = if attempts == 1 { "" } else { "s" };
    let tail = format!("{took}ms, {attempts} attempt{plural}");
    match outcome {
        Outcome::Sent {
            at, offset, code, ..
        } => {
            let (broker, queue) = (names.broker(&at.broker), at.queue);
            let doubt = if *code == 0 {
                String::new()
            } else {
                format!(" {}", code_name(*code))
            };
            format!("s{number} ok {broker}/{queue}@{offset}{doubt}   {tail}")
        }
        Outcome::Written => format!("s{number} written   {tail}"),
        Outcome::Failed(why) => format!("s{number} FAILED {}   {tail}", failure(*why)),
    }
}

fn failure(failure: Failure) -> String {
    match failure {
        Failure::Invalid => "invalid message".to_owned(),
        Failure::NotRunning => "not running".to_owned(),
        Failure::NoRoute => "no route".to_owned(),
        Failure::RouteUnreachable => "route unreachable".to_owned(),
        Failure::NoNameServer => "no name server".to_owned(),
        Failure::Attempts(last) => format!("all attempts, last {}", stage(last, None)),
        Failure::Deadline => "deadline".to_owned(),
        Failure::BackPressure => "back-pressure".to_owned(),
        Failure::Closed => "closed".to_owned(),
    }
}

/// How a lookup ended, where that is worth a line.
pub(super) fn lookup_end(end: &LookupEnd) -> Option<String> {
    match end {
        LookupEnd::Changed | LookupEnd::Unchanged => None,
        LookupEnd::NotExist => Some("topic does not exist".to_owned()),
        LookupEnd::Refused { code } => Some(format!("refused {}", code_name(*code))),
        LookupEnd::Unusable(why) => Some(format!("not usable: {why}")),
        LookupEnd::Unreachable => Some("nobody answers".to_owned()),
        LookupEnd::NoNameServer => Some("no name server".to_owned()),
    }
}

/// Why a connection broke, where nobody wanted it to.
pub(super) fn broken(cause: CloseCause) -> Option<&'static str> {
    match cause {
        CloseCause::PeerClosed => Some("closed by the server"),
        CloseCause::Broken => Some("broken"),
        CloseCause::BadFrame => Some("closed: bytes that are no frame"),
        CloseCause::CallTimedOut => Some("closed after a timeout"),
        CloseCause::DeadPeer => Some("closed: the server is silent"),
        CloseCause::Replaced => Some("replaced by a second connection"),
        CloseCause::Flooded => Some("closed: the server asks and does not read"),
        CloseCause::Idle | CloseCause::Drained | CloseCause::Offline | CloseCause::Stopped => None,
    }
}

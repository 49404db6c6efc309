//! The words of the Java clients 5.3.3 and 4.9.8.

use rmq_producer::decide::retry::{Ended, GO_AWAY, retryable};
use rmq_producer::event::{Failure, Mode, Stage};
use rmq_producer::{Attempt, Cause, LookupError, SendError, StartError};
use rmq_remoting::client::{CallError, CallStage};

use super::{Context, Dialect, Report, Target};

const CLIENT: &str = "MQClientException";
const BROKER: &str = "MQBrokerException";
const CONNECT: &str = "RemotingConnectException";
const SEND_REQUEST: &str = "RemotingSendRequestException";
const TIMEOUT: &str = "RemotingTimeoutException";
const TOO_MUCH: &str = "RemotingTooMuchRequestException";

/// What each class of an attempt's end makes the code of the whole send.
const CODES: [(&str, i32); 3] = [(CONNECT, 10_001), (TIMEOUT, 10_002), (CLIENT, 10_003)];

pub(super) fn reports(context: &Context<'_>, error: &SendError) -> Vec<Report> {
    let attempts = error.attempts();
    let Some(last) = attempts.last() else {
        return vec![before(context, error)];
    };
    match (context.mode, context.target) {
        (Mode::Sync | Mode::Oneway, Target::Any) => vec![of_loop(context, attempts, last)],
        (Mode::Sync | Mode::Oneway, _) => vec![raw(context, last)],
        (Mode::Async, _) => of_callback(context, last),
    }
}

pub(super) fn not_started(error: &StartError) -> Report {
    let text = error.to_string();
    match text.split_once("is longer than group max length: ") {
        // These versions do not name the group.
        Some((_, max)) => {
            let text = format!("the specified group is longer than group max length {max}");
            Report::new(CLIENT, text)
        }
        None => Report::new(CLIENT, text),
    }
}

/// A send that ended before its first attempt.
fn before(context: &Context<'_>, error: &SendError) -> Report {
    let topic = context.topic;
    if let Some(invalid) = error.invalid() {
        let text = match invalid.code {
            13 => format!("CODE: 13  DESC: {}", invalid.text),
            _ => invalid.text.clone(),
        };
        return Report::coded(CLIENT, invalid.code, text);
    }
    match error.lookup() {
        Some(LookupError::Unreachable { failures }) => return unreachable(context, failures),
        Some(
            LookupError::NotExist { .. }
            | LookupError::Unusable { .. }
            | LookupError::Refused { .. },
        ) => {}
        _ if error.failure() == Failure::BackPressure => {
            let what = if error.to_string().contains("bytes") {
                "Size"
            } else {
                "Num"
            };
            let text = format!("send message tryAcquire semaphoreAsync{what} timeout");
            return Report::new(TOO_MUCH, text);
        }
        _ => return out_of_time(context),
    }
    match context.target {
        Target::Any => Report::coded(
            CLIENT,
            10_005,
            format!("No route info of this topic: {topic}"),
        ),
        Target::Queue(broker) => {
            Report::coded(CLIENT, -1, format!("The broker[{broker}] not exist"))
        }
        Target::Selector => {
            Report::coded(CLIENT, -1, format!("No route info for this topic, {topic}"))
        }
    }
}

fn out_of_time(context: &Context<'_>) -> Report {
    let text = match context.target {
        Target::Any => "sendDefaultImpl call timeout",
        Target::Queue(_) => "call timeout",
        Target::Selector => "sendSelectImpl call timeout",
    };
    Report::new(TOO_MUCH, text)
}

/// No name server answered: an unchecked exception leaks out of the lookup.
fn unreachable(
    context: &Context<'_>,
    failures: &[(rmq_remoting::observe::Name, CallError)],
) -> Report {
    let Some((server, error)) = failures.last() else {
        return out_of_time(context);
    };
    let cause = match error.stage() {
        CallStage::Dial => {
            let whom = match context.dialect {
                Dialect::Java49 => {
                    let tried: Vec<&str> = failures.iter().map(|(server, _)| &**server).collect();
                    format!("[{}]", tried.join(", "))
                }
                _ => "null".to_owned(),
            };
            Report::new(CONNECT, format!("connect to {whom} failed"))
        }
        CallStage::Silent => Report::new(TIMEOUT, waited(context, server, error)),
        _ => Report::new(SEND_REQUEST, request_failed(context, server)),
    };
    let text = format!(
        "org.apache.rocketmq.remoting.exception.{}: {}",
        cause.class, cause.text
    );
    Report::new("IllegalStateException", text).caused(&cause)
}

fn channel(context: &Context<'_>, address: &str) -> String {
    match context.dialect {
        Dialect::Java49 => format!("<{address}>"),
        _ => format!("</{address}>"),
    }
}

fn request_failed(context: &Context<'_>, address: &str) -> String {
    format!("send request to {} failed", channel(context, address))
}

fn waited(context: &Context<'_>, address: &str, error: &CallError) -> String {
    let ms = match error {
        CallError::TimedOut { after, .. } => after.as_millis(),
        _ => 0,
    };
    let channel = channel(context, address);
    format!("wait response on the channel {channel} timeout, {ms}(ms)")
}

/// An attempt that had no time left once it was connected.
fn was_late(attempt: &Attempt) -> bool {
    match &attempt.cause {
        Cause::Call(error) => match &**error {
            CallError::TimedOut { after, .. } => after.is_zero(),
            _ => false,
        },
        _ => false,
    }
}

/// How one attempt ended, as the transport or the broker's answer has it.
fn raw(context: &Context<'_>, attempt: &Attempt) -> Report {
    let address = attempt.address.as_deref().unwrap_or_default();
    let in_background = context.mode == Mode::Async;
    match (attempt.stage, &attempt.cause) {
        (_, Cause::Refused { code: GO_AWAY, .. }) if context.dialect == Dialect::Java53 => {
            lost(context, address)
        }
        (_, Cause::Refused { code, remark }) => {
            let text = format!("CODE: {code}  DESC: {remark} BROKER: {address}");
            Report::coded(BROKER, *code, text)
        }
        (Stage::Address, _) => {
            let text = format!("The broker[{}] not exist", attempt.to.broker);
            Report::coded(CLIENT, -1, text)
        }
        (Stage::Dial, _) => Report::new(CONNECT, format!("connect to {address} failed")),
        (Stage::Decode, _) => Report::new("NullPointerException", null_pointer(context)),
        (Stage::Silent | Stage::Superseded, _) if was_late(attempt) && in_background => {
            Report::new(
                TOO_MUCH,
                format!("invokeAsync call the addr[{address}] timeout"),
            )
        }
        (Stage::Silent | Stage::Superseded, _) if was_late(attempt) => Report::new(
            TIMEOUT,
            format!("invokeSync call the addr[{address}] timeout"),
        ),
        (Stage::Silent | Stage::Superseded, _) => {
            let ms = attempt.after.as_millis();
            let channel = channel(context, address);
            let text = format!("wait response on the channel {channel} timeout, {ms}(ms)");
            Report::new(TIMEOUT, text)
        }
        _ => lost(context, address),
    }
}

fn lost(context: &Context<'_>, address: &str) -> Report {
    let report = Report::new(SEND_REQUEST, request_failed(context, address));
    let cause = report.clone();
    report.caused(&cause)
}

fn null_pointer(context: &Context<'_>) -> String {
    let package = match context.dialect {
        Dialect::Java49 => "common.protocol",
        _ => "remoting.protocol",
    };
    format!(
        "Cannot invoke \"java.lang.Integer.intValue()\" because the return value of \
         \"org.apache.rocketmq.{package}.header.SendMessageResponseHeader.getQueueId()\" is null"
    )
}

/// The end of the loop over the attempts of a send to a queue that the producer chose.
fn of_loop(context: &Context<'_>, attempts: &[Attempt], last: &Attempt) -> Report {
    let cause = raw(context, last);
    let ended = Ended {
        stage: last.stage,
        code: last.code,
    };
    let oneway = context.mode == Mode::Oneway;
    if !oneway && !retryable(context.policy, Mode::Sync, ended) {
        return cause;
    }
    let all = if oneway {
        1
    } else {
        context.policy.attempts.sync
    };
    let made = attempts.len();
    if u32::try_from(made).is_ok_and(|made| made < all) {
        return out_of_time(context);
    }
    still_failed(context, attempts, &cause)
}

fn still_failed(context: &Context<'_>, attempts: &[Attempt], cause: &Report) -> Report {
    let brokers: Vec<&str> = attempts.iter().map(|one| &*one.to.broker).collect();
    let took: u128 = attempts.iter().map(|one| one.after.as_millis()).sum();
    let text = format!(
        "Send [{}] times, still failed, cost [{took}]ms, Topic: {}, BrokersSent: [{}]",
        attempts.len(),
        context.topic,
        brokers.join(", ")
    );
    let known = CODES.iter().find(|(class, _)| *class == cause.class);
    let code = match known {
        Some((_, code)) => *code,
        None => cause.code.unwrap_or(-1),
    };
    Report::coded(CLIENT, code, text).caused(cause)
}

/// What the callback of an async send gets.
fn of_callback(context: &Context<'_>, last: &Attempt) -> Vec<Report> {
    let cause = raw(context, last);
    let five = context.dialect == Dialect::Java53;
    let wrapped = |text: String| {
        let report = Report::coded(CLIENT, -1, text);
        if five { report.caused(&cause) } else { report }
    };
    let ms = last.after.as_millis();
    match (&*cause.class, five) {
        (SEND_REQUEST, _) => vec![wrapped("send request failed".to_owned())],
        (TIMEOUT, true) => vec![wrapped(format!("wait response timeout, cost={ms}"))],
        (TIMEOUT, false) => vec![wrapped(format!("wait response timeout {ms}ms"))],
        (CONNECT, true) => vec![wrapped("unknown reason".to_owned())],
        // The exception to the rule of this module: this client calls back twice when a dial ends
        // after the send's time. The producer calls back once; the second report is only told.
        (TOO_MUCH, true) => {
            let again = Report::new(TIMEOUT, "invokeAsyncImpl call timeout");
            let text = format!("wait response timeout, cost={ms}");
            let second = Report::coded(CLIENT, -1, text).caused(&again);
            vec![wrapped("unknown reason".to_owned()), second]
        }
        (CLIENT, _) if context.target == Target::Any => {
            vec![still_failed(context, std::slice::from_ref(last), &cause)]
        }
        _ => vec![cause],
    }
}

//! What a producer says to its operators, through `tracing`.
//!
//! There is a target for each area, so that one of them can be turned up alone:
//!
//! | target | says at INFO and above |
//! |---|---|
//! | `rmq::producer` | a producer started, stopped; a background task panicked |
//! | `rmq::send` | a send failed; a broker is avoided, or answers again |
//! | `rmq::route` | a route changed; a lookup failed; the list of name servers |
//! | `rmq::connection` | a connection opened, was lost; a broker announced its shutdown |
//!
//! At DEBUG come single attempts, lookups and dials, at TRACE every request and answer. The log does not
//! depend on the program's observer, which gets the same events as values.

use rmq_remoting::event::{CloseCause, Event as TransportEvent};
use rmq_remoting::observe::Name;
use tracing::{debug, error, info, trace, warn};

use crate::error::{Attempt, SendError};
use crate::event::{Event, LookupEnd, QueueRef, Stage};

/// Says what an event tells, at the level at which it concerns an operator.
pub(crate) fn event(event: &Event) {
    match event {
        Event::Started { group } => info!(target: "rmq::producer", %group, "producer started"),
        Event::Stopping { .. } => info!(target: "rmq::producer", "producer is stopping"),
        Event::Stopped { .. } => info!(target: "rmq::producer", "producer stopped"),
        Event::TaskPanicked { task } => error!(
            target: "rmq::producer", task, "a background task panicked and was started again"
        ),
        Event::Snapshot { topic, queues, .. } => route_changed(topic, queues),
        Event::NameServers { servers } => {
            info!(target: "rmq::route", servers = servers.join(";"), "name servers");
        }
        Event::LookupEnded { lookup, end } => match end {
            LookupEnd::Changed | LookupEnd::Unchanged | LookupEnd::NotExist => {
                debug!(target: "rmq::route", ?lookup, ?end, "route lookup ended");
            }
            LookupEnd::Refused { .. }
            | LookupEnd::Unusable(_)
            | LookupEnd::Unreachable
            | LookupEnd::NoNameServer => {
                warn!(target: "rmq::route", ?lookup, ?end, "route lookup failed");
            }
        },
        Event::Lookup { .. } | Event::NameServerChosen { .. } => {
            debug!(target: "rmq::route", ?event);
        }
        Event::Drain { broker } => info!(
            target: "rmq::connection", address = %broker, "broker announced its shutdown"
        ),
        Event::Heartbeat { broker, code } => {
            debug!(target: "rmq::connection", address = %broker, code, "heartbeat");
        }
        Event::Transport(event) => connection(event),
        // Said with its broker by `attempt_failed`, with its class by `health`, with all its attempts by
        // `send_failed`.
        Event::AttemptEnded { .. } | Event::Health { .. } | Event::Done { .. } => {
            trace!(target: "rmq::send", ?event);
        }
        Event::Attempt { .. }
        | Event::Hedged { .. }
        | Event::Selected { .. }
        | Event::Resend { .. }
        | Event::Cancelled { .. } => debug!(target: "rmq::send", ?event),
        Event::Call { .. }
        | Event::Built { .. }
        | Event::Requested { .. }
        | Event::Callback { .. }
        | Event::Gauges { .. } => trace!(target: "rmq::send", ?event),
    }
}

fn route_changed(topic: &Name, queues: &[QueueRef]) {
    let brokers = || {
        let mut brokers: Vec<_> = queues.iter().map(|queue| &*queue.broker).collect();
        brokers.sort_unstable();
        brokers.dedup();
        brokers.join(",")
    };
    info!(
        target: "rmq::route",
        %topic, queues = queues.len(), brokers = brokers(), "route changed"
    );
}

fn connection(event: &TransportEvent) {
    match event {
        TransportEvent::Opened { to, connection, .. } => info!(
            target: "rmq::connection", address = %to, %connection, "connection opened"
        ),
        TransportEvent::Closed {
            to,
            connection,
            cause,
            pending,
        } => match cause {
            CloseCause::Idle | CloseCause::Offline | CloseCause::Stopped => debug!(
                target: "rmq::connection", address = %to, %connection, %cause, "connection closed"
            ),
            _ => info!(
                target: "rmq::connection",
                address = %to, %connection, %cause, pending, "connection lost"
            ),
        },
        TransportEvent::DialFailed { to, cause, .. } => debug!(
            target: "rmq::connection", address = %to, ?cause, "connection not established"
        ),
        TransportEvent::Dial { .. } => debug!(target: "rmq::connection", ?event),
        _ => trace!(target: "rmq::connection", ?event),
    }
}

/// Says that a broker's last result was the first, or no longer one, for which it is avoided.
pub(crate) fn health(broker: &Name, was_avoided: bool, for_ms: u64, reason: Stage) {
    match (was_avoided, for_ms) {
        (false, 1..) => info!(
            target: "rmq::send", %broker, for_ms, %reason, "broker is avoided"
        ),
        (true, 0) => info!(target: "rmq::send", %broker, "broker answers again"),
        _ => {}
    }
}

/// Says that one attempt of a send failed.
pub(crate) fn attempt_failed(attempt: &Attempt) {
    debug!(
        target: "rmq::send",
        attempt = attempt.number,
        broker = %attempt.to.broker,
        queue = attempt.to.queue,
        stage = %attempt.stage,
        code = attempt.code,
        "attempt failed"
    );
}

/// Says that a send failed, with all its attempts.
pub(crate) fn send_failed(error: &SendError) {
    warn!(
        target: "rmq::send",
        topic = error.topic(),
        unique_key = error.message_id(),
        attempts = error.attempts().len(),
        failure = ?error.failure(),
        %error,
        "send failed"
    );
}

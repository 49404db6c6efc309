//! One send from its call to its end, the same for every mode.
//!
//! A [`SendOperation`] has a number, a deadline and a target. Whatever happens, it ends by exactly
//! one `Done`, or by `Cancelled` if its future is dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use rmq_remoting::observe::Name;
use tokio::time::{Duration, Instant};
use tracing::field::Empty;
use tracing::{Span, info_span};

use super::limits::millis;
use super::rotation::Rotations;
use super::state::ProducerCore;
use crate::decide::{Millis, budget};
use crate::error::SendError;
use crate::event::{Event, Failure, Mode, Outcome, SendNumber};
use crate::log;
use crate::message::Message;
use crate::selector::Selector;
use crate::sent::MessageQueue;

/// What a program asked for.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) message: Message,
    pub(crate) mode: Mode,
    pub(crate) timeout: Option<Duration>,
    pub(crate) target: Target,
    pub(crate) rotations: Arc<Rotations>,
}

/// Where the caller wants the message.
#[derive(Debug)]
pub(crate) enum Target {
    Any,
    Queue(MessageQueue),
    By(Selector),
}

/// A send under way. Dropping it before its end cancels it.
pub(crate) struct SendOperation {
    pub(crate) core: Arc<ProducerCore>,
    pub(crate) call: Call,
    /// The queue that the caller chose.
    pub(crate) target_queue: Option<MessageQueue>,
    pub(crate) number: SendNumber,
    pub(crate) began: Instant,
    /// The whole time, T.
    pub(crate) timeout: Millis,
    /// Attempts it has, N.
    pub(crate) attempts: u32,
    /// When no attempt starts any more.
    pub(crate) deadline: Instant,
    /// Whether the producer was running when it was called.
    pub(crate) running: bool,
    /// Its span, which begins with the call and ends with its outcome.
    pub(crate) span: Span,
    done: bool,
}

/// Longer than any send; keeps instants from overflowing.
const LONGEST: Millis = 1000 * 60 * 60 * 24 * 365;

impl SendOperation {
    /// Begins a send: from here on it has a number and a deadline.
    pub(crate) fn open(core: &Arc<ProducerCore>, mut call: Call) -> Self {
        let policy = &core.policy;
        if core.identity.namespace.is_some() {
            let topic = core.identity.wrapped(call.message.topic_name());
            call.message = call.message.with_topic(topic);
        }
        let asked = call.timeout.map(millis);
        let timeout = budget::timeout(policy, asked);
        let chosen = !matches!(call.target, Target::Any);
        let attempts = budget::attempts(policy, call.mode, chosen);
        let target_queue = match std::mem::replace(&mut call.target, Target::Any) {
            Target::Queue(queue) => Some(queue),
            target => {
                call.target = target;
                None
            }
        };
        let whole = budget::deadline(policy, timeout, attempts);
        let began = Instant::now();
        let send = Self {
            number: core.client.next_send(),
            running: core.life.enter() && !core.client.ended.load(Ordering::Relaxed),
            core: Arc::clone(core),
            began,
            timeout,
            attempts,
            deadline: began + Duration::from_millis(whole.min(LONGEST)),
            span: span(&call, core),
            call,
            target_queue,
            done: false,
        };
        send.emit(Event::Call {
            send: send.number,
            group: Name::clone(&send.core.identity.group),
            topic: Name::clone(send.call.message.topic_name()),
            mode: send.call.mode,
            timeout_ms: timeout,
            target_queue: send.target_queue.as_ref().map(Into::into),
            unique_key: send.call.message.unique_key_name().cloned(),
        });
        send
    }

    pub(crate) fn emit(&self, event: Event) {
        self.core.client.emit(event);
    }

    /// Time since the call.
    pub(crate) fn after(&self) -> Duration {
        self.began.elapsed()
    }

    /// Time until the deadline, in whole milliseconds.
    pub(crate) fn left(&self) -> Millis {
        millis(self.deadline.saturating_duration_since(Instant::now()))
    }

    /// Notes in the span how the send ended.
    fn note(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Sent { attempt, at, .. } => {
                self.span
                    .record("messaging.destination.partition.id", at.queue);
                self.span.record("rmq.broker", &*at.broker);
                self.span.record("rmq.attempts", attempt);
            }
            Outcome::Written => {}
            Outcome::Failed(failure) => {
                self.span.record("otel.status_code", "ERROR");
                self.span.record("error.type", failure.name());
            }
        }
    }

    /// Ends the send without success, and gives its message back.
    pub(crate) fn fail(&mut self, error: SendError) -> SendError {
        self.end(Outcome::Failed(error.failure()));
        log::send_failed(&error);
        let topic = self.topic();
        let message = std::mem::replace(&mut self.call.message, Message::new("", Bytes::new()));
        error.of(message.with_topic(topic))
    }

    /// The message's topic, as the program calls it.
    pub(crate) fn topic(&self) -> Name {
        self.core.identity.unwrapped(self.call.message.topic_name())
    }

    /// Ends the send: its outcome is told, and it no longer counts as open.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        self.done = true;
        self.note(&outcome);
        self.emit(Event::Done {
            send: self.number,
            outcome,
            after_ms: millis(self.after()),
        });
        self.core.life.leave();
    }

    /// An error of this send before its first attempt.
    pub(crate) fn error(&self, failure: Failure) -> SendError {
        SendError::new(failure, &self.topic(), self.after())
    }
}

impl Drop for SendOperation {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        // Nobody can drop an async send but the producer that ends, or the runtime under it.
        if self.call.mode == Mode::Async && self.core.client.host.is_running() {
            self.end(Outcome::Failed(ended_from_outside(self.running)));
        } else {
            self.emit(Event::Cancelled { send: self.number });
            self.core.life.leave();
        }
    }
}

/// The span of a send. Its fields are called as OpenTelemetry's conventions for messaging have them.
fn span(call: &Call, core: &ProducerCore) -> Span {
    let message = &call.message;
    info_span!(
        target: "rmq::send",
        "rmq.send",
        otel.kind = "producer",
        otel.status_code = Empty,
        error.type = Empty,
        messaging.system = "rocketmq",
        messaging.operation.name = "send",
        messaging.operation.type = "send",
        messaging.client.id = &*core.client.id,
        messaging.destination.name = message.topic(),
        messaging.destination.partition.id = Empty,
        messaging.message.id = Empty,
        messaging.message.body.size = message.body().len(),
        messaging.rocketmq.message.tag = message.tag(),
        messaging.rocketmq.message.keys = some(message.keys()),
        rmq.group = &*core.identity.group,
        rmq.broker = Empty,
        rmq.attempts = Empty,
    )
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The failure of an async send that its closing producer ended, or did not start any more.
pub(crate) fn ended_from_outside(running: bool) -> Failure {
    if running {
        Failure::Closed
    } else {
        Failure::NotRunning
    }
}

//! One send from its call to its end, the same for every mode.
//!
//! A [`SendOperation`] has a number, a deadline and a target. Whatever happens, it ends by exactly
//! one `Done`, or by `Cancelled` if its future is dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rmq_remoting::observe::Name;
use tokio::time::{Duration, Instant};

use super::limits::millis;
use super::rotation::Rotations;
use super::state::ProducerCore;
use crate::decide::{Millis, budget};
use crate::error::SendError;
use crate::event::{Event, Failure, Mode, Outcome, SendNumber};
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
    done: bool,
}

/// Longer than any send; keeps instants from overflowing.
const LONGEST: Millis = 1000 * 60 * 60 * 24 * 365;

impl SendOperation {
    /// Begins a send: from here on it has a number and a deadline.
    pub(crate) fn open(core: &Arc<ProducerCore>, mut call: Call) -> Self {
        let policy = &core.policy;
        if core.identity.namespace.is_some() {
            let topic = core.identity.wrapped(call.message.topic());
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
            call,
            target_queue,
            done: false,
        };
        send.emit(Event::Call {
            send: send.number,
            topic: Name::clone(send.call.message.topic()),
            mode: send.call.mode,
            timeout_ms: timeout,
            target_queue: send.target_queue.as_ref().map(MessageQueue::to_ref),
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

    /// Ends the send without success.
    pub(crate) fn fail(&mut self, error: SendError) -> SendError {
        self.end(Outcome::Failed(error.failure()));
        error
    }

    /// Ends the send: its outcome is told, and it no longer counts as open.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        self.done = true;
        self.emit(Event::Done {
            send: self.number,
            outcome,
            after_ms: millis(self.after()),
        });
        self.core.life.leave();
    }

    /// An error of this send before its first attempt.
    pub(crate) fn error(&self, failure: Failure) -> SendError {
        let topic = self.core.identity.unwrapped(self.call.message.topic());
        SendError::new(failure, &topic, self.after())
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

/// The failure of an async send that its closing producer ended, or did not start any more.
pub(crate) fn ended_from_outside(running: bool) -> Failure {
    if running {
        Failure::Closed
    } else {
        Failure::NotRunning
    }
}

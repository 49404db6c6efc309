//! One send from its call to its end, the same for every mode.
//!
//! A [`Send`] announces itself, checks and builds its message, finds a route, and then runs its
//! attempts (in [`flight`](crate::flight)) or, one-way, writes once. Whatever happens, it ends by
//! exactly one `Done`, or by `Cancelled` if its future is dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rmq_remoting::observe::Name;
use tokio::time::{Duration, Instant, timeout_at};

use crate::decide::{Millis, budget, envelope};
use crate::error::{InvalidMessage, Reason, SendError};
use crate::event::{Event, Failure, Mode, Outcome, SendNumber};
use crate::flight::{self, Flight};
use crate::lookup::LookupError;
use crate::message::Message;
use crate::permits::{Full, Permit};
use crate::producer::ProducerCore;
use crate::rotation::Rotations;
use crate::routes::{self, Snapshot};
use crate::sent::{MessageQueue, Sent};

/// What a program asked for.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) message: Message,
    pub(crate) mode: Mode,
    pub(crate) timeout: Option<Duration>,
    pub(crate) pinned: Option<MessageQueue>,
    pub(crate) rotations: Arc<Rotations>,
}

/// What an async send calls back.
pub(crate) type Callback = Box<dyn FnOnce(Result<Sent, SendError>) + std::marker::Send>;

/// A send under way. Dropping it before its end cancels it.
pub(crate) struct Send {
    pub(crate) core: Arc<ProducerCore>,
    pub(crate) call: Call,
    pub(crate) number: SendNumber,
    pub(crate) began: Instant,
    /// The whole time, T.
    pub(crate) timeout: Millis,
    /// Attempts it has, N.
    pub(crate) attempts: u32,
    /// When no attempt starts any more.
    pub(crate) deadline: Instant,
    running: bool,
    done: bool,
}

/// What all attempts of a send start from.
pub(crate) struct Prepared {
    pub(crate) envelope: Arc<envelope::Envelope>,
    pub(crate) snapshot: Arc<Snapshot>,
}

impl Send {
    /// Begins a send: from here on it has a number and a deadline.
    pub(crate) fn open(core: &Arc<ProducerCore>, call: Call) -> Self {
        let policy = &core.policy;
        let asked = call.timeout.map(millis);
        let timeout = budget::timeout(policy, asked);
        let attempts = budget::attempts(policy, call.mode, call.pinned.is_some());
        let whole = budget::deadline(policy, timeout, attempts);
        let began = Instant::now();
        let send = Self {
            number: core.client.next_send(),
            running: core.life.enter(),
            core: Arc::clone(core),
            began,
            timeout,
            attempts,
            deadline: began + Duration::from_millis(whole.min(LONGEST)),
            call,
            done: false,
        };
        send.emit(Event::Call {
            send: send.number,
            topic: Name::clone(send.call.message.topic()),
            mode: send.call.mode,
            timeout_ms: timeout,
            pinned: send.call.pinned.as_ref().map(MessageQueue::to_ref),
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

    /// Ends the send.
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
        SendError::new(failure, self.call.message.topic(), self.after())
    }

    /// Checks and builds the message and finds a route for it.
    async fn prepare(&self) -> Result<Prepared, SendError> {
        if !self.running {
            return Err(self.error(Failure::NotRunning));
        }
        if let Err(invalid) = self.validate() {
            return Err(self.error(Failure::Invalid).because(invalid));
        }
        let envelope = self.build();
        let found = self.route().await;
        match found {
            Ok(snapshot) => Ok(Prepared { envelope, snapshot }),
            Err(error) => Err(error.of_message(&envelope.key, Vec::new())),
        }
    }

    fn validate(&self) -> Result<(), InvalidMessage> {
        envelope::validate(&self.core.policy, &self.call.message)?;
        match &self.call.pinned {
            Some(queue) if queue.topic != *self.call.message.topic() => Err(InvalidMessage {
                code: -1,
                text: "message's topic not equal mq's topic".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn build(&self) -> Arc<envelope::Envelope> {
        let core = &self.core;
        {
            let mut bucket = core.bucket.lock();
            *bucket = bucket.refill(&core.policy);
        }
        let now = core.client.host.unix_millis();
        let key = core.client.next_key(now);
        let message = &self.call.message;
        let built = envelope::build(&core.policy, message, key, now);
        self.emit(Event::Built {
            send: self.number,
            key: Name::clone(&built.key),
            body_len: u32::try_from(message.body().len()).unwrap_or(u32::MAX),
            body_crc: crc32fast::hash(message.body()),
        });
        Arc::new(built)
    }

    async fn route(&self) -> Result<Arc<Snapshot>, SendError> {
        let topic = self.call.message.topic();
        if let Some(snapshot) = self.core.client.routes.snapshot(topic) {
            return Ok(snapshot);
        }
        let closed = self.core.life.closed();
        let find = routes::find(&self.core.client, topic, self.deadline);
        let found = tokio::select! {
            biased;
            found = find => found,
            () = closed => return Err(self.error(Failure::Closed)),
        };
        found.map_err(|error| {
            let failure = match &*error {
                LookupError::NotExist { .. } | LookupError::Unusable { .. } => Failure::NoRoute,
                LookupError::Refused { .. }
                | LookupError::Unreachable { .. }
                | LookupError::TooLate { .. }
                | LookupError::BrokenOff(_) => Failure::RouteUnreachable,
            };
            self.error(failure).because(Reason::Lookup(error))
        })
    }
}

impl Drop for Send {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        // Nobody can drop an async send but the producer that ends.
        if self.call.mode == Mode::Async && self.core.life.is_closed() {
            self.end(Outcome::Failed(Failure::Closed));
        } else {
            self.emit(Event::Cancelled { send: self.number });
            self.core.life.leave();
        }
    }
}

/// Longer than any send; keeps instants from overflowing.
const LONGEST: Millis = 1000 * 60 * 60 * 24 * 365;

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// Runs a send until its message is stored or it has failed.
pub(crate) async fn stored(mut send: Send) -> Result<Sent, SendError> {
    match send.prepare().await {
        Ok(prepared) => Flight::new(&mut send, prepared).run().await,
        Err(error) => Err(send.fail(error)),
    }
}

/// Runs a one-way send: one attempt, done when its request is in a connection's buffer.
pub(crate) async fn oneway(mut send: Send) -> Result<(), SendError> {
    let prepared = match send.prepare().await {
        Ok(prepared) => prepared,
        Err(error) => return Err(send.fail(error)),
    };
    let written = {
        let closed = send.core.life.closed();
        let attempt = timeout_at(send.deadline, flight::write(&send, prepared));
        tokio::select! {
            biased;
            written = attempt => written.unwrap_or_else(|_| Err(send.error(Failure::Deadline))),
            () = closed => Err(send.error(Failure::Closed)),
        }
    };
    match written {
        Ok(()) => {
            send.end(Outcome::Written);
            Ok(())
        }
        Err(error) => Err(send.fail(error)),
    }
}

/// Starts an async send in a task of the producer's.
pub(crate) fn in_background(core: &Arc<ProducerCore>, call: Call, callback: Callback) {
    let mut send = Send::open(core, call);
    let mut owed = Owed {
        core: Arc::clone(core),
        number: send.number,
        topic: Name::clone(send.call.message.topic()),
        began: send.began,
        callback: Some(callback),
        permit: Permit::default(),
    };
    // Who finds room has it by the order of the calls, not by that in which tasks start.
    let admission = core.permits.at_once(send.call.message.body().len());
    let run = async move {
        let outcome = match admitted(&mut send, admission).await {
            Ok(permit) => {
                owed.permit = permit;
                stored(send).await
            }
            Err(error) => Err(error),
        };
        owed.pay(outcome);
    };
    let host = &core.client.host;
    core.async_sends.spawn(host, "async-send", Box::pin(run));
}

/// Waits for the permit of an async send that did not get one at once.
async fn admitted(send: &mut Send, at_once: Result<Permit, Full>) -> Result<Permit, SendError> {
    if let Ok(permit) = at_once {
        return Ok(permit);
    }
    let core = &send.core;
    let len = send.call.message.body().len();
    let admitted = tokio::select! {
        biased;
        admitted = core.permits.acquire(len, send.deadline) => admitted,
        () = core.life.closed() => {
            let error = send.error(Failure::Closed);
            return Err(send.fail(error));
        }
    };
    admitted.map_err(|full| {
        let error = send.error(Failure::BackPressure).because(full);
        send.fail(error)
    })
}

/// The callback that an async send owes its caller, and the permit until it has returned.
struct Owed {
    core: Arc<ProducerCore>,
    number: SendNumber,
    topic: Name,
    began: Instant,
    callback: Option<Callback>,
    permit: Permit,
}

impl Owed {
    fn pay(&mut self, outcome: Result<Sent, SendError>) {
        let Some(callback) = self.callback.take() else {
            return;
        };
        // What a caller's code does to itself must not reach other sends.
        let called = catch_unwind(AssertUnwindSafe(|| callback(outcome)));
        if called.is_err() {
            tracing::error!(send = self.number, "the callback of a send panicked");
        }
        self.permit = Permit::default();
        self.core.client.emit(Event::Callback { send: self.number });
    }
}

impl Drop for Owed {
    /// The send's task was ended from outside. If that is because the producer closed, the caller
    /// hears of it; if the machine under the program went away, nobody is there to hear.
    fn drop(&mut self) {
        if self.callback.is_some() && self.core.life.is_closed() {
            let error = SendError::new(Failure::Closed, &self.topic, self.began.elapsed());
            self.pay(Err(error));
        }
    }
}

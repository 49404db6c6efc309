//! One send from its call to its end, the same for every mode.
//!
//! A [`Send`] announces itself, checks and builds its message, finds a route, and then runs its
//! attempts (in [`flight`](crate::flight)) or, one-way, writes once. Whatever happens, it ends by
//! exactly one `Done`, or by `Cancelled` if its future is dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rmq_remoting::observe::Name;
use tokio::time::{Duration, Instant};

use crate::decide::retry::Ended;
use crate::decide::{Millis, budget, envelope, retry, route};
use crate::error::{InvalidMessage, Reason, SendError};
use crate::event::{Event, Failure, Mode, Outcome, QueueRef, SendNumber, Stage};
use crate::flight::Flight;
use crate::lookup::LookupError;
use crate::message::Message;
use crate::oneway;
use crate::permits::{Full, Permit};
use crate::producer::ProducerCore;
use crate::rotation::Rotations;
use crate::routes::{self, Found, Snapshot};
use crate::selector::Selector;
use crate::sent::{MessageQueue, Sent};

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

/// What an async send calls back.
pub(crate) type Callback = Box<dyn FnOnce(Result<Sent, SendError>) + std::marker::Send>;

/// A send under way. Dropping it before its end cancels it.
pub(crate) struct Send {
    pub(crate) core: Arc<ProducerCore>,
    pub(crate) call: Call,
    /// The queue that the caller chose.
    pub(crate) pinned: Option<MessageQueue>,
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
    pub(crate) fn open(core: &Arc<ProducerCore>, mut call: Call) -> Self {
        let policy = &core.policy;
        if core.sender.namespace.is_some() {
            let topic = core.sender.wrapped(call.message.topic());
            call.message = call.message.with_topic(topic);
        }
        let asked = call.timeout.map(millis);
        let timeout = budget::timeout(policy, asked);
        let chosen = !matches!(call.target, Target::Any);
        let attempts = budget::attempts(policy, call.mode, chosen);
        let pinned = match std::mem::replace(&mut call.target, Target::Any) {
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
            pinned,
            done: false,
        };
        send.emit(Event::Call {
            send: send.number,
            topic: Name::clone(send.call.message.topic()),
            mode: send.call.mode,
            timeout_ms: timeout,
            pinned: send.pinned.as_ref().map(MessageQueue::to_ref),
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
        let topic = self.core.sender.unwrapped(self.call.message.topic());
        SendError::new(failure, &topic, self.after())
    }

    /// Checks and builds the message and finds a route for it.
    async fn prepare(&mut self) -> Result<Prepared, SendError> {
        if !self.running {
            return Err(self.error(Failure::NotRunning));
        }
        if let Err(invalid) = self.validate() {
            return Err(self.error(Failure::Invalid).because(invalid));
        }
        let envelope = self.build();
        let found = self.route().await;
        let found = found.and_then(|snapshot| self.select(&snapshot).map(|()| snapshot));
        match found {
            Ok(snapshot) => Ok(Prepared { envelope, snapshot }),
            Err(error) => Err(error.of_message(&envelope.key, Vec::new())),
        }
    }

    /// Lets the caller's selector choose.
    fn select(&mut self, snapshot: &Snapshot) -> Result<(), SendError> {
        let selector = match std::mem::replace(&mut self.call.target, Target::Any) {
            Target::By(selector) => selector,
            Target::Any | Target::Queue(_) => return Ok(()),
        };
        let topic = self.core.sender.unwrapped(self.call.message.topic());
        let queue = |queue: &QueueRef| MessageQueue {
            topic: Name::clone(&topic),
            broker: Name::clone(&queue.broker),
            queue: queue.queue,
        };
        let queues: Vec<_> = snapshot.queues.iter().map(queue).collect();
        let drawn = self.core.client.host.draw("producer.selector", self.number);
        self.pinned = match self.core.sender.namespace {
            None => selector.choose(&queues, &self.call.message, drawn),
            Some(_) => {
                let message = self.call.message.clone().with_topic(topic);
                selector.choose(&queues, &message, drawn)
            }
        };
        let Some(chosen) = &self.pinned else {
            let invalid = InvalidMessage {
                code: -1,
                text: "select message queue return null.".to_owned(),
            };
            return Err(self.error(Failure::Invalid).because(invalid));
        };
        self.emit(Event::Selected {
            send: self.number,
            snapshot: snapshot.number,
            to: chosen.to_ref(),
        });
        self.validate_queue()
            .map_err(|invalid| self.error(Failure::Invalid).because(invalid))
    }

    fn validate(&self) -> Result<(), InvalidMessage> {
        envelope::validate(&self.core.policy, &self.call.message)?;
        self.validate_queue()
    }

    fn validate_queue(&self) -> Result<(), InvalidMessage> {
        let checked = envelope::checks_queue(&self.core.policy, self.call.mode);
        match &self.pinned {
            Some(queue) if checked && !self.is_of_its_topic(queue) => Err(InvalidMessage {
                code: -1,
                text: "message's topic not equal mq's topic".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn is_of_its_topic(&self, queue: &MessageQueue) -> bool {
        self.core.sender.wrapped(&queue.topic) == *self.call.message.topic()
    }

    fn build(&self) -> Arc<envelope::Envelope> {
        let core = &self.core;
        {
            let mut bucket = core.bucket.lock();
            *bucket = bucket.refill(&core.policy);
        }
        let now = core.client.host.unix_millis();
        let message = &self.call.message;
        let given = message.id().map(Name::clone);
        let key = given.unwrap_or_else(|| core.client.next_key(now));
        let namespace = core.sender.namespace.as_ref();
        let body = message.body();
        let packed = envelope::compresses(&core.policy, body.len())
            .and_then(|kind| Some((kind, core.packer.pack(kind, body)?)));
        let built = envelope::build(&core.policy, namespace, message, packed, key, now);
        self.emit(Event::Built {
            send: self.number,
            key: Name::clone(&built.key),
            body_len: u32::try_from(message.body().len()).unwrap_or(u32::MAX),
            body_crc: crc32fast::hash(message.body()),
        });
        Arc::new(built)
    }

    /// Whether the caller's queue is at a broker that the route does not have, although a lookup
    /// may find it: it may be back since.
    fn misses_its_broker(&self, snapshot: &Snapshot) -> bool {
        let pinned = self.pinned.as_ref();
        let unknown = Ended {
            stage: Stage::Address,
            code: None,
        };
        pinned.is_some_and(|queue| snapshot.master(&queue.broker).is_none())
            && route::refreshes(&self.core.policy, unknown)
    }

    async fn route(&self) -> Result<Arc<Snapshot>, SendError> {
        let topic = self.call.message.topic();
        let known = self.core.client.routes.snapshot(topic);
        if let Some(snapshot) = &known
            && !self.misses_its_broker(snapshot)
        {
            return Ok(Arc::clone(snapshot));
        }
        let closed = self.core.life.closed();
        let found = tokio::select! {
            biased;
            found = self.find(topic, known) => found,
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

impl Send {
    /// Looks the topic up, as often and for as long as the policy has it. A route that is known and
    /// lacks the caller's broker is renewed.
    async fn find(&self, topic: &Name, known: Option<Arc<Snapshot>>) -> Found {
        if let Some(known) = known {
            let client = &self.core.client;
            return Ok(routes::renewed(client, topic, known, self.deadline).await);
        }
        let (inside, tries) = budget::lookup_budget(&self.core.policy, self.attempts);
        let until = inside.then_some(self.deadline);
        let mut found = routes::find(&self.core.client, topic, until).await;
        for _ in 1..tries {
            match &found {
                Err(error) if !matches!(**error, LookupError::Unusable { .. }) => {
                    found = routes::find(&self.core.client, topic, until).await;
                }
                _ => break,
            }
        }
        found
    }
}

impl Drop for Send {
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
fn ended_from_outside(running: bool) -> Failure {
    if running {
        Failure::Closed
    } else {
        Failure::NotRunning
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

/// Runs a one-way send: one attempt, done when its request is in a connection's buffer, or, if the
/// policy has it so, when it is known where it goes.
pub(crate) async fn oneway(mut send: Send) -> Result<(), SendError> {
    let prepared = match send.prepare().await {
        Ok(prepared) => prepared,
        Err(error) => return Err(send.fail(error)),
    };
    let Some(aim) = oneway::aim(&send, &prepared) else {
        let error = send.error(Failure::NoRoute);
        return Err(send.fail(error));
    };
    if retry::waits_for_write(&send.core.policy) || aim.address.is_none() || aim.refusal.is_some() {
        return write_out(send, prepared, aim).await;
    }
    let core = Arc::clone(&send.core);
    let write = async move {
        // Nobody waits for what becomes of it; the events tell.
        let _ = write_out(send, prepared, aim).await;
    };
    let host = &core.client.host;
    core.async_sends.spawn(host, "oneway-send", Box::pin(write));
    Ok(())
}

async fn write_out(mut send: Send, prepared: Prepared, aim: oneway::Aim) -> Result<(), SendError> {
    match oneway::write(&send, prepared, aim).await {
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
        topic: core.sender.unwrapped(send.call.message.topic()),
        began: send.began,
        running: send.running,
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
    /// Whether the producer was running when it was called.
    running: bool,
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
    /// The send's task was ended from outside, by the producer's end or by that of the runtime: the
    /// caller hears of it. If the machine under the program went away, nobody is there to hear.
    fn drop(&mut self) {
        if self.callback.is_some() && self.core.client.host.is_running() {
            let failure = ended_from_outside(self.running);
            let error = SendError::new(failure, &self.topic, self.began.elapsed());
            self.pay(Err(error));
        }
    }
}

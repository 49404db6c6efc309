//! How one message is sent, where the plain calls of [`Producer`](crate::Producer) do not say enough.
//!
//! Each mode of sending can have a timeout and a target of its own. So there is one description
//! with all of them, and a method for each mode at its end, rather than a method for each
//! combination.

use std::sync::Arc;
use std::time::Duration;

use rmq_remoting::observe::Name;
use tracing::Instrument;

use crate::delivery::DeliveryFuture;
use crate::error::SendError;
use crate::event::Mode;
use crate::message::Message;
use crate::selector::Selector;
use crate::send::operation::{Call, SendOperation, Target};
use crate::send::rotation::Rotations;
use crate::send::state::ProducerCore;
use crate::send::{attempts, background, oneway};
use crate::sent::{MessageQueue, Sent};

/// A message on its way out, made by [`Producer::dispatch`](crate::Producer::dispatch).
///
/// ```no_run
/// # use std::time::Duration;
/// # use rmq_producer::{Message, MessageQueue, Producer};
/// # fn hurry(producer: &Producer, queue: MessageQueue) {
/// producer
///     .dispatch(Message::new("orders", "hello"))
///     .to(queue)
///     .timeout(Duration::from_millis(500))
///     .send_with_callback(|outcome| println!("{outcome:?}"));
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is sent before one of its send methods is called"]
pub struct Dispatch<'a> {
    core: &'a Arc<ProducerCore>,
    rotations: &'a Arc<Rotations>,
    message: Message,
    timeout: Option<Duration>,
    target: Target,
}

impl<'a> Dispatch<'a> {
    pub(super) fn new(
        core: &'a Arc<ProducerCore>,
        rotations: &'a Arc<Rotations>,
        message: Message,
    ) -> Self {
        Self {
            core,
            rotations,
            message,
            timeout: None,
            target: Target::Any,
        }
    }

    /// The whole time of this send, instead of the producer's. At least a millisecond.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// To this queue and nowhere else: for orders that consumers must keep.
    pub fn to(mut self, queue: MessageQueue) -> Self {
        self.target = Target::Queue(queue);
        self
    }

    /// To the queue that this chooses and nowhere else.
    pub fn by(mut self, selector: Selector) -> Self {
        self.target = Target::By(selector);
        self
    }

    /// Sends it and waits until a broker has stored it. Dropping the future cancels the send; a
    /// copy may still be stored.
    ///
    /// # Errors
    /// No broker has confirmed the message in time; the error lists every attempt. Or the queue is
    /// one of another topic, or none was chosen.
    pub async fn send(self) -> Result<Sent, SendError> {
        let core = self.core;
        let send = SendOperation::open(core, self.call(Mode::Sync));
        let span = send.span.clone();
        attempts::stored(send).instrument(span).await
    }

    /// Sends it in the background. The outcome can be awaited; dropping what is returned does not end
    /// the send.
    pub fn send_async(self) -> DeliveryFuture {
        let topic = Name::clone(self.message.topic_name());
        let (delivery, callback) = DeliveryFuture::new(topic);
        self.send_with_callback(callback);
        delivery
    }

    /// Sends it in the background and calls back, exactly once. The callback runs in the send's
    /// own task; if it takes long or panics, no other send notices.
    pub fn send_with_callback<F>(self, callback: F)
    where
        F: FnOnce(Result<Sent, SendError>) + Send + 'static,
    {
        let core = self.core;
        background::start(core, self.call(Mode::Async), Box::new(callback));
    }

    /// Gives it to a broker's connection without waiting for an answer: it may be lost without a
    /// word.
    ///
    /// # Errors
    /// There was no route or no connection in time.
    pub async fn send_oneway(self) -> Result<(), SendError> {
        let core = self.core;
        let send = SendOperation::open(core, self.call(Mode::Oneway));
        let span = send.span.clone();
        oneway::write(send).instrument(span).await
    }

    fn call(self, mode: Mode) -> Call {
        Call {
            message: self.message,
            mode,
            timeout: self.timeout,
            target: self.target,
            rotations: Arc::clone(self.rotations),
        }
    }
}

//! The outcome of an async send, to be awaited.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rmq_remoting::observe::Name;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::SendError;
use crate::event::Failure;
use crate::sent::Sent;

/// Waits for the outcome of an async send. Made by [`Producer::send_async`](crate::Producer::send_async).
///
/// The send runs by itself: nothing needs to poll this, and dropping it does not end the send.
///
/// ```
/// # use rmq_producer::{DeliveryFuture, Message, Producer, SendError, Sent};
/// async fn both(producer: &Producer) -> Result<(Sent, Sent), SendError> {
///     let first: DeliveryFuture = producer.send_async(Message::new("orders", "1"));
///     let second = producer.send_async(Message::new("orders", "2"));
///     Ok((first.await?, second.await?)) // both were under way at the same time
/// }
/// ```
#[must_use = "the send goes on without it, but its outcome is lost; send_with_callback or drop it on purpose"]
pub struct DeliveryFuture {
    outcome: oneshot::Receiver<Result<Sent, SendError>>,
    topic: Name,
    began: Instant,
}

impl fmt::Debug for DeliveryFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryFuture")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl DeliveryFuture {
    /// The future, and the callback that completes it.
    pub(crate) fn new(topic: Name) -> (Self, impl FnOnce(Result<Sent, SendError>) + Send) {
        let (told, outcome) = oneshot::channel();
        let future = Self {
            outcome,
            topic,
            began: Instant::now(),
        };
        let callback = move |outcome| {
            // Whoever dropped the future does not want to know.
            let _ = told.send(outcome);
        };
        (future, callback)
    }
}

impl Future for DeliveryFuture {
    type Output = Result<Sent, SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.outcome).poll(context));
        Poll::Ready(outcome.unwrap_or_else(|_| {
            // A producer owes its callbacks, so only the end of its machine drops one.
            let Self { topic, began, .. } = &*self;
            Err(SendError::new(Failure::Closed, topic, began.elapsed()))
        }))
    }
}

//! An answer that is waited for.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::connection_handle::ConnectionHandle;
use super::error::CallError;
use super::pending::Unanswered;
use crate::command::Command;
use crate::event::ConnectionNumber;

/// A request that was given to its connection and waits for its answer.
///
/// Dropping it takes the request out of the connection's table; an answer that comes after that
/// is late.
#[must_use = "dropping it gives up the answer"]
pub struct PendingReply {
    handle: Arc<ConnectionHandle>,
    opaque: i32,
    began: Instant,
    deadline: Instant,
    done: bool,
}

impl PendingReply {
    pub(super) fn new(
        handle: Arc<ConnectionHandle>,
        opaque: i32,
        began: Instant,
        deadline: Instant,
    ) -> Self {
        Self {
            handle,
            opaque,
            began,
            deadline,
            done: false,
        }
    }

    /// The id that joins the answer to the request.
    pub fn opaque(&self) -> i32 {
        self.opaque
    }

    /// The connection it was given to.
    pub fn connection(&self) -> ConnectionNumber {
        self.handle.number
    }
}

impl fmt::Debug for PendingReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingReply({}/{})", self.handle.number, self.opaque)
    }
}

impl Future for PendingReply {
    type Output = Result<Command, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let opaque = self.opaque;
        let answer = ready!(self.handle.pending(|pending| pending.poll(opaque, cx)));
        self.done = true;
        let to = Arc::clone(&self.handle.to);
        Poll::Ready(answer.map_err(|why| match why {
            Unanswered::TimedOut => CallError::TimedOut {
                to,
                after: self.deadline.duration_since(self.began),
            },
            Unanswered::Lost(cause) => CallError::Lost {
                to,
                cause,
                found: self.handle.found(),
            },
        }))
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        if !self.done {
            self.handle.pending(|pending| pending.leave(self.opaque));
        }
    }
}

//! One call on its way into a connection's write buffer, and what its failures are called.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::connection_handle::{ConnectionHandle, FailedDial};
use super::error::CallError;
use crate::event::CloseCause;
use crate::frame::{Outgoing, Speaker};
use crate::header::Request;
use crate::observe::Name;
use crate::write_buffer::{Append, Room};

/// One call, for its errors.
pub(super) struct Call<'a> {
    pub(super) to: &'a Name,
    pub(super) began: Instant,
    pub(super) deadline: Instant,
}

impl Call<'_> {
    pub(super) fn dial(&self, failed: FailedDial) -> CallError {
        CallError::Dial {
            to: Arc::clone(self.to),
            cause: failed.cause,
            source: failed.source,
        }
    }

    pub(super) fn timed_out(&self) -> CallError {
        CallError::TimedOut {
            to: Arc::clone(self.to),
            after: self.deadline.saturating_duration_since(self.began),
        }
    }

    pub(super) fn lost(&self, cause: CloseCause, handle: &ConnectionHandle) -> CallError {
        CallError::Lost {
            to: Arc::clone(self.to),
            cause,
            found: handle.found(),
        }
    }

    pub(super) fn no_room(&self) -> CallError {
        CallError::Write {
            to: Arc::clone(self.to),
            after: self.deadline.saturating_duration_since(self.began),
        }
    }

    pub(super) fn stopped(&self) -> CallError {
        CallError::Stopped {
            to: Arc::clone(self.to),
        }
    }
}

/// A request on its way into a connection's write buffer.
pub(super) struct Writing<'a> {
    pub(super) handle: &'a ConnectionHandle,
    pub(super) call: &'a Call<'a>,
    pub(super) speaker: Speaker,
    pub(super) request: &'a dyn Request,
    pub(super) opaque: i32,
    pub(super) flag: i32,
}

impl Writing<'_> {
    /// Encodes it, once there is room.
    pub(super) async fn done(&self) -> Result<(), CallError> {
        if self.attempt()? {
            return Ok(());
        }
        let written = timeout_at(self.call.deadline, self.with_room()).await;
        written.unwrap_or_else(|_| Err(self.call.no_room()))
    }

    async fn with_room(&self) -> Result<(), CallError> {
        loop {
            let told = self.handle.write_buffer.room().notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.attempt()? {
                return Ok(());
            }
            told.await;
        }
    }

    /// Encodes it if there is room, and tells whether there was.
    fn attempt(&self) -> Result<bool, CallError> {
        let outgoing = Outgoing {
            code: self.request.code(),
            opaque: self.opaque,
            flag: self.flag,
            remark: None,
            header: self.request,
            body: self.request.body(),
        };
        let write_buffer = &self.handle.write_buffer;
        match write_buffer.append(&self.speaker, &outgoing, Some(self.opaque), Room::Needed) {
            Ok(Append::Done) => Ok(true),
            Ok(Append::Full) => Ok(false),
            Ok(Append::Closed) => {
                let cause = self.handle.pending(|pending| pending.ended());
                Err(self
                    .call
                    .lost(cause.unwrap_or(CloseCause::Stopped), self.handle))
            }
            Err(source) => Err(CallError::Encode {
                to: Arc::clone(self.call.to),
                source,
            }),
        }
    }
}

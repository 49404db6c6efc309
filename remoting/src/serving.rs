//! Hands the requests of one connection to its service, and the answers to its write buffer.
//!
//! What one peer can make this process hold is bounded: so many bytes of answers that it does not
//! read, so many requests that are being answered, so many bytes of those. Beyond that nothing is
//! read from it; other connections are not concerned.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rmq_host::BoxFuture;

use crate::code::response;
use crate::command::{Command, FLAG_RESPONSE};
use crate::frame::{EncodeError, MAX_FRAME, Outgoing};
use crate::header::{EncodeHeader, NoFields};
use crate::service::{Answer, Peer, Reply, Response, Service};
use crate::write_buffer::Room;

/// How many requests of one connection may be waiting for their answers at a time: as many as the
/// queue of a broker's send threads holds.
const MAX_OPEN: usize = 10_000;

/// The longest remark of an answer, in bytes. Remarks quote what was asked, and what was asked may
/// be as long as a frame.
const MAX_REMARK: usize = 32 * 1024;

/// What an answer means for the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The connection goes on.
    Continue,
    /// It is to be dropped at once.
    Reset,
}

/// The requests of one connection that are being answered.
pub(crate) struct Serving {
    service: Arc<dyn Service>,
    peer: Peer,
    later: FuturesUnordered<Later>,
    /// The bytes of the requests in `later`.
    open_bytes: usize,
}

impl Serving {
    pub(crate) fn new(service: Arc<dyn Service>, peer: Peer) -> Self {
        Self {
            service,
            peer,
            later: FuturesUnordered::new(),
            open_bytes: 0,
        }
    }

    /// Whether no further request is to be read for now: the peer has to read its answers, or to
    /// wait for those that are on their way.
    pub(crate) fn is_full(&self) -> bool {
        let write_buffer = self.peer.write_buffer();
        self.later.len() >= MAX_OPEN
            || self.open_bytes >= write_buffer.limit()
            || write_buffer.is_full()
    }

    /// Whether answers are held back until the peer has read others.
    pub(crate) fn is_held(&self) -> bool {
        !self.later.is_empty() && self.peer.write_buffer().is_full()
    }

    /// A request arrived: the service answers it now, or its answer is waited for.
    pub(crate) fn serve(&mut self, request: Command) -> Next {
        let asked = Asked {
            opaque: request.opaque,
            oneway: request.is_oneway(),
            bytes: request.size(),
        };
        match self.service.serve(&self.peer, request) {
            Reply::Now(answer) => self.perform(asked, answer),
            Reply::Later(future) => {
                self.open_bytes += asked.bytes;
                self.later.push(Later { asked, future });
                Next::Continue
            }
        }
    }

    /// Lets answers that take time proceed, unless the peer has to read others first. Ready when
    /// the connection is to be dropped.
    ///
    /// Call it again once there is room in the write buffer: nothing else wakes the answers held back.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.later.is_empty() && !self.is_held() {
            let Some((asked, answer)) = ready!(self.later.poll_next_unpin(cx)) else {
                break;
            };
            self.open_bytes = self.open_bytes.saturating_sub(asked.bytes);
            if self.perform(asked, answer) == Next::Reset {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// The connection is gone: what was begun is done, and its answers are lost.
    pub(crate) async fn finish(mut self) {
        while self.later.next().await.is_some() {}
    }

    fn perform(&self, asked: Asked, answer: Answer) -> Next {
        match answer {
            Answer::Respond(response) => {
                if !asked.oneway {
                    self.respond(asked.opaque, &response);
                }
            }
            Answer::Nothing => {}
            Answer::Close => self.peer.close(),
            Answer::Reset => return Next::Reset,
            Answer::Raw(bytes) => self.peer.write_buffer().append_raw(&bytes),
            Answer::Many(answers) => {
                for answer in answers {
                    if self.perform(asked, answer) == Next::Reset {
                        return Next::Reset;
                    }
                }
            }
        }
        Next::Continue
    }

    fn respond(&self, opaque: i32, response: &Response) {
        let header: &dyn EncodeHeader = match &response.header {
            Some(header) => header.as_ref(),
            None => &NoFields,
        };
        let whole = Outgoing {
            code: response.code,
            opaque,
            flag: FLAG_RESPONSE,
            remark: response.remark.as_deref().map(shortened),
            header,
            body: &response.body,
        };
        // Without a look at the body first, room for it would be made before it is refused.
        let appended = if response.body.len() > MAX_FRAME {
            Err(EncodeError::TooLarge)
        } else {
            self.append(&whole)
        };
        if let Err(error) = appended {
            // Its peer waits for an answer, so it hears at least that there is none.
            let remark = error.to_string();
            let refusal = Outgoing {
                code: response::SYSTEM_ERROR,
                opaque,
                flag: FLAG_RESPONSE,
                remark: Some(&remark),
                header: &NoFields,
                body: &[],
            };
            if let Err(error) = self.append(&refusal) {
                tracing::warn!(%error, "a refusal cannot be encoded");
            }
        }
    }

    fn append(&self, outgoing: &Outgoing<'_>) -> Result<(), EncodeError> {
        // A closed connection takes nothing, and nobody is left to be told.
        self.peer
            .write_buffer()
            .append(self.peer.speaker(), outgoing, None, Room::Ignored)?;
        Ok(())
    }
}

/// A remark, or as much of it as is sent.
fn shortened(remark: &str) -> &str {
    crate::text::start(remark, MAX_REMARK)
}

/// What an answer needs of its request.
#[derive(Debug, Clone, Copy)]
struct Asked {
    opaque: i32,
    oneway: bool,
    bytes: usize,
}

/// An answer on its way.
struct Later {
    asked: Asked,
    future: BoxFuture<'static, Answer>,
}

impl Future for Later {
    type Output = (Asked, Answer);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.future.as_mut().poll(cx));
        Poll::Ready((self.asked, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_cut_between_letters() {
        assert_eq!(shortened("short"), "short");
        let long = "é".repeat(MAX_REMARK);
        assert_eq!(shortened(&long).len(), MAX_REMARK);
        assert_eq!(shortened(&format!("x{long}")).len(), MAX_REMARK - 1);
    }
}

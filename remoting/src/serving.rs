//! Hands the requests of one connection to its service, and the answers to its outbox.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::code::response;
use crate::command::{Command, FLAG_RESPONSE};
use crate::frame::Outgoing;
use crate::header::{EncodeHeader, NoFields};
use crate::host::BoxFuture;
use crate::outbox::Room;
use crate::service::{Answer, Peer, Reply, Response, Service};

/// What an answer means for the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It goes on.
    Continue,
    /// It is to be dropped at once.
    Reset,
}

/// The requests of one connection that are being answered.
pub(crate) struct Serving {
    service: Arc<dyn Service>,
    peer: Peer,
    later: FuturesUnordered<Later>,
}

impl Serving {
    pub(crate) fn new(service: Arc<dyn Service>, peer: Peer) -> Self {
        Self {
            service,
            peer,
            later: FuturesUnordered::new(),
        }
    }

    /// A request arrived.
    pub(crate) fn serve(&mut self, request: Command) -> Next {
        let asked = Asked {
            opaque: request.opaque,
            oneway: request.is_oneway(),
        };
        match self.service.serve(&self.peer, request) {
            Reply::Now(answer) => self.perform(asked, answer),
            Reply::Later(future) => {
                self.later.push(Later { asked, future });
                Next::Continue
            }
        }
    }

    /// Lets answers that take time proceed. Ready when the connection is to be dropped.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.later.is_empty() {
            let Some((asked, answer)) = ready!(self.later.poll_next_unpin(cx)) else {
                break;
            };
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
            Answer::Raw(bytes) => self.peer.outbox().append_raw(&bytes),
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
            remark: response.remark.as_deref(),
            header,
            body: &response.body,
        };
        if let Err(error) = self.append(&whole) {
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

    fn append(&self, outgoing: &Outgoing<'_>) -> Result<(), crate::frame::EncodeError> {
        // A closed connection takes nothing, and nobody is left to be told.
        self.peer
            .outbox()
            .append(self.peer.speaker(), outgoing, None, Room::Ignored)?;
        Ok(())
    }
}

/// What an answer needs of its request.
#[derive(Debug, Clone, Copy)]
struct Asked {
    opaque: i32,
    oneway: bool,
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

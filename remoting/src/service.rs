//! What answers requests: the seam between a connection and a server's (or client's) logic.
//!
//! Either side of a connection may be asked something: a broker calls back into its clients over
//! the connection they opened. So the same [`Service`] serves a [`Server`](crate::server::Server)
//! and the inbound requests of a [`RemotingClient`](crate::client::RemotingClient).
//!
//! A service returns what is to happen as a value. Besides a well-formed response that includes
//! everything a mock server must be able to do to a client: silence, a closed or reset connection,
//! garbage, an answer twice.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use rmq_host::BoxFuture;
use thiserror::Error;
use tokio::time::Instant;

use crate::code::response;
use crate::command::{Command, FLAG_ONEWAY, FLAG_RESPONSE};
use crate::event::ConnectionNumber;
use crate::frame::{EncodeError, Outgoing, Speaker, encode};
use crate::header::{EncodeHeader, NoFields, Request};
use crate::write_buffer::{Append, Room, WriteBuffer};

/// Answers the requests that arrive on connections.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use std::time::Duration;
/// use rmq_host::TokioHost;
/// # use rmq_remoting::client::{ClientSettings, RemotingClient};
/// use rmq_remoting::command::{Command, HeaderForm, Language};
/// use rmq_remoting::frame::Speaker;
/// # use rmq_remoting::observe::Silent;
/// use rmq_remoting::request::GetBrokerClusterInfo;
/// use rmq_remoting::server::{Server, ServerSettings};
/// use rmq_remoting::service::{Peer, Reply, Response, Service};
/// # use rmq_remoting::service::Unsupported;
///
/// /// Answers every request with a success that repeats its code.
/// #[derive(Debug)]
/// struct Repeats;
///
/// impl Service for Repeats {
///     fn serve(&self, _peer: &Peer, request: Command) -> Reply {
///         Response::new(0).remark(format!("you asked for {}", request.code)).into()
///     }
/// }
///
/// let host = Arc::new(TokioHost::new());
/// let speaker = Speaker { form: HeaderForm::Json, language: Language::Rust, version: 479 };
/// let settings = ServerSettings::new(speaker);
/// let at = ([127, 0, 0, 1], 0).into();
/// let server = Server::start(host.clone(), at, settings, Arc::new(Repeats)).await?;
/// # let settings = ClientSettings::new(speaker);
/// # let client = RemotingClient::new(host, settings, Arc::new(Silent), Arc::new(Unsupported));
/// # let at = server.local_addr().to_string().into();
/// # let deadline = tokio::time::Instant::now() + Duration::from_secs(3);
/// let answer = client.call(&at, &GetBrokerClusterInfo {}, deadline).await?;
/// assert_eq!(answer.remark.as_deref(), Some("you asked for 106"));
/// # Ok(())
/// # }
/// ```
pub trait Service: fmt::Debug + Send + Sync + 'static {
    /// A request arrived. Called within the connection's task, so it must not block; what takes
    /// time goes into [`Reply::Later`].
    fn serve(&self, peer: &Peer, request: Command) -> Reply;

    /// A server accepted a connection. Not called for connections that a client dialled.
    fn connected(&self, peer: &Peer) {
        let _ = peer;
    }

    /// A connection of a server ended, whoever closed it. Not called when the server itself is
    /// dropped: its process is gone then.
    fn disconnected(&self, peer: &Peer) {
        let _ = peer;
    }
}

/// When a request is answered.
pub enum Reply {
    /// At once; nothing is spawned or boxed for it.
    Now(Answer),
    /// When the future completes. It runs concurrently with later requests of the connection, and
    /// answers leave in the order of completion. It also runs to its end if the connection ends
    /// before, as the work of a real server does; the answer is lost then.
    Later(BoxFuture<'static, Answer>),
}

impl Reply {
    /// Waits for the answer, for whoever makes it part of a later one.
    pub async fn answer(self) -> Answer {
        match self {
            Self::Now(answer) => answer,
            Self::Later(answer) => answer.await,
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(answer) => f.debug_tuple("Now").field(answer).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

/// What a request leads to.
#[derive(Debug)]
pub enum Answer {
    /// A response. A one-way request gets none all the same.
    Respond(Response),
    /// The request is not answered.
    Nothing,
    /// The connection is closed (FIN) once everything written before is out.
    Close,
    /// The connection is dropped at once, with what was not yet written. Best effort: the peer
    /// sees a reset only where unread input was left behind, else a FIN.
    Reset,
    /// These bytes, whatever they are: garbage, or half a frame.
    Raw(Bytes),
    /// All of these in order.
    Many(Vec<Answer>),
}

/// A response before it is encoded.
///
/// ```
/// use rmq_remoting::code::response;
/// use rmq_remoting::service::Response;
///
/// let refusal = Response::refuse(response::SYSTEM_BUSY, "too many requests");
/// assert_eq!((refusal.code, refusal.remark.as_deref()), (2, Some("too many requests")));
/// let found = Response::new(response::SUCCESS).body("{}");
/// assert_eq!(&found.body[..], b"{}");
/// ```
pub struct Response {
    /// The response code of the answer.
    pub code: i32,
    /// Free text, mostly why the request was refused.
    pub remark: Option<Cow<'static, str>>,
    /// The fields of the answer (`extFields`).
    pub header: Option<Box<dyn EncodeHeader + Send>>,
    /// The bytes that follow the header.
    pub body: Bytes,
}

impl Response {
    /// A response with this code and nothing else.
    pub fn new(code: i32) -> Self {
        Self {
            code,
            remark: None,
            header: None,
            body: Bytes::new(),
        }
    }

    /// A response with a code and a remark, as refusals have.
    pub fn refuse(code: i32, remark: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code).remark(remark)
    }

    /// Adds text for people (`remark`).
    #[must_use]
    pub fn remark(mut self, remark: impl Into<Cow<'static, str>>) -> Self {
        self.remark = Some(remark.into());
        self
    }

    /// Adds the fields of the answer (`extFields`).
    #[must_use]
    pub fn header(mut self, header: impl EncodeHeader + Send + 'static) -> Self {
        self.header = Some(Box::new(header));
        self
    }

    /// Adds the bytes that follow the header.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// It as the bytes of a frame, to be mangled or sent to where it does not belong: ordinary
    /// answers are framed by the connection.
    ///
    /// # Errors
    ///
    /// A field is too long for a frame.
    pub fn frame(&self, speaker: &Speaker, opaque: i32) -> Result<Bytes, EncodeError> {
        let mut buffer = BytesMut::new();
        let outgoing = Outgoing {
            code: self.code,
            opaque,
            flag: FLAG_RESPONSE,
            remark: self.remark.as_deref(),
            header: match &self.header {
                Some(header) => header.as_ref(),
                None => &NoFields,
            },
            body: &self.body,
        };
        encode(speaker, &outgoing, &mut buffer)?;
        Ok(buffer.freeze())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("code", &self.code)
            .field("remark", &self.remark)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A way to spoil an answer on purpose, as broken peers and proxies do. For mock servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mangle {
    /// The answer is written twice.
    Twice,
    /// It names a request that the client never made.
    UnknownOpaque,
    /// Its first half, then nothing.
    Half,
    /// Its first half, then the end of the connection.
    HalfClose,
    /// Bytes that are no frame.
    Garbage,
    /// Its code, without the fields and the body that belong to it.
    Empty,
    /// What a server that wants TLS says to a request without it, then the end of the connection.
    TlsAlert,
}

/// The first four bytes announce a frame longer than any.
const GARBAGE: &[u8] = b"\xff\xff\xff\xffno frame at all";
/// An alert record of TLS 1.2 (RFC 5246, section 7.2): fatal, `unexpected_message`.
const TLS_ALERT: &[u8] = b"\x15\x03\x03\x00\x02\x02\x0a";

impl Answer {
    /// The response to the request `opaque`, spoilt.
    ///
    /// # Errors
    ///
    /// The response cannot be encoded.
    pub fn mangled(
        response: Response,
        speaker: &Speaker,
        opaque: i32,
        how: Mangle,
    ) -> Result<Self, EncodeError> {
        let half = |frame: Bytes| Self::Raw(frame.slice(..frame.len() / 2));
        Ok(match how {
            Mangle::Twice => {
                let again = Self::Raw(response.frame(speaker, opaque)?);
                Self::Many(vec![Self::Respond(response), again])
            }
            // Half of all ids away: a client counts up and has none of them open.
            Mangle::UnknownOpaque => Self::Raw(response.frame(speaker, opaque ^ i32::MIN)?),
            Mangle::Half => half(response.frame(speaker, opaque)?),
            Mangle::HalfClose => {
                Self::Many(vec![half(response.frame(speaker, opaque)?), Self::Close])
            }
            Mangle::Garbage => Self::Raw(Bytes::from_static(GARBAGE)),
            Mangle::Empty => Self::Respond(Response::new(response.code)),
            Mangle::TlsAlert => {
                Self::Many(vec![Self::Raw(Bytes::from_static(TLS_ALERT)), Self::Close])
            }
        })
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self::Respond(response)
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self::Now(Answer::Respond(response))
    }
}

/// The other end of a connection. Cloning it is cheap; it may be kept after the connection ended.
#[derive(Clone)]
pub struct Peer {
    address: SocketAddr,
    local: SocketAddr,
    number: ConnectionNumber,
    line: Arc<Line>,
}

/// What speaking to a peer takes.
#[derive(Debug)]
struct Line {
    write_buffer: Arc<WriteBuffer>,
    speaker: Speaker,
    opaque: Arc<AtomicI32>,
    /// When a server gives the connection up, whatever is said on it.
    expiry: Mutex<Option<Instant>>,
}

impl Peer {
    pub(crate) fn new(
        (address, local): (SocketAddr, SocketAddr),
        number: ConnectionNumber,
        write_buffer: Arc<WriteBuffer>,
        speaker: Speaker,
        opaque: Arc<AtomicI32>,
    ) -> Self {
        let line = Line {
            write_buffer,
            speaker,
            opaque,
            expiry: Mutex::new(None),
        };
        Self {
            address,
            local,
            number,
            line: Arc::new(line),
        }
    }

    /// A peer without a connection, for tests of a [`Service`]: what is pushed to it is lost.
    pub fn detached(address: SocketAddr, local: SocketAddr, speaker: Speaker) -> Self {
        Self::new(
            (address, local),
            ConnectionNumber::from(0),
            Arc::new(WriteBuffer::new(usize::MAX)),
            speaker,
            Arc::default(),
        )
    }

    /// The address of the connection's other end.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of this end.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The connection's number: counted from 1 by a server in the order of accepting; at a client
    /// the number its events use.
    pub fn number(&self) -> ConnectionNumber {
        self.number
    }

    /// Sends the peer a one-way request of our own, as a broker does to its clients.
    ///
    /// # Errors
    ///
    /// The request cannot be encoded, the connection has ended, or its buffer is full.
    pub fn push(&self, request: &dyn Request) -> Result<(), PushError> {
        let outgoing = Outgoing {
            code: request.code(),
            opaque: self.line.opaque.fetch_add(1, Ordering::Relaxed),
            flag: FLAG_ONEWAY,
            remark: None,
            header: request,
            body: request.body(),
        };
        match self
            .line
            .write_buffer
            .append(&self.line.speaker, &outgoing, None, Room::Needed)?
        {
            Append::Done => Ok(()),
            Append::Full => Err(PushError::Full),
            Append::Closed => Err(PushError::Closed),
        }
    }

    /// Closes the connection once everything written before is out.
    pub fn close(&self) {
        self.line.write_buffer.close();
    }

    /// Lets the server close the connection at `at`, however much is said on it, unless this is
    /// called again before; `None` takes that back. Brokers do so to clients that stop sending
    /// heartbeats.
    ///
    /// To be called while a request of this connection is served. At a client it has no effect.
    pub fn expire_at(&self, at: Option<Instant>) {
        *self.line.expiry.lock() = at;
    }

    pub(crate) fn expiry(&self) -> Option<Instant> {
        *self.line.expiry.lock()
    }

    pub(crate) fn write_buffer(&self) -> &WriteBuffer {
        &self.line.write_buffer
    }

    pub(crate) fn speaker(&self) -> &Speaker {
        &self.line.speaker
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({} {})", self.number, self.address)
    }
}

/// A request of our own could not be sent to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PushError {
    /// The request cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The peer does not read, and the connection's buffer is full.
    #[error("the peer does not read and the connection's buffer is full")]
    Full,
    /// The connection to the peer has ended.
    #[error("the connection has ended")]
    Closed,
}

/// Knows no request: answers code 3, as RocketMQ does for codes without a processor.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unsupported;

impl Unsupported {
    /// The answer to a request code that nobody processes.
    pub fn answer(code: i32) -> Response {
        // The leading space is RocketMQ's.
        Response::refuse(
            response::REQUEST_CODE_NOT_SUPPORTED,
            format!(" request type {code} not supported"),
        )
    }
}

impl Service for Unsupported {
    fn serve(&self, _peer: &Peer, request: Command) -> Reply {
        Self::answer(request.code).into()
    }
}

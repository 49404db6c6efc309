//! A remoting server: accepts connections and lets a [`Service`] answer what arrives on them.
//!
//! Requests of one connection are multiplexed: an answer that takes time holds up no other. Bytes
//! that are no frame close their connection and nothing else; so does an idle limit passed.

use std::any::Any;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rmq_host::{Connection, Listener, SharedHost, Task};
use tokio::time::{Instant, sleep};

use crate::accept::{is_shortage, rest_after};
use crate::deadline_timer::DeadlineTimer;
use crate::event::ConnectionNumber;
use crate::frame::Speaker;
use crate::framed_stream::FramedStream;
use crate::service::{Peer, Service};
use crate::serving::{Next, Serving};
use crate::write_buffer::WriteBuffer;

/// How many reads a connection may do before other tasks get a turn.
const READS_PER_TURN: usize = 16;

/// How a server treats its connections.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// What it says of itself in each response.
    pub speaker: Speaker,
    /// A connection on which nothing is read or written for so long is closed. RocketMQ: 120 s.
    pub idle: Duration,
    /// While more bytes than this wait for a peer that does not read, nothing more is read from
    /// it, frame by frame, and answers that are not yet made are not made. The same number of bytes
    /// bounds the requests of one connection that are being answered. 16 MiB unless set.
    pub max_buffered: usize,
    /// Nothing that arrives is looked at before it is so many bytes: RocketMQ's servers from 5.0 on
    /// wait for twelve on a fresh connection, which may be the beginning of a proxy's greeting. 0
    /// unless set.
    pub first_bytes: usize,
}

impl ServerSettings {
    /// RocketMQ's limits for a server that introduces itself so.
    pub fn new(speaker: Speaker) -> Self {
        Self {
            speaker,
            idle: Duration::from_secs(120),
            max_buffered: 16 * 1024 * 1024,
            first_bytes: 0,
        }
    }
}

/// A running server. Dropping it closes its port and all its connections.
#[derive(Debug)]
pub struct Server {
    local: SocketAddr,
    _accepting: Task,
}

impl Server {
    /// Listens at `at` (port 0 picks a free port) and serves until the returned value is dropped.
    ///
    /// # Errors
    ///
    /// The host cannot listen there: the port is taken, or the address is not this machine's.
    pub async fn start(
        host: SharedHost,
        at: SocketAddr,
        settings: ServerSettings,
        service: Arc<dyn Service>,
    ) -> io::Result<Self> {
        let listener = host.listen(at).await?;
        let local = listener.local_addr();
        let house = House {
            host: Arc::clone(&host),
            settings: Arc::new(settings),
            service,
            opaque: Arc::default(),
        };
        let accepting = host.spawn("accept", Box::pin(accept(listener, house)));
        Ok(Self {
            local,
            _accepting: accepting,
        })
    }

    /// The address it listens at, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

/// What all connections of a server share.
struct House {
    host: SharedHost,
    settings: Arc<ServerSettings>,
    service: Arc<dyn Service>,
    /// The ids of requests that this server makes itself.
    opaque: Arc<AtomicI32>,
}

/// Accepts, and owns the connections' tasks: they are cancelled with this one.
async fn accept(mut listener: Box<dyn Listener>, house: House) {
    let mut connections = FuturesUnordered::new();
    let mut count = 0;
    let mut failed_in_a_row = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            Some(_) = connections.next() => continue,
        };
        match accepted {
            Ok(connection) => {
                count += 1;
                failed_in_a_row = 0;
                connections.push(house.welcome(connection, ConnectionNumber::from(count)));
            }
            Err(error) => {
                failed_in_a_row += 1;
                if is_shortage(&error) {
                    tracing::warn!(%error, "no connection can be accepted");
                } else {
                    // Whoever dials and resets must not fill the log.
                    tracing::debug!(%error, "a connection ended before it was accepted");
                }
                match rest_after(&error, failed_in_a_row) {
                    Some(rest) => sleep(rest).await,
                    None => give_way().await,
                }
            }
        }
    }
}

/// Lets every other task that is ready run first.
async fn give_way() {
    let mut given = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl House {
    fn welcome(&self, connection: Connection, number: ConnectionNumber) -> Task {
        let peer = Peer::new(
            (connection.peer, connection.local),
            number,
            Arc::new(WriteBuffer::new(self.settings.max_buffered)),
            self.settings.speaker,
            Arc::clone(&self.opaque),
        );
        let service = Arc::clone(&self.service);
        let serve = serve(connection, peer, service, Arc::clone(&self.settings));
        self.host.spawn("serve", Box::pin(serve))
    }
}

/// The life of one connection.
async fn serve(
    connection: Connection,
    peer: Peer,
    service: Arc<dyn Service>,
    settings: Arc<ServerSettings>,
) {
    service.connected(&peer);
    let idle = settings.idle;
    let mut accepted = AcceptedConnection {
        framed: FramedStream::new(connection.stream),
        serving: Serving::new(Arc::clone(&service), peer.clone()),
        timer: DeadlineTimer::new(Instant::now() + idle),
        idle_at: Instant::now() + idle,
        idle,
        first_bytes: settings.first_bytes,
        closing: false,
    };
    let panic = poll_fn(|cx| caught(|| accepted.poll(&peer, cx))).await;
    let AcceptedConnection {
        framed, serving, ..
    } = accepted;
    peer.close();
    drop(framed);
    service.disconnected(&peer);
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
    serving.finish().await;
}

/// A panic of the service ends the connection, and is the task's end; but first the service hears
/// of the connection's end like of any other, so that it keeps nothing of it.
fn caught(poll: impl FnOnce() -> Poll<()>) -> Poll<Option<Box<dyn Any + Send>>> {
    match catch_unwind(AssertUnwindSafe(poll)) {
        Ok(polled) => polled.map(|()| None),
        Err(panic) => Poll::Ready(Some(panic)),
    }
}

struct AcceptedConnection {
    framed: FramedStream,
    serving: Serving,
    timer: DeadlineTimer,
    idle_at: Instant,
    idle: Duration,
    /// How many bytes must have come before the first frame is looked for; 0 once they have.
    first_bytes: usize,
    /// Whether the service wants to close: what waits is written, nothing more is read.
    closing: bool,
}

/// How far reading got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// There is nothing to read now.
    Waits,
    /// The peer has to read its answers first.
    Full,
    /// There may be more.
    More,
    /// The connection has ended.
    Over,
}

impl AcceptedConnection {
    /// Ready when the connection has ended, whoever ended it.
    fn poll(&mut self, peer: &Peer, cx: &mut Context<'_>) -> Poll<()> {
        let write_buffer = peer.write_buffer();
        loop {
            let reading = if self.closing {
                Reading::Waits
            } else {
                self.read(write_buffer, cx)
            };
            if reading == Reading::Over || self.serving.poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let held = self.serving.is_held();
            self.closing = self.closing || write_buffer.is_closing();
            let blocked = match self.framed.poll_write(cx, write_buffer, |_| {}) {
                Poll::Ready(Ok(())) if self.closing => {
                    // The FIN follows what was written; if it cannot, the drop says the same.
                    let _ = self.framed.poll_shutdown(cx);
                    return Poll::Ready(());
                }
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => true,
            };
            if reading == Reading::More {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let can_read_again = reading == Reading::Full && !self.serving.is_full();
            let can_go_on = can_read_again || (held && !self.serving.is_held());
            if !can_go_on && !write_buffer.sleep(cx.waker(), blocked, self.closing) {
                break;
            }
        }
        if self.framed.take_moved() {
            self.idle_at = Instant::now() + self.idle;
        }
        let expiry = peer.expiry().unwrap_or(self.idle_at);
        self.timer.poll(self.idle_at.min(expiry), cx)
    }

    fn read(&mut self, write_buffer: &WriteBuffer, cx: &mut Context<'_>) -> Reading {
        // What was read before comes first: it may be whole frames that had to wait.
        if let Some(reading) = self.frames(write_buffer) {
            return reading;
        }
        for _ in 0..READS_PER_TURN {
            match self.framed.poll_read(cx) {
                Poll::Ready(Ok(0)) => {
                    // What it asked before may still be answered.
                    write_buffer.close();
                    return Reading::Waits;
                }
                Poll::Ready(Err(_)) => return Reading::Over,
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return Reading::Waits,
            }
            if let Some(reading) = self.frames(write_buffer) {
                return reading;
            }
        }
        Reading::More
    }

    /// Serves the whole frames that were read. Nothing if there is none any more.
    fn frames(&mut self, write_buffer: &WriteBuffer) -> Option<Reading> {
        if self.framed.unread() < self.first_bytes {
            return None;
        }
        self.first_bytes = 0;
        loop {
            // One read can bring hundreds of requests, and each answer can be as long as a frame.
            if self.serving.is_full() {
                return Some(Reading::Full);
            }
            match self.framed.frame() {
                Ok(Some(command)) if command.is_response() => {
                    // Requests of our own are one-way: this answers nothing.
                }
                Ok(Some(request)) => {
                    if self.serving.serve(request) == Next::Reset {
                        return Some(Reading::Over);
                    }
                    if write_buffer.is_closing() {
                        return Some(Reading::Waits);
                    }
                }
                Ok(None) => return None,
                Err(error) => {
                    tracing::debug!(%error, "a connection is closed for what it sent");
                    write_buffer.close();
                    return Some(Reading::Waits);
                }
            }
        }
    }
}

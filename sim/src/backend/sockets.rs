//! What a process holds of the network: its dials and its ends of connections, and the evidence
//! that each of them leaves in the trace.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use dst_engine::{DialEnd, EndCause, EngineEvent};
use rmq_host::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::process::Process;

/// A stream of an engine's network: watched, dead with its process, dropped at its runtime.
pub(super) struct NodeStream<S: Stream> {
    /// Only empty while it is being dropped.
    inner: Option<S>,
    end: ConnectionEnd,
    delivered: Arc<AtomicU64>,
    /// How it ended as far as its program has seen.
    cause: EndCause,
}

/// One end of a connection.
pub(super) struct ConnectionEnd {
    pub(super) process: Arc<Process>,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

impl<S: Stream> NodeStream<S> {
    /// `delivered` counts the bytes that are read from it.
    pub(super) fn new(inner: S, end: ConnectionEnd, delivered: Arc<AtomicU64>) -> Self {
        end.process.connections.fetch_add(1, Ordering::Relaxed);
        Self {
            inner: Some(inner),
            end,
            delivered,
            cause: EndCause::Closed,
        }
    }

    /// Does something with the stream while its process lives, and notes how that failed.
    fn live<R>(
        &mut self,
        operate: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let done = match &mut self.inner {
            Some(stream) if !self.end.process.is_dead() => operate(Pin::new(stream)),
            _ => Poll::Ready(Err(ended())),
        };
        if let Poll::Ready(Err(error)) = &done {
            self.cause = match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => EndCause::Reset,
                io::ErrorKind::TimedOut => EndCause::TimedOut,
                // It says nothing of how the connection ended.
                _ => self.cause,
            };
        }
        done
    }
}

impl<S: Stream> AsyncRead for NodeStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.live(|stream| stream.poll_read(cx, buf)))?;
        let read = (buf.filled().len() - before) as u64;
        self.delivered.fetch_add(read, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for NodeStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.live(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.live(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.live(|stream| stream.poll_shutdown(cx))
    }
}

impl<S: Stream> Drop for NodeStream<S> {
    fn drop(&mut self) {
        let process = &self.end.process;
        process.connections.fetch_sub(1, Ordering::Relaxed);
        process.sink.see(EngineEvent::Closed {
            node: process.node,
            local: self.end.local,
            peer: self.end.peer,
            cause: self.cause,
        });
        if let Some(stream) = self.inner.take() {
            process.runtime.drop_there(stream);
        }
    }
}

/// A dial that has started. Dropped without an end, it was abandoned.
pub(super) struct Dialling {
    process: Arc<Process>,
    local: SocketAddr,
    to: SocketAddr,
    ended: bool,
}

impl Dialling {
    pub(super) fn start(process: &Arc<Process>, local: SocketAddr, to: SocketAddr) -> Self {
        let node = process.node;
        process.sink.see(EngineEvent::Dial { node, local, to });
        Self {
            process: Arc::clone(process),
            local,
            to,
            ended: false,
        }
    }

    /// It led to a connection.
    pub(super) fn opened(mut self, local: SocketAddr, peer: SocketAddr) {
        self.ended = true;
        let node = self.process.node;
        self.process
            .sink
            .see(EngineEvent::Opened { node, local, peer });
    }

    /// It failed; returns the error, with the address in its text.
    pub(super) fn failed(mut self, error: &io::Error) -> io::Error {
        self.fail(match error.kind() {
            io::ErrorKind::TimedOut => DialEnd::TimedOut,
            // Whatever else a kernel says at once.
            _ => DialEnd::Refused,
        });
        io::Error::new(
            error.kind(),
            format!("cannot connect to {}: {error}", self.to),
        )
    }

    fn fail(&mut self, cause: DialEnd) {
        self.ended = true;
        self.process.sink.see(EngineEvent::DialFailed {
            node: self.process.node,
            local: self.local,
            to: self.to,
            cause,
        });
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        if !self.ended {
            self.fail(DialEnd::Abandoned);
        }
    }
}

/// A listener that a process holds: counted, in the trace, dropped at its runtime.
pub(super) struct Listening<L: Send + 'static> {
    /// Only empty while it is being dropped.
    inner: Option<L>,
    process: Arc<Process>,
    local: SocketAddr,
}

impl<L: Send + 'static> Listening<L> {
    pub(super) fn new(inner: L, process: Arc<Process>, local: SocketAddr) -> Self {
        process.listeners.fetch_add(1, Ordering::Relaxed);
        let (node, at) = (process.node, local);
        process.sink.see(EngineEvent::Listen { node, at });
        Self {
            inner: Some(inner),
            process,
            local,
        }
    }

    pub(super) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The listener, while its process lives.
    pub(super) fn live(&self) -> io::Result<&L> {
        match &self.inner {
            Some(listener) if !self.process.is_dead() => Ok(listener),
            _ => Err(ended()),
        }
    }

    /// Notes that a connection was accepted.
    pub(super) fn accepted(&self, local: SocketAddr, peer: SocketAddr) {
        let node = self.process.node;
        self.process
            .sink
            .see(EngineEvent::Accepted { node, local, peer });
    }
}

impl<L: Send + 'static> Drop for Listening<L> {
    fn drop(&mut self) {
        let process = &self.process;
        process.listeners.fetch_sub(1, Ordering::Relaxed);
        process.sink.see(EngineEvent::Unlisten {
            node: process.node,
            at: self.local,
        });
        if let Some(listener) = self.inner.take() {
            process.runtime.drop_there(listener);
        }
    }
}

/// What a dead process gets for whatever it asks of the network.
pub(super) fn ended() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the process that asks has ended",
    )
}

/// A dialled address. There are no names in the laboratory.
pub(super) fn parse_address(to: &str) -> io::Result<SocketAddr> {
    to.parse().map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{to:?} is not an address of the form ip:port, and the laboratory has no DNS"),
        )
    })
}

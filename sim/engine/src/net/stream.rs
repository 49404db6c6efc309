//! A connection in the shape of Tokio's.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::address::{ToSocketAddrs, resolve};
use super::listener::no_addresses;
use super::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::process::{Process, here};
use crate::socket::{Dial, Socket};

/// Reads of a type whose field is the end of a stream.
macro_rules! reads_from_end {
    ($Type:ty, $end:tt) => {
        impl ::tokio::io::AsyncRead for $Type {
            fn poll_read(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &mut ::tokio::io::ReadBuf<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                self.$end.poll_read(cx, buf)
            }
        }
    };
}

/// Writes of a type whose field is the end of a stream. The kernel sends at once: there is nothing to flush.
macro_rules! writes_to_end {
    ($Type:ty, $end:tt) => {
        impl ::tokio::io::AsyncWrite for $Type {
            fn poll_write(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                data: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.$end.poll_write(cx, data)
            }

            fn poll_flush(
                self: ::std::pin::Pin<&mut Self>,
                _cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::task::Poll::Ready(Ok(()))
            }

            fn poll_shutdown(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                self.$end.poll_shutdown(cx)
            }
        }
    };
}

pub(super) use {reads_from_end, writes_to_end};

/// A connection of a simulated node, as `tokio::net::TcpStream`.
#[derive(Debug)]
pub struct TcpStream {
    pub(super) end: Arc<StreamEnd>,
}

/// What both halves of a stream share.
#[derive(Debug)]
pub(super) struct StreamEnd {
    process: Process,
    socket: Socket,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    nodelay: AtomicBool,
}

impl StreamEnd {
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.process.poll_running(cx));
        self.socket.poll_read(cx, buf)
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.process.poll_running(cx));
        self.socket.poll_write(cx, data)
    }

    pub(super) fn poll_shutdown(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.process.poll_running(cx));
        Poll::Ready(self.socket.shutdown())
    }

    /// The half that writes is dropped: nothing more will come.
    pub(super) fn end_writing(&self) {
        // The peer may have reset the connection; then it needs no word.
        let _ = self.socket.shutdown();
    }
}

impl TcpStream {
    pub(super) fn new(
        process: Process,
        socket: Socket,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Self {
        let end = Arc::new(StreamEnd {
            process,
            socket,
            local,
            peer,
            nodelay: AtomicBool::new(false),
        });
        Self { end }
    }

    /// Dials the addresses one after the other, until one answers.
    ///
    /// # Errors
    ///
    /// That of the last dial; a name that no node has; the task that calls belongs to no node.
    pub async fn connect<A: ToSocketAddrs>(to: A) -> io::Result<Self> {
        let process = here()?;
        let mut failed = no_addresses();
        for to in resolve(process, &to)? {
            match Dial::new(process, to.to_string()).await {
                Ok((socket, local, peer)) => return Ok(Self::new(process, socket, local, peer)),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// None here; on a real machine the operating system may have one.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.end.local)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// As [`local_addr`](Self::local_addr).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.end.peer)
    }

    /// Notes the wish to send small segments at once. The simulated kernel does so anyway.
    ///
    /// # Errors
    ///
    /// As [`local_addr`](Self::local_addr).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.end.nodelay.store(nodelay, Ordering::Relaxed);
        Ok(())
    }

    /// What [`set_nodelay`](Self::set_nodelay) was told last.
    ///
    /// # Errors
    ///
    /// As [`local_addr`](Self::local_addr).
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(self.end.nodelay.load(Ordering::Relaxed))
    }

    /// Two halves that borrow the stream.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(&self.end), WriteHalf(&self.end))
    }

    /// Two halves that can live in two tasks. Dropping the one that writes sends FIN.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let other = Arc::clone(&self.end);
        (OwnedReadHalf(other), OwnedWriteHalf::new(self.end))
    }
}

reads_from_end!(TcpStream, end);
writes_to_end!(TcpStream, end);

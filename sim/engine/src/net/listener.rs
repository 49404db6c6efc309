//! A listening socket in the shape of Tokio's.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::sync::Semaphore;

use super::address::{ToSocketAddrs, resolve};
use super::stream::TcpStream;
use crate::process::{Process, here};
use crate::socket::Port;

/// A port of a simulated node, as `tokio::net::TcpListener`.
#[derive(Debug)]
pub struct TcpListener {
    process: Process,
    port: Port,
    /// Several tasks may accept: one waits at the port, the others for their turn.
    turn: Semaphore,
}

impl TcpListener {
    /// Listens at the first of the addresses that is free and the node's own. Port 0 is any free one.
    ///
    /// # Errors
    ///
    /// The port is in use, the address is another machine's, or the task that calls belongs to no node.
    pub async fn bind<A: ToSocketAddrs>(at: A) -> io::Result<Self> {
        let process = here()?;
        let mut failed = no_addresses();
        for at in resolve(process, &at)? {
            match Port::open(process, at).await {
                Ok(port) => {
                    let turn = Semaphore::new(1);
                    return Ok(Self {
                        process,
                        port,
                        turn,
                    });
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Waits for the next connection. Cancel-safe: a connection is either returned or still queued.
    ///
    /// # Errors
    ///
    /// The run is over.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let _turn = self.turn.acquire().await.map_err(io::Error::other)?;
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As [`accept`](Self::accept). Whoever polled last is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        ready!(self.process.poll_running(cx));
        let (socket, peer) = ready!(self.port.poll_accept(cx))?;
        let stream = TcpStream::new(self.process, socket, self.port.at(), peer);
        Poll::Ready(Ok((stream, peer)))
    }

    /// The address it listens at, with the real port.
    ///
    /// # Errors
    ///
    /// None here; on a real machine the operating system may have one.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.port.at())
    }
}

/// A list of addresses was empty.
pub(super) fn no_addresses() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "there is no address to use")
}

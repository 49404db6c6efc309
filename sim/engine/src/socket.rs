//! What a process holds of the network: dials, listeners and ends of connections, each a few numbers.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use crate::access::enter;
use crate::core::{ConnId, Core, RunId};
use crate::process::{Process, over};

/// A dial that goes on. Dropped before its end, it is abandoned.
pub(crate) struct Dial {
    process: Process,
    to: String,
    conn: Option<ConnId>,
}

impl Dial {
    /// Dials `"host:port"` from a process, as soon as it is polled.
    pub(crate) fn new(process: Process, to: String) -> Self {
        Self {
            process,
            to,
            conn: None,
        }
    }
}

impl Future for Dial {
    type Output = io::Result<(Socket, SocketAddr, SocketAddr)>;

    /// The socket, its own address and its peer's.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let process = self.process;
        let id = match self.conn {
            Some(id) => id,
            None => {
                let id = ready!(process.poll(cx, |core| {
                    let to = core.resolve(process.node, &self.to)?;
                    core.dial(process.node, process.told_as, to)
                }))?;
                self.conn = Some(id);
                id
            }
        };
        let polled = enter(process.run, |core| core.poll_dial(id, cx));
        let done = ready!(polled.unwrap_or_else(|| Poll::Ready(Err(over()))));
        self.conn = None;
        let (local, peer) = done?;
        let run = process.run;
        Poll::Ready(Ok((Socket { run, id, side: 0 }, local, peer)))
    }
}

impl Drop for Dial {
    fn drop(&mut self) {
        if let Some(id) = self.conn {
            enter(self.process.run, |core| core.abandon(id));
        }
    }
}

/// A listener of a simulated process, at one address. Dropping it closes the port.
#[derive(Debug)]
pub(crate) struct Port {
    run: RunId,
    number: u64,
    at: SocketAddr,
}

impl Port {
    /// Opens a port of a process, when that has started.
    pub(crate) async fn open(process: Process, at: SocketAddr) -> io::Result<Self> {
        let listen = |core: &mut Core| core.listen(process.node, at);
        let mut listen = Some(listen);
        let (number, at) = std::future::poll_fn(|cx| {
            process.poll(cx, |core| match listen.take() {
                Some(listen) => listen(core),
                None => Err(over()),
            })
        })
        .await?;
        let run = process.run;
        Ok(Self { run, number, at })
    }

    /// The next connection, and its peer's address.
    pub(crate) fn poll_accept(&self, cx: &Context<'_>) -> Poll<io::Result<(Socket, SocketAddr)>> {
        let run = self.run;
        let polled = enter(run, |core| core.poll_accept(self.at, self.number, cx));
        let (id, peer) = ready!(polled.unwrap_or_else(|| Poll::Ready(Err(over()))))?;
        Poll::Ready(Ok((Socket { run, id, side: 1 }, peer)))
    }

    /// Where it listens, with the real port.
    pub(crate) fn at(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        enter(self.run, |core| core.unlisten(self.at, self.number));
    }
}

/// One end of a simulated connection: a pair of numbers. Dropping it closes that end.
pub(crate) struct Socket {
    run: RunId,
    id: ConnId,
    side: usize,
}

impl Socket {
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        enter(self.run, |core| core.poll_read(self.id, self.side, cx, buf))
            .unwrap_or_else(|| Poll::Ready(Err(over())))
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        enter(self.run, |core| {
            core.poll_write(self.id, self.side, cx, data)
        })
        .unwrap_or_else(|| Poll::Ready(Err(over())))
    }

    /// Says that nothing more will be written.
    pub(crate) fn shutdown(&self) -> io::Result<()> {
        let done = enter(self.run, |core| core.shutdown(self.id, self.side));
        done.unwrap_or_else(|| Err(over()))
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimStream({}, {})", self.id, self.side)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        enter(self.run, |core| core.close(self.id, self.side));
    }
}

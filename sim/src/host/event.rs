//! The host of the event engine: a process of a simulated node.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rmq_host::{BoxFuture, Connection, Host, Identity, Listener, Task, TaskControl};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::engine::{ConnId, Core, Op, RunId, Spawned, enter};
use crate::trace::record::NodeId;

/// Something that a real machine does and the simulated one does not. It is refused, never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not modelled by the event engine: {0}")]
pub struct NotModelled(pub &'static str);

impl From<NotModelled> for io::Error {
    fn from(what: NotModelled) -> Self {
        io::Error::new(ErrorKind::Unsupported, what)
    }
}

/// One incarnation of a simulated node.
#[derive(Debug, Clone, Copy)]
pub struct EventHost {
    process: Process,
}

#[derive(Debug, Clone, Copy)]
struct Process {
    run: RunId,
    node: NodeId,
    incarnation: u32,
}

impl Process {
    /// Accesses the world as this process; pending until it has started.
    fn poll<R>(
        self,
        cx: &Context<'_>,
        access: impl FnOnce(&mut Core) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let done = enter(self.run, |core| {
            let alive = core.check_alive(self.node, self.incarnation)?;
            Some(alive.and_then(|()| access(core)))
        });
        match done {
            Some(Some(result)) => Poll::Ready(result),
            Some(None) => {
                // It starts between this poll and the next.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(Err(over())),
        }
    }
}

fn over() -> io::Error {
    io::Error::new(ErrorKind::NotConnected, "the simulated run is over")
}

impl EventHost {
    pub(crate) fn new(run: RunId, node: NodeId, incarnation: u32) -> Self {
        let process = Process {
            run,
            node,
            incarnation,
        };
        Self { process }
    }

    fn node<R>(&self, read: impl FnOnce(&Core) -> Option<R>) -> Option<R> {
        enter(self.process.run, |core| read(core)).flatten()
    }
}

impl Host for EventHost {
    fn connect(&self, to: &str) -> BoxFuture<'static, io::Result<Connection>> {
        let to = to.parse::<SocketAddr>().ok();
        Box::pin(Dialling {
            process: self.process,
            to,
            conn: None,
        })
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let process = self.process;
        Box::pin(async move {
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
            Ok(Box::new(EventListener { run, number, at }) as Box<dyn Listener>)
        })
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        let (handle, reporter) = Task::new(name);
        let Process {
            run,
            node,
            incarnation,
        } = self.process;
        // Outside the run the future is dropped here, and with it the reporter: cancelled.
        let mut parts = Some((task, reporter));
        let number = enter(run, |core| {
            let (future, reporter) = parts.take()?;
            let number = core.next_task;
            core.next_task += 1;
            core.ops.push_back(Op::Spawn(Box::new(Spawned {
                node,
                incarnation,
                number,
                name,
                future,
                reporter,
            })));
            Some(number)
        });
        match number.flatten() {
            Some(number) => handle.controlled_by(Control { run, number }),
            None => handle,
        }
    }

    fn unix_millis(&self) -> i64 {
        self.node(|core| Some(core.unix_millis(self.process.node)))
            .unwrap_or(0)
    }

    fn draw(&self, site: &'static str, position: u64) -> u64 {
        let Process {
            node, incarnation, ..
        } = self.process;
        self.node(|core| core.draw(node, incarnation, site, position))
            .unwrap_or(0)
    }

    fn identity(&self) -> Identity {
        let address = self.node(|core| core.address(self.process.node));
        Identity {
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            process: super::process_number(self.process.node, self.process.incarnation),
        }
    }

    fn is_running(&self) -> bool {
        let Process {
            node, incarnation, ..
        } = self.process;
        let lives = self.node(|core| core.lives(node, incarnation));
        lives == Some(true)
    }
}

/// Cancels a task when its handle is dropped.
#[derive(Debug)]
struct Control {
    run: RunId,
    number: u64,
}

impl TaskControl for Control {
    fn cancel(&self) {
        enter(self.run, |core| core.ops.push_back(Op::Cancel(self.number)));
    }
}

/// A dial that goes on.
struct Dialling {
    process: Process,
    to: Option<SocketAddr>,
    conn: Option<ConnId>,
}

impl Future for Dialling {
    type Output = io::Result<Connection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let process = self.process;
        let id = match self.conn {
            Some(id) => id,
            None => {
                let Some(to) = self.to else {
                    let what = "an address that is not ip:port (there is no DNS)";
                    return Poll::Ready(Err(NotModelled(what).into()));
                };
                let id = ready!(process.poll(cx, |core| core.dial(process.node, to)))?;
                self.conn = Some(id);
                id
            }
        };
        let polled = enter(process.run, |core| core.poll_dial(id, cx));
        let done = ready!(polled.unwrap_or_else(|| Poll::Ready(Err(over()))));
        self.conn = None;
        let (local, peer) = done?;
        let stream = EventStream {
            run: process.run,
            id,
            side: 0,
        };
        Poll::Ready(Ok(Connection {
            stream: Box::new(stream),
            local,
            peer,
        }))
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        if let Some(id) = self.conn {
            enter(self.process.run, |core| core.abandon(id));
        }
    }
}

/// A simulated listener.
#[derive(Debug)]
struct EventListener {
    run: RunId,
    number: u64,
    at: SocketAddr,
}

impl Listener for EventListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(std::future::poll_fn(|cx| {
            let (run, local) = (self.run, self.at);
            let polled = enter(run, |core| core.poll_accept(local, self.number, cx));
            let (id, peer) = ready!(polled.unwrap_or_else(|| Poll::Ready(Err(over()))))?;
            let stream = Box::new(EventStream { run, id, side: 1 });
            Poll::Ready(Ok(Connection {
                stream,
                local,
                peer,
            }))
        }))
    }

    fn local_addr(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for EventListener {
    fn drop(&mut self) {
        enter(self.run, |core| core.unlisten(self.at, self.number));
    }
}

/// One end of a simulated connection: a pair of numbers into the world.
struct EventStream {
    run: RunId,
    id: ConnId,
    side: usize,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventStream({}, {})", self.id, self.side)
    }
}

impl AsyncRead for EventStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        enter(self.run, |core| core.poll_read(self.id, self.side, cx, buf))
            .unwrap_or_else(|| Poll::Ready(Err(over())))
    }
}

impl AsyncWrite for EventStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        enter(self.run, |core| {
            core.poll_write(self.id, self.side, cx, data)
        })
        .unwrap_or_else(|| Poll::Ready(Err(over())))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = enter(self.run, |core| core.shutdown(self.id, self.side));
        Poll::Ready(done.unwrap_or_else(|| Err(over())))
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        enter(self.run, |core| core.close(self.id, self.side));
    }
}

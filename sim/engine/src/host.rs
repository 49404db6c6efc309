//! The host that a program gets in a simulation: one process of a simulated node.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rmq_host::{BoxFuture, Connection, Host, Identity, Listener, Task, TaskControl, TaskReporter};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::access::enter;
use crate::change::NotModelled;
use crate::command::{Command, NewTask};
use crate::core::{ConnId, Core, RunId};
use crate::node::NodeId;

/// What a dial to a name gets.
const NO_NAMES: NotModelled = NotModelled {
    engine: ENGINE,
    what: "an address that is not ip:port",
    reason: "there is no DNS",
};

/// What this engine is called where others stand beside it.
pub(crate) const ENGINE: &str = "event";

/// One incarnation of a simulated node, or a component of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SimHost {
    process: Process,
}

#[derive(Debug, Clone, Copy)]
struct Process {
    run: RunId,
    node: NodeId,
    /// Under whose number events tell of its tasks and dials.
    told_as: NodeId,
    incarnation: u32,
}

impl Process {
    /// Accesses the machines as this process; pending until it has started.
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

impl SimHost {
    pub(crate) fn new(run: RunId, node: NodeId, incarnation: u32) -> Self {
        let process = Process {
            run,
            node,
            told_as: node,
            incarnation,
        };
        Self { process }
    }

    /// The host of a component of this process.
    pub(crate) fn told_as(mut self, component: NodeId) -> Self {
        self.process.told_as = component;
        self
    }

    /// Starts a task that nobody holds: it ends by itself, or with its process.
    pub(crate) fn start(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        let (_owner, reporter) = Task::new(name);
        self.enqueue(name, task, reporter);
    }

    /// Asks for a task to be started; its number. Outside the run the future is dropped here, and
    /// with it the reporter: cancelled.
    fn enqueue(
        &self,
        name: &'static str,
        task: BoxFuture<'static, ()>,
        reporter: TaskReporter,
    ) -> Option<u64> {
        let Process {
            run,
            node,
            told_as,
            incarnation,
        } = self.process;
        let mut parts = Some((task, reporter));
        let number = enter(run, |core| {
            let (future, reporter) = parts.take()?;
            let number = core.next_task;
            core.next_task += 1;
            core.commands.push_back(Command::Spawn(Box::new(NewTask {
                node,
                told_as,
                incarnation,
                number,
                name,
                future,
                reporter,
            })));
            Some(number)
        });
        number.flatten()
    }

    /// `None`: the run is over. What is left of a process then reads zeros, and decides nothing.
    fn read<R>(&self, read: impl FnOnce(&Core) -> R) -> Option<R> {
        enter(self.process.run, |core| read(core))
    }
}

impl Host for SimHost {
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
            Ok(Box::new(SimListener { run, number, at }) as Box<dyn Listener>)
        })
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        let (handle, reporter) = Task::new(name);
        let run = self.process.run;
        match self.enqueue(name, task, reporter) {
            Some(number) => handle.controlled_by(Control { run, number }),
            None => handle,
        }
    }

    fn unix_millis(&self) -> i64 {
        self.read(|core| core.unix_millis(self.process.node))
            .unwrap_or(0)
    }

    fn draw(&self, site: &'static str, position: u64) -> u64 {
        let Process {
            told_as,
            incarnation,
            ..
        } = self.process;
        self.read(|core| core.draw(told_as, incarnation, site, position))
            .unwrap_or(0)
    }

    fn identity(&self) -> Identity {
        let address = self.read(|core| core.address(self.process.node)).flatten();
        Identity {
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            process: self.process.node.process_number(self.process.incarnation),
        }
    }

    fn is_running(&self) -> bool {
        let Process {
            node, incarnation, ..
        } = self.process;
        let lives = self.read(|core| core.lives(node, incarnation));
        lives.flatten() == Some(true)
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
        let cancel = Command::Cancel(self.number);
        enter(self.run, |core| core.commands.push_back(cancel));
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
                    return Poll::Ready(Err(NO_NAMES.into()));
                };
                let id =
                    ready!(process.poll(cx, |core| core.dial(process.node, process.told_as, to)))?;
                self.conn = Some(id);
                id
            }
        };
        let polled = enter(process.run, |core| core.poll_dial(id, cx));
        let done = ready!(polled.unwrap_or_else(|| Poll::Ready(Err(over()))));
        self.conn = None;
        let (local, peer) = done?;
        let stream = SimStream {
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

/// A listener of a simulated process, at one address.
#[derive(Debug)]
struct SimListener {
    run: RunId,
    number: u64,
    at: SocketAddr,
}

impl Listener for SimListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(std::future::poll_fn(|cx| {
            let (run, local) = (self.run, self.at);
            let polled = enter(run, |core| core.poll_accept(local, self.number, cx));
            let (id, peer) = ready!(polled.unwrap_or_else(|| Poll::Ready(Err(over()))))?;
            let stream = Box::new(SimStream { run, id, side: 1 });
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

impl Drop for SimListener {
    fn drop(&mut self) {
        enter(self.run, |core| core.unlisten(self.at, self.number));
    }
}

/// One end of a simulated connection: a pair of numbers.
struct SimStream {
    run: RunId,
    id: ConnId,
    side: usize,
}

impl fmt::Debug for SimStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimStream({}, {})", self.id, self.side)
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        enter(self.run, |core| core.poll_read(self.id, self.side, cx, buf))
            .unwrap_or_else(|| Poll::Ready(Err(over())))
    }
}

impl AsyncWrite for SimStream {
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

impl Drop for SimStream {
    fn drop(&mut self) {
        enter(self.run, |core| core.close(self.id, self.side));
    }
}

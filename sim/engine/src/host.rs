//! The host that a program gets in a simulation: one process of a simulated node.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rmq_host::{BoxFuture, Connection, Host, Identity, Listener, Task, TaskControl, TaskReporter};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::access::enter;
use crate::command::{Command, NewTask};
use crate::core::{Core, RunId};
use crate::node::NodeId;
use crate::process::Process;
use crate::socket::{Dial, Port, Socket};

/// One incarnation of a simulated node, or a component of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SimHost {
    process: Process,
}

impl SimHost {
    pub(crate) fn new(run: RunId, node: NodeId, incarnation: u32) -> Self {
        let process = Process {
            run,
            node,
            told_as: node,
            incarnation,
        };
        Self::of(process)
    }

    /// The host of a process that runs.
    pub(crate) fn of(process: Process) -> Self {
        Self { process }
    }

    /// The host of a component of this process.
    pub(crate) fn told_as(mut self, component: NodeId) -> Self {
        self.process.told_as = component;
        self
    }

    /// Starts a task that nobody holds: it ends by itself, or with its process.
    /// Its number; none if the run is over.
    pub(crate) fn start(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Option<u64> {
        let (_owner, reporter) = Task::new(name);
        self.enqueue(name, task, reporter)
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
        let dial = Dial::new(self.process, to.to_owned());
        Box::pin(async move {
            let (socket, local, peer) = dial.await?;
            Ok(connection(socket, local, peer))
        })
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let opened = Port::open(self.process, at);
        Box::pin(async move { Ok(Box::new(SimListener(opened.await?)) as Box<dyn Listener>) })
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
        // One that is still to start has not ended.
        let lives = self.read(|core| core.lives(node, incarnation));
        lives.is_some_and(|lives| lives != Some(false))
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

fn connection(socket: Socket, local: SocketAddr, peer: SocketAddr) -> Connection {
    let stream = Box::new(SimStream(socket));
    Connection {
        stream,
        local,
        peer,
    }
}

/// A listener of a simulated process.
#[derive(Debug)]
struct SimListener(Port);

impl Listener for SimListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(std::future::poll_fn(|cx| {
            let (socket, peer) = ready!(self.0.poll_accept(cx))?;
            Poll::Ready(Ok(connection(socket, self.0.at(), peer)))
        }))
    }

    fn local_addr(&self) -> SocketAddr {
        self.0.at()
    }
}

/// The stream of a connection.
#[derive(Debug)]
struct SimStream(Socket);

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buf)
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown())
    }
}

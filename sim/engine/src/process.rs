//! The process that a piece of code belongs to: that of the task which is polled.
//!
//! Whatever the engine polls belongs to a node, and so does all that such a task calls. A task that a
//! program gave to Tokio itself is polled by Tokio, which does not say who started it. The engine learns
//! it when that task first uses a socket, for a socket has a process.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll};

use tokio::task;

use crate::access::{self, enter};
use crate::core::{Core, RunId};
use crate::node::NodeId;

thread_local! {
    static POLLED: Cell<Option<NodeId>> = const { Cell::new(None) };
}

/// One incarnation of a simulated node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) run: RunId,
    pub(crate) node: NodeId,
    /// Under whose number events tell of its tasks and dials: the node's, or that of a component.
    pub(crate) told_as: NodeId,
    pub(crate) incarnation: u32,
}

/// What is asked of a run that is over.
pub(crate) fn over() -> io::Error {
    io::Error::new(ErrorKind::NotConnected, "the simulated run is over")
}

/// Polls a task of `node`: what it calls belongs to that node's process.
pub(crate) fn polling<R>(node: NodeId, poll: impl FnOnce() -> R) -> R {
    let before = POLLED.replace(Some(node));
    let polled = poll();
    POLLED.set(before);
    polled
}

/// The process that the calling code belongs to.
///
/// # Errors
///
/// No run goes on on this thread, or the task that calls belongs to no node.
pub(crate) fn here() -> io::Result<Process> {
    let Some(run) = access::run_here() else {
        return Err(io::Error::new(
            ErrorKind::Unsupported,
            "no simulation runs on this thread: dst_engine::net is the network of a simulated node, \
             and tokio::net that of this machine",
        ));
    };
    let process = match POLLED.get() {
        Some(node) => enter(run, |core| {
            let incarnation = core.node(node)?.incarnation;
            Some((node, incarnation))
        }),
        None => enter(run, |core| core.foreign_process(task::try_id()?)),
    };
    let Some((node, incarnation)) = process.flatten() else {
        return Err(io::Error::new(
            ErrorKind::Unsupported,
            "this task belongs to no node: start it with Host::spawn or dst_engine::task::spawn, \
             in a task of the node that it is part of",
        ));
    };
    Ok(Process {
        run,
        node,
        told_as: node,
        incarnation,
    })
}

impl Process {
    /// Accesses the machines as this process; pending until it has started.
    pub(crate) fn poll<R>(
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

    /// Lets a task go on that uses a socket of this process, and notes whose task it is.
    ///
    /// The engine drops the tasks of a process that is killed and does not poll those of one that is
    /// frozen. With a task of Tokio's own it can do neither, so such a task waits here: until its process
    /// is thawed, or, if that is gone, for good.
    pub(crate) fn poll_running(self, cx: &Context<'_>) -> Poll<()> {
        if POLLED.get() == Some(self.node) {
            return Poll::Ready(());
        }
        let runs = enter(self.run, |core| {
            if let Some(task) = task::try_id() {
                core.adopt(task, self.node, self.incarnation);
            }
            core.poll_running(self.node, self.incarnation, cx)
        });
        // After the end of a run there is nothing to wait for.
        runs.unwrap_or(Poll::Ready(()))
    }
}

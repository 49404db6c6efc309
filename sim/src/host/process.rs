//! The tasks of one process, on the engines whose tasks belong to a Tokio runtime.
//!
//! Tokio can neither freeze a task nor drop it before it is scheduled again. Here the runtime owns
//! only a shell; the future inside belongs to the process, which takes it away when it is killed
//! and does not let it be polled while it is frozen.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use rmq_host::{BoxFuture, Task, TaskControl};

use super::home::Home;
use super::witness::Witness;
use crate::engine::event::TaskOff;
use crate::engine::{EngineEvent, NodeGauges, Waiting};
use crate::trace::record::NodeId;

type Work = BoxFuture<'static, ()>;

/// One life of a node.
pub(super) struct Process {
    pub(super) node: NodeId,
    pub(super) incarnation: u32,
    pub(super) ip: IpAddr,
    pub(super) home: Arc<Home>,
    pub(super) witness: Arc<Witness>,
    /// Ends of connections that its program holds.
    pub(super) connections: AtomicU32,
    /// Listeners that its program holds.
    pub(super) listeners: AtomicU32,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    life: Life,
    live: BTreeMap<u64, Arc<Cell>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Life {
    #[default]
    Running,
    Frozen,
    Dead,
}

impl Process {
    pub(super) fn new(
        (node, incarnation): (NodeId, u32),
        ip: IpAddr,
        home: Arc<Home>,
        witness: Arc<Witness>,
    ) -> Self {
        Self {
            node,
            incarnation,
            ip,
            home,
            witness,
            connections: AtomicU32::new(0),
            listeners: AtomicU32::new(0),
            tasks: Mutex::default(),
        }
    }

    /// Starts a task. In a dead process nothing starts: the task ends as cancelled.
    pub(super) fn spawn(self: &Arc<Self>, name: &'static str, task: Work) -> Task {
        let (handle, reporter) = Task::new(name);
        let (node, witness) = (self.node, Arc::clone(&self.witness));
        let panicked = Arc::new(AtomicBool::new(false));
        let notes = Arc::clone(&panicked);
        let work: Work = Box::pin(reporter.watch(task, move |message| {
            notes.store(true, Ordering::Relaxed);
            witness.panicked(node, name, message);
        }));
        let cell = Arc::new(Cell {
            name,
            panicked,
            inside: Mutex::new(Inside::Idle(work, None)),
        });
        let Some(number) = self.admit(&cell) else {
            self.home.drop_there(cell.take_away());
            return handle;
        };
        self.witness.see(EngineEvent::TaskOn { node, number, name });
        let owner = TaskOwner {
            process: Arc::clone(self),
            number,
        };
        let process = Arc::clone(self);
        self.home.start(Box::pin(Shell {
            process,
            number,
            cell,
        }));
        handle.controlled_by(owner)
    }

    fn admit(&self, cell: &Arc<Cell>) -> Option<u64> {
        let mut tasks = self.tasks.lock();
        if tasks.life == Life::Dead {
            return None;
        }
        let number = self.witness.number_task();
        tasks.live.insert(number, Arc::clone(cell));
        Some(number)
    }

    /// Kills the process: no task of it is polled again, and soon all of them are dropped.
    pub(super) fn kill(&self) {
        let live = {
            let mut tasks = self.tasks.lock();
            tasks.life = Life::Dead;
            std::mem::take(&mut tasks.live)
        };
        let mut futures = Vec::with_capacity(live.len());
        for (number, cell) in live {
            futures.extend(cell.take_away());
            self.task_off(number, cell.name, TaskOff::Crashed);
        }
        self.home.drop_soon(futures);
    }

    /// Stops polling its tasks.
    pub(super) fn freeze(&self) {
        let mut tasks = self.tasks.lock();
        if tasks.life == Life::Running {
            tasks.life = Life::Frozen;
        }
    }

    /// Polls its tasks again, first those that were started first.
    pub(super) fn thaw(&self) {
        let cells: Vec<_> = {
            let mut tasks = self.tasks.lock();
            if tasks.life != Life::Frozen {
                return;
            }
            tasks.life = Life::Running;
            tasks.live.values().cloned().collect()
        };
        for cell in cells {
            cell.wake();
        }
    }

    /// Whether it has been killed.
    pub(super) fn is_dead(&self) -> bool {
        self.life() == Life::Dead
    }

    fn life(&self) -> Life {
        self.tasks.lock().life
    }

    fn task_off(&self, number: u64, name: &'static str, how: TaskOff) {
        let node = self.node;
        self.witness.see(EngineEvent::TaskOff {
            node,
            number,
            name,
            how,
        });
    }

    fn forget(&self, number: u64) -> Option<Arc<Cell>> {
        self.tasks.lock().live.remove(&number)
    }

    /// What it holds at this moment.
    pub(super) fn gauges(&self) -> NodeGauges {
        NodeGauges {
            tasks: u32::try_from(self.tasks.lock().live.len()).unwrap_or(u32::MAX),
            connections: self.connections.load(Ordering::Relaxed),
            listeners: self.listeners.load(Ordering::Relaxed),
        }
    }

    /// Its tasks that have not ended, first those that were started first.
    pub(super) fn waiting(&self) -> Vec<Waiting> {
        let tasks = self.tasks.lock();
        let waiting = tasks.live.values().map(|cell| Waiting {
            node: Some(self.node),
            task: cell.name,
        });
        waiting.collect()
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({:?} #{})", self.node, self.incarnation)
    }
}

/// The place of a task's future.
struct Cell {
    name: &'static str,
    panicked: Arc<AtomicBool>,
    inside: Mutex<Inside>,
}

enum Inside {
    /// Waits; the waker is its shell's.
    Idle(Work, Option<Waker>),
    /// Is being polled.
    Polled,
    /// Has ended or was taken away.
    Gone,
}

impl Cell {
    /// Takes the future out for a poll.
    fn borrow(&self) -> Option<Work> {
        let mut inside = self.inside.lock();
        match std::mem::replace(&mut *inside, Inside::Polled) {
            Inside::Idle(work, _) => Some(work),
            Inside::Polled => None,
            Inside::Gone => {
                *inside = Inside::Gone;
                None
            }
        }
    }

    /// Puts it back after a poll; returns it if the task was taken away meanwhile.
    fn give_back(&self, work: Work, waker: &Waker) -> Option<Work> {
        let mut inside = self.inside.lock();
        if matches!(*inside, Inside::Gone) {
            return Some(work);
        }
        *inside = Inside::Idle(work, Some(waker.clone()));
        None
    }

    /// Notes whom to wake at the thaw. `false`: there is nothing left to poll.
    fn park(&self, waker: &Waker) -> bool {
        match &mut *self.inside.lock() {
            Inside::Idle(_, wakes) => {
                *wakes = Some(waker.clone());
                true
            }
            Inside::Polled => true,
            Inside::Gone => false,
        }
    }

    /// Takes the future away for good and lets the shell end.
    fn take_away(&self) -> Option<Work> {
        let before = std::mem::replace(&mut *self.inside.lock(), Inside::Gone);
        let Inside::Idle(work, waker) = before else {
            return None;
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Some(work)
    }

    fn wake(&self) {
        let waker = match &*self.inside.lock() {
            Inside::Idle(_, waker) => waker.clone(),
            Inside::Polled | Inside::Gone => None,
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What the runtime owns of a task.
struct Shell {
    process: Arc<Process>,
    number: u64,
    cell: Arc<Cell>,
}

impl Shell {
    fn ended(&self) {
        // Nothing to forget: it was killed by what it did in its last poll.
        let Some(cell) = self.process.forget(self.number) else {
            return;
        };
        let how = if cell.panicked.load(Ordering::Relaxed) {
            TaskOff::Panicked
        } else {
            TaskOff::Finished
        };
        self.process.task_off(self.number, cell.name, how);
    }
}

impl Future for Shell {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.process.life() == Life::Frozen && self.cell.park(cx.waker()) {
            return Poll::Pending;
        }
        let Some(mut work) = self.cell.borrow() else {
            return Poll::Ready(());
        };
        if work.as_mut().poll(cx).is_ready() {
            self.ended();
            return Poll::Ready(());
        }
        match self.cell.give_back(work, cx.waker()) {
            None => Poll::Pending,
            // Killed by what it did in this poll.
            Some(killed) => {
                drop(killed);
                Poll::Ready(())
            }
        }
    }
}

/// What the owner of a task holds: ends it when the handle is dropped.
#[derive(Debug)]
struct TaskOwner {
    process: Arc<Process>,
    number: u64,
}

impl TaskControl for TaskOwner {
    fn cancel(&self) {
        if let Some(cell) = self.process.forget(self.number) {
            let (number, name) = (self.number, cell.name);
            self.process.task_off(number, name, TaskOff::Cancelled);
            self.process.home.drop_soon(cell.take_away());
        }
    }
}

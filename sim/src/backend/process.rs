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

use dst_engine::{EngineEvent, NodeGauges, NodeId, TaskOff, WaitingTask};
use parking_lot::Mutex;
use rmq_host::{BoxFuture, Task, TaskControl};

use super::runtime_handle::RuntimeHandle;
use super::sink::RunSink;

type Work = BoxFuture<'static, ()>;

/// One life of a node.
pub(super) struct Process {
    pub(super) node: NodeId,
    pub(super) incarnation: u32,
    pub(super) ip: IpAddr,
    pub(super) runtime: Arc<RuntimeHandle>,
    pub(super) sink: Arc<RunSink>,
    /// Ends of connections that its program holds.
    pub(super) connections: AtomicU32,
    /// Listeners that its program holds.
    pub(super) listeners: AtomicU32,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    life: Life,
    live: BTreeMap<u64, Arc<TaskSlot>>,
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
        runtime: Arc<RuntimeHandle>,
        sink: Arc<RunSink>,
    ) -> Self {
        Self {
            node,
            incarnation,
            ip,
            runtime,
            sink,
            connections: AtomicU32::new(0),
            listeners: AtomicU32::new(0),
            tasks: Mutex::default(),
        }
    }

    /// Starts a task. In a dead process nothing starts: the task ends as cancelled.
    pub(super) fn spawn(self: &Arc<Self>, name: &'static str, task: Work) -> Task {
        let (handle, reporter) = Task::new(name);
        let (node, sink) = (self.node, Arc::clone(&self.sink));
        let panicked = Arc::new(AtomicBool::new(false));
        let notes = Arc::clone(&panicked);
        let work: Work = Box::pin(reporter.watch(task, move |message| {
            notes.store(true, Ordering::Relaxed);
            sink.panicked(node, name, message);
        }));
        let slot = Arc::new(TaskSlot {
            name,
            panicked,
            inside: Mutex::new(Inside::Idle(work, None)),
        });
        let Some(number) = self.admit(&slot) else {
            self.runtime.drop_there(slot.take_away());
            return handle;
        };
        self.sink.see(EngineEvent::TaskOn { node, number, name });
        let owner = TaskOwner {
            process: Arc::clone(self),
            number,
        };
        let process = Arc::clone(self);
        self.runtime.start(Box::pin(SlotFuture {
            process,
            number,
            slot,
        }));
        handle.controlled_by(owner)
    }

    fn admit(&self, slot: &Arc<TaskSlot>) -> Option<u64> {
        let mut tasks = self.tasks.lock();
        if tasks.life == Life::Dead {
            return None;
        }
        let number = self.sink.number_task();
        tasks.live.insert(number, Arc::clone(slot));
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
        for (number, slot) in live {
            futures.extend(slot.take_away());
            self.task_off(number, slot.name, TaskOff::Crashed);
        }
        self.runtime.drop_soon(futures);
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
        let slots: Vec<_> = {
            let mut tasks = self.tasks.lock();
            if tasks.life != Life::Frozen {
                return;
            }
            tasks.life = Life::Running;
            tasks.live.values().cloned().collect()
        };
        for slot in slots {
            slot.wake();
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
        self.sink.see(EngineEvent::TaskOff {
            node,
            number,
            name,
            how,
        });
    }

    fn forget(&self, number: u64) -> Option<Arc<TaskSlot>> {
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
    pub(super) fn waiting(&self) -> Vec<WaitingTask> {
        let tasks = self.tasks.lock();
        let waiting = tasks.live.values().map(|slot| WaitingTask {
            node: Some(self.node),
            task: slot.name,
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
struct TaskSlot {
    name: &'static str,
    panicked: Arc<AtomicBool>,
    inside: Mutex<Inside>,
}

enum Inside {
    /// Waits; the waker is its shell's.
    Idle(Work, Option<Waker>),
    /// The future is out of its place while it is polled.
    Polled,
    /// Has ended or was taken away.
    Gone,
}

impl TaskSlot {
    /// Takes the future out for a poll.
    fn borrow(&self) -> Option<Work> {
        let mut inside = self.inside.lock();
        match std::mem::replace(&mut *inside, Inside::Polled) {
            Inside::Idle(work, _) => Some(work),
            Inside::Polled => unreachable!("task {} is polled within its own poll", self.name),
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
            Inside::Polled => unreachable!("task {} is parked within its own poll", self.name),
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
struct SlotFuture {
    process: Arc<Process>,
    number: u64,
    slot: Arc<TaskSlot>,
}

impl SlotFuture {
    fn ended(&self) {
        // Nothing to forget: it was killed by what it did in its last poll.
        let Some(slot) = self.process.forget(self.number) else {
            return;
        };
        let how = if slot.panicked.load(Ordering::Relaxed) {
            TaskOff::Panicked
        } else {
            TaskOff::Finished
        };
        self.process.task_off(self.number, slot.name, how);
    }
}

impl Future for SlotFuture {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.process.life() == Life::Frozen && self.slot.park(cx.waker()) {
            return Poll::Pending;
        }
        let Some(mut work) = self.slot.borrow() else {
            return Poll::Ready(());
        };
        if work.as_mut().poll(cx).is_ready() {
            self.ended();
            return Poll::Ready(());
        }
        match self.slot.give_back(work, cx.waker()) {
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
        if let Some(slot) = self.process.forget(self.number) {
            let (number, name) = (self.number, slot.name);
            self.process.task_off(number, name, TaskOff::Cancelled);
            self.process.runtime.drop_soon(slot.take_away());
        }
    }
}

//! The tasks of all nodes, and the throttles that hold a node's tasks back.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rmq_host::{BoxFuture, TaskEnd, TaskReporter};
use tracing::Span;

use crate::command::NewTask;
use crate::config::WaitingTask;
use crate::node::NodeId;
use crate::panics;
use crate::ready::{Lists, TaskRef};
use crate::strike::Strike;

/// A task that has not ended.
pub(super) struct Running {
    pub(super) handle: Arc<TaskRef>,
    pub(super) name: &'static str,
    /// Under whose number events tell of it.
    pub(super) told_as: NodeId,
    waker: Waker,
    /// What each poll runs in, so that whatever a program logs there names its node.
    span: Span,
    future: BoxFuture<'static, ()>,
    reporter: TaskReporter,
}

/// How a poll went.
pub(super) enum Polled {
    Pending,
    Finished,
    Panicked(String),
}

impl Running {
    pub(super) fn waiting(&self) -> WaitingTask {
        WaitingTask {
            node: Some(self.told_as),
            task: self.name,
        }
    }

    /// Drops the future, then tells the owner.
    pub(super) fn end(self, end: TaskEnd) {
        release(self.future);
        self.reporter.ended(end);
    }
}

/// The span of a task. It is of the highest level, so that no filter takes the node away from a line
/// that it lets through; where nobody subscribes, nothing of it is evaluated.
fn span(task: &'static str, node: impl FnOnce() -> Option<Arc<str>>) -> Span {
    tracing::error_span!("task", node = &*node().unwrap_or_default(), name = task)
}

/// Polls, turning a panic into a value: what it says and where it happened.
pub(super) fn guarded<T>(poll: impl FnOnce() -> Poll<T>) -> Result<Poll<T>, String> {
    catch_unwind(AssertUnwindSafe(poll)).map_err(|panic| panics::text(&*panic))
}

/// Drops what may panic while being dropped; such a panic has nobody left to tell.
pub(super) fn release<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

/// All tasks of a run, by slot; the slot of a task that ended is used again.
#[derive(Default)]
pub(super) struct Tasks {
    slots: Vec<Option<Running>>,
    free: Vec<usize>,
}

impl Tasks {
    /// Adds a task and makes it ready.
    ///
    /// `node` is the name of its node, for its span: without a subscriber it is not asked for.
    pub(super) fn start(
        &mut self,
        spawned: NewTask,
        lists: &Arc<Lists>,
        node: impl FnOnce() -> Option<Arc<str>>,
    ) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let handle = TaskRef::new(spawned.node, spawned.number, slot, lists);
        let running = Running {
            waker: Waker::from(Arc::clone(&handle)),
            handle: Arc::clone(&handle),
            name: spawned.name,
            told_as: spawned.told_as,
            span: span(spawned.name, node),
            future: spawned.future,
            reporter: spawned.reporter,
        };
        self.slots[slot] = Some(running);
        lists.push(handle);
    }

    /// Polls the task that `handle` means; `None`: it has ended already.
    pub(super) fn poll(&mut self, handle: &TaskRef) -> Option<(Polled, &'static str)> {
        let running = self.slots.get_mut(handle.slot)?.as_mut()?;
        if running.handle.number != handle.number {
            return None;
        }
        handle.begin_poll();
        let mut cx = Context::from_waker(&running.waker);
        let future = &mut running.future;
        let _in_span = running.span.enter();
        let polled = match guarded(|| future.as_mut().poll(&mut cx)) {
            Ok(Poll::Pending) => Polled::Pending,
            Ok(Poll::Ready(())) => Polled::Finished,
            Err(text) => Polled::Panicked(text),
        };
        Some((polled, running.name))
    }

    /// Takes a task out.
    pub(super) fn take(&mut self, number: u64) -> Option<Running> {
        let is_it = |slot: &Option<Running>| {
            slot.as_ref()
                .is_some_and(|running| running.handle.number == number)
        };
        let slot = self.slots.iter().position(is_it)?;
        Some(self.take_slot(slot))
    }

    fn take_slot(&mut self, slot: usize) -> Running {
        let Some(running) = self.slots[slot].take() else {
            unreachable!("no task has the place {slot}")
        };
        self.free.push(slot);
        running
    }

    /// Takes the task out that `handle` means.
    pub(super) fn remove(&mut self, handle: &TaskRef) -> Running {
        self.take_slot(handle.slot)
    }

    /// Takes all tasks out that belong, in the order of their numbers.
    pub(super) fn take_all(&mut self, belongs: impl Fn(NodeId) -> bool) -> Vec<Running> {
        let mut taken: Vec<Running> = Vec::new();
        for slot in 0..self.slots.len() {
            let matches = |running: &Running| belongs(running.handle.node);
            if self.slots[slot].as_ref().is_some_and(matches) {
                taken.push(self.take_slot(slot));
            }
        }
        taken.sort_unstable_by_key(|running| running.handle.number);
        taken
    }

    /// Every task, ordered by (node, number).
    pub(super) fn waiting(&self) -> Vec<WaitingTask> {
        let mut all: Vec<&Running> = self.slots.iter().flatten().collect();
        all.sort_unstable_by_key(|running| (running.handle.node, running.handle.number));
        all.into_iter().map(Running::waiting).collect()
    }
}

/// What keeps the ready tasks of a node from being polled.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    pub(super) frozen: bool,
    pub(super) ms_per_poll: u64,
    pub(super) next_poll: u64,
    pub(super) parked: VecDeque<Arc<TaskRef>>,
}

impl Throttle {
    /// How it strikes a task that it keeps from being polled.
    pub(super) fn strike(&self) -> Strike {
        if self.frozen {
            Strike::Freeze
        } else {
            Strike::Slow
        }
    }

    /// Whether a task may be polled now.
    pub(super) fn is_open(&self, now: u64) -> bool {
        !self.frozen && (self.ms_per_poll == 0 || now >= self.next_poll)
    }
}

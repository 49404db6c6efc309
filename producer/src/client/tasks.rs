//! Tasks that somebody owns until they end.
//!
//! Dropping a task's handle cancels it, and there are no detached tasks. So whoever starts many
//! short tasks needs a place for their handles, and one that forgets those that have ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rmq_host::{BoxFuture, SharedHost, Task};

/// A set of running tasks. Dropping it cancels them.
#[derive(Debug, Default)]
pub(crate) struct TaskSet {
    state: Mutex<RunningTasks>,
}

#[derive(Debug, Default)]
struct RunningTasks {
    running: BTreeMap<u64, Task>,
    ended: Vec<u64>,
    next: u64,
    closed: bool,
}

impl RunningTasks {
    /// Takes out the handles of tasks that have ended. A task never drops its own handle.
    fn reap(&mut self) -> Vec<Task> {
        let ended = std::mem::take(&mut self.ended);
        let mut handles = Vec::with_capacity(ended.len());
        for number in ended {
            match self.running.remove(&number) {
                Some(task) => handles.push(task),
                // It ended before its handle arrived here.
                None => self.ended.push(number),
            }
        }
        handles
    }
}

/// Says that a task has ended, however it did.
struct Mark {
    set: Weak<TaskSet>,
    number: u64,
}

impl Drop for Mark {
    fn drop(&mut self) {
        let Some(set) = self.set.upgrade() else {
            return;
        };
        let reaped = {
            let mut state = set.state.lock();
            let reaped = state.reap();
            state.ended.push(self.number);
            reaped
        };
        drop(reaped);
    }
}

impl TaskSet {
    /// Starts a task and keeps it until it ends. After [`close`](Self::close) nothing is started.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        host: &SharedHost,
        name: &'static str,
        task: BoxFuture<'static, ()>,
    ) {
        let number = {
            let mut state = self.state.lock();
            if state.closed {
                return;
            }
            state.next += 1;
            state.next
        };
        let mark = Mark {
            set: Arc::downgrade(self),
            number,
        };
        let handle = host.spawn(
            name,
            Box::pin(async move {
                task.await;
                drop(mark);
            }),
        );
        let refused = {
            let mut state = self.state.lock();
            if state.closed {
                Some(handle)
            } else {
                state.running.insert(number, handle)
            }
        };
        drop(refused);
    }

    /// Cancels what runs and starts nothing any more.
    pub(crate) fn close(&self) {
        let running = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.running)
        };
        drop(running);
    }
}

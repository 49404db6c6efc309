//! Who is ready: wakers, and the two lists that give an instant its order.
//!
//! A task woken while the engine polls was woken by a delivery or by another task; it joins the
//! ready queue. A task woken at any other time was woken by a timer of Tokio's; it waits on a list
//! of its own until the deliveries of the instant have had their effect. That is what makes a reply
//! in the millisecond of its deadline come in time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Wake, Waker};

use parking_lot::{Mutex, MutexGuard};

use crate::chance::{Block, Chance, below, site_number};
use crate::node::NodeId;

const IDLE: u8 = 0;
const TIMED: u8 = 1;
const READY: u8 = 2;

/// The identity of a task, and its waker.
#[derive(Debug)]
pub(super) struct TaskRef {
    pub(super) node: NodeId,
    pub(super) number: u64,
    pub(super) slot: usize,
    state: AtomicU8,
    lists: Arc<Lists>,
}

impl TaskRef {
    pub(super) fn new(node: NodeId, number: u64, slot: usize, lists: &Arc<Lists>) -> Arc<Self> {
        Arc::new(Self {
            node,
            number,
            slot,
            state: AtomicU8::new(IDLE),
            lists: Arc::clone(lists),
        })
    }

    /// From now on a wake makes it ready again.
    pub(super) fn begin_poll(&self) {
        self.state.store(IDLE, Ordering::Relaxed);
    }
}

impl Wake for TaskRef {
    fn wake(self: Arc<Self>) {
        Self::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.lists.woken(self);
    }
}

/// The two lists, shared with every waker.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ready: VecDeque<Arc<TaskRef>>,
    timed: Vec<Arc<TaskRef>>,
    polling: bool,
    /// The root future's waker, and whether it was used since the last poll.
    root: Option<Waker>,
    root_woken: bool,
}

/// Wakes the root future if nobody has since its last poll; outside the lock.
fn wake_root(mut inner: MutexGuard<'_, Inner>) {
    if !std::mem::replace(&mut inner.root_woken, true) {
        let root = inner.root.clone();
        drop(inner);
        if let Some(root) = root {
            root.wake();
        }
    }
}

impl Lists {
    fn woken(&self, task: &Arc<TaskRef>) {
        let mut inner = self.0.lock();
        // All changes of a task's state are made under the lock.
        let state = task.state.load(Ordering::Relaxed);
        if inner.polling {
            if state != READY {
                task.state.store(READY, Ordering::Relaxed);
                inner.ready.push_back(Arc::clone(task));
            }
            return;
        }
        if state == IDLE {
            task.state.store(TIMED, Ordering::Relaxed);
            inner.timed.push(Arc::clone(task));
        }
        wake_root(inner);
    }

    /// Wakes the root future, unless it is being polled or woken already.
    pub(super) fn wake_root(&self) {
        let inner = self.0.lock();
        if !inner.polling {
            wake_root(inner);
        }
    }

    /// The root future is polled: wakes come from deliveries and tasks.
    pub(super) fn begin(&self, root: &Waker) {
        let mut inner = self.0.lock();
        inner.polling = true;
        inner.root_woken = false;
        let stale = match &inner.root {
            Some(known) if known.will_wake(root) => None,
            _ => inner.root.replace(root.clone()),
        };
        drop(inner);
        drop(stale);
    }

    /// The root future is about to return: wakes come from timers.
    pub(super) fn end(&self) {
        self.0.lock().polling = false;
    }

    /// Makes a task ready.
    pub(super) fn push(&self, task: Arc<TaskRef>) {
        let mut inner = self.0.lock();
        task.state.store(READY, Ordering::Relaxed);
        inner.ready.push_back(task);
    }

    /// Moves the tasks that timers woke to the ready queue, ordered by (node, number), without
    /// those that a delivery has made ready since. Whether there was any.
    pub(super) fn release_timed(&self) -> bool {
        let mut inner = self.0.lock();
        let mut timed = std::mem::take(&mut inner.timed);
        let any = !timed.is_empty();
        timed.sort_unstable_by_key(|task| (task.node, task.number));
        for task in timed.drain(..) {
            if task.state.load(Ordering::Relaxed) == TIMED {
                task.state.store(READY, Ordering::Relaxed);
                inner.ready.push_back(task);
            }
        }
        inner.timed = timed;
        any
    }

    /// Takes the next ready task; `order` chooses among several.
    pub(super) fn pop(&self, order: &mut Order, now: u64) -> Option<Arc<TaskRef>> {
        let mut inner = self.0.lock();
        let index = order.choose(inner.ready.len(), now);
        if index == 0 {
            inner.ready.pop_front()
        } else {
            inner.ready.swap_remove_front(index)
        }
    }

    /// Forgets everything, at the end of a run.
    pub(super) fn clear(&self) {
        let mut inner = self.0.lock();
        let ready = std::mem::take(&mut inner.ready);
        let timed = std::mem::take(&mut inner.timed);
        let root = inner.root.take();
        drop(inner);
        drop((ready, timed, root));
    }
}

const SITE: u64 = site_number("ready order");
const EIGHT: u64 = 8;

/// The order of ready tasks: the first, or one drawn by (millisecond, position in the instant).
#[derive(Debug)]
pub(super) struct Order {
    chance: Option<Chance>,
    instant: u64,
    position: u64,
    cached: Option<(u64, Block)>,
}

impl Order {
    /// First come, first polled; or drawn from a seed.
    pub(super) fn new(seeded: bool, seed: u64) -> Self {
        Self {
            chance: seeded.then(|| Chance::new(seed)),
            instant: 0,
            position: 0,
            cached: None,
        }
    }

    fn choose(&mut self, count: usize, now: u64) -> usize {
        let Some(chance) = &self.chance else {
            return 0;
        };
        if now != self.instant {
            self.instant = now;
            self.position = 0;
        }
        let position = self.position;
        self.position += 1;
        if count < 2 {
            return 0;
        }
        // Eight positions share a block; an instant has room for 2^27 of them.
        let block_at = (now << 24) | (position / EIGHT).min((1 << 24) - 1);
        let block = match self.cached {
            Some((at, block)) if at == block_at => block,
            _ => {
                let block = chance.block_at(SITE, block_at);
                self.cached = Some((block_at, block));
                block
            }
        };
        let number = block[(position % EIGHT) as usize];
        // Below the length of a list, and so an index on every machine.
        below(number, count as u64) as usize
    }
}

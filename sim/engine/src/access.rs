//! Access to the machines of the run that goes on on this thread, and its clock.
//!
//! They are kept in a thread-local so that a simulated stream can be a pair of numbers and
//! everything that a program holds stays `Send`. Access is short and never overlaps a wake, a drop or
//! an sink: wakers and events are collected inside [`enter`] and released after it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use tokio::time::Instant;

use crate::config::EngineConfig;
use crate::core::{Core, RunId};
use crate::event::EventSink;
use crate::node::NodeId;
use crate::ready::Lists;

/// The machines of the run that goes on. Streams must be `Send`, so they hold numbers into it.
mod local {
    use super::{Cell, Clock, Core, RefCell};

    thread_local! {
        pub(super) static CURRENT: RefCell<Option<Core>> = const { RefCell::new(None) };
        pub(super) static CLOCK: Cell<Clock> = const { Cell::new(Clock::STOPPED) };
    }
}

/// The virtual time of this thread's run, for whoever asks while they are in use.
#[derive(Clone, Copy)]
struct Clock {
    run: RunId,
    now: u64,
    /// When the run started, while the engine is not polled: what asks then is a task that the
    /// program gave to Tokio itself, and Tokio's clock may be ahead of the engine's.
    ahead_since: Option<Instant>,
}

impl Clock {
    const STOPPED: Self = Self {
        run: RunId::NONE,
        now: 0,
        ahead_since: None,
    };

    fn now(self) -> u64 {
        self.ahead_since.map_or(self.now, ms_since)
    }
}

/// Whole milliseconds of virtual time since `start`.
pub(super) fn ms_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Accesses the machines of `run`; `None` if that run does not go on on this thread.
///
/// Whoever does so while the root future is not polled (a task that the program gave to Tokio
/// itself) finds them at Tokio's time, and the root future is woken to see what was asked.
pub(crate) fn enter<R>(run: RunId, access: impl FnOnce(&mut Core) -> R) -> Option<R> {
    let (result, effects, outside) = local::CURRENT
        .try_with(|current| {
            let mut current = current.try_borrow_mut().ok()?;
            let core = current.as_mut().filter(|core| core.run == run)?;
            let outside = core.enter_from_outside();
            let result = access(core);
            let effects = (!core.effects.is_empty()).then(|| {
                let effects = std::mem::take(&mut core.effects);
                let told = !effects.events.is_empty();
                (effects, told.then(|| Arc::clone(&core.sink)))
            });
            Some((result, effects, outside))
        })
        .ok()??;
    if let Some((effects, sink)) = effects {
        if let Some(sink) = sink {
            for event in effects.events {
                sink.on(event);
            }
        }
        for waker in effects.wake {
            waker.wake();
        }
    }
    if let Some(root) = outside {
        root.wake_root();
    }
    Some(result)
}

/// As [`enter`], for the root future of `run`: its machines are in place until it is dropped.
pub(super) fn own<R>(run: RunId, access: impl FnOnce(&mut Core) -> R) -> R {
    let Some(result) = enter(run, access) else {
        unreachable!("the machines of the run are gone, or in use")
    };
    result
}

/// The root future of `run` is polled; see [`Core::resume`]. It is no access from outside.
pub(super) fn resume(run: RunId, now: Option<u64>) -> bool {
    let touched = local::CURRENT.try_with(|current| {
        let mut current = current.try_borrow_mut().ok()?;
        let core = current.as_mut().filter(|core| core.run == run)?;
        Some(core.resume(now))
    });
    let Some(touched) = touched.ok().flatten() else {
        unreachable!("the machines of the run are gone, or in use")
    };
    touched
}

/// The run that goes on on this thread while its root future is not being polled.
pub(super) fn unattended() -> Option<RunId> {
    let clock = local::CLOCK.try_with(Cell::get).ok()?;
    clock.ahead_since.map(|_| clock.run)
}

/// The run that goes on on this thread.
pub(super) fn run_here() -> Option<RunId> {
    let clock = local::CLOCK.try_with(Cell::get).ok()?;
    (clock.run != Clock::STOPPED.run).then_some(clock.run)
}

/// The virtual time of `run`; 0 if it does not go on on this thread.
pub(super) fn now(run: RunId) -> u64 {
    now_of(|clock| clock.run == run).unwrap_or(0)
}

/// The virtual time of the run that goes on on this thread, if there is one.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dst_engine::{Engine, now_here};
///
/// assert_eq!(now_here(), None, "no run goes on here");
/// let mut engine = Engine::new(7);
/// engine.client("client", [10, 0, 0, 1], |_host| async {
///     tokio::time::sleep(std::time::Duration::from_millis(5)).await;
///     assert_eq!(now_here(), Some(5));
/// });
/// assert!(engine.run()?.value.is_some());
/// # Ok(())
/// # }
/// ```
pub fn now_here() -> Option<u64> {
    now_of(|clock| clock.run != Clock::STOPPED.run)
}

fn now_of(meant: impl Fn(&Clock) -> bool) -> Option<u64> {
    let clock = local::CLOCK.try_with(Cell::get).ok()?;
    meant(&clock).then(|| clock.now())
}

/// The name of a node.
pub(super) fn name(run: RunId, node: NodeId) -> Option<Arc<str>> {
    enter(run, |core| {
        core.node(node).map(|node| Arc::clone(&node.name))
    })?
}

/// Puts new machines in place; `None` if this thread already has a run.
pub(super) fn install(config: &EngineConfig, sink: Arc<dyn EventSink>) -> Option<RunId> {
    let run = RunId::next();
    let core = Core::new(run, config, sink);
    local::CURRENT.with(|current| {
        let mut current = current.try_borrow_mut().ok()?;
        if current.is_some() {
            return None;
        }
        *current = Some(core);
        local::CLOCK.set(Clock {
            run,
            ..Clock::STOPPED
        });
        Some(run)
    })
}

/// Takes the machines of `run` away again.
pub(super) fn remove(run: RunId) -> Option<Core> {
    local::CURRENT.with(|current| {
        let mut current = current.try_borrow_mut().ok()?;
        local::CLOCK.set(Clock::STOPPED);
        current.take_if(|core| core.run == run)
    })
}

impl Core {
    /// Makes the root future known, before its first poll.
    pub(super) fn attach(&mut self, start: Instant, lists: &Arc<Lists>) {
        self.root = Some((start, Arc::clone(lists)));
    }

    /// The root future is polled: starts an instant, unless time has run out (`None`). Whether the
    /// machines were used from outside since its last poll.
    fn resume(&mut self, now: Option<u64>) -> bool {
        self.polling = true;
        self.set_now(now.unwrap_or(self.now));
        std::mem::take(&mut self.touched)
    }

    /// The root future is about to return.
    pub(super) fn pause(&mut self) {
        self.polling = false;
        local::CLOCK.set(Clock {
            run: self.run,
            now: self.now,
            ahead_since: self.root.as_ref().map(|(start, _)| *start),
        });
    }

    fn set_now(&mut self, now: u64) {
        self.now = now;
        local::CLOCK.set(Clock {
            run: self.run,
            now,
            ahead_since: None,
        });
    }

    /// If the root future is not being polled: brings the machines to Tokio's time, and returns whom
    /// to wake. What was due before that time has happened, for the engine's sleep is armed for it.
    fn enter_from_outside(&mut self) -> Option<Arc<Lists>> {
        if self.polling {
            return None;
        }
        let (start, lists) = self.root.as_ref()?;
        self.now = ms_since(*start);
        self.touched = true;
        Some(Arc::clone(lists))
    }
}

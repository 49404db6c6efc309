//! The runtime that a node's futures belong to.
//!
//! On `turmoil` every host has a runtime of its own, and whatever touches its network, be it a poll
//! or the drop of a stream, must happen there. The runner, planned actions and other nodes live
//! elsewhere: what they start or drop is carried to its runtime first.

use parking_lot::Mutex;
use rmq_host::BoxFuture;
use tokio::runtime::Handle;

type Job = BoxFuture<'static, ()>;

/// Where futures of a node are polled and dropped.
#[derive(Default)]
pub(super) struct RuntimeHandle(Mutex<RuntimeState>);

enum RuntimeState {
    /// The runtime does not exist yet; these jobs wait for it.
    Building(Vec<Job>),
    /// The runtime exists, and polls what it is given.
    Open(Handle),
    /// The run is over: nothing is polled any more, and drops have no effect on any network.
    Closed,
}

impl Default for RuntimeState {
    fn default() -> Self {
        Self::Building(Vec::new())
    }
}

impl RuntimeHandle {
    /// The runtime exists: what waited for it starts, in order.
    pub(super) fn open(&self, runtime: &Handle) {
        let before = std::mem::replace(&mut *self.0.lock(), RuntimeState::Open(runtime.clone()));
        let RuntimeState::Building(jobs) = before else {
            unreachable!("a runtime is opened once, and before the run is over")
        };
        for job in jobs {
            runtime.spawn(job);
        }
    }

    /// The run is over.
    pub(super) fn close(&self) {
        let before = std::mem::replace(&mut *self.0.lock(), RuntimeState::Closed);
        drop(before);
    }

    /// Whether the caller runs on this runtime.
    pub(super) fn is_here(&self) -> bool {
        match (&*self.0.lock(), Handle::try_current()) {
            (RuntimeState::Open(runtime), Ok(here)) => runtime.id() == here.id(),
            (RuntimeState::Open(_), Err(_))
            | (RuntimeState::Building(_) | RuntimeState::Closed, _) => false,
        }
    }

    /// Runs a job on this runtime. After the run's end the job is dropped unpolled.
    pub(super) fn start(&self, job: Job) {
        let runtime = match &mut *self.0.lock() {
            RuntimeState::Building(jobs) => {
                jobs.push(job);
                return;
            }
            RuntimeState::Open(runtime) => Some(runtime.clone()),
            RuntimeState::Closed => None,
        };
        match runtime {
            Some(runtime) => drop(runtime.spawn(job)),
            None => drop(job),
        }
    }

    /// Drops a value on this runtime, soon and never within the caller's poll: whoever asks for it
    /// may hold a lock that the drop needs.
    pub(super) fn drop_soon<T: Send + 'static>(&self, value: T) {
        self.start(Box::pin(async move { drop(value) }));
    }

    /// Drops a value at once if the caller is on this runtime, and soon otherwise.
    pub(super) fn drop_there<T: Send + 'static>(&self, value: T) {
        if self.is_here() {
            drop(value);
        } else {
            self.drop_soon(value);
        }
    }
}

//! Work that is done once at a time, whoever wants it: those who come while it is under way share its
//! result.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Work under way, shared by all who wait for it.
#[derive(Debug)]
pub(crate) struct InFlight<R, T> {
    /// Why it was started.
    pub(crate) reason: R,
    found: Mutex<Option<T>>,
    completed: Notify,
}

impl<R, T: Clone> InFlight<R, T> {
    fn new(reason: R) -> Arc<Self> {
        Arc::new(Self {
            reason,
            found: Mutex::new(None),
            completed: Notify::new(),
        })
    }

    /// Tells the result to all who wait. The first one counts.
    pub(crate) fn complete(&self, found: T) {
        self.found.lock().get_or_insert(found);
        self.completed.notify_waiters();
    }
}

impl<R: Send + Sync, T: Clone + Send> InFlight<R, T> {
    /// Waits for the result.
    pub(crate) async fn wait(&self) -> T {
        loop {
            let completed = self.completed.notified();
            tokio::pin!(completed);
            completed.as_mut().enable();
            if let Some(found) = self.found.lock().clone() {
                return found;
            }
            completed.await;
        }
    }
}

/// The place of the one work that may be under way; kept under its owner's lock.
#[derive(Debug)]
pub(crate) struct SingleFlight<R, T>(Option<Arc<InFlight<R, T>>>);

impl<R, T> Default for SingleFlight<R, T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<R, T: Clone> SingleFlight<R, T> {
    /// The work to wait for, and whether it is new and must be started.
    pub(crate) fn join(&mut self, reason: R) -> (Arc<InFlight<R, T>>, bool) {
        if let Some(flight) = &self.0 {
            return (Arc::clone(flight), false);
        }
        let flight = InFlight::new(reason);
        self.0 = Some(Arc::clone(&flight));
        (flight, true)
    }

    /// The work under way.
    pub(crate) fn under_way(&self) -> Option<&Arc<InFlight<R, T>>> {
        self.0.as_ref()
    }

    /// Work is over: the next one may start, if it is this one that holds the place. Leave
    /// before [`InFlight::complete`], so that whoever is told can start another one.
    pub(crate) fn leave(&mut self, flight: &Arc<InFlight<R, T>>) {
        if self
            .0
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, flight))
        {
            self.0 = None;
        }
    }
}

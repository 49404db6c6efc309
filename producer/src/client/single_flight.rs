//! Work that is done once at a time, whoever wants it: those who come while it is under way share its
//! result.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Work under way, shared by all who wait for it.
#[derive(Debug)]
pub(crate) struct Flight<R, T> {
    /// Why it was started.
    pub(crate) reason: R,
    found: Mutex<Option<T>>,
    landed: Notify,
}

impl<R, T: Clone> Flight<R, T> {
    fn new(reason: R) -> Arc<Self> {
        Arc::new(Self {
            reason,
            found: Mutex::new(None),
            landed: Notify::new(),
        })
    }

    /// Tells the result to all who wait. The first one counts.
    pub(crate) fn land(&self, found: T) {
        self.found.lock().get_or_insert(found);
        self.landed.notify_waiters();
    }
}

impl<R: Send + Sync, T: Clone + Send> Flight<R, T> {
    /// Waits for the result.
    pub(crate) async fn wait(&self) -> T {
        loop {
            let landed = self.landed.notified();
            tokio::pin!(landed);
            landed.as_mut().enable();
            if let Some(found) = self.found.lock().clone() {
                return found;
            }
            landed.await;
        }
    }
}

/// The place of the one flight that may be under way; kept under its owner's lock.
#[derive(Debug)]
pub(crate) struct Gate<R, T>(Option<Arc<Flight<R, T>>>);

impl<R, T> Default for Gate<R, T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<R, T: Clone> Gate<R, T> {
    /// The flight to join, and whether it is new and must be started.
    pub(crate) fn board(&mut self, reason: R) -> (Arc<Flight<R, T>>, bool) {
        if let Some(flight) = &self.0 {
            return (Arc::clone(flight), false);
        }
        let flight = Flight::new(reason);
        self.0 = Some(Arc::clone(&flight));
        (flight, true)
    }

    /// The flight under way.
    pub(crate) fn under_way(&self) -> Option<&Arc<Flight<R, T>>> {
        self.0.as_ref()
    }

    /// A flight is over: the next one may start, if it is this one that holds the place. Leave
    /// before [`Flight::land`], so that whoever is told can start another one.
    pub(crate) fn leave(&mut self, flight: &Arc<Flight<R, T>>) {
        if self
            .0
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, flight))
        {
            self.0 = None;
        }
    }
}

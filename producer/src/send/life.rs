//! Whether a producer runs, and which of its sends are open: who waits for what, without a timer.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Whether a producer runs, and what of it is still open.
#[derive(Debug, Default)]
pub(crate) struct Life {
    state: Mutex<LifeState>,
    /// Told when the producer closes.
    closing: Notify,
    /// Told when the last send is done.
    idle: Notify,
}

#[derive(Debug, Default)]
struct LifeState {
    closed: bool,
    /// `stop` has unregistered the group.
    stopped: bool,
    open_sends: usize,
}

impl Life {
    /// A send begins. False if the producer is closed.
    pub(crate) fn enter(&self) -> bool {
        let mut state = self.state.lock();
        state.open_sends += 1;
        !state.closed
    }

    /// A send is done.
    pub(crate) fn leave(&self) {
        let idle = {
            let mut state = self.state.lock();
            state.open_sends -= 1;
            state.open_sends == 0 && state.closed
        };
        if idle {
            self.idle.notify_waiters();
        }
    }

    pub(crate) fn open_sends(&self) -> usize {
        self.state.lock().open_sends
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Every open send ends as closed from now on. True the first time.
    pub(crate) fn close(&self) -> bool {
        let first = !std::mem::replace(&mut self.state.lock().closed, true);
        self.closing.notify_waiters();
        first
    }

    /// Waits until the producer closes.
    pub(crate) async fn closed(&self) {
        until(&self.closing, || self.is_closed()).await;
    }

    /// Waits until no send is open.
    pub(crate) async fn idle(&self) {
        until(&self.idle, || self.open_sends() == 0).await;
    }

    /// `stop` has unregistered the group. True if it had before.
    pub(crate) fn stopped(&self) -> bool {
        std::mem::replace(&mut self.state.lock().stopped, true)
    }
}

async fn until(told: &Notify, reached: impl Fn() -> bool) {
    loop {
        let told = told.notified();
        tokio::pin!(told);
        told.as_mut().enable();
        if reached() {
            return;
        }
        told.await;
    }
}

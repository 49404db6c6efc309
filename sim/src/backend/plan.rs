//! Actions at a time, in the order in which they were planned.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Action;

/// What is planned for a run.
#[derive(Default)]
pub(super) struct Plan {
    planned: Mutex<Planned>,
    changed: Notify,
}

#[derive(Default)]
struct Planned {
    next: u64,
    due: BTreeMap<(u64, u64), Action>,
}

impl Plan {
    /// Plans an action for `ms`.
    pub(super) fn add(&self, ms: u64, action: Action) {
        let mut planned = self.planned.lock();
        let number = planned.next;
        planned.next += 1;
        planned.due.insert((ms, number), action);
        drop(planned);
        self.changed.notify_one();
    }

    /// When the next action is due.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.planned.lock().due.keys().next().map(|&(ms, _)| ms)
    }

    /// Runs everything that is due, also what those actions plan for now.
    pub(super) fn run_due(&self, now_ms: u64) {
        while let Some(action) = self.take_due(now_ms) {
            action();
        }
    }

    fn take_due(&self, now_ms: u64) -> Option<Action> {
        let mut planned = self.planned.lock();
        let first = planned.due.first_entry()?;
        (first.key().0 <= now_ms).then(|| first.remove())
    }

    /// Waits until something has been planned since the last wait.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Drops what is left: actions hold the backend, which holds the plan.
    pub(super) fn clear(&self) {
        let left = std::mem::take(&mut self.planned.lock().due);
        drop(left);
    }
}

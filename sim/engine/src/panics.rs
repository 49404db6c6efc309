//! Panics in tasks that the engine does not poll.
//!
//! Tokio keeps the panic of a task that was given to `tokio::spawn` for whoever joins it, which
//! often is nobody. In a simulation it is the verdict, as the panic of a node's own task is. Only
//! the process's panic hook sees it, so the engine adds one of its own to the hook that is there.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::Once;

use rmq_host::panic_message;
use tokio::runtime::Handle;

use crate::access;

/// A panic, before it is known whether it ended its task.
struct Seen {
    text: String,
    /// The tasks of the runtime that had not ended.
    alive: usize,
}

thread_local! {
    static SEEN: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

/// From now on panics are seen, in the whole process and besides the hook that was there.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let known = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            known(panic);
            note(panic);
        }));
    });
    SEEN.take();
}

/// Keeps the first panic in a task of Tokio's own while a run goes on on this thread.
fn note(panic: &PanicHookInfo<'_>) {
    let Some(run) = access::unattended() else {
        return;
    };
    if tokio::task::try_id().is_none() {
        return;
    }
    let place = panic
        .location()
        .map_or_else(String::new, |place| format!(" ({place})"));
    let text = format!("{}{place}", panic_message(panic.payload()));
    let alive = alive();
    SEEN.with_borrow_mut(|seen| {
        seen.get_or_insert(Seen { text, alive });
    });
    // Any access from here wakes the root future.
    access::enter(run, |_| ());
}

/// The panic that has ended a task of Tokio's own, with its place in the source. One that the task
/// caught itself, and survived, is none.
pub(super) fn foreign() -> Option<String> {
    let seen = SEEN.take()?;
    (alive() < seen.alive).then_some(seen.text)
}

fn alive() -> usize {
    Handle::try_current().map_or(0, |runtime| runtime.metrics().num_alive_tasks())
}

//! Where panics happened, and those in tasks that the engine does not poll.
//!
//! In a simulation a panic is the verdict, and a verdict without its place in the source sends its reader
//! on a search. Only the process's panic hook knows the place. It is also the only one that sees the panic
//! of a task that was given to `tokio::spawn`, which Tokio keeps for whoever joins the task, often nobody. So
//! the engine adds a hook of its own to the one that is there.

use std::any::Any;
use std::cell::{Cell, RefCell};
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
    /// Where the last panic of this thread happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Does something whose panics on this thread are not printed, as far as runs of an engine end by them. A
/// search plays a failing run again and again, and its panic was printed once.
///
/// ```
/// use dst_engine::{Engine, RunEnd, quietly};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut engine = Engine::new(7);
/// engine.client("checks", [10, 0, 0, 1], |_host| async { panic!("by design") });
/// let RunEnd::Panicked { message, .. } = quietly(|| engine.run())?.end else {
///     panic!("it ended otherwise");
/// };
/// assert!(message.starts_with("by design ("), "{message}");
/// # Ok(())
/// # }
/// ```
pub fn quietly<T>(act: impl FnOnce() -> T) -> T {
    /// Ends the quiet, also when `act` panics.
    struct Quiet(bool);
    impl Drop for Quiet {
        fn drop(&mut self) {
            QUIET.set(self.0);
        }
    }
    let _quiet = Quiet(QUIET.replace(true));
    act()
}

/// From now on panics are seen, in the whole process and besides the hook that was there.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let known = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                known(panic);
            }
            note(panic);
        }));
    });
    SEEN.take();
}

/// Keeps the place of a panic, and the first panic in a task of Tokio's own while a run goes on on this
/// thread.
fn note(panic: &PanicHookInfo<'_>) {
    PLACE.set(panic.location().map(ToString::to_string));
    let Some(run) = access::unattended() else {
        return;
    };
    if tokio::task::try_id().is_none() {
        return;
    }
    let text = text(panic.payload());
    let alive = alive();
    SEEN.with_borrow_mut(|seen| {
        seen.get_or_insert(Seen { text, alive });
    });
    // Any access from here wakes the root future.
    access::enter(run, |_| ());
}

/// What the panic that was just caught says, with its place in the source.
pub(super) fn text(payload: &(dyn Any + Send)) -> String {
    let message = panic_message(payload);
    match PLACE.take() {
        Some(place) => format!("{message} ({place})"),
        None => message,
    }
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

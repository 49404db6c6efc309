//! How a program sees what its producer does: an observer gets every event as a value.
//!
//! ```
//! use rmq_producer::Observer;
//! use rmq_producer::event::{Event, Outcome};
//!
//! /// Prints what became of each send.
//! #[derive(Debug)]
//! struct Outcomes;
//!
//! impl Observer<Event> for Outcomes {
//!     fn on(&self, event: Event) {
//!         if let Event::Done { send, outcome, after_ms } = event {
//!             let how = if matches!(outcome, Outcome::Failed(_)) { "failed" } else { "is done" };
//!             println!("send {send} {how} after {after_ms} ms");
//!         }
//!     }
//! }
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rmq_host::panic_message;
pub use rmq_remoting::observe::{Observer, Silent};

use crate::event::Event;

/// Keeps a panic of the program's observer away from the sends, connections and tasks whose events it
/// hears: they go on, and `tracing` says what happened, at each panic.
#[derive(Debug)]
pub(crate) struct Shielded(pub(crate) Arc<dyn Observer<Event>>);

impl Observer<Event> for Shielded {
    fn on(&self, event: Event) {
        let heard = catch_unwind(AssertUnwindSafe(|| self.0.on(event)));
        if let Err(payload) = heard {
            let message = panic_message(payload.as_ref());
            tracing::error!(target: "rmq::producer", message, "the observer of a producer panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Panicking(AtomicU32);

    impl Observer<Event> for Panicking {
        fn on(&self, _: Event) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("as planned");
        }
    }

    #[test]
    fn a_panic_of_an_observer_stays_with_it_and_it_hears_the_next_event() {
        let observer = Arc::new(Panicking::default());
        let shielded = Shielded(Arc::clone(&observer) as Arc<dyn Observer<Event>>);
        shielded.on(Event::Stopping);
        shielded.on(Event::Stopped);
        assert_eq!(observer.0.load(Ordering::Relaxed), 2);
    }
}

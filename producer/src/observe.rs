//! Where the producer's events go: to `tracing`, or to the program's own observer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rmq_host::panic_message;
use rmq_remoting::observe::Observer;

use crate::event::{Event, Outcome};

/// Forwards events to `tracing`: failures as warnings, lifecycle and routes as information, the
/// rest as debug output. Nothing is formatted for a level that nobody listens to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tracing;

impl Observer<Event> for Tracing {
    fn on(&self, event: Event) {
        match event {
            Event::Done {
                outcome: Outcome::Failed(failure),
                send,
                after_ms,
            } => tracing::warn!(send = send.get(), after_ms, ?failure, "send failed"),
            Event::TaskPanicked { task } => {
                tracing::error!(task, "a background task panicked and was started again");
            }
            Event::Started { .. }
            | Event::Stopping
            | Event::Stopped
            | Event::Snapshot { .. }
            | Event::NameServers { .. }
            | Event::Drain { .. } => tracing::info!(?event),
            _ => tracing::debug!(?event),
        }
    }
}

/// Keeps a panic of the program's observer away from the sends, connections and tasks whose events it
/// hears: they go on, and `tracing` says what happened, at each panic.
#[derive(Debug)]
pub(crate) struct Shielded(pub(crate) Arc<dyn Observer<Event>>);

impl Observer<Event> for Shielded {
    fn on(&self, event: Event) {
        let heard = catch_unwind(AssertUnwindSafe(|| self.0.on(event)));
        if let Err(payload) = heard {
            let message = panic_message(payload.as_ref());
            tracing::error!(message, "the observer of a producer panicked");
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

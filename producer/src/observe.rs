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

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rmq_host::{SharedHost, panic_message};
use rmq_remoting::observe::Name;
pub use rmq_remoting::observe::{Observer, Silent};

use crate::event::Event;
use crate::policy::Policy;

/// What looks at every client that is made on a machine, whoever makes it: a laboratory.
///
/// A machine lends it to programs as [`Host::instrumentation`](rmq_host::Host::instrumentation). A
/// program's own observer hears every event as well.
///
/// ```
/// use std::sync::Arc;
/// use rmq_producer::event::Event;
/// use rmq_producer::observe::{ClientInstrument, Instrument, Instrumentation, ProducerStart};
/// use rmq_producer::Observer;
/// use rmq_host::{SharedHost, TokioHost};
///
/// #[derive(Debug)]
/// struct Prints;
///
/// impl Observer<Event> for Prints {
///     fn on(&self, event: Event) {
///         println!("{event:?}");
///     }
/// }
///
/// impl ClientInstrument for Prints {
///     fn host(&self) -> SharedHost {
///         Arc::new(TokioHost::new())
///     }
///
///     fn starts(&self, producer: &ProducerStart<'_>) {
///         println!("a producer of {} starts", producer.group);
///     }
/// }
///
/// impl Instrument for Prints {
///     fn client(&self) -> Arc<dyn ClientInstrument> {
///         Arc::new(Prints)
///     }
/// }
///
/// let lent = Instrumentation::new(Arc::new(Prints));
/// # let _ = lent;
/// ```
#[derive(Debug, Clone)]
pub struct Instrumentation(Arc<dyn Instrument>);

impl Instrumentation {
    /// The value that a machine lends.
    #[must_use]
    pub fn new(instrument: Arc<dyn Instrument>) -> Self {
        Self(instrument)
    }

    /// The instrument of a client that is made on this machine, if it has instrumentation.
    pub(crate) fn of(host: &SharedHost) -> Option<Arc<dyn ClientInstrument>> {
        let lent = host.instrumentation()?.downcast_ref::<Self>()?;
        Some(lent.0.client())
    }
}

/// Looks at the clients of one machine.
pub trait Instrument: fmt::Debug + Send + Sync + 'static {
    /// A client is being made; what looks at it.
    fn client(&self) -> Arc<dyn ClientInstrument>;
}

/// Looks at one client: it hears every event.
pub trait ClientInstrument: Observer<Event> {
    /// The machine as this client gets it, with whatever tells it from the machine's other clients.
    fn host(&self) -> SharedHost;

    /// A producer that uses the client is about to start.
    fn starts(&self, producer: &ProducerStart<'_>);
}

/// What is known of a producer that is about to start.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct ProducerStart<'a> {
    /// Its group, as brokers know it.
    pub group: &'a Name,
    /// Everything that it decides by itself.
    pub policy: &'a Policy,
    /// The namespace of the second kind that requests of its client name; none: they name none.
    pub namespace_v2: Option<&'a Name>,
    /// Its client was made by hand, and goes on when the last producer that shares it has stopped.
    pub client_outlives: bool,
    /// How many async sends it may have open; none: any number.
    pub most_sends: Option<u32>,
    /// How many bytes the bodies of its open async sends may have; none: any number.
    pub most_bytes: Option<u32>,
    /// Whether an async send beyond these limits is refused at once; else it waits.
    pub refuses: bool,
}

/// Tells two observers of everything, one after the other.
#[derive(Debug)]
pub(crate) struct Both(
    pub(crate) Arc<dyn Observer<Event>>,
    pub(crate) Arc<dyn Observer<Event>>,
);

impl Observer<Event> for Both {
    fn on(&self, event: Event) {
        self.0.on(event.clone());
        self.1.on(event);
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
        let group = Name::from("orders");
        shielded.on(Event::Stopping {
            group: Name::clone(&group),
        });
        shielded.on(Event::Stopped { group });
        assert_eq!(observer.0.load(Ordering::Relaxed), 2);
    }
}

//! How a program that embeds the producer or a mock sees what happens inside.
//!
//! Each crate has its own event type; all of them are owned values with interned names, so that
//! making one costs no formatting. An event carries no time: whoever observes it knows the clock.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

/// An interned name: topic, broker name, address. Cloning it copies a pointer.
pub type Name = Arc<str>;

/// Receives events. Called inline by the code that made the event, so it must be quick, must not
/// block, and must not call back into the component that is observed.
pub trait Observer<E>: fmt::Debug + Send + Sync + 'static {
    /// Is told of one thing that happened.
    fn on(&self, event: E);
}

/// An observer that ignores every event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl<E> Observer<E> for Silent {
    fn on(&self, _event: E) {}
}

/// An observer that keeps every event, for a test to read. It grows without end.
///
/// ```
/// use rmq_remoting::observe::{Kept, Observer};
///
/// let kept = Kept::new();
/// kept.on("connected");
/// kept.on("answered");
/// assert_eq!(kept.events(), ["connected", "answered"]);
/// ```
#[derive(Debug)]
pub struct Kept<E>(Mutex<Vec<E>>);

impl<E> Kept<E> {
    /// An observer that has kept nothing yet.
    pub fn new() -> Self {
        Self(Mutex::default())
    }

    /// A copy of the events so far, in the order in which they were told.
    pub fn events(&self) -> Vec<E>
    where
        E: Clone,
    {
        self.0.lock().clone()
    }
}

impl<E> Default for Kept<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: fmt::Debug + Send + 'static> Observer<E> for Kept<E> {
    fn on(&self, event: E) {
        self.0.lock().push(event);
    }
}

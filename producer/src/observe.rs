//! Where the producer's events go when the program does not ask for them itself.

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
            } => tracing::warn!(send, after_ms, ?failure, "send failed"),
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

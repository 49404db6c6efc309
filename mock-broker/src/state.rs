//! What all parts of one broker process share.

use std::net::SocketAddr;
use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::Mutex;
use rmq_host::SharedHost;
use rmq_mock_server::count::RequestCounts;
use rmq_remoting::frame::Speaker;
use rmq_remoting::observe::{Name, Observer};
use rmq_remoting::unique_id::UniqueIds;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Config;
use crate::control::Control;
use crate::disk::Disk;
use crate::event::Event;
use crate::registrar::Registrar;

/// The state of a broker process, apart from its disk.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) host: SharedHost,
    pub(crate) config: Arc<Config>,
    pub(crate) speaker: Speaker,
    pub(crate) disk: Arc<Disk>,
    pub(crate) control: Arc<dyn Control>,
    pub(crate) observer: Arc<dyn Observer<Event>>,
    pub(crate) registrar: Arc<Registrar>,
    pub(crate) unique_ids: UniqueIds,
    pub(crate) counts: Mutex<Counts>,
    pub(crate) started_ms: i64,
    pub(crate) started: Instant,
    /// Wakes consumers that wait for a message.
    pub(crate) arrivals: Notify,
}

impl Shared {
    /// The address that stored messages and routes carry.
    pub(crate) fn advertised(&self) -> SocketAddr {
        self.registrar.socket()
    }

    /// Tells the observer of an event.
    pub(crate) fn emit(&self, event: Event) {
        self.observer.on(event);
    }
}

/// The longest unique key that attempts are counted for. Real ones have 32 or 56 letters.
const MAX_KEY: usize = 256;

/// At least the last so many different keys are remembered, at most twice as many.
const KEYS_A_GENERATION: usize = 1 << 18;

/// How many requests came in.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: RequestCounts,
    by_key: IndexMap<Name, u32>,
    /// The generation of keys before that one.
    by_key_before: IndexMap<Name, u32>,
    made_keys: u16,
}

impl Counts {
    /// Counts a send with this unique key: its name, and its number among those. Keys that did not
    /// occur among the last so many are forgotten, and one of an impossible length is not kept.
    pub(crate) fn key(&mut self, key: &str) -> (Name, u32) {
        if key.len() > MAX_KEY {
            return (key.into(), 1);
        }
        if let Some((_, name, nth)) = self.by_key.get_full_mut(key) {
            *nth = nth.saturating_add(1);
            return (Name::clone(name), *nth);
        }
        if self.by_key.len() >= KEYS_A_GENERATION {
            self.by_key_before = std::mem::take(&mut self.by_key);
        }
        let (name, before) = match self.by_key_before.get_key_value(key) {
            Some((name, before)) => (Name::clone(name), *before),
            None => (Name::from(key), 0),
        };
        let nth = before.saturating_add(1);
        self.by_key.insert(Name::clone(&name), nth);
        (name, nth)
    }

    /// The counter of the next unique key that the broker makes itself.
    pub(crate) fn made_key(&mut self) -> u16 {
        self.made_keys = self.made_keys.wrapping_add(1);
        self.made_keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_are_counted_by_key() {
        let mut counts = Counts::default();
        assert_eq!(["a", "b", "a"].map(|key| counts.key(key).1), [1, 1, 2]);
    }

    #[test]
    fn keys_that_a_client_invents_are_counted_within_bounds() {
        let mut counts = Counts::default();
        for key in 0..3 * KEYS_A_GENERATION {
            counts.key(&key.to_string());
        }
        assert!(counts.by_key.len() + counts.by_key_before.len() <= 2 * KEYS_A_GENERATION);
        let recent = (3 * KEYS_A_GENERATION - 1).to_string();
        assert_eq!(counts.key(&recent).1, 2);
        assert_eq!(counts.key("0").1, 1, "forgotten");
        let long = "k".repeat(MAX_KEY + 1);
        assert_eq!([counts.key(&long).1, counts.key(&long).1], [1, 1]);
    }

    #[test]
    fn a_key_of_the_generation_before_goes_on_counting() {
        let mut counts = Counts::default();
        counts.key("a");
        for key in 0..KEYS_A_GENERATION {
            counts.key(&key.to_string());
        }
        assert_eq!(counts.key("a").1, 2);
    }
}

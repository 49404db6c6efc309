//! What all parts of one broker process share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::Mutex;
use rmq_remoting::frame::Speaker;
use rmq_remoting::host::SharedHost;
use rmq_remoting::observe::{Name, Observer};
use rmq_remoting::unique_id::UniqueIds;
use tokio::sync::Notify;

use crate::config::Config;
use crate::control::Control;
use crate::disk::Disk;
use crate::event::{Event, RequestNumber};
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
    /// Wakes consumers that wait for a message.
    pub(crate) arrivals: Notify,
}

impl Shared {
    /// The address that stored messages and routes carry.
    pub(crate) fn advertised(&self) -> SocketAddr {
        self.registrar.socket()
    }

    /// Tells the observer.
    pub(crate) fn emit(&self, event: Event) {
        self.observer.on(event);
    }
}

/// How many requests came in.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    all: RequestNumber,
    by_code: BTreeMap<i32, u64>,
    by_key: IndexMap<Name, u32>,
    made_keys: u16,
}

impl Counts {
    /// Counts a request: its number, and its number among those with its code.
    pub(crate) fn request(&mut self, code: i32) -> (RequestNumber, u64) {
        self.all += 1;
        let nth = self.by_code.entry(code).or_default();
        *nth += 1;
        (self.all, *nth)
    }

    /// Counts a send with this unique key: its name, and its number among those.
    pub(crate) fn key(&mut self, key: &str) -> (Name, u32) {
        if let Some((_, name, nth)) = self.by_key.get_full_mut(key) {
            *nth += 1;
            return (Name::clone(name), *nth);
        }
        let name = Name::from(key);
        self.by_key.insert(Name::clone(&name), 1);
        (name, 1)
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
    fn requests_are_counted_over_all_by_code_and_by_key() {
        let mut counts = Counts::default();
        assert_eq!(
            [310, 34, 310].map(|code| counts.request(code)),
            [(1, 1), (2, 1), (3, 2)]
        );
        assert_eq!(["a", "b", "a"].map(|key| counts.key(key).1), [1, 1, 2]);
    }
}

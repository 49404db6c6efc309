//! Connections that have opened since the heartbeat last looked.
//!
//! A broker hears of the client as soon as a connection to it opens, not only at the next period. The
//! transport notes a connection here; the heartbeat's task takes it.

use parking_lot::Mutex;
use rmq_remoting::event::ConnectionNumber;
use rmq_remoting::observe::Name;
use tokio::sync::Notify;

/// Connections that opened and were not yet looked at.
#[derive(Debug, Default)]
pub(crate) struct Openings {
    addresses: Mutex<Vec<(Name, ConnectionNumber)>>,
    pub(crate) told: Notify,
}

impl Openings {
    pub(crate) fn note(&self, address: Name, connection: ConnectionNumber) {
        self.addresses.lock().push((address, connection));
        self.told.notify_one();
    }

    pub(crate) fn take(&self) -> Vec<(Name, ConnectionNumber)> {
        std::mem::take(&mut self.addresses.lock())
    }
}

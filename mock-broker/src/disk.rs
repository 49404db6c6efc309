//! What survives a broker's process.
//!
//! A restart with its data is a new [`Broker`](crate::Broker) on the same [`Disk`]; a restart
//! without is one on a new disk. Whoever holds the disk can read the ledger while the broker runs,
//! and after it has gone.

use parking_lot::{Mutex, MutexGuard};

use crate::ledger::{Entry, Ledger};
use crate::topic::Topics;

/// A broker's disk: its topics and its messages.
#[derive(Debug, Default)]
pub struct Disk {
    contents: Mutex<Contents>,
}

/// What is on the disk.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// The topics; `None` until the first broker has started on this disk.
    pub(crate) topics: Option<Topics>,
    /// The messages.
    pub(crate) ledger: Ledger,
}

impl Disk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of every stored message, in the order they were stored.
    pub fn ledger(&self) -> Vec<Entry> {
        self.contents.lock().ledger.entries().to_vec()
    }

    /// Reads the ledger without copying it. The broker waits meanwhile.
    pub fn with_ledger<T>(&self, read: impl FnOnce(&Ledger) -> T) -> T {
        read(&self.contents.lock().ledger)
    }

    /// Reads the topics without copying them. The broker waits meanwhile.
    pub fn with_topics<T>(&self, read: impl FnOnce(&Topics) -> T) -> T {
        read(self.contents.lock().topics.get_or_insert_default())
    }

    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock()
    }
}

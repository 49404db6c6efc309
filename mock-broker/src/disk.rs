//! What survives a broker's process.
//!
//! A restart with its data is a new [`Broker`](crate::Broker) on the same [`Disk`]; a restart
//! without is one on a new disk. Whoever holds the disk can read the ledger while the broker runs,
//! and after it has gone.

use parking_lot::{Mutex, MutexGuard};

use rmq_remoting::topic::TopicConfig;

use crate::ledger::{Entry, Ledger};
use crate::topic::Topics;

/// A broker's disk: its topics and its messages.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use rmq_mock_broker::Broker;
///
/// let broker = Broker::builder("broker-a").topic("orders", 4).start().await?;
/// assert_eq!(broker.disk().resize("orders", 8), Some(4));
/// broker.registration().renew(); // name servers hear of it now, not in half a minute
/// let queues = broker.disk().with_topics(|topics| topics.get("orders").map(|it| it.write_queue_nums));
/// assert_eq!(queues, Some(8));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Disk {
    contents: Mutex<Contents>,
}

/// What is on the disk.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// The topics; `None` until the first broker has started on this disk.
    pub(crate) topics: Option<Topics>,
    /// The messages that the broker stored, with what their senders were told.
    pub(crate) ledger: Ledger,
    /// Whether the broker registers its topics without write permission (`brokerPermission`).
    pub(crate) read_only: bool,
}

impl Disk {
    /// A disk without topics and messages, as a new broker finds it.
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

    /// An operator gives a topic so many queues, as `mqadmin updateTopic` does. Tells how many write
    /// queues it had; nothing if there is no such topic. Name servers hear of it by
    /// [`Registration::renew`](crate::Registration::renew), or with the next registration.
    pub fn resize(&self, topic: &str, queues: i32) -> Option<i32> {
        let mut contents = self.contents();
        let topics = contents.topics.as_mut()?;
        let before = topics.get(topic)?.clone();
        let after = TopicConfig {
            read_queue_nums: queues,
            write_queue_nums: queues,
            ..before.clone()
        };
        topics.put(after, topics.version().timestamp);
        Some(before.write_queue_nums)
    }

    /// An operator takes the broker out of writing, or back in, by its `brokerPermission`. Producers
    /// hear of it by their routes; what is sent all the same is stored.
    pub fn set_read_only(&self, read_only: bool) {
        let mut contents = self.contents();
        contents.read_only = read_only;
        if let Some(topics) = contents.topics.as_mut() {
            topics.touch();
        }
    }

    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock()
    }
}

//! What a broker has accepted: the oracle for every question about lost or doubled messages.

use std::net::SocketAddr;
use std::ops::Range;

use bytes::Bytes;
use indexmap::IndexMap;
use rmq_remoting::observe::Name;
use rmq_remoting::record::Record;

/// One message as the broker stored it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its unique key (made by the broker when the sender gave none).
    pub key: Name,
    /// The topic it is stored in.
    pub topic: Name,
    /// The id of the queue that holds the message.
    pub queue: i32,
    /// Its position in the queue, from 0.
    pub offset: i64,
    /// The body as it came.
    pub body: Bytes,
    /// When it was stored, in Unix milliseconds of the broker's machine.
    pub at_ms: i64,
    /// Whether an answer that says so was given to the connection.
    pub answered: bool,
    /// Its position in the broker's commit log.
    pub log_offset: i64,
    /// The flag that the user set; RocketMQ gives it no meaning.
    pub flag: i32,
    /// System flags (spec part 5.5).
    pub sys_flag: i32,
    /// When the sender says it was made.
    pub born_ms: i64,
    /// The address of the sender's end, as the message carries it (`bornHost`).
    pub born_host: SocketAddr,
    /// The address of the broker, as the message carries it (`storeHost`).
    pub store_host: SocketAddr,
    /// How often it has been consumed again, as the sender says.
    pub reconsume_times: i32,
    /// The property string as stored, the broker's own additions included.
    pub properties: Bytes,
}

impl Entry {
    /// The bytes it takes in the commit log.
    pub fn record_size(&self) -> usize {
        let host = |host: SocketAddr| if host.is_ipv6() { 20 } else { 8 };
        let topic_length = if self.topic.len() > 127 { 2 } else { 1 };
        74 + host(self.born_host)
            + host(self.store_host)
            + topic_length
            + self.body.len()
            + self.topic.len()
            + self.properties.len()
    }

    /// As the commit log and consumers have it.
    pub fn record(&self) -> Record {
        Record {
            queue_id: self.queue,
            flag: self.flag,
            queue_offset: self.offset,
            physical_offset: self.log_offset,
            sys_flag: self.sys_flag,
            born_timestamp: self.born_ms,
            born_host: self.born_host,
            store_timestamp: self.at_ms,
            store_host: self.store_host,
            reconsume_times: self.reconsume_times,
            prepared_transaction_offset: 0,
            body: self.body.clone(),
            topic: self.topic.to_string(),
            properties: String::from_utf8_lossy(&self.properties).into_owned(),
        }
    }
}

/// All stored messages of a broker, in the order they were stored.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rmq_mock_broker::Broker;
/// # use rmq_mock_namesrv::NameServer;
/// # use rmq_producer::{Message, Producer};
///
/// # let name_server = NameServer::on_loopback().await?;
/// # let broker = Broker::builder("broker-a").name_server(name_server.local_addr());
/// let broker = broker.topic("orders", 1).start().await?;
/// # let name_servers = name_server.local_addr().to_string();
/// # let producer = Producer::builder("orders-app").name_servers(name_servers).start().await?;
/// for step in ["created", "paid"] {
///     producer.send(Message::new("orders", step)).await?;
/// }
/// # producer.stop().await;
/// broker.disk().with_ledger(|ledger| {
///     assert_eq!(ledger.next_offset(&"orders".into(), 0), 2);
///     let bodies = ledger.of_queue(&"orders".into(), 0, 0).map(|entry| &*entry.body);
///     assert!(bodies.eq([&b"created"[..], b"paid"]));
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    queues: IndexMap<(Name, i32), Vec<usize>>,
    log_end: i64,
}

impl Ledger {
    /// Stores a message of `size` bytes: sets its place in the queue and in the log. Returns its
    /// number among all entries.
    pub fn append(&mut self, mut entry: Entry, size: usize) -> usize {
        let number = self.entries.len();
        let queue = self
            .queues
            .entry((Name::clone(&entry.topic), entry.queue))
            .or_default();
        entry.offset = length(queue);
        entry.log_offset = self.log_end;
        self.log_end = self
            .log_end
            .saturating_add(i64::try_from(size).unwrap_or(i64::MAX));
        queue.push(number);
        self.entries.push(entry);
        number
    }

    /// Notes that the sender was told of these entries.
    pub fn answered(&mut self, entries: Range<usize>) {
        for entry in self.entries.get_mut(entries).into_iter().flatten() {
            entry.answered = true;
        }
    }

    /// All entries, in the order they were stored.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries with this unique key.
    pub fn of_key<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| &*entry.key == key)
    }

    /// The entries of a queue from an offset on.
    pub fn of_queue<'a>(
        &'a self,
        topic: &Name,
        queue: i32,
        from: usize,
    ) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let ids = self
            .queues
            .get(&(Name::clone(topic), queue))
            .map_or(&[][..], Vec::as_slice);
        ids.iter().skip(from).filter_map(|id| self.entries.get(*id))
    }

    /// The entry that begins at this place of the commit log.
    pub fn at_log_offset(&self, offset: i64) -> Option<&Entry> {
        let found = self
            .entries
            .binary_search_by_key(&offset, |entry| entry.log_offset);
        found.ok().map(|index| &self.entries[index])
    }

    /// The offset the next message of a queue will get.
    pub fn next_offset(&self, topic: &Name, queue: i32) -> i64 {
        let queue = self.queues.get(&(Name::clone(topic), queue));
        queue.map_or(0, |queue| length(queue))
    }

    /// Forgets a deleted topic's queues, so that its offsets begin at 0 again. The entries stay.
    pub fn forget_queues(&mut self, topic: &str) {
        self.queues.retain(|(name, _), _| &**name != topic);
    }
}

fn length(queue: &[usize]) -> i64 {
    i64::try_from(queue.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(topic: &str, queue: i32, key: &str) -> Entry {
        let host = SocketAddr::from(([127, 0, 0, 1], 10911));
        Entry {
            key: key.into(),
            topic: topic.into(),
            queue,
            offset: -1,
            body: Bytes::from_static(b"body"),
            at_ms: 0,
            answered: false,
            log_offset: -1,
            flag: 0,
            sys_flag: 0,
            born_ms: 0,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            properties: Bytes::new(),
        }
    }

    #[test]
    fn offsets_count_per_queue_and_log_offsets_over_all() {
        let mut ledger = Ledger::default();
        let mut place = |topic, queue, key| {
            let number = ledger.append(entry(topic, queue, key), 100);
            (
                ledger.entries()[number].offset,
                ledger.entries()[number].log_offset,
            )
        };
        assert_eq!(place("t", 0, "a"), (0, 0));
        assert_eq!(place("t", 1, "b"), (0, 100));
        assert_eq!(place("t", 0, "c"), (1, 200));
        assert_eq!(ledger.next_offset(&"t".into(), 0), 2);
        assert_eq!(
            ledger.at_log_offset(200).map(|entry| &*entry.key),
            Some("c")
        );
        assert_eq!(ledger.at_log_offset(150), None);
    }

    #[test]
    fn the_size_of_an_entry_is_that_of_its_record() {
        for host in ["127.0.0.1:1", "[::1]:1"] {
            for topic in ["t", &"t".repeat(128)] {
                let entry = Entry {
                    born_host: host.parse().unwrap(),
                    ..entry(topic, 0, "a")
                };
                let mut record = bytes::BytesMut::new();
                entry.record().encode(&mut record).unwrap();
                assert_eq!(record.len(), entry.record_size());
            }
        }
    }

    #[test]
    fn an_entry_is_unanswered_until_the_sender_was_told() {
        let mut ledger = Ledger::default();
        let number = ledger.append(entry("t", 0, "a"), 1);
        assert!(!ledger.entries()[0].answered);
        ledger.answered(number..number + 1);
        assert!(ledger.of_key("a").all(|entry| entry.answered));
    }

    #[test]
    fn a_queue_is_read_from_an_offset_on() {
        let mut ledger = Ledger::default();
        for key in ["a", "b", "c"] {
            ledger.append(entry("t", 0, key), 1);
        }
        let keys = |from| -> String {
            ledger
                .of_queue(&"t".into(), 0, from)
                .map(|e| &*e.key)
                .collect()
        };
        assert_eq!(keys(1), "bc");
        assert_eq!(keys(9), "");
    }

    #[test]
    fn a_deleted_topic_begins_at_offset_zero_again() {
        let mut ledger = Ledger::default();
        ledger.append(entry("t", 0, "a"), 1);
        ledger.forget_queues("t");
        ledger.append(entry("t", 0, "b"), 1);
        let offsets: Vec<i64> = ledger.entries().iter().map(|entry| entry.offset).collect();
        assert_eq!(offsets, [0, 0]);
    }
}

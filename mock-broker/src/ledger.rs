//! What a broker has accepted: the oracle for every question about lost or doubled messages.

use std::net::SocketAddr;

use bytes::Bytes;
use indexmap::IndexMap;
use rmq_remoting::observe::Name;

/// One stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its unique key (made by the broker when the sender gave none).
    pub key: Name,
    /// The topic it is stored in.
    pub topic: Name,
    /// The queue.
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
    /// The user's flag.
    pub flag: i32,
    /// System flags (spec part 5.5).
    pub sys_flag: i32,
    /// When the sender says it was made.
    pub born_ms: i64,
    /// The sender's address.
    pub born_host: SocketAddr,
    /// The broker's address.
    pub store_host: SocketAddr,
    /// How often it has been consumed again, as the sender says.
    pub reconsume_times: i32,
    /// The property string as stored, the broker's own additions included.
    pub properties: Bytes,
}

/// All stored messages of a broker, in the order they were stored.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    queues: IndexMap<(Name, i32), Vec<u32>>,
    log_end: i64,
}

/// Names an entry of one ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryId(u32);

impl Ledger {
    /// Stores a message of `size` bytes: sets its place in the queue and in the log.
    pub fn append(&mut self, mut entry: Entry, size: i64) -> (EntryId, &Entry) {
        let id = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let queue = self
            .queues
            .entry((Name::clone(&entry.topic), entry.queue))
            .or_default();
        entry.offset = i64::try_from(queue.len()).unwrap_or(i64::MAX);
        entry.log_offset = self.log_end;
        self.log_end += size;
        queue.push(id);
        self.entries.push(entry);
        (EntryId(id), &self.entries[self.entries.len() - 1])
    }

    /// Notes that the sender was told.
    pub fn answered(&mut self, id: EntryId) {
        if let Some(entry) = self.entries.get_mut(id.0 as usize) {
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
    pub fn of_queue(&self, topic: &Name, queue: i32, from: usize) -> impl Iterator<Item = &Entry> {
        let ids = self
            .queues
            .get(&(Name::clone(topic), queue))
            .map_or(&[][..], Vec::as_slice);
        ids.iter()
            .skip(from)
            .filter_map(|id| self.entries.get(*id as usize))
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
        queue.map_or(0, |ids| i64::try_from(ids.len()).unwrap_or(i64::MAX))
    }

    /// Forgets a deleted topic's queues, so that its offsets begin at 0 again. The entries stay.
    pub fn forget_queues(&mut self, topic: &str) {
        self.queues.retain(|(name, _), _| &**name != topic);
    }
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
        let place = |entry: &Entry| (entry.offset, entry.log_offset);
        assert_eq!(place(ledger.append(entry("t", 0, "a"), 100).1), (0, 0));
        assert_eq!(place(ledger.append(entry("t", 1, "b"), 100).1), (0, 100));
        assert_eq!(place(ledger.append(entry("t", 0, "c"), 100).1), (1, 200));
        assert_eq!(ledger.next_offset(&"t".into(), 0), 2);
        assert_eq!(
            ledger.at_log_offset(200).map(|entry| &*entry.key),
            Some("c")
        );
        assert_eq!(ledger.at_log_offset(150), None);
    }

    #[test]
    fn an_entry_is_unanswered_until_the_sender_was_told() {
        let mut ledger = Ledger::default();
        let (id, _) = ledger.append(entry("t", 0, "a"), 1);
        assert!(!ledger.entries()[0].answered);
        ledger.answered(id);
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
        assert_eq!(ledger.append(entry("t", 0, "b"), 1).1.offset, 0);
        assert_eq!(ledger.entries().len(), 2);
    }
}

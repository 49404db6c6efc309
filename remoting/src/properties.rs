//! A message's properties: the names that RocketMQ gives a meaning, and the string in which all of
//! them travel.
//!
//! There is no escaping in that string, and no order is promised; here the order is kept.

use indexmap::IndexMap;

/// Between a name and its value.
pub const NAME_END: char = '\u{1}';
/// The separator after each value.
pub const VALUE_END: char = '\u{2}';

/// Declares the names and the list of those that users may not set.
macro_rules! names {
    (reserved { $($(#[$doc:meta])* $name:ident = $value:literal,)* }
     free { $($(#[$free_doc:meta])* $free:ident = $free_value:literal,)* }
     unnamed { $($unnamed:literal,)* }) => {
        /// The names of properties that have a meaning.
        pub mod name {
            $($(#[$doc])* pub const $name: &str = $value;)*
            $($(#[$free_doc])* pub const $free: &str = $free_value;)*
        }

        /// Whether a user may not set this property.
        #[must_use]
        pub fn is_reserved(name: &str) -> bool {
            matches!(name, $($value)|* $(| $unnamed)*)
        }
    };
}

names! {
    reserved {
        /// The user's keys, with a blank between two of them.
        KEYS = "KEYS",
        /// The message's tag, by which consumers filter.
        TAGS = "TAGS",
        /// Whether the broker confirms only what is stored as configured.
        WAIT = "WAIT",
        /// The level by which the message is delayed.
        DELAY = "DELAY",
        /// The topic before a retry.
        RETRY_TOPIC = "RETRY_TOPIC",
        /// The topic of a message that waits elsewhere.
        REAL_TOPIC = "REAL_TOPIC",
        /// The queue of a message that waits elsewhere.
        REAL_QID = "REAL_QID",
        /// `true` marks a half message.
        TRAN_MSG = "TRAN_MSG",
        /// The producer group that answers for a transaction.
        PGROUP = "PGROUP",
        /// How often a message was consumed, on its way to a retry topic.
        RECONSUME_TIME = "RECONSUME_TIME",
        /// How often it may be.
        MAX_RECONSUME_TIMES = "MAX_RECONSUME_TIMES",
        /// The region of the broker that stored the message.
        MSG_REGION = "MSG_REGION",
        /// Whether the message may be traced.
        TRACE_ON = "TRACE_ON",
        /// The id that the producer gave the message.
        UNIQ_KEY = "UNIQ_KEY",
        /// The instance in a client's name.
        INSTANCE_ID = "INSTANCE_ID",
        /// Joins a reply to its request.
        CORRELATION_ID = "CORRELATION_ID",
        /// The client that waits for the reply.
        REPLY_TO_CLIENT = "REPLY_TO_CLIENT",
        /// For how long it waits.
        TTL = "TTL",
        /// When the reply reached the broker.
        ARRIVE_TIME = "ARRIVE_TIME",
        /// When the broker handed the reply on.
        PUSH_REPLY_TIME = "PUSH_REPLY_TIME",
        /// The cluster that the broker belongs to.
        CLUSTER = "CLUSTER",
        /// The value `reply` marks a reply.
        MSG_TYPE = "MSG_TYPE",
        /// Delivers after so many milliseconds.
        TIMER_DELAY_MS = "TIMER_DELAY_MS",
        /// Delivers after so many seconds.
        TIMER_DELAY_SEC = "TIMER_DELAY_SEC",
        /// The message is delivered at this time.
        TIMER_DELIVER_MS = "TIMER_DELIVER_MS",
        /// When a timer message is due.
        TIMER_OUT_MS = "TIMER_OUT_MS",
    }
    free {
        /// The id of the transaction that the message belongs to.
        TRANSACTION_ID = "__transactionId__",
        /// Messages with one key go to one queue.
        SHARDING_KEY = "__SHARDINGKEY",
        /// How often the broker asked for the outcome of a transaction.
        TRANSACTION_CHECK_TIMES = "TRANSACTION_CHECK_TIMES",
        /// For how long it does not ask.
        CHECK_IMMUNITY_TIME_IN_SECONDS = "CHECK_IMMUNITY_TIME_IN_SECONDS",
        /// How many messages one record holds.
        INNER_NUM = "INNER_NUM",
    }
    unnamed {
        "MIN_OFFSET", "MAX_OFFSET", "BUYER_ID", "ORIGIN_MESSAGE_ID", "TRANSFER_FLAG",
        "CORRECTION_FLAG", "MQ2_FLAG", "EXTEND_UNIQ_INFO", "CONSUME_START_TIME", "POP_CK",
        "POP_CK_OFFSET", "1ST_POP_TIME", "TRAN_PREPARED_QUEUE_OFFSET", "DUP_INFO",
        "INNER_MULTI_QUEUE_OFFSET", "TIMER_ENQUEUE_MS", "TIMER_DEQUEUE_MS", "TIMER_ROLL_TIMES",
        "TIMER_DEL_UNIQKEY", "TIMER_DELAY_LEVEL", "__BORNHOST", "BORN_TIMESTAMP",
        "DLQ_ORIGIN_TOPIC", "DLQ_ORIGIN_MESSAGE_ID", "__CRC32#",
    }
}

/// The entries of a property string. Entries without a name, a value or a separator are left out,
/// as every reader does.
pub fn entries(text: &str) -> impl DoubleEndedIterator<Item = (&str, &str)> {
    text.split(VALUE_END)
        .filter_map(|entry| entry.split_once(NAME_END))
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
}

/// The value of one name in a property string; of two the last, as readers keep it.
///
/// ```
/// use rmq_remoting::properties::{append, find, name};
///
/// let mut text = String::new();
/// append(&mut text, name::TAGS, "created");
/// append(&mut text, name::KEYS, "order-42");
/// assert_eq!(find(&text, name::KEYS), Some("order-42"));
/// assert_eq!(find(&text, name::UNIQ_KEY), None);
/// ```
#[must_use]
pub fn find<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    entries(text)
        .rfind(|&(known, _)| known == name)
        .map(|(_, value)| value)
}

/// Appends one entry to a property string.
pub fn append(text: &mut String, name: &str, value: &str) {
    text.reserve(name.len() + value.len() + 2);
    text.push_str(name);
    text.push(NAME_END);
    text.push_str(value);
    text.push(VALUE_END);
}

/// Properties by name, in the order in which they were set. A lookup takes the same time however
/// many there are: a peer may send a megabyte of them. Two are equal if they have the same names and
/// values; the order is no part of their meaning.
///
/// ```
/// use rmq_remoting::properties::{Properties, name};
///
/// let mut properties = Properties::new();
/// properties.set(name::KEYS, "order-42");
/// properties.set("colour", "red");
/// let text = properties.encode();
/// assert_eq!(Properties::decode(&text).get("colour"), Some("red"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties(IndexMap<String, String>);

impl Properties {
    /// A list that has no properties yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the properties from a property string.
    #[must_use]
    pub fn decode(text: &str) -> Self {
        let mut properties = Self::new();
        for (name, value) in entries(text) {
            properties.set(name, value);
        }
        properties
    }

    /// Writes the properties as a property string.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(
            self.0
                .iter()
                .map(|(name, value)| name.len() + value.len() + 2)
                .sum(),
        );
        for (name, value) in &self.0 {
            append(&mut text, name, value);
        }
        text
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets a value; one that was there before keeps its place.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Takes the value of a property out.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.shift_remove(name)
    }

    /// All names and values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether the list has no properties.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_string_of_the_worked_example_reads_and_writes() {
        let text = "UNIQ_KEY\u{1}7F00\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}";
        let properties = Properties::decode(text);
        assert_eq!(properties.get(name::TAGS), Some("TagA"));
        assert_eq!(find(text, name::WAIT), Some("true"));
        assert_eq!(properties.encode(), text);
    }

    #[test]
    fn the_last_end_may_be_missing_and_an_empty_value_vanishes() {
        let mut tagged = Properties::new();
        tagged.set(name::TAGS, "A");
        assert_eq!(tagged.encode(), "TAGS\u{1}A\u{2}");
        assert_eq!(Properties::decode("k\u{1}v").get("k"), Some("v"));
        assert!(Properties::decode("k\u{1}\u{2}").is_empty());
    }

    #[test]
    fn entries_without_name_value_or_separator_vanish_and_the_last_end_may_be_missing() {
        let text = "\u{1}v\u{2}k\u{1}\u{2}kv\u{2}\u{2}a\u{1}b\u{1}c\u{2}d\u{1}e";
        assert_eq!(
            entries(text).collect::<Vec<_>>(),
            [("a", "b\u{1}c"), ("d", "e")]
        );
    }

    #[test]
    fn of_a_name_that_occurs_twice_the_last_value_counts() {
        let text = "a\u{1}1\u{2}a\u{1}2\u{2}";
        assert_eq!(find(text, "a"), Some("2"));
        assert_eq!(Properties::decode(text).encode(), "a\u{1}2\u{2}");
    }

    #[test]
    fn names_with_a_meaning_are_reserved_unless_users_set_them_on_purpose() {
        assert!(is_reserved(name::UNIQ_KEY) && is_reserved("__CRC32#") && is_reserved("POP_CK"));
        assert!(!is_reserved(name::SHARDING_KEY) && !is_reserved("color"));
    }

    proptest! {
        #[test]
        fn properties_survive_the_round_trip(
            pairs in prop::collection::vec(("[a-zA-Z_中é]{1,9}", "[^\u{1}\u{2}]{1,9}"), 0..8),
        ) {
            let mut properties = Properties::new();
            for (name, value) in pairs {
                properties.set(name, value);
            }
            prop_assert_eq!(Properties::decode(&properties.encode()), properties);
        }

        #[test]
        fn any_text_can_be_read(text in any::<String>()) {
            let read = Properties::decode(&text);
            prop_assert_eq!(Properties::decode(&read.encode()), read);
        }
    }
}

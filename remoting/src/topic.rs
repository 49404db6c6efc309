//! A topic as a broker holds it, and the version of a broker's list of topics.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::body::{self, BodyError, lenient};
use crate::observe::Name;

/// Permission bits of a topic.
pub mod perm {
    /// The topic may serve as a template for new ones.
    pub const INHERIT: i32 = 1;
    /// Producers may write to the topic's queues.
    pub const WRITE: i32 = 2;
    /// Consumers may read from the topic's queues.
    pub const READ: i32 = 4;
    /// The topic has priority; nobody uses it.
    pub const PRIORITY: i32 = 8;
}

/// Topics that brokers keep for themselves. Clients refuse to send to them, and so do brokers.
pub const CLOSED_TO_SENDERS: [&str; 6] = [
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
];

/// The filter type of nearly all topics.
pub const SINGLE_TAG: &str = "SINGLE_TAG";

/// The settings of a topic at a broker.
///
/// ```
/// use rmq_remoting::topic::{TopicConfig, perm};
///
/// let orders = TopicConfig::new("orders".into(), 4, perm::READ | perm::WRITE);
/// assert_eq!((orders.read_queue_nums, orders.write_queue_nums), (4, 4));
/// let closed = TopicConfig { perm: perm::READ, ..orders };
/// assert_eq!(closed.perm & perm::WRITE, 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfig {
    /// The attributes of the topic, such as `queue.type`.
    #[serde(deserialize_with = "lenient")]
    pub attributes: BTreeMap<String, String>,
    /// Whether messages keep their order when a broker is down.
    pub order: bool,
    /// What clients may do with the topic: bits of [`perm`].
    pub perm: i32,
    /// How many queues of the topic consumers may read from, at this broker.
    pub read_queue_nums: i32,
    /// How messages are filtered: `SINGLE_TAG` or `MULTI_TAG`.
    #[serde(deserialize_with = "lenient")]
    pub topic_filter_type: Name,
    /// The name of the topic.
    pub topic_name: Name,
    /// Bits of `TopicSysFlag`: 1, the topic belongs to a unit; 2, a unit subscribes to it.
    pub topic_sys_flag: i32,
    /// How many queues of the topic producers may write to, at this broker.
    pub write_queue_nums: i32,
}

impl TopicConfig {
    /// A topic with the same number of queues to read and to write, everything else as usual.
    #[must_use]
    pub fn new(name: Name, queues: i32, perm: i32) -> Self {
        Self {
            attributes: BTreeMap::new(),
            order: false,
            perm,
            read_queue_nums: queues,
            topic_filter_type: SINGLE_TAG.into(),
            topic_name: name,
            topic_sys_flag: 0,
            write_queue_nums: queues,
        }
    }

    /// The topic as a line of the compressed registration body.
    pub(crate) fn to_line(&self) -> String {
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            line,
            "{} {} {} {} {} ",
            self.topic_name,
            self.read_queue_nums,
            self.write_queue_nums,
            self.perm,
            self.topic_filter_type
        );
        line.push_str(&String::from_utf8_lossy(&body::to_json(&self.attributes)));
        line
    }

    /// Reads such a line. Brokers before 5.0 write no attributes.
    pub(crate) fn from_line(line: &[u8]) -> Result<Self, BodyError> {
        let line = std::str::from_utf8(line).map_err(|_| BodyError::Topic)?;
        let mut parts = line.splitn(6, ' ');
        let mut next = || parts.next().ok_or(BodyError::Topic);
        let number = |text: &str| text.parse().map_err(|_| BodyError::Topic);
        let mut topic = Self::new(next()?.into(), 0, 0);
        topic.read_queue_nums = number(next()?)?;
        topic.write_queue_nums = number(next()?)?;
        topic.perm = number(next()?)?;
        topic.topic_filter_type = next()?.into();
        if let Some(attributes) = parts.next() {
            topic.attributes = body::from_json(attributes.as_bytes())?;
        }
        Ok(topic)
    }
}

/// As Java's constructor without arguments: 16 queues, read and write.
impl Default for TopicConfig {
    fn default() -> Self {
        Self::new("".into(), 16, perm::READ | perm::WRITE)
    }
}

/// The version of a broker's list of topics. All three members are compared.
///
/// ```
/// use rmq_remoting::topic::DataVersion;
///
/// let first = DataVersion::default();
/// let second = first.next(1_700_000_000_000);
/// assert_ne!(first, second);
/// assert_eq!((second.counter, second.timestamp), (1, 1_700_000_000_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DataVersion {
    /// Counts the changes of the settings.
    #[serde(deserialize_with = "lenient")]
    pub counter: i64,
    /// Moves with a change of role, and orders masters.
    #[serde(deserialize_with = "lenient")]
    pub state_version: i64,
    /// When the last change was made, in milliseconds since the Unix epoch.
    #[serde(deserialize_with = "lenient")]
    pub timestamp: i64,
}

impl DataVersion {
    /// The version after one more change.
    #[must_use]
    pub fn next(self, now: i64) -> Self {
        Self {
            counter: self.counter.wrapping_add(1),
            timestamp: now,
            ..self
        }
    }
}

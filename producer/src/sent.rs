//! The outcome of a send that succeeded.

use std::borrow::Cow;
use std::fmt;

use rmq_remoting::observe::Name;
use rmq_remoting::text;

use crate::event::QueueRef;

/// A queue of a topic on a broker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct MessageQueue {
    /// The topic that the queue belongs to.
    pub topic: Name,
    /// The name of the broker that has the queue.
    pub broker: Name,
    /// The queue id, from 0.
    pub queue: i32,
}

impl MessageQueue {
    /// A queue by its names.
    ///
    /// ```
    /// # use rmq_producer::MessageQueue;
    /// let queue = MessageQueue::new("orders", "broker-a", 3);
    /// assert_eq!(queue.to_string(), "orders@broker-a/q3");
    /// ```
    pub fn new(topic: impl Into<Name>, broker: impl Into<Name>, queue: i32) -> Self {
        Self {
            topic: topic.into(),
            broker: broker.into(),
            queue,
        }
    }
}

/// The queue without its topic, as events name it.
impl From<&MessageQueue> for QueueRef {
    fn from(queue: &MessageQueue) -> Self {
        Self {
            broker: Name::clone(&queue.broker),
            queue: queue.queue,
        }
    }
}

/// A message queue is written as `orders@broker-a/q3`.
impl fmt::Display for MessageQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (topic, broker) = (text::name(&self.topic), text::name(&self.broker));
        write!(f, "{topic}@{broker}/q{}", self.queue)
    }
}

/// How safely a broker has stored a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum SendStatus {
    /// As safely as the broker is configured to.
    Ok,
    /// Stored, but not flushed to disk in time (code 10).
    FlushDiskTimeout,
    /// Stored, but no replica was there to take it (code 11).
    SlaveNotAvailable,
    /// Stored, but not replicated in time (code 12).
    FlushSlaveTimeout,
}

/// The status of a response code that says that the message is stored.
///
/// ```
/// use rmq_producer::SendStatus;
///
/// assert_eq!(SendStatus::try_from(12), Ok(SendStatus::FlushSlaveTimeout));
/// assert!(SendStatus::try_from(2).is_err(), "SYSTEM_BUSY: it is not stored");
/// ```
impl TryFrom<i32> for SendStatus {
    type Error = NotStored;

    fn try_from(code: i32) -> Result<Self, NotStored> {
        match code {
            0 => Ok(Self::Ok),
            10 => Ok(Self::FlushDiskTimeout),
            11 => Ok(Self::SlaveNotAvailable),
            12 => Ok(Self::FlushSlaveTimeout),
            _ => Err(NotStored { code }),
        }
    }
}

/// A response code that does not say that a message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the response code {code} does not say that a message is stored")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct NotStored {
    /// The code.
    pub code: i32,
}

/// A status is written with RocketMQ's name of it, such as `SEND_OK`.
impl fmt::Display for SendStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "SEND_OK",
            Self::FlushDiskTimeout => "FLUSH_DISK_TIMEOUT",
            Self::SlaveNotAvailable => "SLAVE_NOT_AVAILABLE",
            Self::FlushSlaveTimeout => "FLUSH_SLAVE_TIMEOUT",
        })
    }
}

/// A message that a broker has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct Sent {
    /// The message's id (`msgId`), which is its unique key (`UNIQ_KEY`): made by this client, the same
    /// over all its attempts.
    pub message_id: Name,
    /// The broker's id of the stored copy: its address and place in the commit log.
    pub offset_message_id: String,
    /// Where it is stored.
    pub queue: MessageQueue,
    /// Its position in the queue.
    pub offset: i64,
    /// How safely it is stored.
    pub status: SendStatus,
    /// The broker's id of a transaction, if it gave one.
    pub transaction_id: Option<String>,
    /// The broker's region; `DefaultRegion` unless it says otherwise.
    pub region: Cow<'static, str>,
    /// Whether the broker wants this message traced.
    pub trace: bool,
    /// How many attempts it took.
    pub attempts: u32,
}

//! `SEND_MESSAGE` (10): one message, with long field names. Go sends it always.

use crate::code;
use crate::command::ExtFields;
use crate::header::{DecodeHeader, EncodeHeader, FieldWriter, HeaderError, RequestHeader};
use crate::request::FieldValue;

/// What a producer says of the message it sends. The codes 310 and 320 say the same with
/// one-letter names.
///
/// Reading asks for what a broker cannot do without; the rest may be absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendMessage<'a> {
    /// The producer group that sends the message.
    pub producer_group: Option<&'a str>,
    /// The topic that the message goes to.
    pub topic: &'a str,
    /// The topic whose settings a new topic gets.
    pub default_topic: Option<&'a str>,
    /// How many queues the client wishes for a new topic.
    pub default_topic_queue_nums: Option<i32>,
    /// The queue; a negative one lets the broker choose.
    pub queue_id: i32,
    /// Bits that say how the body is packed and what the message is to a transaction; see
    /// [`message`](crate::message).
    pub sys_flag: i32,
    /// When the message was made, in milliseconds since the Unix epoch.
    pub born_timestamp: i64,
    /// Bits that the sender sets; RocketMQ gives them no meaning.
    pub flag: i32,
    /// The properties of the message, as a [property string](crate::properties).
    pub properties: Option<&'a str>,
    /// How often the message was consumed before.
    pub reconsume_times: Option<i32>,
    /// Whether the client belongs to a unit.
    pub unit_mode: bool,
    /// How often the message may be consumed; only for retry topics.
    pub max_reconsume_times: Option<i32>,
    /// Whether the body is a [batch](crate::batch). This selects the broker's path, not the code.
    pub batch: bool,
    /// The name of the broker that is meant; absent from clients that do not say.
    pub broker_name: Option<&'a str>,
}

/// The names of the fields, in the order of the struct.
pub(super) type Names = [&'static str; 14];

const LONG: Names = [
    "producerGroup",
    "topic",
    "defaultTopic",
    "defaultTopicQueueNums",
    "queueId",
    "sysFlag",
    "bornTimestamp",
    "flag",
    "properties",
    "reconsumeTimes",
    "unitMode",
    "maxReconsumeTimes",
    "batch",
    "bname",
];

impl<'a> SendMessage<'a> {
    pub(super) fn write_as(&self, names: &Names, fields: &mut dyn FieldWriter) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = *names;
        self.producer_group.write(a, fields);
        self.topic.write(b, fields);
        self.default_topic.write(c, fields);
        self.default_topic_queue_nums.write(d, fields);
        self.queue_id.write(e, fields);
        self.sys_flag.write(f, fields);
        self.born_timestamp.write(g, fields);
        self.flag.write(h, fields);
        self.properties.write(i, fields);
        self.reconsume_times.write(j, fields);
        self.unit_mode.write(k, fields);
        self.max_reconsume_times.write(l, fields);
        self.batch.write(m, fields);
        self.broker_name.write(n, fields);
    }

    pub(super) fn read_as(names: &Names, ext: &'a ExtFields) -> Result<Self, HeaderError> {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = *names;
        Ok(Self {
            producer_group: FieldValue::read(ext, a)?,
            topic: FieldValue::read(ext, b)?,
            default_topic: FieldValue::read(ext, c)?,
            default_topic_queue_nums: FieldValue::read(ext, d)?,
            queue_id: FieldValue::read(ext, e)?,
            sys_flag: FieldValue::read(ext, f)?,
            born_timestamp: FieldValue::read(ext, g)?,
            flag: FieldValue::read(ext, h)?,
            properties: FieldValue::read(ext, i)?,
            reconsume_times: FieldValue::read(ext, j)?,
            unit_mode: FieldValue::read(ext, k)?,
            max_reconsume_times: FieldValue::read(ext, l)?,
            batch: FieldValue::read(ext, m)?,
            broker_name: FieldValue::read(ext, n)?,
        })
    }
}

impl EncodeHeader for SendMessage<'_> {
    fn write(&self, fields: &mut dyn FieldWriter) {
        self.write_as(&LONG, fields);
    }
}

impl<'a> DecodeHeader<'a> for SendMessage<'a> {
    fn read(ext: &'a ExtFields) -> Result<Self, HeaderError> {
        Self::read_as(&LONG, ext)
    }
}

impl RequestHeader for SendMessage<'_> {
    const CODE: i32 = code::request::SEND_MESSAGE;
}

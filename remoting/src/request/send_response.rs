//! The answer to a send, the same for every code that sends.

use std::borrow::Cow;

use crate::command::{ExtFields, HeaderForm};
use crate::header::{DecodeHeader, EncodeHeader, FieldWriter, HeaderError};
use crate::request::FieldValue;

const MSG_REGION: &str = "MSG_REGION";
const TRACE_ON: &str = "TRACE_ON";

/// Where a message was stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendMessageResponse<'a> {
    /// The [offset message id](crate::offset_id); of a batch a list with commas. Empty if absent.
    pub msg_id: Cow<'a, str>,
    /// The id of the queue that the message is stored in.
    pub queue_id: i32,
    /// The offset in the queue; of a batch the first one.
    pub queue_offset: i64,
    /// The unique key of the message.
    pub transaction_id: Option<Cow<'a, str>>,
    /// Only for topics that store a batch as one.
    pub batch_uniq_id: Option<Cow<'a, str>>,
    /// A handle to recall the message by; for timer messages only.
    pub recall_handle: Option<Cow<'a, str>>,
    /// The region that the broker is configured for (`MSG_REGION`).
    pub region: Option<Cow<'a, str>>,
    /// Whether the message may be traced. Everything but `false` means yes.
    pub trace_on: Option<bool>,
}

impl EncodeHeader for SendMessageResponse<'_> {
    /// The binary form has the declared fields first, the JSON form the order of Java's hash map.
    fn write(&self, fields: &mut dyn FieldWriter) {
        if fields.form() == HeaderForm::Rocketmq {
            self.msg_id.write("msgId", fields);
            self.queue_id.write("queueId", fields);
            self.queue_offset.write("queueOffset", fields);
            self.transaction_id.write("transactionId", fields);
            self.batch_uniq_id.write("batchUniqId", fields);
            self.recall_handle.write("recallHandle", fields);
            self.trace_on.write(TRACE_ON, fields);
            self.region.write(MSG_REGION, fields);
        } else {
            self.queue_id.write("queueId", fields);
            self.transaction_id.write("transactionId", fields);
            self.msg_id.write("msgId", fields);
            self.batch_uniq_id.write("batchUniqId", fields);
            self.recall_handle.write("recallHandle", fields);
            self.trace_on.write(TRACE_ON, fields);
            self.region.write(MSG_REGION, fields);
            self.queue_offset.write("queueOffset", fields);
        }
    }
}

impl<'a> DecodeHeader<'a> for SendMessageResponse<'a> {
    fn read(ext: &'a ExtFields) -> Result<Self, HeaderError> {
        Ok(Self {
            msg_id: Option::read(ext, "msgId")?.unwrap_or_default(),
            queue_id: FieldValue::read(ext, "queueId")?,
            queue_offset: FieldValue::read(ext, "queueOffset")?,
            transaction_id: FieldValue::read(ext, "transactionId")?,
            batch_uniq_id: FieldValue::read(ext, "batchUniqId")?,
            recall_handle: FieldValue::read(ext, "recallHandle")?,
            region: FieldValue::read(ext, MSG_REGION)?,
            trace_on: ext.get(TRACE_ON).map(|value| value != "false"),
        })
    }
}

/// What a broker's send processor adds to a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRefusal<'a> {
    /// The region that the broker is configured for (`MSG_REGION`).
    pub region: Cow<'a, str>,
    /// Whether the message may be traced.
    pub trace_on: bool,
}

impl EncodeHeader for SendRefusal<'_> {
    fn write(&self, fields: &mut dyn FieldWriter) {
        self.trace_on.write(TRACE_ON, fields);
        self.region.write(MSG_REGION, fields);
    }
}

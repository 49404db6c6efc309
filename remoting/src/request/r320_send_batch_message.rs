//! `SEND_BATCH_MESSAGE` (320): several messages of one topic as one, see [`batch`](crate::batch).

use crate::code;
use crate::command::ExtFields;
use crate::header::{DecodeHeader, EncodeHeader, FieldWriter, HeaderError, RequestHeader};
use crate::request::SendMessage;
use crate::request::r310_send_message_v2::SHORT;

/// [`SendMessage`] under its short names, with `batch` set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendBatchMessage<'a>(pub SendMessage<'a>);

impl EncodeHeader for SendBatchMessage<'_> {
    fn write(&self, fields: &mut dyn FieldWriter) {
        self.0.write_as(&SHORT, fields);
    }
}

impl<'a> DecodeHeader<'a> for SendBatchMessage<'a> {
    fn read(ext: &'a ExtFields) -> Result<Self, HeaderError> {
        SendMessage::read_as(&SHORT, ext).map(Self)
    }
}

impl RequestHeader for SendBatchMessage<'_> {
    const CODE: i32 = code::request::SEND_BATCH_MESSAGE;
}

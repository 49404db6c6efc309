//! `SEND_MESSAGE_V2` (310): one message, with one-letter field names. What Java producers send.

use crate::code;
use crate::command::ExtFields;
use crate::header::{DecodeHeader, EncodeHeader, FieldWriter, HeaderError, RequestHeader};
use crate::request::SendMessage;
use crate::request::r010_send_message::Names;

pub(super) const SHORT: Names = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n",
];

/// [`SendMessage`] under its short names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendMessageV2<'a>(pub SendMessage<'a>);

impl EncodeHeader for SendMessageV2<'_> {
    fn write(&self, fields: &mut dyn FieldWriter) {
        self.0.write_as(&SHORT, fields);
    }
}

impl<'a> DecodeHeader<'a> for SendMessageV2<'a> {
    fn read(ext: &'a ExtFields) -> Result<Self, HeaderError> {
        SendMessage::read_as(&SHORT, ext).map(Self)
    }
}

impl RequestHeader for SendMessageV2<'_> {
    const CODE: i32 = code::request::SEND_MESSAGE_V2;
}

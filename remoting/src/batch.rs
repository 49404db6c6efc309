//! The body of a batch: several messages of one topic that are sent, stored or refused as one.

use bytes::{Buf, BufMut, BytesMut, TryGetError};
use thiserror::Error;

/// One message of a batch.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bytes::BytesMut;
/// use rmq_remoting::batch::{BatchItem, decode};
///
/// let items = [&b"first"[..], b"second"].map(|body| BatchItem { flag: 0, body, properties: "" });
/// let mut body = BytesMut::new();
/// for item in &items {
///     item.encode(&mut body)?;
/// }
/// assert_eq!(decode(&body)?, items);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchItem<'a> {
    /// Bits that the sender sets; RocketMQ gives them no meaning.
    pub flag: i32,
    /// The bytes of the message.
    pub body: &'a [u8],
    /// Its properties, as a [property string](crate::properties).
    pub properties: &'a str,
}

/// A batch that cannot be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BatchError {
    /// The lengths in it do not fit.
    #[error("the lengths in the batch do not fit")]
    Length,
    /// An item's properties are not UTF-8.
    #[error("properties in the batch are not UTF-8")]
    NotUtf8,
    /// An item's body or properties are longer than the format can say.
    #[error("an item is too long for a batch")]
    TooLong,
}

impl From<TryGetError> for BatchError {
    fn from(_: TryGetError) -> Self {
        Self::Length
    }
}

/// What an item takes beside its body and properties.
const ITEM: usize = 22;

impl<'a> BatchItem<'a> {
    /// Appends the item to the buffer. The fields for magic number and checksum are left 0, as
    /// clients do; no broker looks at them.
    ///
    /// # Errors
    /// It is too long. The buffer is as it was, then.
    pub fn encode(&self, buffer: &mut BytesMut) -> Result<(), BatchError> {
        let too_long = |_| BatchError::TooLong;
        let properties = i16::try_from(self.properties.len()).map_err(too_long)?;
        let texts = self.body.len().saturating_add(self.properties.len());
        let size = texts.saturating_add(ITEM);
        let size = i32::try_from(size).map_err(too_long)?;
        let body = i32::try_from(self.body.len()).map_err(too_long)?;
        buffer.put_i32(size);
        buffer.put_i64(0);
        buffer.put_i32(self.flag);
        buffer.put_i32(body);
        buffer.put_slice(self.body);
        buffer.put_i16(properties);
        buffer.put_slice(self.properties.as_bytes());
        Ok(())
    }

    /// Takes the first item from the input. As brokers do, it goes by the lengths of body and
    /// properties and ignores the item's own.
    fn decode(input: &mut &'a [u8]) -> Result<Self, BatchError> {
        input.try_get_i32()?;
        input.try_get_i64()?;
        let flag = input.try_get_i32()?;
        let size = input.try_get_i32()?;
        let body = sized(input, size)?;
        let size = input.try_get_i16()?;
        let properties = sized(input, size.into())?;
        let properties = std::str::from_utf8(properties).map_err(|_| BatchError::NotUtf8)?;
        Ok(Self {
            flag,
            body,
            properties,
        })
    }
}

fn sized<'a>(input: &mut &'a [u8], size: i32) -> Result<&'a [u8], BatchError> {
    let size = usize::try_from(size).map_err(|_| BatchError::Length)?;
    input.split_off(..size).ok_or(BatchError::Length)
}

/// Reads all items of a batch.
///
/// # Errors
/// The body is cut or no batch.
pub fn decode(mut body: &[u8]) -> Result<Vec<BatchItem<'_>>, BatchError> {
    let mut items = Vec::new();
    while !body.is_empty() {
        items.push(BatchItem::decode(&mut body)?);
    }
    Ok(items)
}

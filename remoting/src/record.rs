//! A stored message: the same bytes in a broker's commit log, in the answer to a pull and in a
//! transaction check.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};
use thiserror::Error;

use crate::body::checksum;
use crate::message::{BORN_HOST_V6, STORE_HOST_V6};

/// Marks a record whose topic's length takes one byte.
const MAGIC_V1: u32 = 0xdaa3_20a7;
/// Marks a record whose topic's length takes two bytes.
const MAGIC_V2: u32 = 0xdaa3_20ab;
/// What a record takes beside hosts, body, topic and properties.
const FIXED: usize = 75;
/// The longest topic of the first kind.
const MAX_SHORT_TOPIC: usize = i8::MAX as usize;
/// The longest topic of the second kind, and the longest properties.
const MAX_LONG: usize = i16::MAX as usize;

/// A message as a broker stores it and gives it to consumers.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bytes::{Bytes, BytesMut};
/// use rmq_remoting::record::Record;
///
/// # let record = Record {
/// #     queue_id: 0,
/// #     flag: 0,
/// #     queue_offset: 0,
/// #     physical_offset: 0,
/// #     sys_flag: 0,
/// #     born_timestamp: 1_700_000_000_000,
/// #     born_host: ([10, 0, 0, 9], 50_000).into(),
/// #     store_timestamp: 1_700_000_000_001,
/// #     store_host: ([10, 0, 0, 1], 10_911).into(),
/// #     reconsume_times: 0,
/// #     prepared_transaction_offset: 0,
/// #     body: Bytes::from_static(b"created"),
/// #     topic: "orders".to_owned(),
/// #     properties: String::new(),
/// # };
/// let mut log = BytesMut::new();
/// record.encode(&mut log)?;
/// let mut stored = log.clone().freeze();
/// assert_eq!(Record::decode(&mut stored)?, record);
///
/// // The last byte of the body is flipped on the disk.
/// let at = log.len() - 1 - 1 - "orders".len() - 2;
/// log[at] ^= 1;
/// assert!(Record::decode(&mut log.freeze()).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The id of the queue that it is stored in, from 0.
    pub queue_id: i32,
    /// Bits that the sender sets; RocketMQ gives them no meaning.
    pub flag: i32,
    /// Its position in the queue, in messages from 0.
    pub queue_offset: i64,
    /// Its position in the broker's commit log, in bytes.
    pub physical_offset: i64,
    /// Bits, see [`message`](crate::message). Those for the kind of the hosts' addresses are set
    /// when the record is written.
    pub sys_flag: i32,
    /// When the message was made, in milliseconds since the Unix epoch.
    pub born_timestamp: i64,
    /// The address of the client that sent it.
    pub born_host: SocketAddr,
    /// When it was stored, in milliseconds since the Unix epoch.
    pub store_timestamp: i64,
    /// The address of the broker that stored it.
    pub store_host: SocketAddr,
    /// How often it was consumed before.
    pub reconsume_times: i32,
    /// Of a message that ends a transaction: where its half message lies.
    pub prepared_transaction_offset: i64,
    /// The body as it was sent, perhaps compressed.
    pub body: Bytes,
    /// The topic that it is stored in.
    pub topic: String,
    /// Its properties, as a [property string](crate::properties).
    pub properties: String,
}

/// A record that cannot be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The lengths in it do not fit.
    #[error("the lengths in the record do not fit")]
    Length,
    /// It begins with no known magic number.
    #[error("the record begins with the unknown magic number {magic:08x}")]
    Magic {
        /// The number that stands where the magic number belongs.
        magic: u32,
    },
    /// The body is not the one that was stored.
    #[error("the record's body does not fit its checksum")]
    Checksum,
    /// Topic or properties are not UTF-8.
    #[error("topic or properties of the record are not UTF-8")]
    NotUtf8,
    /// A host's port does not fit 16 bits.
    #[error("the record has a port beyond 65535")]
    Port,
    /// Topic, properties or the whole are longer than the format can say.
    #[error("topic, properties or body are too long for a record")]
    TooLong,
}

impl From<TryGetError> for RecordError {
    fn from(_: TryGetError) -> Self {
        Self::Length
    }
}

impl Record {
    /// Appends the record to the buffer.
    ///
    /// # Errors
    /// It is too long. The buffer is as it was, then.
    pub fn encode(&self, buffer: &mut BytesMut) -> Result<(), RecordError> {
        let long_topic = self.topic.len() > MAX_SHORT_TOPIC;
        if self.topic.len() > MAX_LONG || self.properties.len() > MAX_LONG {
            return Err(RecordError::TooLong);
        }
        let size = [
            FIXED,
            host_size(self.born_host),
            host_size(self.store_host),
            usize::from(long_topic),
            self.body.len(),
            self.topic.len(),
            self.properties.len(),
        ];
        let size = size.into_iter().fold(0, usize::saturating_add);
        let size = i32::try_from(size).map_err(|_| RecordError::TooLong)?;
        buffer.put_i32(size);
        buffer.put_u32(if long_topic { MAGIC_V2 } else { MAGIC_V1 });
        buffer.put_i32(checksum(&self.body));
        buffer.put_i32(self.queue_id);
        buffer.put_i32(self.flag);
        buffer.put_i64(self.queue_offset);
        buffer.put_i64(self.physical_offset);
        buffer.put_i32(self.written_sys_flag());
        buffer.put_i64(self.born_timestamp);
        put_host(buffer, self.born_host);
        buffer.put_i64(self.store_timestamp);
        put_host(buffer, self.store_host);
        buffer.put_i32(self.reconsume_times);
        buffer.put_i64(self.prepared_transaction_offset);
        put_sized(buffer, 4, &self.body);
        put_sized(
            buffer,
            if long_topic { 2 } else { 1 },
            self.topic.as_bytes(),
        );
        put_sized(buffer, 2, self.properties.as_bytes());
        Ok(())
    }

    fn written_sys_flag(&self) -> i32 {
        let bit = |host: SocketAddr, bit: i32| if host.is_ipv6() { bit } else { 0 };
        (self.sys_flag & !(BORN_HOST_V6 | STORE_HOST_V6))
            | bit(self.born_host, BORN_HOST_V6)
            | bit(self.store_host, STORE_HOST_V6)
    }

    /// Takes the first record from the input.
    ///
    /// # Errors
    /// The input does not begin with a whole, sound record.
    pub fn decode(input: &mut Bytes) -> Result<Self, RecordError> {
        let size = input.first_chunk::<4>().ok_or(RecordError::Length)?;
        let size = usize::try_from(i32::from_be_bytes(*size)).map_err(|_| RecordError::Length)?;
        if !(4..=input.len()).contains(&size) {
            return Err(RecordError::Length);
        }
        let mut record = input.split_to(size);
        record.advance(4);
        let magic = record.try_get_u32()?;
        let topic_width = match magic {
            MAGIC_V1 => 1,
            MAGIC_V2 => 2,
            magic => return Err(RecordError::Magic { magic }),
        };
        let crc = record.try_get_i32()?;
        let queue_id = record.try_get_i32()?;
        let flag = record.try_get_i32()?;
        let queue_offset = record.try_get_i64()?;
        let physical_offset = record.try_get_i64()?;
        let sys_flag = record.try_get_i32()?;
        let decoded = Self {
            queue_id,
            flag,
            queue_offset,
            physical_offset,
            sys_flag,
            born_timestamp: record.try_get_i64()?,
            born_host: host(&mut record, sys_flag & BORN_HOST_V6 != 0)?,
            store_timestamp: record.try_get_i64()?,
            store_host: host(&mut record, sys_flag & STORE_HOST_V6 != 0)?,
            reconsume_times: record.try_get_i32()?,
            prepared_transaction_offset: record.try_get_i64()?,
            body: sized(&mut record, 4)?,
            topic: text(&sized(&mut record, topic_width)?)?,
            properties: text(&sized(&mut record, 2)?)?,
        };
        if record.has_remaining() {
            return Err(RecordError::Length);
        }
        if checksum(&decoded.body) != crc {
            return Err(RecordError::Checksum);
        }
        Ok(decoded)
    }
}

fn host_size(host: SocketAddr) -> usize {
    if host.is_ipv6() { 20 } else { 8 }
}

fn put_host(buffer: &mut BytesMut, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => buffer.put_u32(ip.to_bits()),
        IpAddr::V6(ip) => buffer.put_u128(ip.to_bits()),
    }
    buffer.put_u32(host.port().into());
}

fn host(record: &mut Bytes, v6: bool) -> Result<SocketAddr, RecordError> {
    let ip = if v6 {
        IpAddr::V6(Ipv6Addr::from_bits(record.try_get_u128()?))
    } else {
        IpAddr::V4(Ipv4Addr::from_bits(record.try_get_u32()?))
    };
    let port = u16::try_from(record.try_get_u32()?).map_err(|_| RecordError::Port)?;
    Ok(SocketAddr::new(ip, port))
}

/// Writes bytes after their length, which the caller knows to fit.
fn put_sized(buffer: &mut BytesMut, width: usize, bytes: &[u8]) {
    buffer.put_uint(bytes.len() as u64, width);
    buffer.put_slice(bytes);
}

/// Reads bytes after their length. As in Java, a length with its top bit set is negative.
fn sized(record: &mut Bytes, width: usize) -> Result<Bytes, RecordError> {
    let length = usize::try_from(record.try_get_int(width)?).map_err(|_| RecordError::Length)?;
    if length > record.len() {
        return Err(RecordError::Length);
    }
    Ok(record.split_to(length))
}

fn text(bytes: &[u8]) -> Result<String, RecordError> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| RecordError::NotUtf8)
}

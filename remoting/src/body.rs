//! Bodies written in JSON: how they are read and written, and the small ones that many requests
//! share.
//!
//! Java's writer sorts the members of an object by name and leaves out nulls; the types here
//! declare their members in that order.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

pub use crate::lenient::DocumentFault;
use crate::observe::Name;

/// A body that cannot be read.
#[derive(Debug, Error)]
pub enum BodyError {
    /// It is not the JSON that was expected.
    #[error("the body is not the expected JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A value in it is not what was expected.
    #[error("the body cannot be read at {0}")]
    Document(#[from] DocumentFault),
    /// It cannot be inflated or deflated.
    #[error("the body is no zlib stream")]
    Compression,
    /// It is compressed and larger than may be, or has more entries than may be.
    #[error("the body unfolds to more than {limit} bytes or entries")]
    TooLarge {
        /// How many bytes or entries the body may unfold to.
        limit: usize,
    },
    /// The lengths in it do not fit.
    #[error("the lengths in the body do not fit")]
    Length,
    /// A line that describes a topic cannot be read.
    #[error("the body describes a topic in a way that cannot be read")]
    Topic,
}

/// Reads JSON.
///
/// # Errors
/// It is not the JSON that was expected.
pub fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    Ok(serde_json::from_slice(bytes)?)
}

/// Writes JSON. Only for types whose keys are texts or numbers; those cannot fail.
#[must_use]
pub fn to_json<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// Reads null like an absent member: some clients write it for an empty list.
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The checksum of a body or a stored message: CRC-32 without its sign bit.
///
/// ```
/// use rmq_remoting::body::checksum;
///
/// assert_eq!(checksum(b"created"), checksum(b"created"));
/// assert_ne!(checksum(b"created"), checksum(b"cancelled"));
/// ```
#[must_use]
pub fn checksum(body: &[u8]) -> i32 {
    (crc32fast::hash(body) & 0x7fff_ffff).cast_signed()
}

/// A table of texts: runtime figures, values of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KvTable {
    /// The entries, by their names.
    #[serde(default, deserialize_with = "lenient")]
    pub table: BTreeMap<Name, String>,
}

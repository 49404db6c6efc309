//! A frame as it was read from the wire.
//!
//! Reading must not cost a map of strings per frame: the ext fields and the remark of a
//! [`Command`] are ranges into the bytes that arrived.

use std::fmt;

use bytes::Bytes;

pub use crate::ext::ExtFields;
use crate::ext::utf8;
use crate::header::{DecodeHeader, HeaderError};

/// Flag bit of a response.
pub const FLAG_RESPONSE: i32 = 1;
/// Flag bit of a request whose sender wants no reply.
pub const FLAG_ONEWAY: i32 = 2;

/// The two ways in which a header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderForm {
    /// A JSON object (serialize byte 0).
    #[default]
    Json,
    /// The binary form that RocketMQ calls ROCKETMQ (serialize byte 1).
    Rocketmq,
}

/// The language a peer says it is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Language {
    #[default]
    Java,
    Cpp,
    Dotnet,
    Python,
    Delphi,
    Erlang,
    Ruby,
    Other,
    Http,
    Go,
    Php,
    Oms,
    Rust,
    NodeJs,
    /// A name or number that this table does not know. Written as `OTHER`.
    Unknown,
}

impl Language {
    /// Name and binary code of every language there is.
    const TABLE: [(Self, &'static str); 14] = [
        (Self::Java, "JAVA"),
        (Self::Cpp, "CPP"),
        (Self::Dotnet, "DOTNET"),
        (Self::Python, "PYTHON"),
        (Self::Delphi, "DELPHI"),
        (Self::Erlang, "ERLANG"),
        (Self::Ruby, "RUBY"),
        (Self::Other, "OTHER"),
        (Self::Http, "HTTP"),
        (Self::Go, "GO"),
        (Self::Php, "PHP"),
        (Self::Oms, "OMS"),
        (Self::Rust, "RUST"),
        (Self::NodeJs, "NODE_JS"),
    ];

    /// The name that JSON headers carry.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::TABLE[usize::from(self.code())].1
    }

    /// The number that binary headers carry.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Unknown => Self::Other as u8,
            known => known as u8,
        }
    }

    /// The language of a JSON header.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Self {
        Self::TABLE
            .iter()
            .find(|(_, known)| known.as_bytes() == name)
            .map_or(Self::Unknown, |&(language, _)| language)
    }

    /// The language of a binary header.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self::TABLE
            .get(usize::from(code))
            .map_or(Self::Unknown, |&(language, _)| language)
    }
}

/// Text that shares the bytes of the frame it came in. Always UTF-8.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Text(Bytes);

impl Text {
    /// Wraps bytes whose decoder has seen to it that they are UTF-8.
    pub(crate) fn from_checked(bytes: Bytes) -> Self {
        debug_assert!(std::str::from_utf8(&bytes).is_ok(), "text is UTF-8");
        Self(bytes)
    }

    /// The bytes as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        utf8(&self.0)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// A request or a response, as it was read from the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Request code, or response code if [`Command::is_response`].
    pub code: i32,
    /// The language that the sender is written in.
    pub language: Language,
    /// The sender's version, an ordinal of RocketMQ's release table.
    pub version: i32,
    /// Joins a response to its request. A frame without one gets a number that no request bears.
    pub opaque: i32,
    /// Bits that say what the frame is: [`FLAG_RESPONSE`], [`FLAG_ONEWAY`].
    pub flag: i32,
    /// Free text, mostly why a request was refused. Its presence is no failure.
    pub remark: Option<Text>,
    /// The fields of the request or response (`extFields`).
    pub ext: ExtFields,
    /// What follows the header; may be empty.
    pub body: Bytes,
    /// How the header was written.
    pub form: HeaderForm,
}

impl Command {
    /// Whether this answers a request.
    #[must_use]
    pub fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// Whether the sender wants no reply.
    #[must_use]
    pub fn is_oneway(&self) -> bool {
        self.flag & FLAG_ONEWAY != 0
    }

    /// The bytes of its header and body, which it keeps in memory.
    pub(crate) fn size(&self) -> usize {
        self.ext.text_len() + self.body.len()
    }

    /// Reads the custom fields as a typed header, which may borrow from this command.
    ///
    /// # Errors
    /// A field that the header needs is missing or is no number.
    pub fn header<'a, H: DecodeHeader<'a>>(&'a self) -> Result<H, HeaderError> {
        H::read(&self.ext)
    }
}

//! A frame as it was read from the wire.
//!
//! Reading must not cost a map of strings per frame: the ext fields and the remark of a
//! [`Command`] are ranges into the bytes that arrived.

use std::fmt;

use bytes::Bytes;

use crate::header::{DecodeHeader, EncodeHeader, FieldWriter, HeaderError};

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

    /// The text.
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

/// Reads text that was found to be UTF-8 when it was decoded. Without `unsafe` it is looked at
/// again; names and values are short.
fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// A range of a header's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// A header is never longer than a frame, so its offsets fit.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let fit = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: fit(start),
            end: fit(end),
        }
    }

    pub(crate) fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// The custom fields of a header, in the order in which they arrived.
#[derive(Clone, Default)]
pub struct ExtFields {
    text: Bytes,
    /// Name and value.
    spans: Vec<(Span, Span)>,
    /// Whether the header had an `extFields` object at all.
    present: bool,
}

impl ExtFields {
    pub(crate) fn new(text: Bytes, spans: Vec<(Span, Span)>, present: bool) -> Self {
        Self {
            text,
            spans,
            present,
        }
    }

    /// The value of a field. Of a name that occurs twice the last one counts.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.spans
            .iter()
            .rfind(|(key, _)| key.of(&self.text) == name.as_bytes())
            .map(|(_, value)| utf8(value.of(&self.text)))
    }

    /// All names and values, in the order in which they arrived.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.spans
            .iter()
            .map(|(key, value)| (utf8(key.of(&self.text)), utf8(value.of(&self.text))))
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// The field is missing.
    pub fn text(&self, name: &'static str) -> Result<&str, HeaderError> {
        self.get(name).ok_or(HeaderError::Missing { field: name })
    }

    /// A number that must be there.
    ///
    /// # Errors
    /// The field is missing or no number of this type.
    pub fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, HeaderError> {
        self.optional_number(name)?
            .ok_or(HeaderError::Missing { field: name })
    }

    /// A number that may be absent.
    ///
    /// # Errors
    /// The field is there and no number of this type.
    pub fn optional_number<T: std::str::FromStr>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, HeaderError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(HeaderError::NotANumber {
                field: name,
                value: value.into(),
            }),
        }
    }

    /// A flag that may be absent. As in Java, everything but `true` (in any case) is false.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)
            .map(|value| value.eq_ignore_ascii_case("true"))
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for ExtFields {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        let mut text = Vec::new();
        let mut push = |part: &str| {
            let start = text.len();
            text.extend_from_slice(part.as_bytes());
            Span::new(start, text.len())
        };
        let spans = fields
            .into_iter()
            .map(|(key, value)| (push(key.as_ref()), push(value.as_ref())))
            .collect();
        Self {
            text: text.into(),
            spans,
            present: true,
        }
    }
}

impl fmt::Debug for ExtFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Equal when the same names have the same values in the same order.
impl PartialEq for ExtFields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ExtFields {}

/// Writes the fields as they were read.
impl EncodeHeader for ExtFields {
    fn write(&self, fields: &mut dyn FieldWriter) {
        if self.present {
            fields.open();
        }
        for (name, value) in self.iter() {
            fields.str(name, value);
        }
    }
}

/// A request or a response, as it was read from the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Request code, or response code if [`Command::is_response`].
    pub code: i32,
    /// The sender's language.
    pub language: Language,
    /// The sender's version, an ordinal of RocketMQ's release table.
    pub version: i32,
    /// Joins a response to its request. A frame without one gets a number that no request bears.
    pub opaque: i32,
    /// Bits: [`FLAG_RESPONSE`], [`FLAG_ONEWAY`].
    pub flag: i32,
    /// Free text, mostly why a request was refused. Its presence is no failure.
    pub remark: Option<Text>,
    /// The custom fields.
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

    /// Reads the custom fields as a typed header, which may borrow from this command.
    ///
    /// # Errors
    /// A field that the header needs is missing or is no number.
    pub fn header<'a, H: DecodeHeader<'a>>(&'a self) -> Result<H, HeaderError> {
        H::read(&self.ext)
    }
}

//! The custom fields of a header, as ranges of the bytes that arrived.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::header::{EncodeHeader, FieldWriter, HeaderError};
use crate::text;

/// Reads text that was found to be UTF-8 when it was decoded. Without `unsafe` it is looked at
/// again; names and values are short.
pub(crate) fn utf8(bytes: &[u8]) -> &str {
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

/// Where a custom field lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    name: Span,
    value: Span,
    /// Tells most names apart without looking at their bytes.
    tag: u32,
}

impl Field {
    pub(crate) fn new(name: Span, value: Span, bytes: &[u8]) -> Self {
        Self {
            name,
            value,
            tag: tag(name.of(bytes)),
        }
    }
}

/// The length of a name, its first and its last letter.
fn tag(name: &[u8]) -> u32 {
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else {
        return 0;
    };
    (name.len() as u32) << 16 | u32::from(first) << 8 | u32::from(last)
}

/// The custom fields of a header, in the order in which they arrived.
#[derive(Clone, Default)]
pub struct ExtFields {
    text: Bytes,
    fields: Vec<Field>,
    /// Whether the header had an `extFields` object at all.
    present: bool,
}

impl ExtFields {
    pub(crate) fn new(text: Bytes, fields: Vec<Field>, present: bool) -> Self {
        Self {
            text,
            fields,
            present,
        }
    }

    /// The bytes of the header that these are ranges of.
    pub(crate) fn text_len(&self) -> usize {
        self.text.len()
    }

    /// The value of a field. Of a name that occurs twice the last one counts.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let wanted = tag(name.as_bytes());
        self.fields
            .iter()
            .rfind(|field| field.tag == wanted && field.name.of(&self.text) == name.as_bytes())
            .map(|field| utf8(field.value.of(&self.text)))
    }

    /// All names and values, in the order in which they arrived.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let text = |span: &Span| utf8(span.of(&self.text));
        self.fields
            .iter()
            .map(move |field| (text(&field.name), text(&field.value)))
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
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
    pub fn number<T: FromStr>(&self, name: &'static str) -> Result<T, HeaderError> {
        let value = self.text(name)?;
        value.parse().map_err(|_| HeaderError::NotANumber {
            field: name,
            value: text::start(value, text::KEPT).into(),
        })
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
        let spans: Vec<_> = fields
            .into_iter()
            .map(|(name, value)| (push(name.as_ref()), push(value.as_ref())))
            .collect();
        let fields = spans
            .into_iter()
            .map(|(name, value)| Field::new(name, value, &text));
        Self {
            fields: fields.collect(),
            text: text.into(),
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

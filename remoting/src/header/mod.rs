//! The two forms of a header, and how typed headers are written and read in either.
//!
//! A typed header names its fields to a [`FieldWriter`], which puts them straight into the output
//! buffer; it reads them from [`ExtFields`], which are ranges into the bytes that arrived. So one
//! type serves both forms and nothing is collected in between.

pub(crate) mod binary;
pub(crate) mod json;

use thiserror::Error;

use crate::command::{HeaderForm, Language};
use crate::ext::{ExtFields, Field, Span};
use crate::text;

/// Takes the custom fields of one header, in the order in which they are to be written.
pub trait FieldWriter {
    /// The form being written. For headers whose order of fields depends on it.
    fn form(&self) -> HeaderForm;
    /// Says that there is a typed header even if no field follows. Java writes `"extFields":{}`
    /// then, and no `extFields` at all where there is no typed header.
    fn open(&mut self);
    /// Writes a field that holds a text.
    fn str(&mut self, name: &str, value: &str);
    /// Writes a field that holds a whole number.
    fn int(&mut self, name: &str, value: i64);
    /// Writes a field that holds `true` or `false`.
    fn bool(&mut self, name: &str, value: bool) {
        self.str(name, if value { "true" } else { "false" });
    }
}

/// A header that can be written.
pub trait EncodeHeader {
    /// Names the fields, one by one. A field without a value is left out.
    fn write(&self, fields: &mut dyn FieldWriter);
}

/// A header that can be read. It may borrow its texts from the fields.
pub trait DecodeHeader<'a>: Sized {
    /// Reads the fields. Unknown ones are ignored.
    ///
    /// # Errors
    /// A field that this header needs is missing or is no number.
    fn read(ext: &'a ExtFields) -> Result<Self, HeaderError>;
}

/// A request as a client makes it.
pub trait Request: EncodeHeader + Send + Sync {
    /// The request code that the frame has.
    fn code(&self) -> i32;
    /// The bytes that follow the header.
    fn body(&self) -> &[u8] {
        &[]
    }
}

/// A request header that belongs to one request code.
pub trait RequestHeader: EncodeHeader + Send + Sync {
    /// The request code that the header belongs to.
    const CODE: i32;
}

/// A header alone is a request without a body.
impl<H: RequestHeader> Request for H {
    fn code(&self) -> i32 {
        H::CODE
    }
}

/// A request header together with a body.
#[derive(Debug, Clone, Copy)]
pub struct WithBody<'a, H> {
    /// The header, with the request code that belongs to it.
    pub header: H,
    /// The bytes that follow the header.
    pub body: &'a [u8],
}

impl<H: EncodeHeader> EncodeHeader for WithBody<'_, H> {
    fn write(&self, fields: &mut dyn FieldWriter) {
        self.header.write(fields);
    }
}

impl<H: RequestHeader> Request for WithBody<'_, H> {
    fn code(&self) -> i32 {
        H::CODE
    }

    fn body(&self) -> &[u8] {
        self.body
    }
}

/// No typed header: the frame carries no custom fields.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFields;

impl EncodeHeader for NoFields {
    fn write(&self, _fields: &mut dyn FieldWriter) {}
}

/// A typed header without any field. Servers answer some requests with it (unregistering a client,
/// for one), and in the JSON form it differs from [`NoFields`].
#[derive(Debug, Clone, Copy, Default)]
pub struct EmptyFields;

impl EncodeHeader for EmptyFields {
    fn write(&self, fields: &mut dyn FieldWriter) {
        fields.open();
    }
}

/// A typed header that cannot be read from the fields that came.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum HeaderError {
    /// A required field is not there.
    #[error("the header field {field} is missing")]
    Missing {
        /// Its name on the wire.
        field: &'static str,
    },
    /// A numeric field that counts something is negative.
    #[error("the header field {field} is {value}, which is below 0")]
    Negative {
        /// Its name on the wire.
        field: &'static str,
        /// The number that the field holds, below 0.
        value: i64,
    },
    /// A numeric field holds something else.
    #[error(
        "the header field {field} is no number of its type: \"{}\"",
        text::printable(value, 64)
    )]
    NotANumber {
        /// Its name on the wire.
        field: &'static str,
        /// What it holds, cut if it is long.
        value: Box<str>,
    },
}

/// What both forms of a header come to: the fixed fields, and where the texts lie.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) code: i32,
    pub(crate) language: Language,
    pub(crate) version: i32,
    pub(crate) opaque: Option<i32>,
    pub(crate) flag: i32,
    pub(crate) remark: Option<Span>,
    pub(crate) ext: Vec<Field>,
    pub(crate) ext_present: bool,
}

//! The two dialects of JSON in which routes and cluster information are written.
//!
//! The legacy one has bare numbers as the keys of broker addresses, which is no legal JSON, so it
//! cannot be left to a JSON library alone.

use std::io;

use bytes::Bytes;
use serde::Serialize;
use serde_json::ser::Formatter;

use crate::route::RouteForm;

/// Writes a value whose keys are texts and numbers.
pub(crate) fn encode<T: Serialize>(value: &T, form: RouteForm) -> Bytes {
    let mut bytes = Vec::new();
    let dialect = Dialect {
        form,
        quote: Quote::Written,
    };
    // Cannot fail: the keys are texts and numbers, and the sink is memory.
    let _ = value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut bytes, dialect,
    ));
    bytes.into()
}

/// The one way in which a JSON library's writer can leave quotes out: it asks for an opening
/// quote, then for a number, where a number is a key.
struct Dialect {
    form: RouteForm,
    quote: Quote,
}

#[derive(PartialEq)]
enum Quote {
    /// The opening quote is out.
    Written,
    /// It waits for what follows.
    Due,
    /// A bare number followed, so there is no closing quote either.
    Omitted,
}

impl Dialect {
    fn settle<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.quote == Quote::Due {
            self.quote = Quote::Written;
            writer.write_all(b"\"")?;
        }
        Ok(())
    }
}

impl Formatter for Dialect {
    fn begin_string<W: ?Sized + io::Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.quote = Quote::Due;
        Ok(())
    }

    fn end_string<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.settle(writer)?;
        if self.quote == Quote::Omitted {
            self.quote = Quote::Written;
            return Ok(());
        }
        writer.write_all(b"\"")
    }

    fn write_i64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        if self.quote == Quote::Due && self.form == RouteForm::Legacy {
            self.quote = Quote::Omitted;
        }
        self.settle(writer)?;
        writer.write_all(itoa::Buffer::new().format(value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        self.settle(writer)?;
        if self.form == RouteForm::Legacy || fragment.is_ascii() {
            return writer.write_all(fragment.as_bytes());
        }
        for letter in fragment.chars() {
            if letter.is_ascii() {
                write!(writer, "{letter}")?;
            } else {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04X}")?;
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: serde_json::ser::CharEscape,
    ) -> io::Result<()> {
        self.settle(writer)?;
        serde_json::ser::CompactFormatter.write_char_escape(writer, escape)
    }
}

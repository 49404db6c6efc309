//! The JSON form of a header.
//!
//! The reader is made by hand for two reasons. It is as lenient as the Java servers where clients
//! rely on it (numbers as custom values, a code written as text, unknown keys), and it unescapes
//! *in place*: an unescaped text is never longer than its escaped form, so all texts stay ranges
//! of the bytes that arrived. Stricter than Java in one point: a header that is not UTF-8 is
//! refused, where Java would silently replace the damaged letters.

use bytes::{BufMut, BytesMut};

use super::{FieldWriter, Parsed};
use crate::command::{HeaderForm, Language};
use crate::ext::{Field, Span};
use crate::frame::{HeaderFault, Outgoing, Speaker};

/// Nesting of an unknown value that is skipped, at most.
const MAX_DEPTH: u32 = 64;

/// Reads a header and unescapes its texts in place.
pub(crate) fn read(header: &mut [u8]) -> Result<Parsed, HeaderFault> {
    if std::str::from_utf8(header).is_err() {
        return Err(HeaderFault::NotUtf8);
    }
    let mut reader = Reader {
        bytes: header,
        at: 0,
    };
    let mut parsed = Parsed::default();
    reader.blanks();
    reader.object(|reader, key| reader.member(&mut parsed, key))?;
    reader.blanks();
    if reader.at < reader.bytes.len() {
        return Err(reader.fault());
    }
    Ok(parsed)
}

struct Reader<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Reader<'_> {
    fn fault(&self) -> HeaderFault {
        HeaderFault::Json { at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), HeaderFault> {
        if self.peek() != Some(byte) {
            return Err(self.fault());
        }
        self.at += 1;
        Ok(())
    }

    /// Reads an object; `member` must read the value of each key.
    fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Span) -> Result<(), HeaderFault>,
    ) -> Result<(), HeaderFault> {
        self.expect(b'{')?;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blanks();
            let key = self.string()?;
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            member(self, key)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.fault()),
            }
        }
    }

    /// Reads the value of a top-level key.
    fn member(&mut self, parsed: &mut Parsed, key: Span) -> Result<(), HeaderFault> {
        match key.of(self.bytes) {
            b"code" => parsed.code = self.int()?.unwrap_or(0),
            b"flag" => parsed.flag = self.int()?.unwrap_or(0),
            b"version" => parsed.version = self.int()?.unwrap_or(0),
            b"opaque" => parsed.opaque = self.int()?,
            b"language" => {
                parsed.language = self.scalar()?.map_or(Language::Unknown, |name| {
                    Language::from_name(name.of(self.bytes))
                });
            }
            b"remark" => parsed.remark = self.scalar()?,
            b"extFields" if self.peek() == Some(b'{') => {
                parsed.ext_present = true;
                parsed.ext.reserve(16);
                self.object(|reader, name| {
                    let value = reader.scalar()?;
                    parsed
                        .ext
                        .extend(value.map(|value| Field::new(name, value, reader.bytes)));
                    Ok(())
                })?;
            }
            b"extFields" => {
                if self.scalar()?.is_some() {
                    return Err(self.fault());
                }
            }
            _ => {
                self.scalar()?;
            }
        }
        Ok(())
    }

    /// A whole number, or one written as text; `None` for null.
    fn int(&mut self) -> Result<Option<i32>, HeaderFault> {
        let fault = self.fault();
        let Some(token) = self.scalar()? else {
            return Ok(None);
        };
        std::str::from_utf8(token.of(self.bytes))
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .map(Some)
            .ok_or(fault)
    }

    /// Any value, as text: a string unescaped, everything else as it stands. `None` for null.
    fn scalar(&mut self) -> Result<Option<Span>, HeaderFault> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => return self.string().map(Some),
            Some(b'{' | b'[') => self.nested()?,
            Some(b'-' | b'0'..=b'9') => {
                while matches!(
                    self.peek(),
                    Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
                ) {
                    self.at += 1;
                }
            }
            _ => {
                for word in [&b"true"[..], b"false", b"null"] {
                    if self.bytes[start..].starts_with(word) {
                        self.at += word.len();
                        return Ok((word != b"null").then(|| Span::new(start, self.at)));
                    }
                }
                return Err(self.fault());
            }
        }
        Ok(Some(Span::new(start, self.at)))
    }

    /// Skips an object or array of which nothing is needed.
    fn nested(&mut self) -> Result<(), HeaderFault> {
        let mut depth = 0;
        loop {
            match self.peek() {
                None => return Err(self.fault()),
                Some(b'"') => {
                    self.skip_string()?;
                    continue;
                }
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') => depth -= 1,
                Some(_) => {}
            }
            if depth > MAX_DEPTH {
                return Err(self.fault());
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), HeaderFault> {
        self.expect(b'"')?;
        loop {
            match self.peek() {
                None => return Err(self.fault()),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
    }

    /// Reads a string; what it stands for is left at the start of its own place.
    fn string(&mut self) -> Result<Span, HeaderFault> {
        self.expect(b'"')?;
        let start = self.at;
        let mut end = start;
        loop {
            let rest = &self.bytes[self.at..];
            let special = |byte: &u8| matches!(byte, b'"' | b'\\');
            let run = rest.iter().position(special).ok_or_else(|| self.fault())?;
            if end < self.at {
                self.bytes.copy_within(self.at..self.at + run, end);
            }
            end += run;
            self.at += run;
            if self.bytes[self.at] == b'"' {
                self.at += 1;
                return Ok(Span::new(start, end));
            }
            end = self.escape(end)?;
        }
    }

    /// Reads one escape and writes its letter at `end`; returns the new end.
    fn escape(&mut self, end: usize) -> Result<usize, HeaderFault> {
        self.at += 1;
        let letter = match self.peek() {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'u') => {
                let letter = self.unicode()?;
                return Ok(self.put(end, letter));
            }
            _ => return Err(self.fault()),
        };
        self.at += 1;
        Ok(self.put(end, letter))
    }

    fn put(&mut self, end: usize, letter: char) -> usize {
        end + letter.encode_utf8(&mut self.bytes[end..]).len()
    }

    /// Reads the rest of `\uXXXX`, with its second half if it is a pair. Half a pair becomes the
    /// replacement letter.
    fn unicode(&mut self) -> Result<char, HeaderFault> {
        self.at += 1;
        let first = self.hex4()?;
        if (0xd800..0xdc00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                let point = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, HeaderFault> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            value = value * 16 + digit.ok_or_else(|| self.fault())?;
            self.at += 1;
        }
        Ok(value)
    }
}

/// Writes a header in Java's order of keys.
pub(crate) fn write(speaker: &Speaker, out: &Outgoing<'_>, buffer: &mut BytesMut) {
    buffer.put_slice(b"{\"code\":");
    put_int(buffer, out.code.into());
    let mut fields = JsonFields {
        buffer,
        state: FieldsObject::Absent,
    };
    out.header.write(&mut fields);
    if !matches!(fields.state, FieldsObject::Absent) {
        buffer.put_u8(b'}');
    }
    buffer.put_slice(b",\"flag\":");
    put_int(buffer, out.flag.into());
    buffer.put_slice(b",\"language\":\"");
    buffer.put_slice(speaker.language.name().as_bytes());
    buffer.put_slice(b"\",\"opaque\":");
    put_int(buffer, out.opaque.into());
    if let Some(remark) = out.remark {
        buffer.put_slice(b",\"remark\":");
        put_string(buffer, remark);
    }
    buffer.put_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    put_int(buffer, speaker.version.into());
    buffer.put_u8(b'}');
}

enum FieldsObject {
    Absent,
    Empty,
    Started,
}

struct JsonFields<'a> {
    buffer: &'a mut BytesMut,
    state: FieldsObject,
}

impl JsonFields<'_> {
    fn name(&mut self, name: &str) {
        self.open();
        if matches!(self.state, FieldsObject::Started) {
            self.buffer.put_u8(b',');
        }
        self.state = FieldsObject::Started;
        put_string(self.buffer, name);
        self.buffer.put_u8(b':');
    }
}

impl FieldWriter for JsonFields<'_> {
    fn form(&self) -> HeaderForm {
        HeaderForm::Json
    }

    fn open(&mut self) {
        if matches!(self.state, FieldsObject::Absent) {
            self.buffer.put_slice(b",\"extFields\":{");
            self.state = FieldsObject::Empty;
        }
    }

    fn str(&mut self, name: &str, value: &str) {
        self.name(name);
        put_string(self.buffer, value);
    }

    fn int(&mut self, name: &str, value: i64) {
        self.name(name);
        self.buffer.put_u8(b'"');
        put_int(self.buffer, value);
        self.buffer.put_u8(b'"');
    }
}

fn put_int(buffer: &mut BytesMut, value: i64) {
    buffer.put_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes a quoted string, escaping what Java's writer escapes: quotes, backslashes, the control
/// letters up to U+009F and the two line separators.
fn put_string(buffer: &mut BytesMut, text: &str) {
    buffer.put_u8(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let width = match byte {
            0..0x20 | b'"' | b'\\' | 0x7f => 1,
            0xc2 if bytes[at + 1] < 0xa0 => 2,
            0xe2 if matches!(bytes[at + 1..], [0x80, 0xa8 | 0xa9, ..]) => 3,
            _ => {
                at += 1;
                continue;
            }
        };
        buffer.put_slice(&bytes[plain..at]);
        for letter in text[at..at + width].chars() {
            put_escape(buffer, letter);
        }
        at += width;
        plain = at;
    }
    buffer.put_slice(&bytes[plain..]);
    buffer.put_u8(b'"');
}

fn put_escape(buffer: &mut BytesMut, letter: char) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let short = match letter {
        '"' => b'"',
        '\\' => b'\\',
        '\n' => b'n',
        '\t' => b't',
        '\r' => b'r',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        _ => {
            let point = u32::from(letter) as usize;
            let digit = |shift: usize| DIGITS[(point >> shift) & 15];
            buffer.put_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
            return;
        }
    };
    buffer.put_slice(&[b'\\', short]);
}

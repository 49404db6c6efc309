//! The binary form of a header, which RocketMQ calls ROCKETMQ.

use bytes::{Buf, BufMut, BytesMut};

use super::{FieldWriter, Parsed};
use crate::command::{HeaderForm, Language};
use crate::ext::{Field, Span};
use crate::frame::{EncodeError, HeaderFault, Outgoing, Speaker};

/// Reads a header. Entries with an empty name or value count as absent, as in Java.
pub(crate) fn read(header: &[u8]) -> Result<Parsed, HeaderFault> {
    let mut reader = Reader {
        bytes: header,
        at: 0,
    };
    let mut parsed = Parsed {
        code: reader.i16()?.into(),
        language: Language::from_code(reader.u8()?),
        version: reader.i16()?.into(),
        opaque: Some(reader.i32()?),
        flag: reader.i32()?,
        ..Parsed::default()
    };
    let remark = reader.i32()?;
    parsed.remark = reader.text(remark)?;
    let ext = reader.i32()?;
    if ext > 0 {
        parsed.ext_present = true;
        parsed.ext.reserve(16);
        let end = reader.at + usize::try_from(ext).map_err(|_| reader.fault())?;
        if end > header.len() {
            return Err(reader.fault());
        }
        reader.bytes = &header[..end];
        while reader.at < end {
            let key = reader.i16()?;
            let key = reader.text(key.into())?;
            let value = reader.i32()?;
            let value = reader.text(value)?;
            let entry = key.zip(value);
            parsed
                .ext
                .extend(entry.map(|(key, value)| Field::new(key, value, header)));
        }
    }
    if reader.at < header.len() {
        return Err(reader.fault());
    }
    Ok(parsed)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn fault(&self) -> HeaderFault {
        HeaderFault::Lengths { at: self.at }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], HeaderFault> {
        let fault = self.fault();
        let taken = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.get(..count))
            .ok_or(fault)?;
        self.at += count;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, HeaderFault> {
        Ok(self.take(1)?.get_u8())
    }

    fn i16(&mut self) -> Result<i16, HeaderFault> {
        Ok(self.take(2)?.get_i16())
    }

    fn i32(&mut self) -> Result<i32, HeaderFault> {
        Ok(self.take(4)?.get_i32())
    }

    /// A text of this length; `None` for an empty one.
    fn text(&mut self, length: i32) -> Result<Option<Span>, HeaderFault> {
        let fault = self.fault();
        let start = self.at;
        let text = self.take(usize::try_from(length).map_err(|_| fault)?)?;
        if std::str::from_utf8(text).is_err() {
            return Err(HeaderFault::NotUtf8);
        }
        Ok((length > 0).then(|| Span::new(start, self.at)))
    }
}

/// Writes the header of a frame in RocketMQ's binary form.
pub(crate) fn write(
    speaker: &Speaker,
    out: &Outgoing<'_>,
    buffer: &mut BytesMut,
) -> Result<(), EncodeError> {
    buffer.put_i16(i16::try_from(out.code).map_err(|_| EncodeError::Code { code: out.code })?);
    buffer.put_u8(speaker.language.code());
    let version = speaker.version;
    buffer.put_i16(i16::try_from(version).map_err(|_| EncodeError::Version { version })?);
    buffer.put_i32(out.opaque);
    buffer.put_i32(out.flag);
    let remark = out.remark.unwrap_or_default();
    buffer.put_u32(length(remark)?);
    buffer.put_slice(remark.as_bytes());
    let mark = buffer.len();
    buffer.put_u32(0);
    let mut fields = BinaryFields {
        buffer,
        error: None,
    };
    out.header.write(&mut fields);
    if let Some(error) = fields.error {
        return Err(error);
    }
    let written = u32::try_from(buffer.len() - mark - 4).map_err(|_| EncodeError::TooLarge)?;
    buffer[mark..mark + 4].copy_from_slice(&written.to_be_bytes());
    Ok(())
}

fn length(text: &str) -> Result<u32, EncodeError> {
    i32::try_from(text.len())
        .map(i32::unsigned_abs)
        .map_err(|_| EncodeError::TooLarge)
}

struct BinaryFields<'a> {
    buffer: &'a mut BytesMut,
    error: Option<EncodeError>,
}

impl FieldWriter for BinaryFields<'_> {
    fn form(&self) -> HeaderForm {
        HeaderForm::Rocketmq
    }

    fn open(&mut self) {}

    fn str(&mut self, name: &str, value: &str) {
        let (Ok(key), Ok(size)) = (i16::try_from(name.len()), length(value)) else {
            self.error = Some(EncodeError::TooLarge);
            return;
        };
        self.buffer.put_i16(key);
        self.buffer.put_slice(name.as_bytes());
        self.buffer.put_u32(size);
        self.buffer.put_slice(value.as_bytes());
    }

    fn int(&mut self, name: &str, value: i64) {
        self.str(name, itoa::Buffer::new().format(value));
    }
}

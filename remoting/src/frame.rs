//! Frames: where one command ends and the next begins.
//!
//! A frame is a length, the form and length of its header, the header and a body. Everything a
//! peer may get wrong here ends that connection and nothing else, so each fault is a value with a
//! name and no input makes the decoder panic.

use bytes::{Buf, BufMut, BytesMut};
use thiserror::Error;

use crate::command::{Command, ExtFields, HeaderForm, Language, Text};
use crate::header::{EncodeHeader, binary, json};

/// The longest frame that passes, with its length prefix.
pub const MAX_FRAME: usize = 16_777_216;

/// Length prefix, and the word of form and header length.
const PREFIX: usize = 4;
const START: usize = 8;
/// The least and the most that a frame may announce.
const LEAST: usize = START - PREFIX;
const MOST: usize = MAX_FRAME - PREFIX;

/// Cuts a stream of bytes into commands.
///
/// After an error the stream has no meaning any more: close it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bytes::BytesMut;
/// use rmq_remoting::command::{HeaderForm, Language};
/// use rmq_remoting::frame::{FrameDecoder, Outgoing, Speaker, encode};
/// use rmq_remoting::header::NoFields;
///
/// let speaker = Speaker { form: HeaderForm::Rocketmq, language: Language::Rust, version: 479 };
/// let request =
///     Outgoing { code: 106, opaque: 7, flag: 0, remark: None, header: &NoFields, body: b"body" };
/// let mut stream = BytesMut::new();
/// encode(&speaker, &request, &mut stream)?;
///
/// let (mut decoder, mut input) = (FrameDecoder::new(), BytesMut::new());
/// let rest = stream.split_off(10);
/// input.extend_from_slice(&stream);
/// assert_eq!(decoder.decode(&mut input)?, None, "the frame is not whole");
/// input.extend_from_slice(&rest);
/// let command = decoder.decode(&mut input)?.ok_or("a whole frame")?;
/// assert_eq!((command.code, command.opaque, &command.body[..]), (106, 7, &b"body"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct FrameDecoder {
    /// How many commands came without an opaque. They get numbers down from −1: a client counts
    /// up from 0 and would have to wrap before it reached them.
    anonymous: i32,
}

impl FrameDecoder {
    /// A decoder for a new connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next whole frame from the input, or nothing while it is incomplete.
    ///
    /// # Errors
    /// The bytes are no frame.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Command>, FrameError> {
        let Some(prefix) = input.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let total = i32::from_be_bytes(*prefix);
        let length = usize::try_from(total)
            .ok()
            .filter(|length| (LEAST..=MOST).contains(length))
            .ok_or(FrameError::Length { total })?;
        let whole = PREFIX.saturating_add(length);
        if input.len() < whole {
            return Ok(None);
        }
        let mut frame = input.split_to(whole);
        frame.advance(PREFIX);
        self.command(frame).map(Some)
    }

    /// How long the frame at the start of the input says that it is, with its prefix.
    pub(crate) fn announced(input: &[u8]) -> usize {
        let prefix = input.first_chunk::<PREFIX>();
        let total = prefix.map_or(0, |prefix| i32::from_be_bytes(*prefix));
        usize::try_from(total).unwrap_or(0).saturating_add(PREFIX)
    }

    /// Reads a frame without its length prefix.
    fn command(&mut self, mut frame: BytesMut) -> Result<Command, FrameError> {
        let word = frame.get_u32();
        let size = (word & 0x00ff_ffff) as usize;
        if size > frame.len() {
            return Err(FrameError::HeaderLength {
                header: size,
                frame: frame.len(),
            });
        }
        let (form, parsed) = match word >> 24 {
            0 => (HeaderForm::Json, json::read(&mut frame[..size])?),
            1 => (HeaderForm::Rocketmq, binary::read(&frame[..size])?),
            serialize => return Err(FrameError::Form { serialize }),
        };
        let mut body = frame.freeze();
        let header = body.split_to(size);
        let opaque = parsed.opaque.unwrap_or_else(|| {
            self.anonymous = self.anonymous.wrapping_sub(1);
            self.anonymous
        });
        let remark = parsed
            .remark
            .map(|span| Text::from_checked(header.slice(span.start as usize..span.end as usize)));
        Ok(Command {
            code: parsed.code,
            language: parsed.language,
            version: parsed.version,
            opaque,
            flag: parsed.flag,
            remark,
            ext: ExtFields::new(header, parsed.ext, parsed.ext_present),
            body,
            form,
        })
    }
}

/// Bytes that are no frame. The connection they came on must be closed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum FrameError {
    /// The length prefix is negative, below 4 or beyond [`MAX_FRAME`].
    #[error("the frame announces {total} bytes, and one has {LEAST} to {MOST}")]
    Length {
        /// The length that the frame's first four bytes give.
        total: i32,
    },
    /// The header is announced longer than its frame.
    #[error("the header announces {header} bytes in a frame of {frame}")]
    HeaderLength {
        /// How long the header says that it is.
        header: usize,
        /// What the frame has after the word that says so.
        frame: usize,
    },
    /// The serialize byte names no form.
    #[error("the serialize byte is {serialize}, neither 0 (JSON) nor 1 (ROCKETMQ)")]
    Form {
        /// The byte that names the header's form.
        serialize: u32,
    },
    /// The header cannot be read.
    #[error("the header cannot be read: {0}")]
    Header(#[from] HeaderFault),
    /// The connection ended without any frame.
    #[error("it answered nothing at all, as a server does that demands TLS")]
    Nothing,
    /// The connection ended in the middle of a frame.
    #[error("it ended after {came} bytes of a frame of {announced}")]
    Cut {
        /// How many bytes came before the end.
        came: usize,
        /// The bytes of the whole frame, as far as it said so: at least those of its length.
        announced: usize,
    },
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum HeaderFault {
    /// The header is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// It is not the JSON of a header.
    #[error("no JSON header from its byte {at} on")]
    Json {
        /// The place in the header where reading ended.
        at: usize,
    },
    /// The lengths in a binary header do not fit it.
    #[error("the lengths from its byte {at} on do not fit")]
    Lengths {
        /// The place in the header where reading ended.
        at: usize,
    },
}

/// What a process always says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker {
    /// The form of the headers it writes. It reads both.
    pub form: HeaderForm,
    /// The language that the sender is written in.
    pub language: Language,
    /// Its version, an ordinal of RocketMQ's release table. Servers behave by it.
    pub version: i32,
}

/// A command to be written.
pub struct Outgoing<'a> {
    /// Request code or response code.
    pub code: i32,
    /// Joins a response to its request.
    pub opaque: i32,
    /// Bits that say what the frame is: [`FLAG_RESPONSE`](crate::command::FLAG_RESPONSE) and
    /// [`FLAG_ONEWAY`](crate::command::FLAG_ONEWAY).
    pub flag: i32,
    /// A text for people, which the protocol calls `remark`.
    pub remark: Option<&'a str>,
    /// The fields of the request or response (`extFields`).
    pub header: &'a dyn EncodeHeader,
    /// The bytes that follow the header.
    pub body: &'a [u8],
}

impl std::fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing")
            .field("code", &self.code)
            .field("opaque", &self.opaque)
            .field("flag", &self.flag)
            .field("remark", &self.remark)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Appends one frame to the buffer.
///
/// # Errors
/// The command does not fit the form or the limits. The buffer is as it was, then.
pub fn encode(
    speaker: &Speaker,
    out: &Outgoing<'_>,
    buffer: &mut BytesMut,
) -> Result<(), EncodeError> {
    let mark = buffer.len();
    let result = write(speaker, out, buffer, mark);
    if result.is_err() {
        buffer.truncate(mark);
    }
    result
}

/// The start of a frame and a header as long as most are.
const USUAL_HEADER: usize = START + 512;

fn write(
    speaker: &Speaker,
    out: &Outgoing<'_>,
    buffer: &mut BytesMut,
    mark: usize,
) -> Result<(), EncodeError> {
    // A header rarely takes more; one growth instead of several.
    buffer.reserve(out.body.len().saturating_add(USUAL_HEADER));
    buffer.put_u64(0);
    let serialize = match speaker.form {
        HeaderForm::Json => {
            json::write(speaker, out, buffer);
            0
        }
        HeaderForm::Rocketmq => {
            binary::write(speaker, out, buffer)?;
            1 << 24
        }
    };
    let head = buffer.len().saturating_sub(mark);
    let header = head.saturating_sub(START);
    let whole = head.saturating_add(out.body.len());
    if whole > MAX_FRAME {
        return Err(EncodeError::TooLarge);
    }
    let fit = |size: usize| u32::try_from(size).map_err(|_| EncodeError::TooLarge);
    let total = fit(whole.saturating_sub(PREFIX))?;
    let word = serialize | fit(header)?;
    let start = u64::from(total) << 32 | u64::from(word);
    if let Some(place) = buffer.get_mut(mark..mark.saturating_add(START)) {
        place.copy_from_slice(&start.to_be_bytes());
    }
    buffer.put_slice(out.body);
    Ok(())
}

/// A command that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum EncodeError {
    /// The frame, or a name in it, is longer than the form allows.
    #[error("the frame is larger than {MAX_FRAME} bytes, or a text in it too long for its form")]
    TooLarge,
    /// The binary form holds codes of 16 bits.
    #[error("the code {code} does not fit a ROCKETMQ header")]
    Code {
        /// The request or response code.
        code: i32,
    },
    /// The binary form holds versions of 16 bits.
    #[error("the version {version} does not fit a ROCKETMQ header")]
    Version {
        /// The sender's version, as a number.
        version: i32,
    },
}

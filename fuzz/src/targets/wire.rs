//! Frames around headers, and commands written again.

use bytes::BytesMut;
use rmq_remoting::command::{Command, HeaderForm};
use rmq_remoting::frame::{EncodeError, FrameDecoder, FrameError, Outgoing, Speaker, encode};
use rmq_remoting::header::EncodeHeader;

/// Both ways in which a header is written.
pub(crate) const FORMS: [HeaderForm; 2] = [HeaderForm::Json, HeaderForm::Rocketmq];

/// The longest header that a frame can announce.
const MAX_HEADER: usize = 0x00ff_ffff;

/// A frame around a header; none around one that is too long for any frame.
pub(crate) fn frame_around(serialize: u8, header: &[u8]) -> Option<BytesMut> {
    let size = u32::try_from(header.len()).ok()?;
    if header.len() > MAX_HEADER - 8 {
        return None;
    }
    let mut frame = BytesMut::with_capacity(header.len() + 8);
    frame.extend_from_slice(&(size + 4).to_be_bytes());
    frame.extend_from_slice(&(u32::from(serialize) << 24 | size).to_be_bytes());
    frame.extend_from_slice(header);
    Some(frame)
}

/// The command of a frame, which must be the whole input.
pub(crate) fn decode_one(mut input: BytesMut) -> Result<Command, FrameError> {
    let command = FrameDecoder::new().decode(&mut input)?;
    assert!(input.is_empty(), "a whole frame was not taken whole");
    let Some(command) = command else {
        return Err(FrameError::Length { total: 0 });
    };
    Ok(command)
}

/// Writes a command with another header, in a form of choice.
pub(crate) fn written(
    command: &Command,
    header: &dyn EncodeHeader,
    form: HeaderForm,
) -> Result<BytesMut, EncodeError> {
    let speaker = Speaker {
        form,
        language: command.language,
        version: command.version,
    };
    let outgoing = Outgoing {
        code: command.code,
        opaque: command.opaque,
        flag: command.flag,
        remark: command.remark.as_deref(),
        header,
        body: &command.body,
    };
    let mut buffer = BytesMut::from(&b"in front"[..]);
    match encode(&speaker, &outgoing, &mut buffer) {
        Ok(()) => Ok(buffer.split_off(8)),
        Err(error) => {
            assert_eq!(buffer, &b"in front"[..], "what could not be written stays");
            Err(error)
        }
    }
}

/// Whether a binary header can say all that the command says: it has no empty texts.
pub(crate) fn has_no_empty_text(command: &Command) -> bool {
    command.remark.as_deref() != Some("")
        && command
            .ext
            .iter()
            .all(|(name, value)| !name.is_empty() && !value.is_empty())
}

/// What was read is written in both forms and read again, the same.
///
/// Returns the size of what was written in the command's own form.
pub(crate) fn survives(command: &Command) {
    for form in FORMS {
        let Ok(bytes) = written(command, &command.ext, form) else {
            // Codes, versions and names that do not fit 16 bits, or a frame that grew too long.
            assert!(
                form == HeaderForm::Rocketmq || command.ext.len() > 1_000,
                "what was read as {:?} cannot be written as {form:?}",
                command.form
            );
            continue;
        };
        let texts = command.ext.iter();
        let texts: usize = texts
            .map(|(name, value)| name.len() + value.len() + 16)
            .sum();
        let remark = command.remark.as_ref().map_or(0, |remark| remark.len());
        let most = 256 + command.body.len() + 6 * (texts + remark);
        assert!(bytes.len() <= most, "a frame of {} bytes", bytes.len());
        let again = decode_one(bytes);
        let Ok(again) = again else {
            unreadable(&again);
            continue;
        };
        assert_eq!(again.form, form);
        assert_eq!(
            (again.code, again.opaque, again.flag, again.version),
            (command.code, command.opaque, command.flag, command.version)
        );
        assert_eq!(again.language.name(), command.language.name());
        assert_eq!(again.body, command.body);
        if form == HeaderForm::Json || has_no_empty_text(command) {
            assert_eq!(again.remark, command.remark);
            assert_eq!(again.ext, command.ext);
        }
    }
}

/// Fails over something that was written and cannot be read.
pub(crate) fn unreadable<T, E: std::fmt::Debug>(result: &Result<T, E>) {
    let error = result.as_ref().err();
    assert!(
        error.is_none(),
        "what was written cannot be read: {error:?}"
    );
}

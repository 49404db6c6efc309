//! Both forms of a header, and the typed headers in them.

use rmq_remoting::command::{Command, HeaderForm};
use rmq_remoting::frame::FrameError;
use rmq_remoting::request::{
    RegisterBroker, SendBatchMessage, SendMessage, SendMessageResponse, SendMessageV2,
};

use super::wire::{FORMS, decode_one, frame_around, has_no_empty_text, survives, written};

/// A typed header that was read is written in both forms and read again, the same.
macro_rules! typed {
    ($command:expr, $($header:ident)*) => {$(
        if let Ok(header) = $command.header::<$header<'_>>() {
            for form in FORMS {
                let whole = form == HeaderForm::Json || has_no_empty_text($command);
                let Ok(bytes) = written($command, &header, form) else {
                    continue;
                };
                let again = decode_one(bytes);
                let again = again.as_ref().map(|again| again.header::<$header<'_>>());
                if whole {
                    assert_eq!(again, Ok(Ok(header.clone())), "{form:?}");
                }
            }
        }
    )*};
}

fn header(serialize: u8, form: HeaderForm, data: &[u8]) {
    let Some(frame) = frame_around(serialize, data) else {
        return;
    };
    match decode_one(frame) {
        Ok(command) => {
            assert_eq!(command.form, form);
            assert!(command.body.is_empty());
            read(&command, data.len());
        }
        Err(error) => {
            let is_header = matches!(error, FrameError::Header(_));
            assert!(is_header, "the frame is sound, and yet: {error}");
        }
    }
}

fn read(command: &Command, len: usize) {
    // Nothing that was read is longer than what it was read from, and no entry is free.
    let texts = command.ext.iter();
    let texts: usize = texts.map(|(name, value)| name.len() + value.len()).sum();
    let remark = command.remark.as_ref().map_or(0, |remark| remark.len());
    assert!(texts + remark <= len, "{texts} bytes of text out of {len}");
    assert!(command.ext.len() <= len / 4, "{} fields", command.ext.len());
    survives(command);
    typed!(
        command,
        SendMessage SendMessageV2 SendBatchMessage SendMessageResponse RegisterBroker
    );
}

/// A frame whose header is in the JSON form: what is read of it is bounded and survives writing.
pub fn header_json(data: &[u8]) {
    header(0, HeaderForm::Json, data);
}

/// The binary form, which RocketMQ calls ROCKETMQ.
pub fn header_rocketmq(data: &[u8]) {
    header(1, HeaderForm::Rocketmq, data);
}

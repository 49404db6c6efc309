//! Frames captured from real servers and made by the Java classes, decoded and encoded again.

use rmq_remoting::command::HeaderForm;
use serde_json::Value;

use crate::support::{Golden, decode_one, encode_again, goldens};

/// Two entries hold bare bodies, not frames.
fn is_frame(golden: &Golden) -> bool {
    !["stored record of example B", "batch body of two messages"]
        .iter()
        .any(|body| golden.name.contains(body))
}

/// Cuts a frame into its serialize byte, header and body.
fn parts(frame: &[u8]) -> (u8, &[u8], &[u8]) {
    let word = u32::from_be_bytes(frame[4..8].try_into().unwrap());
    let end = 8 + (word & 0xff_ffff) as usize;
    (frame[4], &frame[8..end], &frame[end..])
}

#[test]
fn every_captured_frame_is_the_same_after_decoding_and_encoding() {
    let mut counts = [0, 0];
    for golden in goldens().iter().filter(|golden| is_frame(golden)) {
        for frame in &golden.frames {
            let command = decode_one(frame);
            let again = encode_again(&command, command.form);
            let (serialize, header, body) = parts(frame);
            let (serialize_again, header_again, body_again) = parts(&again);
            assert_eq!(serialize, serialize_again, "{}", golden.name);
            assert_eq!(body, body_again, "{}", golden.name);
            if command.form == HeaderForm::Json {
                let read = |bytes| serde_json::from_slice::<Value>(bytes).unwrap();
                assert_eq!(read(header), read(header_again), "{}", golden.name);
            } else {
                assert_eq!(header, header_again, "{}", golden.name);
            }
            counts[usize::from(serialize)] += 1;
        }
    }
    let [json, binary] = counts;
    assert!(
        json >= 80 && binary >= 8,
        "{json} JSON and {binary} binary frames"
    );
}

#[test]
fn every_captured_frame_keeps_its_meaning_in_the_other_form() {
    for golden in goldens().iter().filter(|golden| is_frame(golden)) {
        for frame in &golden.frames {
            let command = decode_one(frame);
            let other = match command.form {
                HeaderForm::Json => HeaderForm::Rocketmq,
                HeaderForm::Rocketmq => HeaderForm::Json,
            };
            let mut translated = decode_one(&encode_again(&command, other));
            assert_eq!(translated.form, other);
            translated.form = command.form;
            assert_eq!(translated, command, "{}", golden.name);
        }
    }
}

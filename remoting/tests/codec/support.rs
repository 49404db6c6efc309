//! What the tests share: hex, the captured frames, and short ways to encode and decode one frame.

use std::fs;
use std::path::PathBuf;

use bytes::BytesMut;
use rmq_remoting::command::{Command, HeaderForm, Language};
use rmq_remoting::frame::{FrameDecoder, FrameError, Outgoing, Speaker, encode};
use rmq_remoting::header::EncodeHeader;

/// What the Java software of 5.3.3 says of itself.
pub(crate) fn java(form: HeaderForm) -> Speaker {
    Speaker {
        form,
        language: Language::Java,
        version: 479,
    }
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .map(|letter| u8::try_from(letter.to_digit(16).expect("hex")).expect("a digit"))
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// Frames of real software: what each is, its request and its response.
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) frames: Vec<Vec<u8>>,
}

pub(crate) fn goldens() -> Vec<Golden> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut goldens = Vec::new();
    for file in ["captured", "captured-destructive", "java-encoded"] {
        let text = fs::read_to_string(folder.join(file).with_extension("jsonl")).expect("data");
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("a JSON line");
            let frames = ["request", "response"]
                .iter()
                .filter_map(|side| line[side].as_str());
            goldens.push(Golden {
                name: format!("{file}: {}", line["desc"].as_str().expect("a description")),
                frames: frames.map(unhex).collect(),
            });
        }
    }
    goldens
}

/// The only frame of the one golden of this name that has the asked side.
pub(crate) fn golden(name: &str) -> Vec<Vec<u8>> {
    let mut found = goldens();
    found.retain(|golden| golden.name.contains(name));
    assert_eq!(found.len(), 1, "goldens named {name}");
    found.remove(0).frames
}

pub(crate) fn try_decode(bytes: &[u8]) -> Result<Option<Command>, FrameError> {
    FrameDecoder::new().decode(&mut BytesMut::from(bytes))
}

/// Decodes bytes that are exactly one frame.
pub(crate) fn decode_one(bytes: &[u8]) -> Command {
    let mut input = BytesMut::from(bytes);
    let command = FrameDecoder::new()
        .decode(&mut input)
        .expect("a frame")
        .expect("a whole one");
    assert!(input.is_empty(), "bytes left over");
    command
}

/// A frame around this header and body.
pub(crate) fn frame(serialize: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    let total = u32::try_from(4 + header.len() + body.len()).expect("fits");
    let word = u32::from(serialize) << 24 | u32::try_from(header.len()).expect("fits");
    [&total.to_be_bytes()[..], &word.to_be_bytes(), header, body].concat()
}

pub(crate) fn encode_one(speaker: &Speaker, out: &Outgoing<'_>) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    encode(speaker, out, &mut buffer).expect("it fits");
    buffer.to_vec()
}

/// Writes what was read, in a form of choice.
pub(crate) fn encode_again(command: &Command, form: HeaderForm) -> Vec<u8> {
    let speaker = Speaker {
        form,
        language: command.language,
        version: command.version,
    };
    encode_one(
        &speaker,
        &Outgoing {
            code: command.code,
            opaque: command.opaque,
            flag: command.flag,
            remark: command.remark.as_deref(),
            header: &command.ext,
            body: &command.body,
        },
    )
}

/// A request as its Java sender writes it.
pub(crate) fn request(
    form: HeaderForm,
    code: i32,
    opaque: i32,
    header: &dyn EncodeHeader,
    body: &[u8],
) -> Vec<u8> {
    let out = Outgoing {
        code,
        opaque,
        flag: 0,
        remark: None,
        header,
        body,
    };
    encode_one(&java(form), &out)
}

/// A response as a Java server writes it.
pub(crate) fn response(
    form: HeaderForm,
    code: i32,
    opaque: i32,
    remark: Option<&str>,
    header: &dyn EncodeHeader,
) -> Vec<u8> {
    let out = Outgoing {
        code,
        opaque,
        flag: 1,
        remark,
        header,
        body: &[],
    };
    encode_one(&java(form), &out)
}

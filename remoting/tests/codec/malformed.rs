//! What a peer may get wrong, and the limits.

use bytes::BytesMut;
use rmq_remoting::code::request::SEND_MESSAGE_V2;
use rmq_remoting::command::{ExtFields, HeaderForm};
use rmq_remoting::frame::{
    EncodeError, FrameDecoder, FrameError, HeaderFault, MAX_FRAME, Outgoing, encode,
};
use rmq_remoting::header::{HeaderError, NoFields};
use rmq_remoting::request::{SendMessageResponse, SendMessageV2};

use crate::support::{decode_one, frame, java, try_decode, unhex};

#[test]
fn a_length_beyond_the_limit_or_below_the_header_s_is_refused_at_once() {
    for (prefix, total) in [
        ("01000000", 16_777_216),
        ("00fffffd", 16_777_213),
        ("ffffffff", -1),
        ("00000000", 0),
        ("00000003", 3),
    ] {
        assert_eq!(
            try_decode(&unhex(prefix)),
            Err(FrameError::Length { total }),
            "{prefix}"
        );
    }
    assert_eq!(try_decode(&unhex("00fffffc")), Ok(None));
    assert_eq!(try_decode(&unhex("00fffc")), Ok(None));
}

#[test]
fn a_frame_of_exactly_the_limit_passes_both_ways() {
    let header = frame(0, b"{\"code\":1}", b"").len();
    let whole = frame(0, b"{\"code\":1}", &vec![7; MAX_FRAME - header]);
    assert_eq!(whole.len(), MAX_FRAME);
    assert_eq!(decode_one(&whole).body.len(), MAX_FRAME - header);

    let mut buffer = BytesMut::from("before");
    let mut out = Outgoing {
        code: 1,
        opaque: 0,
        flag: 0,
        remark: None,
        header: &NoFields,
        body: &[],
    };
    encode(&java(HeaderForm::Json), &out, &mut buffer).unwrap();
    let body = vec![0; MAX_FRAME - (buffer.len() - 6) + 1];
    buffer.truncate(6);
    out.body = &body;
    let result = encode(&java(HeaderForm::Json), &out, &mut buffer);
    assert_eq!(
        (result, &buffer[..]),
        (Err(EncodeError::TooLarge), &b"before"[..])
    );
    out.body = &body[1..];
    encode(&java(HeaderForm::Json), &out, &mut buffer).unwrap();
    assert_eq!(buffer.len() - 6, MAX_FRAME);
}

#[test]
fn a_header_longer_than_its_frame_is_refused() {
    let bytes = unhex("00000008 00000005 7b7d2020");
    assert_eq!(
        try_decode(&bytes),
        Err(FrameError::HeaderLength {
            header: 5,
            frame: 4
        })
    );
}

#[test]
fn a_serialize_byte_of_no_form_is_refused() {
    assert_eq!(
        try_decode(&unhex("0000000a 02000006 000000000000")),
        Err(FrameError::Form { serialize: 2 })
    );
}

#[test]
fn a_json_header_that_is_empty_null_no_object_or_cut_is_refused() {
    for header in [
        "",
        " ",
        "null",
        "[]",
        "1",
        "{",
        "{\"code\"",
        "{\"code\":",
        "{\"code\":1",
        "{\"code\":1,}",
        "{\"code\":}",
        "{code:1}",
        "{\"code\":1}x",
        "{\"code\":\"x\"}",
        "{\"code\":2147483648}",
        "{\"code\":1.5}",
        "{\"code\":true}",
        "{\"remark\":\"\\x\"}",
        "{\"remark\":\"\\u12g4\"}",
        "{\"extFields\":[]}",
        "{\"extFields\":\"\"}",
        "{\"extFields\":{\"a\":}}",
        "{\"x\":[1}",
    ] {
        let result = try_decode(&frame(0, header.as_bytes(), b""));
        assert!(
            matches!(result, Err(FrameError::Header(HeaderFault::Json { .. }))),
            "{header}: {result:?}"
        );
    }
}

#[test]
fn a_header_that_is_not_utf_8_is_refused_in_both_forms() {
    let result = try_decode(&frame(0, b"{\"remark\":\"\xff\"}", b""));
    assert_eq!(result, Err(FrameError::Header(HeaderFault::NotUtf8)));
    let header = unhex("0000 00 01df 00000001 00000001 00000001 ff 00000000");
    assert_eq!(
        try_decode(&frame(1, &header, b"")),
        Err(HeaderFault::NotUtf8.into())
    );
}

#[test]
fn nesting_without_end_is_refused_without_a_stack_overflow() {
    let deep = format!("{{\"x\":{}", "[".repeat(1_000_000));
    assert!(try_decode(&frame(0, deep.as_bytes(), b"")).is_err());
}

#[test]
fn a_binary_header_whose_lengths_overrun_or_leave_bytes_over_is_refused() {
    let sound = unhex("0069 00 01df 00000001 00000000 00000000 00000008 0001 61 00000001 62");
    assert_eq!(decode_one(&frame(1, &sound, b"")).ext.get("a"), Some("b"));
    for (at, byte) in [
        (13, 9),
        (13, 0x80),
        (20, 9),
        (20, 7),
        (22, 2),
        (21, 0x80),
        (27, 2),
    ] {
        let mut header = sound.clone();
        header[at] = byte;
        let result = try_decode(&frame(1, &header, b"body"));
        assert!(
            matches!(result, Err(FrameError::Header(HeaderFault::Lengths { .. }))),
            "byte {at}: {result:?}"
        );
    }
    for cut in 0..sound.len() {
        assert!(
            try_decode(&frame(1, &sound[..cut], b"")).is_err(),
            "cut at {cut}"
        );
    }
}

#[test]
fn entries_with_an_empty_name_or_value_count_as_absent_in_the_binary_form() {
    let header = unhex(
        "0069 00 01df 00000001 00000000 00000000 00000016 \
         0001 61 00000000  0000 00000001 62  0001 63 00000001 64",
    );
    let command = decode_one(&frame(1, &header, b""));
    assert_eq!(command.ext, [("c", "d")].into_iter().collect::<ExtFields>());
}

#[test]
fn a_code_beyond_16_bits_fits_json_only_and_leaves_the_buffer_as_it_was() {
    let out = Outgoing {
        code: 200_050,
        opaque: 0,
        flag: 0,
        remark: None,
        header: &NoFields,
        body: &[],
    };
    let mut buffer = BytesMut::from("before");
    let result = encode(&java(HeaderForm::Rocketmq), &out, &mut buffer);
    assert_eq!(result, Err(EncodeError::Code { code: 200_050 }));
    assert_eq!(buffer, "before");
    encode(&java(HeaderForm::Json), &out, &mut buffer).unwrap();
    assert_eq!(decode_one(&buffer[6..]).code, 200_050);
}

#[test]
fn a_missing_or_wrong_field_of_a_typed_header_is_named() {
    let header = |fields: &str| {
        let text = format!("{{\"code\":{SEND_MESSAGE_V2},\"extFields\":{{{fields}}}}}");
        decode_one(&frame(0, text.as_bytes(), b"x"))
    };
    let whole = r#""b":"t","e":"0","f":"0","g":"1","h":"0""#;
    assert!(header(whole).header::<SendMessageV2<'_>>().is_ok());
    for (field, fields) in ["b", "e", "f", "g", "h"].map(|field| (field, whole.replace(field, "z")))
    {
        let error = header(&fields).header::<SendMessageV2<'_>>().unwrap_err();
        assert_eq!(error, HeaderError::Missing { field });
    }
    let wrong = header(&whole.replace("\"1\"", "\"1x\""));
    let error = wrong.header::<SendMessageV2<'_>>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the header field g is no number of its type: \"1x\""
    );
    let error = wrong.header::<SendMessageResponse<'_>>().unwrap_err();
    assert_eq!(error, HeaderError::Missing { field: "queueId" });
}

#[test]
fn frames_before_a_broken_one_are_still_delivered() {
    let mut input = BytesMut::new();
    input.extend_from_slice(&frame(0, b"{\"code\":1}", b""));
    input.extend_from_slice(&frame(2, b"", b""));
    let mut decoder = FrameDecoder::new();
    assert_eq!(decoder.decode(&mut input).unwrap().unwrap().code, 1);
    assert_eq!(
        decoder.decode(&mut input),
        Err(FrameError::Form { serialize: 2 })
    );
}

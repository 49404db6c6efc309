//! How leniently headers are read, and how frames are cut out of a stream.

use bytes::BytesMut;
use rmq_remoting::command::{Command, HeaderForm, Language};
use rmq_remoting::frame::{FrameDecoder, Outgoing};

use crate::support::{decode_one, encode_one, frame, golden, java};

fn read(header: &str) -> Command {
    decode_one(&frame(0, header.as_bytes(), b""))
}

#[test]
fn a_frame_fed_byte_by_byte_is_one_command() {
    let bytes = golden("GET_ROUTEINFO_BY_TOPIC request, JSON (example A)").remove(0);
    let mut decoder = FrameDecoder::new();
    let mut input = BytesMut::new();
    for byte in &bytes[..bytes.len() - 1] {
        input.extend_from_slice(&[*byte]);
        assert_eq!(decoder.decode(&mut input), Ok(None));
    }
    input.extend_from_slice(&bytes[bytes.len() - 1..]);
    let command = decoder.decode(&mut input).unwrap().unwrap();
    assert_eq!((command.code, command.opaque), (105, 1));
    assert_eq!(command.ext.get("topic"), Some("TopicTest"));
}

#[test]
fn two_frames_in_one_piece_are_two_commands() {
    let json = golden("GET_ROUTEINFO_BY_TOPIC request, JSON (example A)").remove(0);
    let binary = golden("request, ROCKETMQ (example A'").remove(0);
    let mut input = BytesMut::from(&[json, binary].concat()[..]);
    let mut decoder = FrameDecoder::new();
    let first = decoder.decode(&mut input).unwrap().unwrap();
    let second = decoder.decode(&mut input).unwrap().unwrap();
    assert_eq!(
        (first.form, second.form),
        (HeaderForm::Json, HeaderForm::Rocketmq)
    );
    assert_eq!((first.code, first.ext), (second.code, second.ext));
    assert_eq!(decoder.decode(&mut input), Ok(None));
}

#[test]
fn numbers_and_flags_count_as_texts_and_a_code_may_be_one() {
    let command = read(
        r#" { "code" : "310" , "opaque":-5,"extFields" : { "d" : 4 , "m":true, "x":null,"o":{"p":[1]} } } "#,
    );
    assert_eq!((command.code, command.opaque), (310, -5));
    assert_eq!(command.ext.get("d"), Some("4"));
    assert_eq!(command.ext.flag("m"), Some(true));
    assert_eq!(command.ext.get("x"), None);
    assert_eq!(command.ext.get("o"), Some(r#"{"p":[1]}"#));
}

#[test]
fn unknown_keys_are_skipped_whatever_they_hold() {
    let command = read(
        r#"{"a":[1,{"b":"]}\"\\"}],"code":7,"c":-1.5e9,"d":"\u00e9","e":null,"f":false,"flag":1}"#,
    );
    assert_eq!((command.code, command.flag), (7, 1));
}

#[test]
fn absent_fields_have_java_s_defaults() {
    let command = read("{}");
    assert_eq!((command.code, command.version, command.flag), (0, 0, 0));
    assert_eq!(command.language, Language::Java);
    assert_eq!(command.remark, None);
    assert!(command.ext.is_empty() && command.body.is_empty());
    let nulls = read(r#"{"code":null,"flag":null,"remark":null,"extFields":null,"version":null}"#);
    assert_eq!(nulls, command);
}

#[test]
fn frames_without_an_opaque_get_different_numbers_that_no_client_has_counted_to() {
    let mut input = BytesMut::new();
    for _ in 0..2 {
        input.extend_from_slice(&frame(0, b"{\"flag\":1}", b""));
    }
    let mut decoder = FrameDecoder::new();
    let opaques = [(); 2].map(|()| decoder.decode(&mut input).unwrap().unwrap().opaque);
    assert_eq!(opaques, [-1, -2]);
}

#[test]
fn languages_are_known_by_name_and_by_number_and_others_do_not_matter() {
    for (name, code, language) in [
        ("JAVA", 0, Language::Java),
        ("GO", 9, Language::Go),
        ("NODE_JS", 13, Language::NodeJs),
    ] {
        assert_eq!((language.name(), language.code()), (name, code));
        assert_eq!(Language::from_code(code), language);
        assert_eq!(
            read(&format!("{{\"language\":\"{name}\"}}")).language,
            language
        );
    }
    assert_eq!(read(r#"{"language":"COBOL"}"#).language, Language::Unknown);
    assert_eq!(Language::from_code(99), Language::Unknown);
}

#[test]
fn escapes_are_undone_also_in_names_and_also_as_pairs() {
    let command = read(
        r#"{"remark":"\" \\ \/ \b\f\n\r\t \u0001 \u00e9 \ud83d\ude00 \ud83d \ude00\ud83dx","extFields":{"\u0061\n":"\u0001b"}}"#,
    );
    let text = "\" \\ / \u{8}\u{c}\n\r\t \u{1} é 😀 \u{fffd} \u{fffd}\u{fffd}x";
    assert_eq!(command.remark.as_deref(), Some(text));
    assert_eq!(command.ext.get("a\n"), Some("\u{1}b"));
}

#[test]
fn of_a_field_that_occurs_twice_the_last_one_counts() {
    let command = read(r#"{"code":1,"code":2,"extFields":{"a":"1","a":"2"}}"#);
    assert_eq!((command.code, command.ext.get("a")), (2, Some("2")));
}

#[test]
fn texts_are_escaped_as_java_escapes_them() {
    let remark = "a\"\\\n\u{1}\u{1f}\u{7f}\u{80}\u{9f}\u{a0}é\u{2028}€😀";
    let out = Outgoing {
        code: 0,
        opaque: 0,
        flag: 1,
        remark: Some(remark),
        header: &rmq_remoting::header::NoFields,
        body: &[],
    };
    let bytes = encode_one(&java(HeaderForm::Json), &out);
    let text = String::from_utf8_lossy(&bytes[8..]).into_owned();
    let escaped = concat!(
        r#""a\"\\\n\u0001\u001F\u007F\u0080\u009F"#,
        "\u{a0}é",
        r#"\u2028"#,
        "€😀\""
    );
    assert!(text.contains(escaped), "{text}");
    assert_eq!(decode_one(&bytes).remark.as_deref(), Some(remark));
}

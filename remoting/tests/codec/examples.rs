//! The worked examples of the protocol: written to the byte, and read with equal meaning.

use std::collections::BTreeMap;

use rmq_remoting::code::{request, response};
use rmq_remoting::command::{Command, HeaderForm};
use rmq_remoting::header::NoFields;
use rmq_remoting::request::{GetRouteInfoByTopic, SendMessage, SendMessageResponse, SendMessageV2};

use crate::support::{self, decode_one, golden};

const KEY: &str = "7F00000100010000000000000000000A";
const PROPERTIES: &str =
    "UNIQ_KEY\u{1}7F00000100010000000000000000000A\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}";
const FORMS: [HeaderForm; 2] = [HeaderForm::Json, HeaderForm::Rocketmq];

fn name_of(form: HeaderForm) -> &'static str {
    match form {
        HeaderForm::Json => "JSON",
        HeaderForm::Rocketmq => "ROCKETMQ",
    }
}

fn send() -> SendMessage<'static> {
    SendMessage {
        producer_group: Some("pg"),
        topic: "TopicTest",
        default_topic: Some("TBW102"),
        default_topic_queue_nums: Some(4),
        queue_id: 0,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_000,
        flag: 0,
        properties: Some(PROPERTIES),
        reconsume_times: Some(0),
        unit_mode: false,
        max_reconsume_times: None,
        batch: false,
        broker_name: Some("broker-a"),
    }
}

fn stored() -> SendMessageResponse<'static> {
    SendMessageResponse {
        msg_id: "7F00000100002A9F0000000000000000".into(),
        transaction_id: Some(KEY.into()),
        region: Some("DefaultRegion".into()),
        trace_on: Some(true),
        ..SendMessageResponse::default()
    }
}

/// Code, opaque and fields, whatever the order and the form.
fn meaning(command: &Command) -> (i32, i32, i32, BTreeMap<String, String>, Option<String>) {
    let fields = command
        .ext
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let remark = command.remark.as_ref().map(ToString::to_string);
    (command.code, command.opaque, command.flag, fields, remark)
}

#[test]
fn a_route_request_is_written_to_the_byte_in_both_forms() {
    let header = GetRouteInfoByTopic {
        topic: "TopicTest",
        accept_standard_json_only: None,
    };
    for form in FORMS {
        let frame = support::request(form, request::GET_ROUTEINFO_BY_TOPIC, 1, &header, &[]);
        let name = format!(
            "GET_ROUTEINFO_BY_TOPIC request, {} (example A",
            name_of(form)
        );
        assert_eq!(frame, golden(&name)[0], "{name}");
        let command = decode_one(&frame);
        assert_eq!((command.code, command.opaque, command.form), (105, 1, form));
        assert_eq!(command.header::<GetRouteInfoByTopic<'_>>().unwrap(), header);
    }
}

#[test]
fn a_send_is_written_to_the_byte_in_both_forms_and_read_back() {
    let header = SendMessageV2(send());
    for form in FORMS {
        let body = b"Hello RocketMQ";
        let frame = support::request(form, request::SEND_MESSAGE_V2, 2, &header, body);
        let name = format!("SEND_MESSAGE_V2 request, {} (example B)", name_of(form));
        assert_eq!(frame, golden(&name)[0], "{name}");
        let command = decode_one(&frame);
        assert_eq!(command.header::<SendMessageV2<'_>>().unwrap(), header);
        assert_eq!(&command.body[..], body);
    }
}

#[test]
fn a_send_response_is_written_to_the_byte_in_both_forms_and_read_back() {
    for form in FORMS {
        let frame = support::response(form, response::SUCCESS, 2, None, &stored());
        let name = format!("SEND_MESSAGE_V2 response, {} (example C/D)", name_of(form));
        assert_eq!(frame, golden(&name)[0], "{name}");
        let command = decode_one(&frame);
        assert!(command.is_response() && !command.is_oneway());
        assert_eq!(
            command.header::<SendMessageResponse<'_>>().unwrap(),
            stored()
        );
    }
}

#[test]
fn a_refusal_with_a_remark_and_no_fields_is_written_to_the_byte_in_both_forms() {
    let remark = "No topic route info in name server for the topic: TopicTest\nSee \
                  https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";
    for (form, name) in [
        (HeaderForm::Json, "route not found response (example E)"),
        (HeaderForm::Rocketmq, "route not found response, ROCKETMQ"),
    ] {
        let code = response::TOPIC_NOT_EXIST;
        let frame = support::response(form, code, 1, Some(remark), &NoFields);
        assert_eq!(frame, golden(name)[0], "{name}");
        let command = decode_one(&frame);
        assert_eq!(command.remark.as_deref(), Some(remark));
        assert!(command.ext.is_empty());
    }
}

#[test]
fn both_forms_of_one_frame_have_equal_meaning() {
    for (json, binary) in [
        (
            "GET_ROUTEINFO_BY_TOPIC request, JSON (example A)",
            "request, ROCKETMQ (example A'",
        ),
        (
            "SEND_MESSAGE_V2 request, JSON",
            "SEND_MESSAGE_V2 request, ROCKETMQ (example B",
        ),
        (
            "SEND_MESSAGE_V2 response, JSON",
            "SEND_MESSAGE_V2 response, ROCKETMQ (example C",
        ),
        (
            "route not found response (example E)",
            "route not found response, ROCKETMQ",
        ),
    ] {
        let [json, binary] = [json, binary].map(|name| decode_one(&golden(name)[0]));
        assert_eq!(meaning(&json), meaning(&binary));
        assert_eq!(
            (json.form, binary.form),
            (HeaderForm::Json, HeaderForm::Rocketmq)
        );
    }
}

#[test]
fn long_and_short_field_names_say_the_same() {
    let frame = support::request(HeaderForm::Json, request::SEND_MESSAGE, 3, &send(), b"x");
    let command = decode_one(&frame);
    assert_eq!(command.ext.get("defaultTopicQueueNums"), Some("4"));
    assert_eq!(command.ext.get("bname"), Some("broker-a"));
    assert_eq!(command.header::<SendMessage<'_>>().unwrap(), send());
}

//! What the broker does not do it refuses, as a real one that has it switched off; and a few things
//! that it does do, where a real one surprises.

use std::sync::Arc;

use bytes::BytesMut;
use rmq_host::TokioHost;
use rmq_mock_broker::{Config, Profile};
use rmq_remoting::batch::BatchItem;
use rmq_remoting::client::{ClientSettings, RemotingClient};
use rmq_remoting::code::request;
use rmq_remoting::frame::Speaker;
use rmq_remoting::header::{Request, WithBody};
use rmq_remoting::observe::{Name, Silent};
use rmq_remoting::request::{SendBatchMessage, SendMessage, SendMessageV2, UpdateAndCreateTopic};
use rmq_remoting::service::Unsupported;
use rmq_remoting::topic::TopicConfig;
use tokio::time::Instant;

use crate::bench::{Bench, LONG, any_port, bench, config, header, speaker};
use crate::service::{Plain, call};

/// The code and remark of a send with these properties.
async fn answer(bench: &Bench, properties: &str) -> (i32, String) {
    let properties = properties.replace('=', "\u{1}").replace(';', "\u{2}");
    let answer = bench.send_as(header("t", &properties), LONG).await.unwrap();
    let remark = answer.remark.as_deref().unwrap_or_default().to_owned();
    (answer.code, remark)
}

#[tokio::test]
async fn a_message_that_asks_for_a_missing_feature_is_refused_and_not_stored() {
    let bench = bench(config()).await;
    let transaction = "the broker[127.0.0.1] sending transaction message is forbidden";
    let timer = "accurate timer message is not enabled, timerWheelEnable is false";
    for (properties, code, remark) in [
        ("TRAN_MSG=true;PGROUP=g;", 16, transaction),
        ("TRAN_MSG=TRUE;DELAY=3;", 16, transaction),
        ("TIMER_DELAY_SEC=30;", 1, timer),
        ("TIMER_DELAY_MS=1;", 1, timer),
        ("TIMER_DELIVER_MS=1;", 1, timer),
        ("DELAY=3;", 1, "delayed message is not enabled"),
        (
            "DELAY=99;TIMER_DELAY_MS=1;",
            1,
            "delayed message is not enabled",
        ),
        ("DELAY=soon;", 1, "java.lang.NumberFormatException"),
    ] {
        let (is, said) = answer(&bench, properties).await;
        assert_eq!(is, code, "{properties}");
        assert!(said.starts_with(remark), "{properties}: {said}");
    }
    assert!(bench.disk.ledger().is_empty());
    let half = header("t", "TRAN_MSG\u{1}true\u{2}");
    let answered = bench.send_as(half, LONG).await.unwrap();
    assert_eq!(
        answered.ext.get("TRACE_ON"),
        Some("true"),
        "as all refusals"
    );
    for ordinary in ["TRAN_MSG=false;", "DELAY=0;", "DELAY=-1;", "TAGS=DELAY;"] {
        assert_eq!(answer(&bench, ordinary).await.0, 0, "{ordinary}");
    }
    assert_eq!(bench.disk.ledger().len(), 4);
}

#[tokio::test]
async fn the_other_checks_come_before_the_missing_feature() {
    let bench = bench(config()).await;
    let beyond = SendMessage {
        queue_id: 77,
        ..header("t", "TRAN_MSG\u{1}true\u{2}")
    };
    assert_eq!(bench.send_as(beyond, LONG).await.unwrap().code, 29);
    let nameless = header("a b", "TRAN_MSG\u{1}true\u{2}");
    assert_eq!(bench.send_as(nameless, LONG).await.unwrap().code, 29);
}

#[tokio::test]
async fn a_timed_message_is_an_ordinary_one_to_a_broker_that_knows_no_times() {
    let old = Config {
        profile: Profile::V4_9_7,
        ..config()
    };
    let bench = bench(old).await;
    assert_eq!(answer(&bench, "TIMER_DELAY_MS=1;").await.0, 0);
}

#[tokio::test]
async fn a_batch_that_asks_for_a_missing_feature_is_refused_as_a_whole() {
    let bench = bench(config()).await;
    let mut body = BytesMut::new();
    let item = BatchItem {
        flag: 0,
        body: b"m",
        properties: "",
    };
    item.encode(&mut body).unwrap();
    for (properties, sys_flag, code) in [
        ("DELAY\u{1}1\u{2}", 0, 13),
        ("", 4, 13),
        ("TIMER_DELAY_SEC\u{1}1\u{2}", 0, 1),
        ("TRAN_MSG\u{1}true\u{2}", 0, 16),
    ] {
        let batch = SendBatchMessage(SendMessage {
            batch: true,
            sys_flag,
            ..header("t", properties)
        });
        let request = WithBody {
            header: batch,
            body: &body,
        };
        assert_eq!(call(&bench, &request).await.code, code, "{properties:?}");
    }
    assert!(bench.disk.ledger().is_empty());
}

/// A request to create `t` with these attributes.
fn create(attributes: &str) -> UpdateAndCreateTopic<'_> {
    UpdateAndCreateTopic {
        topic: "t",
        default_topic: Some("TBW102"),
        read_queue_nums: 4,
        write_queue_nums: 4,
        perm: 6,
        topic_filter_type: None,
        topic_sys_flag: None,
        order: false,
        attributes: Some(attributes),
        force: None,
    }
}

#[tokio::test]
async fn an_attribute_that_no_topic_may_have_is_refused_and_its_topic_not_created() {
    let bench = bench(config()).await;
    for attributes in ["+message.type=NOPE", "+color=red", "+queue.type=BatchCQ"] {
        let answer = call(&bench, &create(attributes)).await;
        assert_eq!(answer.code, 1, "{attributes}");
    }
    let known = bench.disk.with_topics(|topics| topics.get("t").is_some());
    assert!(!known);
    assert_eq!(call(&bench, &create("+message.type=FIFO")).await.code, 0);
    let asked = Plain(request::GET_TOPIC_CONFIG, &[("topic", "t")]);
    let config = call(&bench, &asked).await.body;
    let config: TopicConfig = rmq_remoting::body::from_json(&config).unwrap();
    assert_eq!(config.attributes["message.type"], "FIFO");
}

#[tokio::test]
async fn an_old_broker_does_not_look_at_attributes() {
    let old = Config {
        profile: Profile::V4_9_7,
        ..config()
    };
    let bench = bench(old).await;
    assert_eq!(call(&bench, &create("+message.type=NOPE")).await.code, 0);
}

#[tokio::test]
async fn a_message_that_was_tried_too_often_is_a_dead_letter_of_its_group() {
    let bench = bench(config()).await;
    let old = Speaker {
        version: 120,
        ..speaker()
    };
    let old = RemotingClient::new(
        Arc::new(TokioHost::new()),
        ClientSettings::new(old),
        Arc::new(Silent),
        Arc::new(Unsupported),
    );
    for (client, tried) in [
        (&bench.client, 4),
        (&bench.client, 3),
        (&old, 5),
        (&bench.client, 9),
    ] {
        let request = WithBody {
            header: SendMessageV2(SendMessage {
                reconsume_times: Some(tried),
                max_reconsume_times: Some(3),
                ..header("%RETRY%g", "")
            }),
            body: b"x",
        };
        let answer = client.call(&bench.at, &request, Instant::now() + LONG);
        assert_eq!(answer.await.unwrap().code, 0);
    }
    let ledger = bench.disk.ledger();
    let stored: Vec<&str> = ledger.iter().map(|entry| &*entry.topic).collect();
    assert_eq!(stored, ["%DLQ%g", "%RETRY%g", "%RETRY%g", "%DLQ%g"]);
    let queues = |name| {
        bench.disk.with_topics(|topics| {
            let topic = topics.get(name).unwrap();
            (topic.write_queue_nums, topic.perm)
        })
    };
    assert_eq!(queues("%DLQ%g"), (1, 6));
}

#[tokio::test]
async fn the_second_port_answers_everything_but_pulls() {
    let config = Config {
        vip: Some(any_port()),
        ..config()
    };
    let bench = bench(config).await;
    let at = Name::from(bench.broker.vip_addr().unwrap().to_string());
    assert_ne!(at, bench.at);
    let send = WithBody {
        header: SendMessageV2(header("t", "UNIQ_KEY\u{1}K\u{2}")),
        body: b"hello",
    };
    let pull = [
        ("consumerGroup", "g"),
        ("topic", "t"),
        ("queueId", "0"),
        ("queueOffset", "0"),
        ("maxMsgNums", "32"),
        ("sysFlag", "4"),
        ("suspendTimeoutMillis", "0"),
    ];
    let pull = Plain(request::PULL_MESSAGE, &pull);
    let ask = async |to: &Name, request: &dyn Request| {
        let answer = bench.client.call(to, request, Instant::now() + LONG);
        answer.await.unwrap().code
    };
    assert_eq!(ask(&at, &send).await, 0);
    assert_eq!(bench.ledger(), [("K".to_owned(), true)]);
    assert_eq!(ask(&at, &pull).await, 3);
    assert_eq!(ask(&bench.at, &pull).await, 0);
}

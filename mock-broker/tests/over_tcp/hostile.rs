//! Clients that mean harm: numbers that size things, texts without end, names with line breaks. Each
//! is answered, and the broker lives on.

use bytes::BytesMut;
use rmq_remoting::batch::BatchItem;
use rmq_remoting::code::request;
use rmq_remoting::header::WithBody;
use rmq_remoting::request::{HeartBeat, SendBatchMessage, SendMessage, UpdateAndCreateTopic};

use crate::bench::{Bench, LONG, bench, config, header};
use crate::service::{Plain, call};

/// Someone else is served as ever.
async fn others_are_served(bench: &Bench) {
    assert_eq!(bench.send("K", LONG).await.unwrap().code, 0);
}

fn create(topic: &str, read: i32, write: i32) -> UpdateAndCreateTopic<'_> {
    UpdateAndCreateTopic {
        topic,
        default_topic: Some("TBW102"),
        read_queue_nums: read,
        write_queue_nums: write,
        perm: 7,
        topic_filter_type: None,
        topic_sys_flag: None,
        order: false,
        attributes: None,
        force: None,
    }
}

#[tokio::test]
async fn statistics_that_fit_no_frame_are_refused_before_they_are_built() {
    let bench = bench(config()).await;
    for (queues, code) in [
        (i32::MAX, 1),
        (200_000, 1),
        (1_000, 0),
        (0, 0),
        (i32::MIN, 0),
    ] {
        assert_eq!(call(&bench, &create("many", queues, queues)).await.code, 0);
        let asked = Plain(request::GET_TOPIC_STATS_INFO, &[("topic", "many")]);
        let answer = call(&bench, &asked).await;
        assert_eq!(answer.code, code, "{queues} queues");
        assert_eq!(answer.body.is_empty(), code != 0);
    }
    others_are_served(&bench).await;
}

#[tokio::test]
async fn a_topic_made_by_a_send_has_no_more_queues_than_its_template() {
    let bench = bench(config()).await;
    for (topic, wish, queues) in [("most", i32::MAX, 8), ("none", i32::MIN, 0), ("some", 3, 3)] {
        let wish = SendMessage {
            default_topic_queue_nums: Some(wish),
            ..header(topic, "")
        };
        let code = bench.send_as(wish, LONG).await.unwrap().code;
        assert_eq!(code == 0, queues > 0, "{topic}");
        let made = bench
            .disk
            .with_topics(|topics| topics.get(topic).unwrap().write_queue_nums);
        assert_eq!(made, queues);
    }
}

#[tokio::test]
async fn numbers_without_sense_are_answered() {
    let bench = bench(config()).await;
    others_are_served(&bench).await;
    let extremes = ["-1", "-2147483648", "2147483647", "-9223372036854775808"];
    for number in extremes
        .into_iter()
        .chain(["9223372036854775807", "1e9", "", "x"])
    {
        for code in [request::GET_MAX_OFFSET, request::GET_MIN_OFFSET] {
            let fields = [("topic", "TopicTest"), ("queueId", number)];
            let answer = call(&bench, &Plain(code, &fields)).await.code;
            assert!([0, 1].contains(&answer), "{code} with {number:?}");
        }
        let by_id = [("offset", number)];
        let answer = call(&bench, &Plain(request::VIEW_MESSAGE_BY_ID, &by_id)).await;
        assert_eq!(answer.code, 1, "{number:?}");
        let fields = [
            "queueId",
            "queueOffset",
            "maxMsgNums",
            "sysFlag",
            "suspendTimeoutMillis",
        ];
        for odd in fields {
            // A pull that is withheld would be answered in its own time.
            let ordinary = |field| if field == "sysFlag" { "4" } else { "0" };
            let value = |field| {
                if field == odd {
                    number
                } else {
                    ordinary(field)
                }
            };
            let mut all = vec![("consumerGroup", "g"), ("topic", "TopicTest")];
            all.extend(fields.map(|field| (field, value(field))));
            let answer = call(&bench, &Plain(request::PULL_MESSAGE, &all)).await.code;
            assert!(
                [0, 1, 20, 21, 24, 29].contains(&answer),
                "{odd}={number:?}: {answer}"
            );
        }
    }
    for (read, write) in [(-1, -1), (0, 0), (i32::MIN, i32::MAX)] {
        assert_eq!(call(&bench, &create("odd", read, write)).await.code, 0);
        for queue_id in [i32::MIN, -1, 0, i32::MAX] {
            let send = SendMessage {
                queue_id,
                reconsume_times: Some(i32::MIN),
                max_reconsume_times: Some(i32::MAX),
                ..header("odd", "")
            };
            let code = bench.send_as(send, LONG).await.unwrap().code;
            assert!([0, 1, 29].contains(&code), "{code}");
        }
    }
    others_are_served(&bench).await;
}

#[tokio::test]
async fn nesting_without_end_and_fields_without_number_are_answered() {
    let bench = bench(config()).await;
    let deep = format!(
        "{{\"clientID\":\"c\",\"x\":{}{}}}",
        "[".repeat(1_000_000),
        "]".repeat(1_000_000)
    );
    for (body, code) in [
        (deep.as_str(), 0),
        (&deep.replace("\"x\"", "\"consumerDataSet\""), 1),
    ] {
        let heartbeat = WithBody {
            header: HeartBeat,
            body: body.as_bytes(),
        };
        assert_eq!(call(&bench, &heartbeat).await.code, code);
    }
    let names: Vec<String> = (0..100_000).map(|n| format!("x{n}")).collect();
    let mut fields: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    fields.push(("topic", "TBW102"));
    let answer = call(&bench, &Plain(request::GET_TOPIC_CONFIG, &fields)).await;
    assert_eq!(answer.code, 0);
    others_are_served(&bench).await;
}

#[tokio::test]
async fn a_remark_that_quotes_a_text_without_end_quotes_its_beginning() {
    let bench = bench(config()).await;
    let long = "\u{1}".repeat(2 << 20);
    let asked = Plain(request::GET_TOPIC_STATS_INFO, &[("topic", &long)]);
    let answer = call(&bench, &asked).await;
    assert_eq!(answer.code, 17);
    assert_eq!(answer.remark.unwrap().len(), 32 * 1024);
}

#[tokio::test]
async fn a_batch_whose_records_would_repeat_its_properties_without_end_is_refused() {
    let bench = bench(config()).await;
    let item = BatchItem {
        flag: 0,
        body: b"",
        properties: "",
    };
    let mut body = BytesMut::new();
    for _ in 0..10_000 {
        item.encode(&mut body).unwrap();
    }
    let ask = async |properties: &str| {
        let batch = SendBatchMessage(SendMessage {
            batch: true,
            ..header("t", properties)
        });
        let request = WithBody {
            header: batch,
            body: &body,
        };
        call(&bench, &request).await.code
    };
    let long = format!("k\u{1}{}\u{2}", "v".repeat(30_000));
    assert_eq!(ask(&long).await, 1);
    assert!(bench.disk.ledger().is_empty());
    assert_eq!(ask("k\u{1}v\u{2}").await, 0);
    assert_eq!(bench.disk.ledger().len(), 10_000);
}

#[tokio::test]
async fn a_pull_that_wants_nothing_of_what_is_there_goes_on_piece_by_piece() {
    let bench = bench(config()).await;
    for key in 0..900 {
        bench.send(&key.to_string(), LONG).await.unwrap();
    }
    let fields = [
        ("consumerGroup", "g"),
        ("topic", "TopicTest"),
        ("queueId", "0"),
        ("queueOffset", "0"),
        ("maxMsgNums", "32"),
        ("sysFlag", "4"),
        ("suspendTimeoutMillis", "0"),
        ("subscription", "none || of these"),
    ];
    let answer = call(&bench, &Plain(request::PULL_MESSAGE, &fields)).await;
    assert_eq!(
        (answer.code, answer.ext.get("nextBeginOffset")),
        (20, Some("800"))
    );
    let mut long = fields.to_vec();
    let endless = "a||".repeat(20_000);
    long[7] = ("subscription", &endless);
    let answer = call(&bench, &Plain(request::PULL_MESSAGE, &long)).await;
    assert_eq!(answer.code, 23);
}

#[tokio::test]
async fn names_with_control_characters_become_no_topics() {
    let bench = bench(config()).await;
    for name in ["a\nb", "a\u{1b}[2Jb", "a\u{0}", "a\u{202e}b"] {
        assert_eq!(
            bench.send_as(header(name, ""), LONG).await.unwrap().code,
            29
        );
        assert_eq!(call(&bench, &create(name, 4, 4)).await.code, 29);
    }
    others_are_served(&bench).await;
}

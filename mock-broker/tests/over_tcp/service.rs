//! What a broker does for clients over real TCP: stores, refuses, survives.

use std::sync::Arc;

use bytes::BytesMut;
use rmq_remoting::batch::BatchItem;
use rmq_remoting::offset_id::OffsetId;

use crate::bench::{Bench, LONG, any_port, bench, bench_on, config, header, until};
use rmq_host::TokioHost;
use rmq_mock_broker::control::NoControl;
use rmq_mock_broker::event::Event;
use rmq_mock_broker::{Broker, Config, Disk, Profile};
use rmq_remoting::code::request;
use rmq_remoting::command::{Command, HeaderForm};
use rmq_remoting::header::{EncodeHeader, FieldWriter, Request, WithBody};
use rmq_remoting::observe::Silent;
use rmq_remoting::record::Record;
use rmq_remoting::request::{
    HeartBeat, HeartBeatResponse, SendBatchMessage, SendMessage, SendMessageResponse,
    SendMessageV2, UpdateAndCreateTopic,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Any request, by its code and fields.
pub(crate) struct Plain<'a>(pub(crate) i32, pub(crate) &'a [(&'a str, &'a str)]);

impl EncodeHeader for Plain<'_> {
    fn write(&self, fields: &mut dyn FieldWriter) {
        for (name, value) in self.1 {
            fields.str(name, value);
        }
    }
}

impl Request for Plain<'_> {
    fn code(&self) -> i32 {
        self.0
    }
}

pub(crate) async fn call(bench: &Bench, request: &dyn Request) -> Command {
    bench
        .client
        .call(&bench.at, request, Instant::now() + LONG)
        .await
        .unwrap()
}

async fn code_of(bench: &Bench, header: SendMessage<'_>) -> i32 {
    bench.send_as(header, LONG).await.unwrap().code
}

#[tokio::test]
async fn a_send_creates_its_topic_from_the_template() {
    let bench = bench(config()).await;
    assert_eq!(code_of(&bench, header("made", "")).await, 0);
    let queues = bench
        .disk
        .with_topics(|topics| topics.get("made").unwrap().write_queue_nums);
    assert_eq!(queues, 4);
    let created = |event: &Event| {
        matches!(
            event,
            Event::TopicCreated {
                automatic: true,
                ..
            }
        )
    };
    assert!(bench.events.heard().iter().any(created));
}

#[tokio::test]
async fn a_topic_is_not_made_where_that_is_off() {
    let bench = bench(Config {
        auto_create: false,
        ..config()
    })
    .await;
    let refused = bench.send_as(header("made", ""), LONG).await.unwrap();
    assert_eq!(refused.code, 17);
    assert_eq!(refused.ext.get("MSG_REGION"), Some("DefaultRegion"));
}

#[tokio::test]
async fn the_worked_example_gets_the_first_place_of_everything() {
    let bench = bench(config()).await;
    let properties = "UNIQ_KEY\u{1}7F00000100010000000000000000000A\u{2}\
                      WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}";
    let request = WithBody {
        header: SendMessageV2(header("TopicTest", properties)),
        body: b"Hello RocketMQ",
    };
    let answer = call(&bench, &request).await;
    assert_eq!(
        (answer.code, answer.remark.as_deref(), answer.body.len()),
        (0, None, 0)
    );
    let place = OffsetId {
        host: bench.broker.local_addr(),
        offset: 0,
    };
    let expected = [
        ("queueId", "0"),
        ("transactionId", "7F00000100010000000000000000000A"),
        ("msgId", &place.to_string()),
        ("TRACE_ON", "true"),
        ("MSG_REGION", "DefaultRegion"),
        ("queueOffset", "0"),
    ];
    assert_eq!(answer.ext, expected.into_iter().collect());
    let entry = bench.disk.ledger().pop().unwrap();
    assert_eq!(entry.record_size(), 238);
}

#[tokio::test]
async fn two_equal_sends_are_two_records_with_one_key() {
    let bench = bench(config()).await;
    for _ in 0..2 {
        bench.send("K", LONG).await.unwrap();
    }
    let places: Vec<_> = bench.disk.with_ledger(|ledger| {
        ledger
            .of_key("K")
            .map(|entry| (entry.queue, entry.offset))
            .collect()
    });
    assert_eq!(places, [(0, 0), (0, 1)]);
}

#[tokio::test]
async fn a_body_over_the_limit_is_illegal_and_a_batch_over_it_an_exception() {
    const LIMIT: usize = 4 * 1024 * 1024;
    let bench = bench(config()).await;
    let body = vec![0; LIMIT + 1];
    let sized = |batch, size| {
        let header = SendMessageV2(SendMessage {
            batch,
            ..header("t", "")
        });
        WithBody {
            header,
            body: &body[..size],
        }
    };
    assert_eq!(call(&bench, &sized(false, LIMIT)).await.code, 0);
    assert_eq!(call(&bench, &sized(false, LIMIT + 1)).await.code, 13);
    assert_eq!(call(&bench, &sized(true, LIMIT + 1)).await.code, 1);
}

#[tokio::test]
async fn a_batch_is_several_records_and_one_answer() {
    let bench = bench(config()).await;
    let mut body = BytesMut::new();
    for key in ["K1", "K2"] {
        let properties = &*format!("UNIQ_KEY\u{1}{key}\u{2}");
        BatchItem {
            flag: 0,
            body: b"m",
            properties,
        }
        .encode(&mut body)
        .unwrap();
    }
    let whole = SendBatchMessage(SendMessage {
        batch: true,
        ..header("t", "")
    });
    let answer = call(
        &bench,
        &WithBody {
            header: whole,
            body: &body,
        },
    )
    .await;
    let answer: SendMessageResponse<'_> = answer.header().unwrap();
    assert_eq!(
        (answer.queue_offset, answer.msg_id.split(',').count()),
        (0, 2)
    );
    assert_eq!(answer.transaction_id, None);
    assert_eq!(
        bench.ledger(),
        [("K1".to_owned(), true), ("K2".to_owned(), true)]
    );
    let cut = WithBody {
        header: SendBatchMessage(SendMessage {
            batch: true,
            ..header("t", "")
        }),
        body: &body[..body.len() - 1],
    };
    assert_eq!(call(&bench, &cut).await.code, 1);
    assert_eq!(bench.disk.ledger().len(), 2, "all or nothing");
}

#[tokio::test]
async fn a_topic_that_may_not_be_written_still_accepts() {
    let bench = bench(config()).await;
    let read_only = UpdateAndCreateTopic {
        topic: "t",
        default_topic: None,
        read_queue_nums: 4,
        write_queue_nums: 4,
        perm: 4,
        topic_filter_type: None,
        topic_sys_flag: None,
        order: false,
        attributes: None,
        force: None,
    };
    assert_eq!(call(&bench, &read_only).await.code, 0);
    assert_eq!(code_of(&bench, header("t", "")).await, 0);
}

#[tokio::test]
async fn refusals_carry_the_code_of_the_release() {
    for (profile, invalid) in [(Profile::V5_3_3, 29), (Profile::V5_2_0, 1)] {
        let bench = bench(Config {
            profile,
            topics: vec![("t".into(), 4)],
            ..config()
        })
        .await;
        let beyond = SendMessage {
            queue_id: 4,
            ..header("t", "")
        };
        assert_eq!(code_of(&bench, beyond).await, invalid);
        assert_eq!(code_of(&bench, header("a b", "")).await, invalid);
        assert_eq!(code_of(&bench, header("SELF_TEST_TOPIC", "")).await, 16);
    }
}

#[tokio::test]
async fn a_negative_queue_id_means_any_queue_and_the_answer_says_which() {
    let bench = bench(Config {
        topics: vec![("t".into(), 4)],
        ..config()
    })
    .await;
    for _ in 0..8 {
        let any = SendMessage {
            queue_id: -1,
            ..header("t", "")
        };
        let answer = bench.send_as(any, LONG).await.unwrap();
        let answer: SendMessageResponse<'_> = answer.header().unwrap();
        assert!((0..4).contains(&answer.queue_id));
        let stored = bench.disk.ledger().pop().unwrap();
        assert_eq!(stored.queue, answer.queue_id);
    }
}

#[tokio::test]
async fn the_long_names_of_code_10_and_the_binary_form_mean_the_same() {
    let bench = bench(Config {
        form: HeaderForm::Rocketmq,
        ..config()
    })
    .await;
    let request = WithBody {
        header: header("t", "UNIQ_KEY\u{1}K\u{2}"),
        body: b"x",
    };
    let answer = call(&bench, &request).await;
    assert_eq!((answer.code, answer.form), (0, HeaderForm::Rocketmq));
    assert_eq!(bench.ledger(), [("K".to_owned(), true)]);
}

#[tokio::test]
async fn a_message_without_a_unique_key_gets_one() {
    let bench = bench(config()).await;
    let answer = bench.send_as(header("t", ""), LONG).await.unwrap();
    let answer: SendMessageResponse<'_> = answer.header().unwrap();
    let made = answer.transaction_id.unwrap();
    assert_eq!(made.len(), 32);
    assert_eq!(bench.ledger(), [(made.into_owned(), true)]);
}

#[tokio::test]
async fn what_was_stored_can_be_pulled() {
    let bench = bench(config()).await;
    bench.send("K", LONG).await.unwrap();
    let fields = [
        ("consumerGroup", "g"),
        ("topic", "TopicTest"),
        ("queueId", "0"),
        ("queueOffset", "0"),
        ("maxMsgNums", "32"),
        ("sysFlag", "4"),
        ("suspendTimeoutMillis", "0"),
    ];
    let mut body = call(&bench, &Plain(request::PULL_MESSAGE, &fields))
        .await
        .body;
    let record = Record::decode(&mut body).unwrap();
    assert_eq!(
        (&record.body[..], &*record.topic),
        (&b"hello"[..], "TopicTest")
    );
    assert!(
        record
            .properties
            .contains("CLUSTER\u{1}DefaultCluster\u{2}")
    );
    assert!(body.is_empty());
}

#[tokio::test]
async fn a_slave_turns_sends_and_pulls_away() {
    let bench = bench(Config { id: 1, ..config() }).await;
    let fields = [("consumerGroup", "g"), ("topic", "TBW102")];
    let pull = call(&bench, &Plain(request::PULL_MESSAGE, &fields)).await;
    let send = bench.send("K", LONG).await.unwrap();
    for answer in [pull, send] {
        let remark = answer.remark.as_deref().unwrap_or_default();
        assert_eq!(answer.code, 2);
        assert!(remark.starts_with("[REJECTREQUEST]"), "{remark}");
    }
    assert!(bench.disk.ledger().is_empty());
}

#[tokio::test]
async fn an_administrator_creates_and_changes_a_topic() {
    let bench = bench(config()).await;
    let topic = |queues| UpdateAndCreateTopic {
        topic: "made",
        default_topic: Some("TBW102"),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm: 6,
        topic_filter_type: None,
        topic_sys_flag: None,
        order: false,
        attributes: None,
        force: None,
    };
    for queues in [5, 2] {
        assert_eq!(call(&bench, &topic(queues)).await.code, 0);
        let known = bench
            .disk
            .with_topics(|topics| topics.get("made").unwrap().write_queue_nums);
        assert_eq!(known, queues);
    }
    let system = UpdateAndCreateTopic {
        topic: "SELF_TEST_TOPIC",
        ..topic(1)
    };
    assert_eq!(call(&bench, &system).await.code, 29);
}

#[tokio::test]
async fn a_heartbeat_is_answered_as_the_release_does() {
    let heartbeat = WithBody {
        header: HeartBeat,
        body: br#"{"clientID":"c"}"#,
    };
    let modern = bench(config()).await;
    let answer = call(&modern, &heartbeat).await;
    assert!(answer.header::<HeartBeatResponse>().unwrap().supports_v2);
    let old = bench(Config {
        profile: Profile::V4_9_7,
        ..config()
    })
    .await;
    let answer = call(&old, &heartbeat).await;
    assert_eq!((answer.code, answer.version, answer.ext.len()), (0, 407, 0));
    let garbage = WithBody {
        header: HeartBeat,
        body: b"garbage",
    };
    assert_eq!(call(&old, &garbage).await.code, 1);
}

#[tokio::test]
async fn a_restart_with_its_disk_goes_on_where_it_was() {
    let disk = Arc::new(Disk::new());
    for expected in [0, 1] {
        let bench = bench_on(config(), Arc::clone(&disk)).await;
        let answer = bench.send("K", LONG).await.unwrap();
        let answer: SendMessageResponse<'_> = answer.header().unwrap();
        assert_eq!(answer.queue_offset, expected);
    }
    assert_eq!(disk.ledger().len(), 2);
}

#[tokio::test]
async fn bad_input_closes_that_connection_and_nothing_else() {
    let bench = bench(config()).await;
    bench.send("K", LONG).await.unwrap();
    for bad in [
        &b"\xff\xff\xff\xffand so on"[..],
        b"\0\0\0\x04\0\0\0\0and so on",
        b"\0\0\0\x0a\x02\0\0\x06abcdef",
    ] {
        let mut stream = TcpStream::connect(bench.broker.local_addr()).await.unwrap();
        stream.write_all(bad).await.unwrap();
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0, "{bad:?}");
    }
    bench.send("L", LONG).await.unwrap();
    let accepted = |event: &Event| matches!(event, Event::Accepted { .. });
    let ended = |event: &Event| matches!(event, Event::Disconnected { .. });
    let count = |kind: &dyn Fn(&Event) -> bool| {
        bench
            .events
            .heard()
            .iter()
            .filter(|event| kind(event))
            .count()
    };
    until("the three are gone", || count(&ended) == 3).await;
    assert_eq!(count(&accepted), 4, "the client kept its connection");
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let bench = bench(config()).await;
    let taken = Config::new("other", bench.broker.local_addr());
    let host = Arc::new(TokioHost::new());
    let disk = Arc::new(Disk::new());
    let second = Broker::start(host, taken, disk, Arc::new(NoControl), Arc::new(Silent)).await;
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    assert_ne!(bench.broker.local_addr(), any_port());
}

#[tokio::test]
async fn the_first_store_time_of_a_queue_is_told_and_minus_one_of_an_empty_one() {
    let bench = bench(config()).await;
    assert_eq!(code_of(&bench, header("T", "")).await, 0);
    assert_eq!(code_of(&bench, header("T", "")).await, 0);
    let stored = bench.disk.with_ledger(|ledger| {
        let entries = ledger.entries().iter();
        entries.map(|it| (it.queue, it.at_ms)).collect::<Vec<_>>()
    });
    let (queue, first_ms) = stored[0];
    let code = request::GET_EARLIEST_MSG_STORETIME;
    for (queue, expected) in [(queue, first_ms), (queue + 1, -1)] {
        let fields = [("topic", "T"), ("queueId", &*queue.to_string())];
        let answer = call(&bench, &Plain(code, &fields)).await;
        let told: i64 = answer.ext.number("timestamp").unwrap();
        assert_eq!((answer.code, told), (0, expected), "queue {queue}");
    }
    let answer = call(&bench, &Plain(code, &[("topic", "T")])).await;
    assert_eq!(answer.code, 1, "no queue is named");
}

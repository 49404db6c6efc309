//! What one client can make a broker hold, in bytes, counted by the allocator.
//!
//! The allocator counts for the whole process, so the tests of this file run one after the other.

#![expect(
    clippy::unwrap_used,
    reason = "a failed step fails the test, and helpers are part of the test"
)]

use std::alloc::System;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use rmq_host::TokioHost;
use rmq_mock_broker::control::NoControl;
use rmq_mock_broker::{Broker, Config, Disk};
use rmq_remoting::command::{Command, HeaderForm, Language};
use rmq_remoting::frame::{FrameDecoder, Outgoing, Speaker, encode};
use rmq_remoting::header::{EncodeHeader, FieldWriter};
use rmq_remoting::observe::Silent;
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

static ALONE: Mutex<()> = Mutex::new(());

const MIB: usize = 1 << 20;

/// Runs a test while no other one runs.
fn alone(test: impl Future<Output = ()>) {
    let _alone = ALONE.lock();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

/// How many bytes are held more than at `before`.
fn held_since(before: Stats) -> usize {
    let now = ALLOCATOR.stats();
    let asked = now.bytes_allocated - before.bytes_allocated;
    asked.saturating_sub(now.bytes_deallocated - before.bytes_deallocated)
}

struct Fields<'a>(&'a [(&'a str, &'a str)]);

impl EncodeHeader for Fields<'_> {
    fn write(&self, fields: &mut dyn FieldWriter) {
        for (name, value) in self.0 {
            fields.str(name, value);
        }
    }
}

/// A client of raw frames.
struct Raw {
    stream: TcpStream,
    input: BytesMut,
    decoder: FrameDecoder,
}

fn frame(code: i32, fields: &[(&str, &str)], body: &[u8]) -> BytesMut {
    let speaker = Speaker {
        form: HeaderForm::Json,
        language: Language::Java,
        version: 479,
    };
    let outgoing = Outgoing {
        code,
        opaque: 1,
        flag: 0,
        remark: None,
        header: &Fields(fields),
        body,
    };
    let mut frame = BytesMut::new();
    encode(&speaker, &outgoing, &mut frame).unwrap();
    frame
}

impl Raw {
    async fn dial(broker: &Broker) -> Self {
        Self {
            stream: TcpStream::connect(broker.local_addr()).await.unwrap(),
            input: BytesMut::new(),
            decoder: FrameDecoder::new(),
        }
    }

    async fn ask(&mut self, code: i32, fields: &[(&str, &str)], body: &[u8]) -> Command {
        let frame = frame(code, fields, body);
        self.stream.write_all(&frame).await.unwrap();
        loop {
            if let Some(command) = self.decoder.decode(&mut self.input).unwrap() {
                return command;
            }
            let read = self.stream.read_buf(&mut self.input).await.unwrap();
            assert!(read > 0, "closed");
        }
    }

    /// Writes the same frame again and again until the broker takes no more, or `most` times.
    async fn flood(&mut self, frame: &[u8], most: usize) {
        let patience = Duration::from_millis(500);
        for _ in 0..most {
            let written = timeout(patience, self.stream.write_all(frame)).await;
            if written.is_err() {
                return;
            }
        }
    }
}

async fn broker() -> Broker {
    let config = Config {
        topics: vec![("orders".into(), 4)],
        ..Config::new("broker-a", ([127, 0, 0, 1], 0).into())
    };
    Broker::start(
        Arc::new(TokioHost::new()),
        config,
        Arc::new(Disk::new()),
        Arc::new(NoControl),
        Arc::new(Silent),
    )
    .await
    .unwrap()
}

fn pull(flags: &'static str) -> [(&'static str, &'static str); 7] {
    [
        ("consumerGroup", "g"),
        ("topic", "orders"),
        ("queueId", "0"),
        ("queueOffset", "0"),
        ("maxMsgNums", "32"),
        ("sysFlag", flags),
        ("suspendTimeoutMillis", "600000"),
    ]
}

const SEND: [(&str, &str); 8] = [
    ("a", "g"),
    ("b", "orders"),
    ("c", "TBW102"),
    ("d", "4"),
    ("e", "0"),
    ("f", "0"),
    ("g", "1"),
    ("h", "0"),
];

#[test]
fn a_client_that_pulls_and_reads_nothing_is_held_to_its_buffer() {
    alone(async {
        let broker = broker().await;
        let mut bystander = Raw::dial(&broker).await;
        let body = vec![b'x'; 4 * MIB];
        assert_eq!(bystander.ask(310, &SEND, &body).await.code, 0);
        drop(body);
        let before = ALLOCATOR.stats();
        let mut hostile = Raw::dial(&broker).await;
        // A hundred requests arrive with one read; each answer is 4 MiB.
        let burst = frame(11, &pull("4"), b"").repeat(100);
        hostile.flood(&burst, 10).await;
        for _ in 0..3 {
            assert_eq!(bystander.ask(310, &SEND, b"x").await.code, 0);
        }
        let held = held_since(before);
        assert!(held < 64 * MIB, "{held} bytes are held");
    });
}

#[test]
fn withheld_pulls_do_not_answer_all_at_once_into_memory() {
    alone(async {
        let broker = broker().await;
        let mut bystander = Raw::dial(&broker).await;
        let mut hostile = Raw::dial(&broker).await;
        let burst = frame(11, &pull("6"), b"").repeat(100);
        hostile.flood(&burst, 10).await;
        assert_eq!(bystander.ask(28, &[], b"").await.code, 0);
        let before = ALLOCATOR.stats();
        let body = vec![b'x'; 4 * MIB];
        assert_eq!(bystander.ask(310, &SEND, &body).await.code, 0);
        for _ in 0..10 {
            assert_eq!(bystander.ask(28, &[], b"").await.code, 0);
        }
        let held = held_since(before);
        assert!(held < 64 * MIB, "{held} bytes are held");
    });
}

#[test]
fn withheld_pulls_are_bounded_by_what_they_hold() {
    alone(async {
        let broker = broker().await;
        let mut bystander = Raw::dial(&broker).await;
        let before = ALLOCATOR.stats();
        let mut hostile = Raw::dial(&broker).await;
        // Bodies of pulls mean nothing, and may be long.
        let request = frame(11, &pull("6"), &vec![b'x'; MIB]);
        hostile.flood(&request, 200).await;
        assert_eq!(bystander.ask(310, &SEND, b"x").await.code, 0);
        let held = held_since(before);
        assert!(held < 64 * MIB, "{held} bytes are held");
    });
}

#[test]
fn sends_that_are_refused_leave_nothing_behind() {
    alone(async {
        let broker = broker().await;
        let mut hostile = Raw::dial(&broker).await;
        let before = ALLOCATOR.stats();
        for n in 0..64 {
            let properties = format!("UNIQ_KEY\u{1}{n}{}\u{2}", "k".repeat(MIB));
            let mut fields = SEND.to_vec();
            fields.push(("i", &properties));
            assert_eq!(hostile.ask(310, &fields, b"x").await.code, 13);
            let unknown = 1_000_000 + n;
            assert_eq!(hostile.ask(unknown, &[], b"").await.code, 3);
        }
        let held = held_since(before);
        assert!(held < 8 * MIB, "{held} bytes are held");
    });
}

#[test]
fn statistics_of_two_billion_queues_take_no_memory() {
    alone(async {
        let broker = broker().await;
        let mut hostile = Raw::dial(&broker).await;
        let create = [
            ("topic", "many"),
            ("defaultTopic", "TBW102"),
            ("readQueueNums", "2147483647"),
            ("writeQueueNums", "2147483647"),
            ("perm", "6"),
            ("topicFilterType", "SINGLE_TAG"),
            ("order", "false"),
        ];
        assert_eq!(hostile.ask(17, &create, b"").await.code, 0);
        let before = ALLOCATOR.stats();
        let answer = hostile.ask(202, &[("topic", "many")], b"").await;
        assert_eq!(answer.code, 1);
        let asked = ALLOCATOR.stats().bytes_allocated - before.bytes_allocated;
        assert!(asked < MIB, "{asked} bytes were asked for");
    });
}

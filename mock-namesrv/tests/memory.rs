//! What one peer can make a name server hold, in bytes, counted by the allocator.
//!
//! The allocator counts for the whole process, so the tests of this file run one after the other.

#![expect(
    clippy::unwrap_used,
    reason = "a failed step fails the test, and helpers are part of the test"
)]

use std::alloc::System;
use std::fmt::Write as _;
use std::future::Future;
use std::io::Write as _;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use parking_lot::Mutex;
use rmq_host::TokioHost;
use rmq_mock_namesrv::control::NoControl;
use rmq_mock_namesrv::{Config, NameServer};
use rmq_remoting::command::{Command, HeaderForm, Language};
use rmq_remoting::frame::{FrameDecoder, Outgoing, Speaker, encode};
use rmq_remoting::header::{EncodeHeader, FieldWriter};
use rmq_remoting::observe::Silent;
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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

/// How many bytes are held more than at `before`, and how many were asked for meanwhile.
fn since(before: Stats) -> (usize, usize) {
    let now = ALLOCATOR.stats();
    let asked = now.bytes_allocated - before.bytes_allocated;
    let given_back = now.bytes_deallocated - before.bytes_deallocated;
    (asked.saturating_sub(given_back), asked)
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
    async fn dial(server: &NameServer) -> Self {
        Self {
            stream: TcpStream::connect(server.local_addr()).await.unwrap(),
            input: BytesMut::new(),
            decoder: FrameDecoder::new(),
        }
    }

    async fn send(&mut self, code: i32, fields: &[(&str, &str)], body: &[u8]) {
        let frame = frame(code, fields, body);
        self.stream.write_all(&frame).await.unwrap();
    }

    async fn answer(&mut self) -> Command {
        loop {
            if let Some(command) = self.decoder.decode(&mut self.input).unwrap() {
                return command;
            }
            let read = self.stream.read_buf(&mut self.input).await.unwrap();
            assert!(read > 0, "closed");
        }
    }

    async fn ask(&mut self, code: i32, fields: &[(&str, &str)], body: &[u8]) -> Command {
        self.send(code, fields, body).await;
        self.answer().await
    }

    /// Registers as this broker.
    async fn register(&mut self, broker: &str, compressed: bool, body: &[u8]) -> Command {
        let fields = [
            ("brokerName", broker),
            ("brokerAddr", broker),
            ("clusterName", "c"),
            ("brokerId", "0"),
            ("compressed", if compressed { "true" } else { "false" }),
        ];
        self.ask(103, &fields, body).await
    }
}

async fn server() -> NameServer {
    let config = Config::new(([127, 0, 0, 1], 0).into());
    let host = Arc::new(TokioHost::new());
    NameServer::start(host, config, Arc::new(NoControl), Arc::new(Silent))
        .await
        .unwrap()
}

fn packed(plain: &[u8]) -> Vec<u8> {
    let mut compressor = ZlibEncoder::new(Vec::new(), Compression::best());
    compressor.write_all(plain).unwrap();
    compressor.finish().unwrap()
}

/// A compressed body with so many topics of the shortest possible description.
fn many_topics(count: u32) -> Vec<u8> {
    let mut plain = b"\0\0\0\x02{}".to_vec();
    plain.put_u32(count);
    for n in 0..count {
        let line = format!("{n} 1 1 6 S {{\"a\":\"b\"}}");
        plain.put_u32(u32::try_from(line.len()).unwrap());
        plain.put_slice(line.as_bytes());
    }
    plain.put_slice(b"\0\0\0\x02[]");
    packed(&plain)
}

#[test]
fn a_registration_that_unfolds_without_end_leaves_nothing_behind() {
    alone(async {
        let bombs = [
            packed(&vec![0; 64 * MIB]),
            packed(&vec![b'['; 64 * MIB]),
            many_topics(1_500_000),
        ];
        let server = server().await;
        let mut peer = Raw::dial(&server).await;
        let mut bystander = Raw::dial(&server).await;
        for bomb in &bombs {
            let before = ALLOCATOR.stats();
            assert_eq!(peer.register("bomb", true, bomb).await.code, 1);
            let (held, asked) = since(before);
            assert!(held < 2 * MIB + 2 * bomb.len(), "{held} bytes are held");
            assert!(asked < 128 * MIB, "{asked} bytes were asked for");
        }
        let topic = [("topic", "nobody's")];
        assert_eq!(bystander.ask(105, &topic, b"").await.code, 17);
    });
}

#[test]
fn of_a_registration_only_what_routes_say_is_kept() {
    alone(async {
        let mut text = String::from(r#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"#);
        for n in 0..1_000 {
            let comma = if n == 0 { "" } else { "," };
            let long = "v".repeat(4_000);
            write!(text, r#"{comma}"t{n}":{{"attributes":{{"k":"{long}"}}}}"#).unwrap();
        }
        text.push_str(r#"},"topicQueueMappingDetailMap":{"x":["#);
        text.push_str(&"[],".repeat(1_000_000));
        text.push_str("[]]}}}");
        assert!(text.len() > 7_000_000);
        let server = server().await;
        let mut peer = Raw::dial(&server).await;
        let before = ALLOCATOR.stats();
        let body = text.into_bytes();
        assert_eq!(peer.register("broker-a", false, &body).await.code, 0);
        drop(body);
        let (held, _) = since(before);
        assert!(held < 2 * MIB, "{held} bytes are held");
        let route = peer.ask(105, &[("topic", "t7")], b"").await;
        assert_eq!(route.code, 0);
    });
}

#[test]
fn what_one_connection_makes_the_tables_hold_has_an_end() {
    alone(async {
        let server = server().await;
        let mut peer = Raw::dial(&server).await;
        let before = ALLOCATOR.stats();
        let mut refused = 0;
        for round in 0..8 {
            let names = (0..40_000).map(|n| format!("\"topic-{round}-{n}\":{{}}"));
            let table = names.collect::<Vec<_>>().join(",");
            let body =
                format!("{{\"topicConfigSerializeWrapper\":{{\"topicConfigTable\":{{{table}}}}}}}");
            let answer = peer.register("broker-a", false, body.as_bytes()).await;
            refused += usize::from(answer.code == 1);
        }
        assert!(refused >= 4, "{refused} were refused");
        let long = "v".repeat(4 * MIB);
        let mut put = 0;
        for n in 0..32 {
            let fields = [
                ("namespace", "n"),
                ("key", &*n.to_string()),
                ("value", &long),
            ];
            put += usize::from(peer.ask(100, &fields, b"").await.code == 0);
        }
        assert!(put < 16, "{put} values were taken");
        let (held, _) = since(before);
        assert!(held < 160 * MIB, "{held} bytes are held");
        let mut other = Raw::dial(&server).await;
        let body = br#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"a":{},"b":{}}}}"#;
        assert_eq!(other.register("broker-b", false, body).await.code, 0);
        assert_eq!(other.ask(105, &[("topic", "a")], b"").await.code, 0);
    });
}

#[test]
fn answers_that_nobody_reads_are_not_made() {
    alone(async {
        let server = server().await;
        let mut broker = Raw::dial(&server).await;
        let names = (0..20_000).map(|n| format!("\"topic-{n}\":{{}}"));
        let table = names.collect::<Vec<_>>().join(",");
        let body =
            format!("{{\"topicConfigSerializeWrapper\":{{\"topicConfigTable\":{{{table}}}}}}}");
        assert_eq!(broker.register("a", false, body.as_bytes()).await.code, 0);
        let mut peer = Raw::dial(&server).await;
        let before = ALLOCATOR.stats();
        // Each answer is 280 kB; a thousand of them are asked for in one piece.
        for _ in 0..1_000 {
            peer.send(206, &[], b"").await;
        }
        let mut bystander = Raw::dial(&server).await;
        for _ in 0..20 {
            let route = bystander.ask(105, &[("topic", "topic-7")], b"").await;
            assert_eq!(route.code, 0);
        }
        let (held, _) = since(before);
        assert!(held < 48 * MIB, "{held} bytes are held");
    });
}

#[test]
fn a_frame_that_is_announced_takes_memory_only_as_it_comes() {
    alone(async {
        let server = server().await;
        let mut peers = Vec::new();
        let before = ALLOCATOR.stats();
        for _ in 0..100 {
            let mut peer = Raw::dial(&server).await;
            let start = b"\x00\xff\xff\xfc\0\0\0\x20{\"code\":105";
            peer.stream.write_all(start).await.unwrap();
            peers.push(peer);
        }
        let mut bystander = Raw::dial(&server).await;
        let topic = [("topic", "nobody's")];
        assert_eq!(bystander.ask(105, &topic, b"").await.code, 17);
        let (held, _) = since(before);
        assert!(held < 8 * MIB, "{held} bytes are held");
    });
}

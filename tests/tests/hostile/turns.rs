//! Peers that always have more to say: what one connection reads in one turn is bounded.
//!
//! A simulated network ends each turn by its window. Here the stream itself never ends: whatever
//! is read, more is there at once, so a connection that reads until nothing is left never gives
//! the thread back.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use rmq_host::{BoxFuture, Connection, Host, Identity, Listener, SharedHost, Task, TokioHost};
use rmq_remoting::client::{ClientSettings, RemotingClient};
use rmq_remoting::command::{FLAG_RESPONSE, HeaderForm, Language};
use rmq_remoting::frame::Speaker;
use rmq_remoting::header::NoFields;
use rmq_remoting::observe::{Name, Silent};
use rmq_remoting::request::GetRouteInfoByTopic;
use rmq_remoting::service::Unsupported;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::yield_now;
use tokio::time::{Duration, Instant};

use crate::peers::frame;
use crate::stage::{alone, live};

/// After so many bytes the stream gives up on a reader that never ends.
const FLOOD: usize = 256 << 20;
/// Bytes that a connection may read before another task has its turn.
const ONE_TURN: usize = 4 << 20;

/// Bytes that may be left of a flood when its client is gone.
const MOST_LEFT: usize = 1 << 20;

/// A machine whose every connection is a flood.
#[derive(Debug)]
struct Flooded {
    machine: TokioHost,
    words: Arc<[u8]>,
    read: Arc<AtomicUsize>,
}

impl Host for Flooded {
    fn connect(&self, _: &str) -> BoxFuture<'static, io::Result<Connection>> {
        let stream = Flood {
            words: Arc::clone(&self.words),
            at: 0,
            read: Arc::clone(&self.read),
        };
        let here = SocketAddr::from(([127, 0, 0, 1], 1));
        Box::pin(async move {
            Ok(Connection {
                stream: Box::new(stream),
                local: here,
                peer: here,
            })
        })
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        self.machine.listen(at)
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        self.machine.spawn(name, task)
    }

    fn unix_millis(&self) -> i64 {
        0
    }

    fn draw(&self, _: &'static str, position: u64) -> u64 {
        position
    }

    fn identity(&self) -> Identity {
        self.machine.identity()
    }
}

/// The same words for ever; what is written is gone.
struct Flood {
    words: Arc<[u8]>,
    at: usize,
    read: Arc<AtomicUsize>,
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.load(Ordering::Relaxed) > FLOOD {
            return Poll::Ready(Ok(()));
        }
        let words = Arc::clone(&self.words);
        while buffer.remaining() > 0 {
            let piece = &words[self.at..];
            let count = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece[..count]);
            self.at = (self.at + count) % words.len();
            self.read.fetch_add(count, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Calls a server that floods; what was read at each of this task's own next turns.
fn turns(words: Vec<u8>) -> Vec<usize> {
    // One poll of one task between two of this one: without it Tokio does 61.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .event_interval(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let read = Arc::new(AtomicUsize::new(0));
        let host: SharedHost = Arc::new(Flooded {
            machine: TokioHost::new(),
            words: words.into(),
            read: Arc::clone(&read),
        });
        let speaker = Speaker {
            form: HeaderForm::Json,
            language: Language::Rust,
            version: 479,
        };
        let settings = ClientSettings::new(speaker);
        let client = RemotingClient::new(host, settings, Arc::new(Silent), Arc::new(Unsupported));
        let until = Instant::now() + Duration::from_secs(600);
        let to = Name::from("flood:1");
        let ask = GetRouteInfoByTopic {
            topic: "orders",
            accept_standard_json_only: None,
        };
        let mut call = Box::pin(client.call(&to, &ask, until));
        let mut turns = Vec::new();
        for _ in 0..20 {
            tokio::select! {
                biased;
                _ = &mut call => break,
                () = yield_now() => turns.push(read.load(Ordering::Relaxed)),
            }
        }
        turns
    })
}

#[track_caller]
fn assert_bounded(turns: &[usize]) {
    assert!(turns.len() == 20, "the connection ended: {turns:?}");
    assert!(turns.last() > Some(&0), "nothing was read: {turns:?}");
    for pair in turns.windows(2) {
        let read = pair[1] - pair[0];
        assert!(read <= ONE_TURN, "{read} bytes were read in one turn");
    }
}

#[test]
fn a_peer_that_always_has_more_answers_leaves_a_turn_to_others() {
    let _alone = alone();
    assert_bounded(&turns(frame(0, -77, FLAG_RESPONSE, None, &NoFields, b"!")));
}

#[test]
fn a_peer_that_always_has_more_requests_leaves_a_turn_to_others_and_fills_no_memory() {
    let _alone = alone();
    let before = live();
    let turns = turns(frame(9_999, 1, 0, None, &NoFields, b"?"));
    // The answers go away as fast as they are written here; reading is what must be shared.
    assert_bounded(&turns);
    let held = live().saturating_sub(before);
    assert!(held < MOST_LEFT, "{held} bytes are held");
}

#[test]
fn a_reader_without_a_bound_is_told() {
    // A panic reads the program's symbols for its backtrace, which are some fifty megabytes.
    let _alone = alone();
    let unbounded = std::panic::catch_unwind(|| assert_bounded(&[0; 20].map(|_: i32| 0)));
    assert!(unbounded.is_err(), "nothing was read");
    let mut turns = vec![0; 19];
    turns.push(FLOOD);
    assert!(std::panic::catch_unwind(|| assert_bounded(&turns)).is_err());
}

//! Clients that mean harm, or are merely broken: what they cost the server, and that nobody else pays.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut, BytesMut};
use parking_lot::Mutex;
use rmq_host::{BoxFuture, Connection, Host, Identity, Listener, SharedHost, Task, TokioHost};
use rmq_remoting::command::Command;
use rmq_remoting::server::{Server, ServerSettings};
use rmq_remoting::service::{Answer, Peer, Reply, Response, Service};
use tokio::io::AsyncReadExt;
use tokio::time::{Duration, Instant};

use crate::support::{ECHO, Hand, Memory, SILENT, SLOW, SPEAKER, frame, pause};

const AT: &str = "127.0.0.1:1";

async fn dial(memory: &Memory) -> Hand {
    Hand::new(memory.connect(AT).await.unwrap())
}

async fn serve(host: SharedHost, settings: ServerSettings, service: Arc<dyn Service>) -> Server {
    let at = AT.parse().unwrap();
    Server::start(host, at, settings, service).await.unwrap()
}

/// A request of the other connection is answered, and how many virtual milliseconds that takes.
async fn echo(hand: &mut Hand) -> u128 {
    let began = Instant::now();
    hand.ask(ECHO, 7, b"still here?").await;
    let answer = hand.read().await.unwrap();
    assert_eq!((answer.opaque, &answer.body[..]), (7, &b"still here?"[..]));
    began.elapsed().as_millis()
}

/// A machine whose listener fails before it accepts anything.
#[derive(Debug, Clone)]
struct Failing {
    memory: Memory,
    errors: Arc<Mutex<VecDeque<io::Error>>>,
}

impl Failing {
    fn with(errors: impl IntoIterator<Item = io::Error>) -> Self {
        Self {
            memory: Memory::new(1, 65_536),
            errors: Arc::new(Mutex::new(errors.into_iter().collect())),
        }
    }
}

impl Host for Failing {
    fn connect(&self, to: &str) -> BoxFuture<'static, io::Result<Connection>> {
        self.memory.connect(to)
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let (listen, errors) = (self.memory.listen(at), Arc::clone(&self.errors));
        Box::pin(async move {
            let listener = listen.await?;
            Ok(Box::new(FailingPort { listener, errors }) as Box<dyn Listener>)
        })
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        TokioHost::with_identity(self.identity()).spawn(name, task)
    }

    fn unix_millis(&self) -> i64 {
        0
    }

    fn draw(&self, _site: &'static str, position: u64) -> u64 {
        position
    }

    fn identity(&self) -> Identity {
        self.memory.identity()
    }
}

#[derive(Debug)]
struct FailingPort {
    listener: Box<dyn Listener>,
    errors: Arc<Mutex<VecDeque<io::Error>>>,
}

impl Listener for FailingPort {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        let failed = self.errors.lock().pop_front();
        Box::pin(async move {
            match failed {
                Some(error) => Err(error),
                None => self.listener.accept().await,
            }
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }
}

/// How long a bystander waits for its answer behind a listener that fails so.
async fn wait_behind(errors: impl IntoIterator<Item = io::Error>) -> u128 {
    let host = Failing::with(errors);
    let service = Arc::new(crate::support::Obedient::default());
    let settings = ServerSettings::new(SPEAKER);
    let _server = serve(Arc::new(host.clone()), settings, service).await;
    let began = Instant::now();
    let mut bystander = Hand::new(host.connect(AT).await.unwrap());
    echo(&mut bystander).await;
    assert!(host.errors.lock().is_empty(), "all of them happened");
    began.elapsed().as_millis()
}

#[tokio::test(start_paused = true)]
async fn a_reset_before_accept_does_not_pause_the_listener() {
    let resets = (0..300).map(|n| match n % 3 {
        0 => io::ErrorKind::ConnectionReset.into(),
        1 => io::ErrorKind::ConnectionAborted.into(),
        _ => io::ErrorKind::NotConnected.into(),
    });
    assert_eq!(wait_behind(resets).await, 1, "the dial, and nothing else");
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn only_a_lack_of_descriptors_pauses_the_listener() {
    const EMFILE: i32 = 24;
    let lacks = (0..3).map(|_| io::Error::from_raw_os_error(EMFILE));
    assert_eq!(wait_behind(lacks).await, 150);
}

/// Answers each request with so many bytes, at once or later, and counts what it made.
#[derive(Debug, Default)]
struct Generous {
    bytes: usize,
    later: bool,
    made: Arc<AtomicUsize>,
}

impl Service for Generous {
    fn serve(&self, _peer: &Peer, request: Command) -> Reply {
        let (bytes, made) = (self.bytes, Arc::clone(&self.made));
        let answer = move || {
            made.fetch_add(1, Ordering::Relaxed);
            Answer::Respond(Response::new(0).body(vec![b'x'; bytes]))
        };
        if request.code == ECHO {
            return Response::new(0).body(request.body).into();
        }
        if !self.later {
            return Reply::Now(answer());
        }
        Reply::Later(Box::pin(async move {
            pause(100).await;
            answer()
        }))
    }
}

/// Sends `count` small requests in one piece to a server whose buffers hold 100,000 bytes and that
/// answers each with 10,000, and reads nothing. Returns how many answers were made until then, and
/// sees to it that every one comes in the end.
async fn made_for_a_peer_that_does_not_read(later: bool, count: usize) -> usize {
    let memory = Memory::new(1, 16_384);
    let service = Arc::new(Generous {
        bytes: 10_000,
        later,
        ..Generous::default()
    });
    let made = Arc::clone(&service.made);
    let settings = ServerSettings {
        max_buffered: 100_000,
        ..ServerSettings::new(SPEAKER)
    };
    let _server = serve(memory.host(), settings, service).await;
    let (mut hostile, mut bystander) = (dial(&memory).await, dial(&memory).await);
    let mut burst = BytesMut::new();
    for opaque in 0..count {
        let opaque = i32::try_from(opaque).unwrap();
        burst.put(&frame(SILENT, opaque, 0, b"")[..]);
    }
    assert!(burst.len() < 16_384, "one read brings them all");
    hostile.write(&burst).await;
    pause(1_000).await;
    let early = made.load(Ordering::Relaxed);
    assert_eq!(echo(&mut bystander).await, 0, "nobody else waits");
    for _ in 0..count {
        assert_eq!(hostile.read().await.unwrap().body.len(), 10_000);
    }
    assert_eq!(made.load(Ordering::Relaxed), count);
    early
}

#[tokio::test(start_paused = true)]
async fn answers_are_made_frame_by_frame_only_as_long_as_there_is_room_for_them() {
    // The pipe holds another one or two.
    let made = made_for_a_peer_that_does_not_read(false, 120).await;
    assert!((10..=13).contains(&made), "{made} answers were made");
}

#[tokio::test(start_paused = true)]
async fn answers_that_take_time_are_not_made_either_while_there_is_no_room() {
    let made = made_for_a_peer_that_does_not_read(true, 120).await;
    assert!((10..=13).contains(&made), "{made} answers were made");
}

/// Takes for ever, and counts what it was asked.
#[derive(Debug, Default)]
struct Slow(AtomicUsize);

impl Service for Slow {
    fn serve(&self, _peer: &Peer, request: Command) -> Reply {
        if request.code == ECHO {
            return Response::new(0).body(request.body).into();
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        Reply::Later(Box::pin(async {
            pause(60_000).await;
            Response::new(0).into()
        }))
    }
}

/// How many of `count` requests with `bytes` each are open at a time, on a connection whose limit
/// is 1 MiB.
async fn open_at_a_time(count: i32, bytes: usize) -> usize {
    let memory = Memory::new(1, 65_536);
    let service = Arc::new(Slow::default());
    let settings = ServerSettings {
        max_buffered: 1 << 20,
        ..ServerSettings::new(SPEAKER)
    };
    let shared: Arc<dyn Service> = Arc::<Slow>::clone(&service);
    let _server = serve(memory.host(), settings, shared).await;
    let (mut hostile, mut bystander) = (dial(&memory).await, dial(&memory).await);
    let body = vec![b'x'; bytes];
    for opaque in 0..count {
        let request = frame(SLOW, opaque, 0, &body);
        tokio::select! {
            biased;
            () = hostile.write(&request) => {}
            () = pause(1_000) => break,
        }
    }
    assert_eq!(echo(&mut bystander).await, 0);
    service.0.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn the_open_requests_of_one_connection_are_bounded_by_their_bytes() {
    let open = open_at_a_time(1_000, 10_000).await;
    assert!((100..=106).contains(&open), "{open} were taken");
}

#[tokio::test(start_paused = true)]
async fn the_open_requests_of_one_connection_are_bounded_by_their_number() {
    let memory = Memory::new(1, 65_536);
    let service = Arc::new(Slow::default());
    let shared: Arc<dyn Service> = Arc::<Slow>::clone(&service);
    let _server = serve(memory.host(), ServerSettings::new(SPEAKER), shared).await;
    let mut hostile = dial(&memory).await;
    for opaque in 0..20_000 {
        let request = frame(SLOW, opaque, 0, b"");
        tokio::select! {
            biased;
            () = hostile.write(&request) => {}
            () = pause(1_000) => break,
        }
    }
    assert_eq!(service.0.load(Ordering::Relaxed), 10_000);
    pause(60_000).await;
    assert!(service.0.load(Ordering::Relaxed) > 10_000, "then the next");
}

/// A frame with this word behind its length, and this header.
fn raw(serialize: u8, header: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_u32(u32::try_from(header.len()).unwrap() + 4);
    bytes.put_u32(u32::from(serialize) << 24 | u32::try_from(header.len()).unwrap());
    bytes.put_slice(header);
    bytes
}

/// A binary header whose text of fields is said to be so long.
fn binary(ext: i32) -> Vec<u8> {
    let mut header = Vec::new();
    header.put_i16(900);
    header.put_u8(0);
    header.put_i16(479);
    header.put_i32(1);
    header.put_i32(0);
    header.put_i32(0);
    header.put_i32(ext);
    header.put_slice(&[0; 4]);
    header
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_frame_close_their_connection_without_a_word_and_no_other() {
    let memory = Memory::new(1, 65_536);
    let (_server, service) = memory.server(1).await;
    let mut bystander = dial(&memory).await;
    let deep = format!(
        "{{\"code\":900,\"x\":{}{}}}",
        "[".repeat(9_999),
        "]".repeat(9_999)
    );
    let bad = [
        b"\xff\xff\xff\xff".to_vec(),
        b"\x80\0\0\0".to_vec(),
        0x0100_0000_u32.to_be_bytes().to_vec(),
        b"\0\0\0\0".to_vec(),
        b"\0\0\0\x03abc".to_vec(),
        b"\0\0\0\x08\0\0\0\x05abcd".to_vec(),
        raw(2, b"{}"),
        raw(0x16, b"{}"),
        raw(0, b""),
        raw(0, b"null"),
        raw(0, b"{nonsense"),
        raw(0, b"[1,2]"),
        raw(0, b"{\"code\":99999999999}"),
        raw(0, b"{\"remark\":\"\xff\"}"),
        raw(0, deep.as_bytes()),
        raw(1, b"short"),
        raw(1, &binary(500)),
        raw(1, &binary(-7)),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
    ];
    let count = u16::try_from(bad.len()).unwrap();
    for bad in bad {
        let mut hand = dial(&memory).await;
        hand.write(&bad).await;
        let mut rest = Vec::new();
        hand.stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "{bad:?} was answered");
        assert_eq!(echo(&mut bystander).await, 0, "{bad:?}");
    }
    pause(1).await;
    assert_eq!(service.disconnected.load(Ordering::Relaxed), count);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_request_that_was_never_made_is_ignored() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let mut hand = dial(&memory).await;
    hand.answer(4_711, b"unasked").await;
    assert_eq!(echo(&mut hand).await, 0);
}

#[tokio::test(start_paused = true)]
async fn thousands_of_connections_of_tiny_frames_leave_everyone_served() {
    let memory = Memory::new(0, 4_096);
    let (_server, service) = memory.server(1).await;
    let mut hands = Vec::new();
    for _ in 0..10_000 {
        let mut hand = dial(&memory).await;
        hand.ask(ECHO, 1, b"").await;
        hands.push(hand);
    }
    let mut bystander = dial(&memory).await;
    assert_eq!(echo(&mut bystander).await, 0);
    for hand in &mut hands {
        assert_eq!(hand.read().await.unwrap().opaque, 1);
    }
    drop(hands);
    pause(1).await;
    assert_eq!(service.disconnected.load(Ordering::Relaxed), 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_comes_byte_by_byte_and_never_ends_is_closed_with_its_silence() {
    let memory = Memory::new(1, 65_536);
    let (_server, service) = memory.server(1).await;
    let (mut slow, mut bystander) = (dial(&memory).await, dial(&memory).await);
    slow.write(b"\0\xff\xff\xfc\0\0\0\x20").await;
    for _ in 0..5 {
        pause(100_000).await;
        slow.write(b"{").await;
        echo(&mut bystander).await;
    }
    assert_eq!(service.disconnected.load(Ordering::Relaxed), 0);
    let began = Instant::now();
    assert_eq!(slow.stream.read(&mut [0; 8]).await.unwrap(), 0, "closed");
    assert_eq!(began.elapsed().as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_connection_is_not_looked_at_before_its_first_twelve_bytes() {
    let memory = Memory::new(1, 65_536);
    let settings = ServerSettings {
        first_bytes: 12,
        ..ServerSettings::new(SPEAKER)
    };
    let service = Arc::new(crate::support::Obedient::default());
    let _server = serve(memory.host(), settings, service).await;
    let bad = b"\0\0\0\x04\0\0\0\0\0\0\0\0";
    let mut fresh = dial(&memory).await;
    fresh.write(&bad[..8]).await;
    let mut byte = [0];
    let closed = tokio::time::timeout(Duration::from_secs(100), fresh.stream.read(&mut byte));
    assert!(closed.await.is_err(), "it waits for more");
    fresh.write(&bad[8..]).await;
    assert_eq!(fresh.stream.read(&mut byte).await.unwrap(), 0, "closed");
    // A connection that has begun is no longer fresh.
    let mut known = dial(&memory).await;
    echo(&mut known).await;
    known.write(&bad[..8]).await;
    assert_eq!(known.stream.read(&mut byte).await.unwrap(), 0, "closed");
}

/// Gives every connection a minute with each `SILENT` request, and takes that back with `SLOW`.
#[derive(Debug)]
struct Strict;

impl Service for Strict {
    fn serve(&self, peer: &Peer, request: Command) -> Reply {
        match request.code {
            SILENT => peer.expire_at(Some(Instant::now() + Duration::from_secs(60))),
            SLOW => peer.expire_at(None),
            _ => {}
        }
        Response::new(0).body(request.body).into()
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_given_a_term_ends_with_it_whatever_is_said_on_it() {
    let memory = Memory::new(1, 65_536);
    let _server = serve(
        memory.host(),
        ServerSettings::new(SPEAKER),
        Arc::new(Strict),
    )
    .await;
    let mut hand = dial(&memory).await;
    hand.ask(SILENT, 1, b"").await;
    hand.read().await.unwrap();
    pause(50_000).await;
    hand.ask(SILENT, 2, b"").await; // Again a minute.
    hand.read().await.unwrap();
    let began = Instant::now();
    for _ in 0..11 {
        pause(5_000).await;
        echo(&mut hand).await;
    }
    assert!(hand.read().await.is_none(), "closed");
    assert_eq!(began.elapsed().as_secs(), 60);
    let mut free = dial(&memory).await;
    free.ask(SILENT, 1, b"").await;
    free.ask(SLOW, 2, b"").await;
    for _ in 0..2 {
        free.read().await.unwrap();
    }
    pause(100_000).await;
    echo(&mut free).await;
}

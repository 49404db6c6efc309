//! Peers that are not what a client expects, or mean it ill: what each costs, and whom.

use rmq_remoting::client::CallError;
use rmq_remoting::event::{CloseCause, Event};
use rmq_remoting::opening::Protocol;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::support::{ECHO, Hand, Log, Memory, SILENT, ask, frame, name, pause, within};

fn closed(log: &Log) -> Option<CloseCause> {
    log.events().into_iter().find_map(|event| match event {
        Event::Closed { cause, .. } => Some(cause),
        _ => None,
    })
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_and_does_not_read_loses_its_connection_before_our_memory_is_full() {
    const LIMIT: usize = 64 * 1024;
    let memory = Memory::new(1, 1024);
    let mut listener = memory.by_hand(1).await;
    let (_other, _) = memory.server(2).await;
    let (client, log) = memory.client(|settings| settings.max_buffered = LIMIT);
    let (to, other) = (name("127.0.0.1:1"), name("127.0.0.1:2"));
    let (connected, connection) = tokio::join!(client.connect(&to, within(100)), listener.accept());
    connected.unwrap();
    let mut hand = Hand::new(connection.unwrap());
    let request = frame(1_234, 7, 0, b"");
    let mut asked: usize = 0;
    while closed(&log).is_none() {
        use tokio::io::AsyncWriteExt;
        let _ = hand.stream.write_all(&request).await;
        asked += 1;
        assert!(asked < 10_000, "it goes on for ever");
    }
    assert_eq!(closed(&log), Some(CloseCause::Flooded));
    // An answer is not much longer than its request, so so many of them filled the limit, and some
    // were in the pipes.
    assert!(asked > LIMIT / 400, "closed after {asked} requests");
    client
        .call(&other, &ask(ECHO, ""), within(100))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_a_slow_peer_are_no_flood() {
    const LIMIT: usize = 16 * 1024;
    let memory = Memory::new(1, 1024);
    let mut listener = memory.by_hand(1).await;
    let (client, log) = memory.client(|settings| settings.max_buffered = LIMIT);
    let to = name("127.0.0.1:1");
    let body = "x".repeat(LIMIT);
    let request = ask(SILENT, &body);
    let (pending, connection) = tokio::join!(
        client.request(&to, &request, within(9_000)),
        listener.accept()
    );
    let mut hand = Hand::new(connection.unwrap());
    hand.ask(1_234, 7, b"").await;
    pause(10).await;
    assert_eq!(
        closed(&log),
        None,
        "the buffer is full, but of its own requests"
    );
    let opaque = hand.read().await.unwrap().opaque;
    hand.answer(opaque, b"late").await;
    assert_eq!(&*pending.unwrap().await.unwrap().body, b"late");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_always_has_more_to_read_does_not_keep_deadlines_from_being_seen() {
    let memory = Memory::new(1, 1024 * 1024);
    let mut listener = memory.by_hand(1).await;
    let (client, _log) = memory.client(|_| {});
    let (to, request) = (name("127.0.0.1:1"), ask(SILENT, ""));
    let (pending, connection) =
        tokio::join!(client.request(&to, &request, within(50)), listener.accept());
    let mut hand = Hand::new(connection.unwrap());
    let late = frame(0, -77, 1, &[0; 60_000]);
    let mut pending = pending.unwrap();
    pause(50).await;
    // From its deadline on the clock stands still: the writer is never out of bytes.
    let mut written: usize = 0;
    let ended = loop {
        use tokio::io::AsyncWriteExt;
        tokio::select! {
            biased;
            ended = &mut pending => break ended,
            _ = hand.stream.write_all(&late) => written += late.len(),
        }
        assert!(written < 64 * 1024 * 1024, "its deadline is never seen");
    };
    assert!(
        matches!(ended, Err(CallError::TimedOut { .. })),
        "{ended:?}"
    );
}

async fn told(memory: &Memory, port: u16, words: &[u8]) -> CallError {
    let mut listener = memory.by_hand(port).await;
    let (client, _log) = memory.client(|_| {});
    let to = name(&format!("127.0.0.1:{port}"));
    let request = ask(ECHO, "");
    let call = client.call(&to, &request, within(3_000));
    let (answer, ()) = tokio::join!(call, async {
        let mut hand = Hand::new(listener.accept().await.unwrap());
        let mut first = [0; 64];
        let _ = hand.stream.read(&mut first).await;
        hand.write(words).await;
        pause(1).await;
    });
    answer.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn the_error_at_a_wrong_port_says_what_speaks_there_and_comes_at_once() {
    let memory = Memory::new(1, 65_536);
    let began = Instant::now();
    for (port, words, protocol) in [
        (1, &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], Protocol::Http),
        (2, b"-ERR unknown command\r\n", Protocol::Redis),
        (3, b"\x15\x03\x01\x00\x02\x02F", Protocol::Tls),
        (4, b"SSH-2.0-OpenSSH_9.2\r\n", Protocol::Ssh),
        (5, b"\0\0\0\n\0\0\0\0\0#\0\0\0\0", Protocol::Kafka),
        // Read as a length it is no nonsense: only when it closes is it known for what it is.
        (6, b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0@\0", Protocol::Http2),
    ] {
        let error = told(&memory, port, words).await;
        let CallError::Lost {
            found: Some(found), ..
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(found.opening.protocol(), Some(protocol));
        let text = error.to_string();
        assert!(text.contains(&protocol.to_string()), "{text}");
    }
    assert!(began.elapsed().as_millis() < 100);
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_a_frame_too_long_and_no_word_at_all_are_told_apart() {
    let memory = Memory::new(1, 65_536);
    let half = told(&memory, 1, b"\0\0\x01\0\0\0\0@{\"code\":0").await;
    assert!(
        half.to_string().contains("17 bytes of a frame of 260"),
        "{half}"
    );
    let long = told(&memory, 2, b"\x01\0\0\0garbage").await;
    assert!(
        long.to_string().contains("announces 16777216 bytes"),
        "{long}"
    );
    let nothing = told(&memory, 3, b"").await;
    let text = nothing.to_string();
    assert!(
        text.contains("the peer closed it (it answered nothing at all"),
        "{text}"
    );
}

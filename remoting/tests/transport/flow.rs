//! Peers that do not read.

use rmq_remoting::client::CallError;
use rmq_remoting::event::Event;
use tokio::time::Instant;

use crate::support::{ECHO, Hand, Memory, SILENT, ask, name, pause, within};

#[tokio::test(start_paused = true)]
async fn a_request_that_finds_no_room_fails_at_its_deadline() {
    let memory = Memory::new(1, 64);
    let mut listener = memory.by_hand(1).await;
    let (client, log) = memory.client(|settings| settings.max_buffered = 1_000);
    let (to, big) = (name("127.0.0.1:1"), "x".repeat(2_000));
    let first = client
        .request(&to, &ask(SILENT, &big), within(10_000))
        .await
        .unwrap();
    let began = Instant::now();
    let error = client
        .call(&to, &ask(ECHO, ""), within(500))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Write { .. }), "{error}");
    assert_eq!(began.elapsed().as_millis(), 500);
    assert_eq!(client.gauges().pending, 1);
    assert_eq!(log.count(|event| matches!(event, Event::Written { .. })), 0);
    drop((first, listener.accept().await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_room_until_the_peer_reads() {
    let memory = Memory::new(1, 64);
    let mut listener = memory.by_hand(1).await;
    let (client, log) = memory.client(|settings| settings.max_buffered = 1_000);
    let (to, big) = (name("127.0.0.1:1"), "x".repeat(2_000));
    let first = client
        .request(&to, &ask(SILENT, &big), within(10_000))
        .await
        .unwrap();
    let began = Instant::now();
    let second = ask(ECHO, "second");
    let (answer, ()) = tokio::join!(client.call(&to, &second, within(500)), async {
        let mut hand = Hand::new(listener.accept().await.unwrap());
        pause(100).await;
        assert_eq!(hand.read().await.unwrap().body.len(), 2_000);
        let request = hand.read().await.unwrap();
        hand.answer(request.opaque, &request.body).await;
        pause(1).await;
    });
    assert_eq!(answer.unwrap().body, "second");
    assert_eq!(began.elapsed().as_millis(), 101);
    let written = log.count(|event| matches!(event, Event::Written { .. }));
    assert_eq!(written, 2);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_still_read_and_holds_up_no_other() {
    let memory = Memory::new(1, 64);
    let mut listener = memory.by_hand(1).await;
    let (_server, _) = memory.server(2).await;
    let (client, _) = memory.client(|_| {});
    let (frozen, alive) = (name("127.0.0.1:1"), name("127.0.0.1:2"));
    let first = client
        .request(&frozen, &ask(SILENT, ""), within(1_000))
        .await
        .unwrap();
    let mut hand = Hand::new(listener.accept().await.unwrap());
    let opaque = hand.read().await.unwrap().opaque;
    let stuck = client
        .request(&frozen, &ask(SILENT, &"x".repeat(5_000)), within(1_000))
        .await
        .unwrap();
    let began = Instant::now();
    client
        .call(&alive, &ask(ECHO, "y"), within(100))
        .await
        .unwrap();
    assert_eq!(began.elapsed().as_millis(), 1, "its dial");
    hand.answer(opaque, b"read").await;
    assert_eq!(first.await.unwrap().body, "read");
    let error = stuck.await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_written_when_its_last_byte_is_accepted() {
    let memory = Memory::new(1, 64);
    let mut listener = memory.by_hand(1).await;
    let (client, log) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    let waiting = client
        .request(&to, &ask(SILENT, &"x".repeat(500)), within(9_000))
        .await;
    pause(10).await;
    let written = |event: &Event| matches!(event, Event::Written { .. });
    assert_eq!(log.count(written), 0);
    let mut hand = Hand::new(listener.accept().await.unwrap());
    hand.read().await.unwrap();
    assert_eq!(log.count(written), 1);
    drop(waiting);
}

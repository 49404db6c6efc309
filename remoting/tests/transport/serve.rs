//! What a server does with what arrives.

use std::sync::atomic::Ordering;

use rmq_host::Host;
use rmq_remoting::client::CallError;
use rmq_remoting::server::{Server, ServerSettings};
use rmq_remoting::service::PushError;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::support::{
    ANSWER_AND_CLOSE, ECHO, Hand, Memory, Obedient, PANIC, RESET, SILENT, SLOW, SPEAKER, ask,
    frame, name, pause, within,
};

async fn dial(memory: &Memory) -> Hand {
    Hand::new(memory.connect("127.0.0.1:1").await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn answers_leave_in_the_order_of_completion() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let mut hand = dial(&memory).await;
    for (opaque, body) in [(1, "30"), (2, "10"), (3, "20")] {
        hand.ask(SLOW, opaque, body.as_bytes()).await;
    }
    hand.ask(ECHO, 4, b"").await;
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(hand.read().await.unwrap().opaque);
    }
    assert_eq!(order, [4, 2, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_oneway_request_is_executed_and_never_answered() {
    let memory = Memory::new(1, 65_536);
    let (_server, service) = memory.server(1).await;
    let mut hand = dial(&memory).await;
    hand.write(&frame(SLOW, 1, 2, b"5")).await;
    hand.write(&frame(ECHO, 2, 2, b"")).await;
    pause(10).await;
    hand.ask(ECHO, 3, b"").await;
    assert_eq!(hand.read().await.unwrap().opaque, 3);
    assert_eq!(service.done.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn bad_input_closes_its_connection_after_what_was_answered_and_no_other() {
    let memory = Memory::new(1, 65_536);
    let (_server, service) = memory.server(1).await;
    let mut good = dial(&memory).await;
    for garbage in [
        &b"\xff\xff\xff\xff"[..],
        b"\0\0\0\x03abc",
        b"\0\0\0\x08\x07\0\0\0abcd",
    ] {
        let mut bad = dial(&memory).await;
        let mut bytes = frame(ECHO, 1, 0, b"answered");
        bytes.extend_from_slice(garbage);
        bad.write(&bytes).await;
        assert_eq!(bad.read().await.unwrap().body, "answered");
        assert!(bad.read().await.is_none(), "closed");
    }
    good.ask(ECHO, 2, b"still here").await;
    assert_eq!(good.read().await.unwrap().body, "still here");
    assert_eq!(service.disconnected.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_panics_costs_its_connection_and_nothing_else() {
    let memory = Memory::new(1, 65_536);
    let (_server, service) = memory.server(1).await;
    let (mut good, mut bad) = (dial(&memory).await, dial(&memory).await);
    bad.ask(PANIC, 1, b"").await;
    assert!(bad.read().await.is_none(), "closed");
    pause(1).await;
    assert_eq!(
        service.disconnected.load(Ordering::Relaxed),
        1,
        "it is told"
    );
    good.ask(ECHO, 2, b"").await;
    assert_eq!(good.read().await.unwrap().opaque, 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_before_a_close_is_delivered() {
    let memory = Memory::new(1, 64);
    let (_server, _) = memory.server(1).await;
    let mut hand = dial(&memory).await;
    let body = vec![b'x'; 5_000];
    hand.ask(ANSWER_AND_CLOSE, 1, &body).await;
    pause(5).await;
    assert_eq!(hand.read().await.unwrap().body.len(), 5_000);
    assert!(hand.read().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_reset_drops_what_was_not_yet_written() {
    let memory = Memory::new(1, 64);
    let (_server, _) = memory.server(1).await;
    let mut hand = dial(&memory).await;
    hand.ask(ECHO, 1, &[b'x'; 5_000]).await;
    hand.ask(RESET, 2, b"").await;
    let mut rest = Vec::new();
    hand.stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() < 5_000, "{}", rest.len());
}

#[tokio::test(start_paused = true)]
async fn work_begun_is_done_although_its_connection_is_gone() {
    let memory = Memory::new(1, 65_536);
    let (_server, service) = memory.server(1).await;
    let mut hand = dial(&memory).await;
    hand.ask(SLOW, 1, b"50").await;
    pause(1).await;
    drop(hand);
    pause(10).await;
    assert_eq!(service.disconnected.load(Ordering::Relaxed), 1);
    assert_eq!(service.done.load(Ordering::Relaxed), 0);
    pause(50).await;
    assert_eq!(service.done.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_server_closes_its_port_and_its_connections_and_stops_its_work() {
    let memory = Memory::new(1, 65_536);
    let (server, service) = memory.server(1).await;
    let (client, _) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    let waiting = client
        .request(&to, &ask(SLOW, "50"), within(3_000))
        .await
        .unwrap();
    pause(1).await;
    drop(server);
    assert!(matches!(waiting.await, Err(CallError::Lost { .. })));
    let next = client.call(&to, &ask(ECHO, ""), within(3_000)).await;
    assert!(matches!(next, Err(CallError::Dial { .. })));
    pause(100).await;
    assert_eq!(service.done.load(Ordering::Relaxed), 0);
    assert_eq!(
        service.disconnected.load(Ordering::Relaxed),
        0,
        "a dead process hears nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_by_the_server() {
    let memory = Memory::new(1, 65_536);
    let (_server, service) = memory.server(1).await;
    let mut hand = dial(&memory).await;
    pause(100_000).await;
    hand.ask(SILENT, 1, b"").await;
    let began = Instant::now();
    assert!(hand.read().await.is_none(), "closed");
    assert_eq!(began.elapsed().as_secs(), 120);
    assert_eq!(service.disconnected.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_its_answers_is_not_read() {
    let memory = Memory::new(1, 4_096);
    let mut settings = ServerSettings::new(SPEAKER);
    settings.max_buffered = 10_000;
    let at = "127.0.0.1:1".parse().unwrap();
    let service = Arc::new(Obedient::default());
    let _server = Server::start(memory.host(), at, settings, service)
        .await
        .unwrap();
    let mut hand = dial(&memory).await;
    let mut sent = 0;
    let request = frame(ECHO, 1, 0, &[b'x'; 1_000]);
    loop {
        tokio::select! {
            biased;
            () = hand.write(&request) => sent += 1,
            () = pause(1_000) => break,
        }
    }
    assert!((10..40).contains(&sent), "{sent} requests were taken");
    for _ in 0..sent {
        assert_eq!(hand.read().await.unwrap().body.len(), 1_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_can_push_a_request_to_its_client() {
    let memory = Memory::new(1, 65_536);
    let (_server, service) = memory.server(1).await;
    let mut hand = dial(&memory).await;
    pause(1).await;
    let peer = service.peers.lock()[0].clone();
    peer.push(&ask(40, "notice")).unwrap();
    let pushed = hand.read().await.unwrap();
    assert_eq!((pushed.code, pushed.is_oneway()), (40, true));
    peer.close();
    assert!(hand.read().await.is_none());
    assert_eq!(peer.push(&ask(40, "")), Err(PushError::Closed));
}

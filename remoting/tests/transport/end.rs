//! How connections end, and what that means for the requests on them.

use std::time::Duration;

use futures_util::future::join_all;
use rmq_remoting::client::CallError;
use rmq_remoting::event::{CloseCause, Event};
use tokio::time::Instant;

use crate::support::{
    ANSWER_AND_CLOSE, CLOSE, ECHO, Hand, Log, Memory, RAW, SILENT, ask, frame, name, pause, within,
};

fn cause_of(error: &CallError) -> CloseCause {
    match error {
        CallError::Lost { cause, .. } => *cause,
        other => unreachable!("lost, not {other:?}"),
    }
}

fn closed(log: &Log) -> Vec<(CloseCause, u32)> {
    let causes = log.events().into_iter().filter_map(|event| match event {
        Event::Closed { cause, pending, .. } => Some((cause, pending)),
        _ => None,
    });
    causes.collect()
}

#[tokio::test(start_paused = true)]
async fn every_waiting_request_fails_in_the_moment_its_connection_ends() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, log) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(
            client
                .request(&to, &ask(SILENT, ""), within(3_000))
                .await
                .unwrap(),
        );
    }
    assert_eq!(client.gauges().pending, 100);
    let began = Instant::now();
    client
        .oneway(&to, &ask(CLOSE, ""), true, within(10))
        .await
        .unwrap();
    for result in join_all(waiting).await {
        assert_eq!(cause_of(&result.unwrap_err()), CloseCause::PeerClosed);
    }
    assert_eq!(began.elapsed().as_millis(), 0);
    assert_eq!(closed(&log), [(CloseCause::PeerClosed, 100)]);
    assert_eq!(
        (client.gauges().pending, client.gauges().connections),
        (0, 0)
    );

    client.call(&to, &ask(ECHO, ""), within(10)).await.unwrap();
    assert_eq!(
        memory.connects(),
        2,
        "a closed connection is not handed out again"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_read_before_the_end_counts() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, log) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    let answer = client
        .call(&to, &ask(ANSWER_AND_CLOSE, "x"), within(10))
        .await
        .unwrap();
    assert_eq!(answer.body, "x");
    assert_eq!(closed(&log), [(CloseCause::PeerClosed, 0)]);
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_and_a_close_is_a_lost_connection() {
    let memory = Memory::new(1, 65_536);
    let mut listener = memory.by_hand(1).await;
    let (client, _) = memory.client(|_| {});
    let (to, request) = (name("127.0.0.1:1"), ask(ECHO, ""));
    let call = client.call(&to, &request, within(3_000));
    let (result, ()) = tokio::join!(call, async {
        let mut hand = Hand::new(listener.accept().await.unwrap());
        let opaque = hand.read().await.unwrap().opaque;
        let answer = frame(0, opaque, 1, b"0123456789");
        hand.write(&answer[..answer.len() - 5]).await;
    });
    assert_eq!(cause_of(&result.unwrap_err()), CloseCause::PeerClosed);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_frame_cost_the_connection_and_nothing_else() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let (_other, _) = memory.server(2).await;
    let (client, log) = memory.client(|_| {});
    let (to, other) = (name("127.0.0.1:1"), name("127.0.0.1:2"));
    let began = Instant::now();
    let unharmed = client
        .request(&other, &ask(SILENT, ""), within(500))
        .await
        .unwrap();
    let error = client
        .call(&to, &ask(RAW, "garbage!"), within(500))
        .await
        .unwrap_err();
    assert_eq!(cause_of(&error), CloseCause::BadFrame);
    assert_eq!(closed(&log), [(CloseCause::BadFrame, 1)]);
    assert!(matches!(unharmed.await, Err(CallError::TimedOut { .. })));
    assert_eq!(began.elapsed().as_millis(), 500);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_by_the_client() {
    let memory = Memory::new(1, 65_536);
    let mut listener = memory.by_hand(1).await;
    let (client, log) = memory.client(|_| {});
    let (to, request) = (name("127.0.0.1:1"), ask(ECHO, ""));
    let call = client.call(&to, &request, within(100));
    let (answer, mut hand) = tokio::join!(call, async {
        let mut hand = Hand::new(listener.accept().await.unwrap());
        let opaque = hand.read().await.unwrap().opaque;
        hand.answer(opaque, b"").await;
        hand
    });
    answer.unwrap();
    let began = Instant::now();
    pause(60_000).await;
    client
        .oneway(&to, &request, true, within(10))
        .await
        .unwrap();
    hand.read().await.unwrap();
    assert!(hand.read().await.is_none(), "closed");
    assert_eq!(began.elapsed(), Duration::from_secs(180));
    assert_eq!(closed(&log), [(CloseCause::Idle, 0)]);
}

#[tokio::test(start_paused = true)]
async fn closing_fails_the_waiting_requests_with_the_given_cause() {
    let memory = Memory::new(1, 65_536);
    let (_server, service) = memory.server(1).await;
    let (client, log) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    let waiting = client
        .request(&to, &ask(SILENT, ""), within(3_000))
        .await
        .unwrap();
    pause(1).await;
    client.close(&to, CloseCause::CallTimedOut);
    assert_eq!(
        cause_of(&waiting.await.unwrap_err()),
        CloseCause::CallTimedOut
    );
    assert_eq!(closed(&log), [(CloseCause::CallTimedOut, 1)]);
    client.call(&to, &ask(ECHO, ""), within(10)).await.unwrap();
    assert_eq!(memory.connects(), 2);
    assert_eq!(
        service
            .disconnected
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_is_closed_fails_those_who_wait_for_it() {
    let memory = Memory::new(1, 65_536);
    memory.swallow("127.0.0.1:9");
    let (client, log) = memory.client(|_| {});
    let (to, request) = (name("127.0.0.1:9"), ask(ECHO, ""));
    let began = Instant::now();
    let (result, ()) = tokio::join!(client.call(&to, &request, within(3_000)), async {
        pause(5).await;
        client.close(&to, CloseCause::Stopped);
    });
    assert!(matches!(result, Err(CallError::Dial { .. })));
    assert_eq!(began.elapsed().as_millis(), 5);
    assert_eq!(
        log.count(|event| matches!(event, Event::DialFailed { .. })),
        1
    );
    assert!(closed(&log).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stopped_client_holds_nothing_and_takes_nothing() {
    let memory = Memory::new(1, 65_536);
    memory.swallow("127.0.0.1:9");
    let (_server, service) = memory.server(1).await;
    let (client, _) = memory.client(|_| {});
    let (to, dead, request) = (name("127.0.0.1:1"), name("127.0.0.1:9"), ask(ECHO, ""));
    let waiting = client
        .request(&to, &ask(SILENT, ""), within(3_000))
        .await
        .unwrap();
    let began = Instant::now();
    let (dialling, ()) = tokio::join!(client.call(&dead, &request, within(3_000)), async {
        pause(5).await;
        client.stop().await;
    });
    assert!(matches!(dialling, Err(CallError::Stopped { .. })));
    assert_eq!(began.elapsed().as_millis(), 5);
    assert_eq!(cause_of(&waiting.await.unwrap_err()), CloseCause::Stopped);
    assert_eq!(
        (client.gauges().pending, client.gauges().connections),
        (0, 0)
    );
    let refused = client.call(&to, &request, within(3_000)).await;
    assert!(matches!(refused, Err(CallError::Stopped { .. })));
    pause(1).await;
    assert_eq!(
        service
            .disconnected
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_dropped_drops_its_connections_silently() {
    let memory = Memory::new(1, 65_536);
    let (_server, service) = memory.server(1).await;
    let (client, log) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    let waiting = client
        .request(&to, &ask(SILENT, ""), within(3_000))
        .await
        .unwrap();
    pause(1).await;
    drop(client);
    assert_eq!(cause_of(&waiting.await.unwrap_err()), CloseCause::Stopped);
    pause(1).await;
    assert_eq!(
        service
            .disconnected
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    assert!(closed(&log).is_empty());
}

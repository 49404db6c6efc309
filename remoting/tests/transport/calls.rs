//! Requests, answers and deadlines on one connection.

use rmq_remoting::client::{CallError, PendingReply};
use rmq_remoting::event::Event;
use tokio::time::Instant;

use crate::support::{ECHO, Hand, Memory, SILENT, SLOW, TWICE, ask, frame, name, pause, within};

#[tokio::test(start_paused = true)]
async fn a_slow_answer_holds_up_no_fast_one() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, _) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    let slow = client
        .request(&to, &ask(SLOW, "100"), within(1_000))
        .await
        .unwrap();
    let began = Instant::now();
    let fast = client
        .call(&to, &ask(ECHO, "fast"), within(1_000))
        .await
        .unwrap();
    assert_eq!(
        (fast.body.as_ref(), began.elapsed().as_millis()),
        (&b"fast"[..], 0)
    );
    assert_eq!(slow.await.unwrap().body, "100");
    assert_eq!(began.elapsed().as_millis(), 100);
    assert_eq!(memory.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_ends_at_its_deadline() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, _) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    let began = Instant::now();
    let later = client
        .request(&to, &ask(SILENT, ""), within(200))
        .await
        .unwrap();
    let sooner = client
        .request(&to, &ask(SILENT, ""), within(100))
        .await
        .unwrap();
    assert_eq!(client.gauges().pending, 2);
    let error = sooner.await.unwrap_err();
    assert!(matches!(&error, CallError::TimedOut { after, .. } if after.as_millis() == 100));
    assert_eq!(began.elapsed().as_millis(), 101);
    later.await.unwrap_err();
    assert_eq!(began.elapsed().as_millis(), 200);
    assert_eq!(client.gauges().pending, 0);
    client.call(&to, &ask(ECHO, ""), within(10)).await.unwrap();
    assert_eq!(memory.connects(), 1, "a timeout leaves the connection");
}

#[tokio::test(start_paused = true)]
async fn a_reply_in_the_millisecond_of_the_deadline_is_in_time() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, log) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    client.call(&to, &ask(ECHO, ""), within(10)).await.unwrap();
    // The server's timer was set first and fires first, so the answer is there to be read when
    // the connection's own timer fires in the same millisecond.
    let answer = client
        .call(&to, &ask(SLOW, "50"), within(50))
        .await
        .unwrap();
    assert_eq!(answer.body, "50");
    assert_eq!(log.count(|event| matches!(event, Event::Late { .. })), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_sends_nothing() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, log) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    let error = client
        .call(&to, &ask(ECHO, ""), Instant::now())
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::TimedOut { .. }));
    assert!(log.events().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_after_the_deadline_is_late_and_changes_nothing_else() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, log) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    client
        .call(&to, &ask(SLOW, "50"), within(49))
        .await
        .unwrap_err();
    pause(10).await;
    let late = Event::Late {
        connection: 1.into(),
        opaque: 0,
    };
    assert_eq!(log.count(|event| *event == late), 1);
    client.call(&to, &ask(ECHO, ""), within(10)).await.unwrap();
    assert_eq!(memory.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_reply_leaves_the_table_and_its_answer_is_late() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, log) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    let reply = client
        .request(&to, &ask(SLOW, "50"), within(1_000))
        .await
        .unwrap();
    assert_eq!(client.gauges().pending, 1);
    drop(reply);
    assert_eq!(client.gauges().pending, 0);
    pause(60).await;
    assert_eq!(
        log.count(|event| matches!(event, Event::Late { opaque: 0, .. })),
        1
    );
    assert_eq!(log.count(|event| matches!(event, Event::Reply { .. })), 0);
}

#[tokio::test(start_paused = true)]
async fn a_second_answer_and_an_unknown_one_are_late() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, log) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    assert_eq!(
        client
            .call(&to, &ask(TWICE, "x"), within(10))
            .await
            .unwrap()
            .body,
        "x"
    );
    assert_eq!(
        log.count(|event| matches!(event, Event::Late { opaque: 0, .. })),
        1
    );

    let mut listener = memory.by_hand(2).await;
    let (played, asked) = (name("127.0.0.1:2"), ask(ECHO, ""));
    let call = client.call(&played, &asked, within(100));
    let (answer, ()) = tokio::join!(call, async {
        let mut hand = Hand::new(listener.accept().await.unwrap());
        let opaque = hand.read().await.unwrap().opaque;
        hand.answer(opaque + 7, b"not yours").await;
        hand.answer(opaque, b"yours").await;
        pause(1).await;
    });
    assert_eq!(answer.unwrap().body, "yours");
    let unknown = Event::Late {
        connection: 2.into(),
        opaque: 8,
    };
    assert_eq!(log.count(|event| *event == unknown), 1);
}

#[tokio::test(start_paused = true)]
async fn opaques_wrap_to_the_negative() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, _) = memory.client(|settings| settings.first_opaque = i32::MAX);
    let to = name("127.0.0.1:1");
    let mut replies = Vec::new();
    for body in ["a", "b"] {
        replies.push(
            client
                .request(&to, &ask(ECHO, body), within(10))
                .await
                .unwrap(),
        );
    }
    let opaques: Vec<i32> = replies.iter().map(PendingReply::opaque).collect();
    assert_eq!(opaques, [i32::MAX, i32::MIN]);
    for (reply, body) in replies.into_iter().zip(["a", "b"]) {
        assert_eq!(reply.await.unwrap().body, body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_oneway_request_is_written_and_not_waited_for() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, log) = memory.client(|_| {});
    let to = name("127.0.0.1:1");
    client
        .oneway(&to, &ask(ECHO, "x"), true, within(10))
        .await
        .unwrap();
    assert_eq!(client.gauges().pending, 0);
    client.call(&to, &ask(ECHO, "y"), within(10)).await.unwrap();
    let written = |event: &Event| matches!(event, Event::Written { .. });
    assert_eq!(log.count(written), 2);
    assert_eq!(
        log.count(|event| matches!(event, Event::Late { .. })),
        0,
        "it was answered"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_server_asks_is_refused_unless_a_service_is_given() {
    let memory = Memory::new(1, 65_536);
    let mut listener = memory.by_hand(1).await;
    let (client, _) = memory.client(|_| {});
    let (to, request) = (name("127.0.0.1:1"), ask(ECHO, ""));
    let call = client.call(&to, &request, within(100));
    let played = async {
        let mut hand = Hand::new(listener.accept().await.unwrap());
        let request = hand.read().await.unwrap();
        hand.write(&frame(40, 70, 2, b"one-way")).await;
        hand.ask(39, 77, b"").await;
        let refusal = hand.read().await.unwrap();
        assert!(refusal.is_response());
        assert_eq!((refusal.code, refusal.opaque), (3, 77));
        assert_eq!(
            refusal.remark.unwrap().as_str(),
            " request type 39 not supported"
        );
        hand.answer(request.opaque, b"").await;
        pause(1).await;
    };
    let (answer, ()) = tokio::join!(call, played);
    answer.unwrap();
}

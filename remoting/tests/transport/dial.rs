//! How connections come to be.

use futures_util::future::join_all;
use rmq_remoting::client::CallError;
use rmq_remoting::event::{DialFailure, Event};
use tokio::time::Instant;

use crate::support::{ECHO, Memory, ask, name, pause, within};

#[tokio::test(start_paused = true)]
async fn twenty_first_requests_share_one_dial() {
    let memory = Memory::new(30, 65_536);
    let (_server, service) = memory.server(1).await;
    let (client, log) = memory.client(|_| {});
    let (to, request) = (name("127.0.0.1:1"), ask(ECHO, "hello"));
    let deadline = within(1_000);
    let answers = join_all((0..20).map(|_| client.call(&to, &request, deadline))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap().body == "hello")
    );
    assert_eq!(memory.connects(), 1);
    assert_eq!(service.peers.lock().len(), 1);
    assert_eq!(log.count(|event| matches!(event, Event::Dial { .. })), 1);
    assert_eq!(log.count(|event| matches!(event, Event::Opened { .. })), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_the_dial_to_the_others() {
    let memory = Memory::new(30, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, _) = memory.client(|_| {});
    let (to, request) = (name("127.0.0.1:1"), ask(ECHO, ""));
    {
        let mut first = Box::pin(client.call(&to, &request, within(1_000)));
        tokio::select! {
            biased;
            _ = &mut first => unreachable!("the dial takes longer"),
            () = pause(10) => {}
        }
    }
    let began = Instant::now();
    client.call(&to, &request, within(1_000)).await.unwrap();
    assert_eq!(
        began.elapsed().as_millis(),
        20,
        "the rest of the first caller's dial"
    );
    assert_eq!(memory.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_nobody_waits_for_any_more_serves_the_next_request() {
    let memory = Memory::new(30, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, _) = memory.client(|_| {});
    let (to, request) = (name("127.0.0.1:1"), ask(ECHO, ""));
    let failed = client.call(&to, &request, within(10)).await.unwrap_err();
    assert!(matches!(
        failed,
        CallError::Dial {
            cause: DialFailure::TimedOut,
            ..
        }
    ));
    pause(50).await;
    assert_eq!(client.gauges().connections, 1);
    client.call(&to, &request, within(1)).await.unwrap();
    assert_eq!(memory.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn deadline_and_dial_timeout_both_bound_the_wait() {
    let memory = Memory::new(1, 65_536);
    memory.swallow("127.0.0.1:9");
    let (client, log) = memory.client(|_| {});
    let (to, request) = (name("127.0.0.1:9"), ask(ECHO, ""));
    let began = Instant::now();
    for (deadline, ends_at) in [(500, 500), (60_000, 3_000)] {
        let error = client
            .call(
                &to,
                &request,
                began + std::time::Duration::from_millis(deadline),
            )
            .await
            .unwrap_err();
        assert!(matches!(
            error,
            CallError::Dial {
                cause: DialFailure::TimedOut,
                ..
            }
        ));
        assert_eq!(began.elapsed().as_millis(), ends_at);
    }
    assert_eq!(
        log.count(|event| matches!(event, Event::DialFailed { .. })),
        1
    );
    assert_eq!(client.gauges().pending, 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_dial_fails_at_once_and_the_next_request_dials_anew() {
    let memory = Memory::new(2, 65_536);
    let (client, log) = memory.client(|_| {});
    let (to, request) = (name("127.0.0.1:1"), ask(ECHO, ""));
    let began = Instant::now();
    let error = client.call(&to, &request, within(3_000)).await.unwrap_err();
    assert!(matches!(
        error,
        CallError::Dial {
            cause: DialFailure::Refused,
            ..
        }
    ));
    assert_eq!(began.elapsed().as_millis(), 2);
    let (_server, _) = memory.server(1).await;
    client.call(&to, &request, within(3_000)).await.unwrap();
    let opened =
        |event: &Event| matches!(event, Event::Opened { connection, .. } if connection.get() == 2);
    assert_eq!(log.count(opened), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_hangs_delays_no_other_address() {
    let memory = Memory::new(1, 65_536);
    memory.swallow("127.0.0.1:9");
    let (_server, _) = memory.server(1).await;
    let (client, _) = memory.client(|_| {});
    let (dead, alive, request) = (name("127.0.0.1:9"), name("127.0.0.1:1"), ask(ECHO, ""));
    let hanging = client.call(&dead, &request, within(1_000));
    let began = Instant::now();
    let (failed, took) = tokio::join!(hanging, async {
        client.call(&alive, &request, within(1_000)).await.unwrap();
        began.elapsed().as_millis()
    });
    failed.unwrap_err();
    assert_eq!(took, 1);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_cannot_be_understood_is_a_failed_dial() {
    let memory = Memory::new(1, 65_536);
    let (client, _) = memory.client(|_| {});
    let error = client
        .call(&name("nonsense"), &ask(ECHO, ""), within(10))
        .await;
    assert!(matches!(
        error,
        Err(CallError::Dial {
            cause: DialFailure::Other,
            ..
        })
    ));
}

//! The producer over real TCP against scripted servers: what it asks, where it goes next, when it
//! ends.

#[expect(dead_code, reason = "other tests use the rest of it")]
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Cluster, Script};
use parking_lot::Mutex;
use rmq_producer::event::{Event, Failure, LookupReason, Mode, Stage};
use rmq_producer::{Message, MessageQueue, Policy};
use rmq_remoting::code::request;
use tokio::sync::oneshot;
use tokio::time::Instant;

fn message() -> Message {
    Message::new("orders", "hello").with_tag("t").with_key("k")
}

fn is_done(event: &Event) -> bool {
    matches!(event, Event::Done { .. })
}

#[tokio::test]
async fn the_first_send_looks_up_the_route_and_the_second_does_not() {
    let cluster = Cluster::start(2, "orders", 2).await;
    let producer = cluster.producer().start().await.unwrap();
    assert_eq!(
        cluster
            .name_server
            .requests(request::GET_ROUTEINFO_BY_TOPIC),
        0
    );
    let first = producer.send(message()).await.unwrap();
    let second = producer.send(message()).await.unwrap();
    assert_eq!(first.queue.to_string(), "orders@broker-a/q0");
    assert_eq!(second.queue.to_string(), "orders@broker-a/q1");
    assert_ne!(first.message_id, second.message_id);
    let first_sends = cluster.events.count(|event| {
        matches!(
            event,
            Event::Lookup {
                reason: LookupReason::FirstSend,
                ..
            }
        )
    });
    assert_eq!(first_sends, 1);
    producer.stop().await;
}

#[tokio::test]
async fn a_hundred_first_sends_share_one_lookup() {
    let cluster = Cluster::start(1, "orders", 4).await;
    cluster
        .name_server
        .answers_routes_after(Duration::from_millis(50));
    let producer = cluster.producer().start().await.unwrap();
    let sends = (0..100).map(|_| producer.send(message()));
    let outcomes = futures_util::future::join_all(sends).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(
        cluster
            .name_server
            .requests(request::GET_ROUTEINFO_BY_TOPIC),
        1
    );
    producer.stop().await;
}

#[tokio::test]
async fn an_unknown_topic_goes_by_the_default_topic_with_four_queues() {
    let cluster = Cluster::start(1, "TBW102", 8).await;
    let producer = cluster.producer().start().await.unwrap();
    let mut queues = Vec::new();
    for _ in 0..5 {
        queues.push(producer.send(message()).await.unwrap().queue.queue);
    }
    assert_eq!(queues, [0, 1, 2, 3, 0]);
    let seen = &cluster.brokers[0].seen()[0];
    assert_eq!((&*seen.topic, &*seen.default_topic), ("orders", "TBW102"));
    producer.stop().await;
}

#[tokio::test]
async fn a_topic_that_nobody_knows_is_one_clear_error() {
    let cluster = Cluster::start(1, "other", 4).await;
    let producer = cluster.producer().start().await.unwrap();
    let error = producer.send(message()).await.unwrap_err();
    assert_eq!(error.failure(), Failure::NoRoute);
    let text = error.to_string();
    assert!(
        text.contains("No route info of this topic: orders"),
        "{text}"
    );
    producer.stop().await;
}

#[tokio::test]
async fn a_topic_missing_at_one_name_server_is_found_at_the_other() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let empty = Cluster::another_name_server().await;
    let list = format!("{};{}", empty.address, cluster.name_server.address);
    let builder = cluster.producer().name_servers(list).first_name_server(0);
    let producer = builder.start().await.unwrap();
    producer.send(message()).await.unwrap();
    assert_eq!(empty.requests(request::GET_ROUTEINFO_BY_TOPIC), 1);
    producer.stop().await;
}

#[tokio::test]
async fn a_dead_first_name_server_fails_no_send() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let mut dead = Cluster::another_name_server().await;
    dead.kill();
    let list = format!("{};{}", dead.address, cluster.name_server.address);
    let builder = cluster.producer().name_servers(list).first_name_server(0);
    let producer = builder.start().await.unwrap();
    producer.send(message()).await.unwrap();
    producer.stop().await;
}

#[tokio::test]
async fn a_refused_connection_fails_over_with_the_same_message() {
    let mut cluster = Cluster::start(2, "orders", 1).await;
    cluster.brokers[0].kill();
    let producer = cluster.producer().start().await.unwrap();
    let sent = producer.send(message()).await.unwrap();
    assert_eq!(sent.queue.to_string(), "orders@broker-b/q0");
    assert_eq!(sent.attempts, 2);
    producer.stop().await;
}

#[tokio::test]
async fn a_silent_broker_is_hedged_after_its_timeout() {
    let cluster = Cluster::start(2, "orders", 1).await;
    cluster.brokers[0].does(Script::Silent);
    let timeout = Duration::from_millis(900);
    let producer = cluster
        .producer()
        .send_timeout(timeout)
        .start()
        .await
        .unwrap();
    let began = Instant::now();
    let sent = producer.send(message()).await.unwrap();
    assert_eq!((&*sent.queue.broker, sent.attempts), ("broker-b", 2));
    assert!(began.elapsed() >= Duration::from_millis(300));
    let hedged = |event: &Event| matches!(event, Event::Hedged { number: 1, .. });
    assert_eq!(cluster.events.count(hedged), 1);
    let superseded = |event: &Event| {
        matches!(
            event,
            Event::AttemptEnded {
                number: 1,
                stage: Stage::Superseded,
                ..
            }
        )
    };
    assert_eq!(cluster.events.count(superseded), 1);
    let keys: Vec<_> = cluster
        .brokers
        .iter()
        .map(|b| b.seen()[0].properties.clone())
        .collect();
    assert_eq!(keys[0], keys[1]);
    producer.stop().await;
}

#[tokio::test]
async fn a_hedged_attempt_that_answers_first_completes_the_send() {
    let cluster = Cluster::start(2, "orders", 1).await;
    cluster.brokers[0].does(Script::StoreAfter(Duration::from_millis(450)));
    cluster.brokers[1].does(Script::Silent);
    let timeout = Duration::from_millis(900);
    let producer = cluster
        .producer()
        .send_timeout(timeout)
        .start()
        .await
        .unwrap();
    let sent = producer.send(message()).await.unwrap();
    assert_eq!((&*sent.queue.broker, sent.attempts), ("broker-a", 2));
    producer.stop().await;
}

#[tokio::test]
async fn without_tokens_a_slow_cluster_gets_no_copies() {
    let cluster = Cluster::start(2, "orders", 1).await;
    for broker in &cluster.brokers {
        broker.does(Script::StoreAfter(Duration::from_millis(400)));
    }
    let mut policy = Policy::strict();
    policy.hedging_tokens = 0;
    let timeout = Duration::from_millis(900);
    let builder = cluster.producer().policy(policy).send_timeout(timeout);
    let producer = builder.start().await.unwrap();
    let sent = producer.send(message()).await.unwrap();
    assert_eq!(sent.attempts, 1);
    producer.stop().await;
}

#[tokio::test]
async fn a_busy_broker_is_left_for_another_one_and_an_illegal_message_is_not_repeated() {
    let cluster = Cluster::start(2, "orders", 1).await;
    cluster.brokers[0].does(Script::Refuse(2));
    let producer = cluster.producer().start().await.unwrap();
    let sent = producer.send(message()).await.unwrap();
    assert_eq!((&*sent.queue.broker, sent.attempts), ("broker-b", 2));
    cluster.brokers[1].does(Script::Refuse(13));
    let error = producer.send(message()).await.unwrap_err();
    assert_eq!(error.failure(), Failure::Attempts(Stage::Refused));
    assert_eq!((error.code(), error.attempts().len()), (Some(13), 1));
    let text = error.to_string();
    assert!(text.contains("#1 broker-b/q0: refused after"), "{text}");
    producer.stop().await;
}

#[tokio::test]
async fn a_connection_closed_by_the_broker_fails_over_at_once() {
    let cluster = Cluster::start(2, "orders", 1).await;
    cluster.brokers[0].does(Script::Close);
    let producer = cluster.producer().start().await.unwrap();
    let began = Instant::now();
    let sent = producer.send(message()).await.unwrap();
    assert_eq!((&*sent.queue.broker, sent.attempts), ("broker-b", 2));
    assert!(began.elapsed() < Duration::from_millis(900));
    producer.stop().await;
}

#[tokio::test]
async fn an_answer_without_a_place_is_not_understood_and_not_repeated() {
    let cluster = Cluster::start(2, "orders", 1).await;
    cluster.brokers[0].does(Script::Unreadable);
    let producer = cluster.producer().start().await.unwrap();
    let error = producer.send(message()).await.unwrap_err();
    assert_eq!(error.failure(), Failure::Attempts(Stage::Decode));
    producer.stop().await;
}

#[tokio::test]
async fn an_answer_without_a_region_is_of_the_default_one_and_traced() {
    let cluster = Cluster::start(1, "orders", 4).await;
    let producer = cluster.producer().start().await.unwrap();
    let sent = producer.send(message()).await.unwrap();
    assert_eq!((&*sent.region, sent.trace), ("DefaultRegion", true));
    let place = (&*sent.offset_message_id, sent.queue.queue, sent.offset);
    assert_eq!(place, ("OFFSET-ID", 0, 0));
    producer.stop().await;
}

#[tokio::test]
async fn the_deadline_covers_the_lookup() {
    let cluster = Cluster::start(1, "orders", 1).await;
    cluster
        .name_server
        .answers_routes_after(Duration::from_secs(5));
    let producer = cluster.producer().start().await.unwrap();
    let began = Instant::now();
    let timeout = Duration::from_millis(200);
    let error = producer
        .send_with_timeout(message(), timeout)
        .await
        .unwrap_err();
    assert_eq!(error.failure(), Failure::RouteUnreachable);
    let took = began.elapsed();
    assert!(took >= timeout && took < Duration::from_secs(2), "{took:?}");
    producer.stop().await;
}

#[tokio::test]
async fn all_brokers_silent_ends_at_the_deadline_with_every_attempt_listed() {
    let cluster = Cluster::start(2, "orders", 1).await;
    for broker in &cluster.brokers {
        broker.does(Script::Silent);
    }
    let producer = cluster.producer().start().await.unwrap();
    let timeout = Duration::from_millis(300);
    let error = producer
        .send_with_timeout(message(), timeout)
        .await
        .unwrap_err();
    assert_eq!(error.failure(), Failure::Deadline);
    let stages: Vec<_> = error
        .attempts()
        .iter()
        .map(|attempt| attempt.stage)
        .collect();
    assert_eq!(stages, [Stage::Silent; 3]);
    assert!(error.after() >= timeout);
    producer.stop().await;
}

#[tokio::test]
async fn a_send_to_a_target_queue_goes_nowhere_else() {
    let cluster = Cluster::start(2, "orders", 2).await;
    cluster.brokers[1].does(Script::Refuse(2));
    let producer = cluster.producer().start().await.unwrap();
    let queue = MessageQueue::new("orders", "broker-b", 1);
    let error = producer.send_to(message(), queue).await.unwrap_err();
    assert_eq!(error.attempts().len(), 3);
    assert!(cluster.brokers[0].seen().is_empty());
    assert!(cluster.brokers[1].seen().iter().all(|seen| seen.queue == 1));
    let other = MessageQueue::new("others", "broker-b", 1);
    let error = producer.send_to(message(), other).await.unwrap_err();
    assert_eq!(error.failure(), Failure::Invalid);
    producer.stop().await;
}

#[tokio::test]
async fn an_async_send_calls_back_exactly_once_and_a_panicking_callback_harms_nobody() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let producer = cluster.producer().start().await.unwrap();
    let (panicked, ready) = oneshot::channel::<()>();
    producer.send_with_callback(message(), move |outcome| {
        let _dropped_by_the_panic = panicked;
        assert!(
            outcome.is_err(),
            "this callback panics because the send succeeds"
        );
    });
    assert!(ready.await.is_err());
    let calls = Arc::new(Mutex::new(0));
    let (tell, told) = oneshot::channel();
    let counted = Arc::clone(&calls);
    producer.send_with_callback(message(), move |outcome| {
        *counted.lock() += 1;
        let _ = tell.send(outcome);
    });
    told.await.unwrap().unwrap();
    producer.stop().await;
    assert_eq!(*calls.lock(), 1);
    let callbacks = |event: &Event| matches!(event, Event::Callback { .. });
    assert_eq!(cluster.events.count(callbacks), 2);
}

#[tokio::test]
async fn a_oneway_send_is_flagged_and_does_not_wait() {
    let cluster = Cluster::start(1, "orders", 1).await;
    cluster.brokers[0].does(Script::Silent);
    let producer = cluster.producer().start().await.unwrap();
    producer.send_oneway(message()).await.unwrap();
    while cluster.brokers[0].seen().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(cluster.brokers[0].seen()[0].oneway);
    let call = |event: &Event| {
        matches!(
            event,
            Event::Call {
                mode: Mode::Oneway,
                ..
            }
        )
    };
    assert_eq!(cluster.events.count(call), 1);
    producer.stop().await;
}

#[tokio::test]
async fn stop_ends_pending_sends_as_closed_and_unregisters() {
    let cluster = Cluster::start(1, "orders", 1).await;
    cluster.brokers[0].does(Script::Silent);
    let producer = cluster.producer().start().await.unwrap();
    let (tell, told) = oneshot::channel();
    producer.send_with_callback(message(), move |outcome| {
        let _ = tell.send(outcome);
    });
    let stopping = async {
        while cluster.brokers[0].seen().is_empty() {
            tokio::task::yield_now().await;
        }
        producer.stop().await;
    };
    let (sync, ()) = tokio::join!(producer.send(message()), stopping);
    assert_eq!(sync.unwrap_err().failure(), Failure::Closed);
    assert_eq!(told.await.unwrap().unwrap_err().failure(), Failure::Closed);
    assert_eq!(cluster.brokers[0].requests(request::UNREGISTER_CLIENT), 1);
    producer.stop().await;
    let error = producer.send(message()).await.unwrap_err();
    assert_eq!(error.failure(), Failure::NotRunning);
    assert_eq!(
        cluster
            .events
            .count(|event| matches!(event, Event::Stopped { .. })),
        1
    );
    assert_eq!(cluster.events.count(is_done), 3);
}

#[tokio::test]
async fn dropping_the_last_producer_calls_back_as_closed() {
    let cluster = Cluster::start(1, "orders", 1).await;
    cluster.brokers[0].does(Script::Silent);
    let producer = cluster.producer().start().await.unwrap();
    let (tell, told) = oneshot::channel();
    producer.send_with_callback(message(), move |outcome| {
        let _ = tell.send(outcome);
    });
    while cluster.brokers[0].seen().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(producer);
    assert_eq!(told.await.unwrap().unwrap_err().failure(), Failure::Closed);
    assert_eq!(cluster.events.count(is_done), 1);
}

#[tokio::test]
async fn a_dropped_send_is_cancelled_and_leaves_the_table() {
    let cluster = Cluster::start(1, "orders", 1).await;
    cluster.brokers[0].does(Script::Silent);
    let producer = cluster.producer().start().await.unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(100), producer.send(message()));
    assert!(given_up.await.is_err());
    let cancelled = |event: &Event| matches!(event, Event::Cancelled { .. });
    assert_eq!(cluster.events.count(cancelled), 1);
    assert_eq!(cluster.events.count(is_done), 0);
    let gauges = producer.gauges();
    assert_eq!((gauges.pending, gauges.open_sends), (0, 0));
    producer.stop().await;
}

#[tokio::test]
async fn a_heartbeat_follows_the_first_connection() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let producer = cluster.producer().start().await.unwrap();
    producer.send(message()).await.unwrap();
    let answered = |event: &Event| matches!(event, Event::Heartbeat { code: Some(0), .. });
    while cluster.events.count(answered) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    producer.stop().await;
}

#[tokio::test]
async fn a_topic_that_the_name_server_forgot_is_still_sent_to() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let mut policy = Policy::strict();
    policy.periods.first_poll = 20;
    policy.periods.poll = 20;
    policy.periods.refresh_spacing = 1;
    let producer = cluster.producer().policy(policy).start().await.unwrap();
    producer.send(message()).await.unwrap();
    cluster.name_server.forgets("orders");
    let not_exist = |event: &Event| {
        let end = rmq_producer::event::LookupEnd::NotExist;
        matches!(event, Event::LookupEnded { end: found, .. } if *found == end)
    };
    while cluster.events.count(not_exist) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    producer.send(message()).await.unwrap();
    producer.stop().await;
}

#[tokio::test]
async fn two_producers_of_one_group_on_one_client_are_refused() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let producer = cluster.producer().start().await.unwrap();
    let client = producer.client().clone();
    let same = rmq_producer::Producer::builder("test-group").client(client.clone());
    assert!(
        same.start()
            .await
            .unwrap_err()
            .to_string()
            .contains("has been created before")
    );
    let other = rmq_producer::Producer::builder("other-group").client(client);
    let other = other.start().await.unwrap();
    other.send(message()).await.unwrap();
    other.stop().await;
    producer.send(message()).await.unwrap();
    producer.stop().await;
}

//! Async sends: which failures are retried, what a retry changes in the request, and when the
//! callback is called.

use rmq_producer::event::{Failure, Stage};
use rmq_producer::{Message, MessageQueue, Policy};
use rmq_sim::fault::RuleAction;
use rmq_sim::simulation::refuse;
use tokio::sync::oneshot;

use crate::support::{
    answer, brokers, first_sends, first_sends_to, late, message, play, play_warm, send_async,
    sends, strict_and_java,
};

#[test]
fn javas_retry_after_a_reset_keeps_queue_and_name_of_the_first_broker_and_strict_does_not() {
    for (policy, named, queue) in [(Policy::strict(), "b", 0), (Policy::java_5_3(), "a", 1)] {
        let reset = first_sends_to("broker-a", 1, 1, RuleAction::ResetBefore);
        let setup = brokers(2).fault(late(reset));
        let ((outcome, _), seen) = play_warm(setup, &policy, async |_, producer| {
            producer.send(message()).await.unwrap();
            send_async(producer, message()).await
        });
        let sent = outcome.unwrap();
        let sends = seen.sends();
        let [_, first, second] = &sends[..] else {
            panic!("{}: {sends:?}", policy.name);
        };
        assert_eq!((&*first.broker, &*first.named, first.queue), ("a", "a", 1));
        let retry = (&*second.broker, &*second.named, second.queue);
        assert_eq!(retry, ("b", named, queue), "{}", policy.name);
        assert_eq!(first.key, second.key);
        assert_ne!(first.opaque, second.opaque);
        assert_eq!((&*sent.queue.broker, sent.queue.queue), ("broker-b", queue));
    }
}

#[test]
fn a_busy_broker_ends_javas_async_send_and_strict_goes_on() {
    for (policy, path) in [(Policy::strict(), "ab"), (Policy::java_5_3(), "a")] {
        let setup = brokers(2).fault(late(sends("broker-a", answer(2))));
        let ((outcome, _), seen) = play_warm(setup, &policy, async |_, producer| {
            send_async(producer, message()).await
        });
        assert_eq!(seen.path(), path, "{}", policy.name);
        assert_eq!(seen.callbacks(), 1);
        match outcome {
            Ok(sent) => assert_eq!((&*sent.queue.broker, path), ("broker-b", "ab")),
            Err(error) => assert_eq!((error.code(), path), (Some(2), "a"), "{error}"),
        }
    }
}

#[test]
fn java_notices_a_silent_broker_a_second_late_and_calls_back_once() {
    for (policy, path, took_ms) in [
        (Policy::strict(), "aba", 3_000..=3_000),
        (Policy::java_5_3(), "a", 4_000..=5_999),
    ] {
        let silent = |broker| late(sends(broker, RuleAction::DropRequest));
        let setup = brokers(2)
            .fault(silent("broker-a"))
            .fault(silent("broker-b"));
        let ((outcome, took), seen) = play_warm(setup, &policy, async |sim, producer| {
            let outcome = send_async(producer, message()).await;
            // Long enough for whatever might follow the callback.
            sim.until_secs(30).await;
            outcome
        });
        let error = outcome.unwrap_err();
        let silent = error.attempts().iter().all(|it| it.stage == Stage::Silent);
        assert!(silent, "{}: {error}", policy.name);
        assert_eq!(
            (&*seen.path(), seen.callbacks()),
            (path, 1),
            "{}",
            policy.name
        );
        assert!(took_ms.contains(&took), "{}: {took} ms", policy.name);
    }
}

#[test]
fn an_async_send_to_a_chosen_queue_dials_its_refusing_broker_three_times() {
    for policy in strict_and_java() {
        let setup = brokers(2).fault(refuse("broker-a"));
        let (outcome, seen) = play(setup, &policy, async |_, producer| {
            let (told, outcome) = oneshot::channel();
            let queue = MessageQueue::new("orders", "broker-a", 1);
            producer
                .dispatch(message())
                .to(queue)
                .send_with_callback(|outcome| {
                    // The receiver may be gone; then nobody asks.
                    let _ = told.send(outcome);
                });
            outcome.await.unwrap()
        });
        let error = outcome.unwrap_err();
        assert_eq!(error.failure(), Failure::Attempts(Stage::Dial), "{error}");
        assert_eq!(error.attempts().len(), 3);
        // While strict's attempts are spread over the time, the first heartbeat goes to broker-b.
        assert_eq!(
            (&*seen.dials().replace('b', ""), &*seen.path()),
            ("aaa", ""),
            "{}",
            policy.name
        );
    }
}

#[test]
fn without_retries_an_async_send_makes_one_request() {
    for mut policy in strict_and_java() {
        policy.attempts.async_ = 1;
        let reset = first_sends("broker-a", 1, RuleAction::ResetBefore);
        let setup = brokers(2).fault(late(reset));
        let ((outcome, _), seen) = play_warm(setup, &policy, async |_, producer| {
            send_async(producer, message()).await
        });
        let error = outcome.unwrap_err();
        assert_eq!(error.failure(), Failure::Attempts(Stage::Lost), "{error}");
        assert_eq!(seen.path(), "a", "{}", policy.name);
    }
}

#[test]
fn a_message_without_a_topic_is_told_to_the_callback() {
    for policy in strict_and_java() {
        let ((outcome, _), seen) = play(brokers(1), &policy, async |_, producer| {
            send_async(producer, Message::new("", "hello")).await
        });
        let error = outcome.unwrap_err();
        assert_eq!(error.failure(), Failure::Invalid);
        assert!(
            error.to_string().contains("The specified topic is blank"),
            "{error}"
        );
        assert_eq!(
            (seen.callbacks(), seen.lookups().len()),
            (1, 0),
            "{}",
            policy.name
        );
    }
}

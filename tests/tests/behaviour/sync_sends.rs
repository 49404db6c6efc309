//! Sync sends: which broker is next, when the time is up, and what the caller is told.

use std::time::Duration;

use rmq_producer::event::{Event, Failure, Stage};
use rmq_producer::policy::{AttemptTimeout, NotSafe};
use rmq_producer::{Policy, SendStatus};
use rmq_remoting::code::request;
use rmq_remoting::event::Event as TransportEvent;
use rmq_sim::fault::RuleAction;
use rmq_sim::fault::rule::StoreThenAnswer;
use rmq_sim::simulation::refuse;
use rmq_sim::trace::NodeEvent;

use crate::support::{
    Evidence, Setup, answer, brokers, delay, first_sends, late, message, play, play_warm, requests,
    send_sync, sends, strict_and_java,
};

#[test]
fn brokers_that_refuse_the_connection_are_tried_in_turn_three_times() {
    for policy in strict_and_java() {
        let setup = brokers(2)
            .fault(refuse("broker-a"))
            .fault(refuse("broker-b"));
        let ((outcome, _), seen) = play(setup, &policy, async |_, producer| {
            send_sync(producer, message()).await
        });
        let error = outcome.unwrap_err();
        assert_eq!(error.failure(), Failure::Attempts(Stage::Dial), "{error}");
        let tried: Vec<_> = error.attempts().iter().map(|it| &*it.to.broker).collect();
        assert_eq!(tried, ["broker-a", "broker-b", "broker-a"]);
        // Strict's third attempt waits for its part of the time, and the first heartbeats come before.
        let dials = if policy == Policy::strict() {
            "ababa"
        } else {
            "aba"
        };
        let (dialled, path) = (seen.dials(), seen.path());
        assert_eq!((&*dialled, &*path), (dials, ""), "{}", policy.name);
    }
}

#[test]
fn brokers_that_close_instead_of_answering_lose_each_attempt() {
    for policy in strict_and_java() {
        let close = |broker| sends(broker, RuleAction::CloseBefore);
        let setup = brokers(2).fault(close("broker-a")).fault(close("broker-b"));
        let ((outcome, took), seen) = play(setup, &policy, async |_, producer| {
            send_sync(producer, message()).await
        });
        let error = outcome.unwrap_err();
        assert_eq!(error.failure(), Failure::Attempts(Stage::Lost), "{error}");
        assert_eq!(seen.path(), "aba", "{}", policy.name);
        let keys = seen.sends().into_iter().map(|send| send.key);
        assert!(keys.clone().all(|key| Some(&*key) == error.message_id()));
        assert!(took < 100, "each is noticed at once: {took} ms");
    }
}

fn silent_pair() -> Setup {
    let silent = |broker| late(sends(broker, RuleAction::DropRequest));
    brokers(2)
        .fault(silent("broker-a"))
        .fault(silent("broker-b"))
}

/// The times of all requests, counted from the first.
fn times(seen: &Evidence) -> Vec<u64> {
    let sends = seen.sends();
    sends.iter().map(|send| send.ms - sends[0].ms).collect()
}

#[test]
fn silent_brokers_use_up_javas_send_with_one_request_and_strict_reaches_three() {
    for (policy, path, at, took_ms) in [
        (
            Policy::strict(),
            "aba",
            // A connection that was not heard since is not trusted: a new one takes a round trip.
            vec![0, 1_002, 2_002],
            3_000..=3_000,
        ),
        (Policy::java_5_3(), "a", vec![0], 3_000..=3_001),
    ] {
        let ((outcome, took), seen) = play_warm(silent_pair(), &policy, async |_, producer| {
            send_sync(producer, message()).await
        });
        assert_eq!(outcome.unwrap_err().failure(), Failure::Deadline);
        assert_eq!((&*seen.path(), times(&seen)), (path, at), "{}", policy.name);
        assert!(took_ms.contains(&took), "{}: {took} ms", policy.name);
    }
}

#[test]
fn one_silent_attempt_without_retries_is_told_as_such() {
    for mut policy in strict_and_java() {
        policy.attempts.sync = 1;
        let setup = brokers(2).fault(sends("broker-a", RuleAction::DropRequest));
        let ((outcome, took), seen) = play(setup, &policy, async |_, producer| {
            send_sync(producer, message()).await
        });
        let error = outcome.unwrap_err();
        let stages: Vec<_> = error.attempts().iter().map(|it| it.stage).collect();
        assert_eq!(
            (stages, &*seen.path()),
            (vec![Stage::Silent], "a"),
            "{}",
            policy.name
        );
        assert!((3000..=3010).contains(&took), "{took} ms");
    }
}

#[test]
fn with_a_limit_for_each_request_three_silent_brokers_are_reached_in_one_send() {
    let mut policy = Policy::java_5_3();
    policy.attempt_timeout = AttemptTimeout::Cap(1000);
    let ((outcome, took), seen) = play_warm(silent_pair(), &policy, async |_, producer| {
        send_sync(producer, message()).await
    });
    let error = outcome.unwrap_err();
    let stages: Vec<_> = error.attempts().iter().map(|it| it.stage).collect();
    assert_eq!((stages, &*seen.path()), (vec![Stage::Silent; 3], "aba"));
    // Java closed the connection to broker-a when it was silent: the third has to dial.
    assert_eq!((times(&seen), took), (vec![0, 1_000, 2_002], 3_000));
}

#[test]
fn a_copy_that_is_not_flushed_is_returned_after_better_ones_failed() {
    let setup = || {
        brokers(2)
            .fault(first_sends(
                "broker-a",
                1,
                RuleAction::StoreThenAnswer(StoreThenAnswer { code: 10 }),
            ))
            .fault(sends("broker-a", answer(2)))
            .fault(refuse("broker-b"))
    };
    for mut policy in strict_and_java() {
        for (not_safe, path, dials) in [(NotSafe::RetrySync, "aa", "ab"), (NotSafe::Done, "a", "a")]
        {
            policy.not_safe = not_safe;
            let ((outcome, _), seen) = play(setup(), &policy, async |_, producer| {
                send_sync(producer, message()).await
            });
            let sent = outcome.unwrap();
            assert_eq!(sent.status, SendStatus::FlushDiskTimeout);
            assert_eq!(&*sent.queue.broker, "broker-a");
            assert_eq!(
                (&*seen.path(), &*seen.dials()),
                (path, dials),
                "{}",
                policy.name
            );
        }
    }
}

#[test]
fn a_copy_without_a_replica_is_returned_when_the_next_broker_finds_the_message_illegal() {
    for mut policy in strict_and_java() {
        policy.not_safe = NotSafe::RetrySync;
        let setup = brokers(2)
            .fault(sends(
                "broker-a",
                RuleAction::StoreThenAnswer(StoreThenAnswer { code: 11 }),
            ))
            .fault(sends("broker-b", answer(13)));
        let ((outcome, _), seen) = play(setup, &policy, async |_, producer| {
            send_sync(producer, message()).await
        });
        assert_eq!(outcome.unwrap().status, SendStatus::SlaveNotAvailable);
        assert_eq!(seen.path(), "ab", "{}", policy.name);
    }
}

#[test]
fn a_lookup_that_uses_up_the_time_leaves_none_for_a_request() {
    // Two questions, for the topic and for the default one, of 1.6 s each.
    for (policy, failure, took_ms, asked) in [
        (
            Policy::strict(),
            Failure::RouteUnreachable,
            3_000..=3_000,
            // The only name server is silent for half of the time, and is asked once more.
            ["new", "new"],
        ),
        (
            Policy::java_5_3(),
            Failure::Deadline,
            3_200..=3_210,
            ["new", "TBW102"],
        ),
    ] {
        let code = request::GET_ROUTEINFO_BY_TOPIC;
        let setup = brokers(1).fault(requests("ns-1", code, delay(1_600)));
        let ((outcome, took), seen) = play(setup, &policy, async |_, producer| {
            send_sync(producer, rmq_producer::Message::new("new", "hello")).await
        });
        let error = outcome.unwrap_err();
        assert_eq!(error.failure(), failure, "{error}");
        assert!(took_ms.contains(&took), "{}: {took} ms", policy.name);
        assert_eq!(seen.lookups()[..2], asked.map(Into::into));
        assert_eq!((&*seen.path(), &*seen.dials()), ("", ""), "{}", policy.name);
    }
}

#[test]
fn a_lookup_in_a_hurry_dials_no_second_connection_to_a_slow_name_server() {
    // Half of 150 ms says nothing about a connection; half of 300 ms does.
    for (limit_ms, dials) in [(150, 0), (300, 1)] {
        let code = request::GET_ROUTEINFO_BY_TOPIC;
        let slow = late(requests("ns-1", code, delay(5_000)));
        let setup = brokers(1).fault(slow);
        let (outcome, seen) = play_warm(setup, &Policy::strict(), async |_, producer| {
            let message = rmq_producer::Message::new("new", "hello");
            let limit = Duration::from_millis(limit_ms);
            producer.send_with_timeout(message, limit).await
        });
        assert_eq!(outcome.unwrap_err().failure(), Failure::RouteUnreachable);
        let dial = |what: &NodeEvent| match what {
            NodeEvent::Producer(Event::Transport(TransportEvent::Dial { to, .. })) => {
                to.ends_with(":9876")
            }
            _ => false,
        };
        assert_eq!(seen.at("p", dial).len(), dials, "{limit_ms} ms");
    }
}

#[test]
fn the_last_of_different_failures_names_the_send() {
    for policy in strict_and_java() {
        let setup = brokers(3)
            .fault(sends("broker-a", answer(2)))
            .fault(sends("broker-b", answer(2)))
            .fault(refuse("broker-c"));
        let ((outcome, _), seen) = play(setup, &policy, async |_, producer| {
            send_sync(producer, message()).await
        });
        let error = outcome.unwrap_err();
        assert_eq!(error.failure(), Failure::Attempts(Stage::Dial), "{error}");
        let stages: Vec<_> = error.attempts().iter().map(|it| it.stage).collect();
        assert_eq!(stages, [Stage::Refused, Stage::Refused, Stage::Dial]);
        assert_eq!(
            (&*seen.path(), &*seen.dials()),
            ("ab", "abc"),
            "{}",
            policy.name
        );
    }
}

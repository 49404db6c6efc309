//! Connections and heartbeats: whom a failure of one request or one broker reaches.

use std::time::Duration;

use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_producer::Policy;
use rmq_producer::event::{Event, Failure, Stage};
use rmq_remoting::code::request;
use rmq_sim::fault::{Fault, FaultKind, Place, Position, RuleAction};
use rmq_sim::simulation::refuse;
use rmq_sim::trace::NodeEvent;

use crate::support::{
    WARM, answer, brokers, delay, first_sends, first_sends_to, late, message, play, play_warm,
    send_async, send_sync, strict_and_java,
};

#[test]
fn a_sync_timeout_closes_javas_connection_under_an_async_send_and_strict_keeps_it() {
    for (policy, broker, after) in [
        (Policy::strict(), "broker-a", 802),
        (Policy::java_5_3(), "broker-b", 600),
    ] {
        let setup = brokers(2)
            .fault(late(first_sends_to("broker-a", 0, 1, delay(800))))
            .fault(late(first_sends_to(
                "broker-a",
                1,
                1,
                RuleAction::DropRequest,
            )));
        let ((sync, (other, took)), seen) = play_warm(setup, &policy, async |_, producer| {
            let limit = Duration::from_millis(600);
            let other = send_async(producer, message());
            let sync = async {
                // The async send goes first.
                tokio::task::yield_now().await;
                producer.send_with_timeout(message(), limit).await
            };
            let (other, sync) = tokio::join!(biased; other, sync);
            (sync, other)
        });
        let java = policy.name == "java_5_3";
        assert_eq!(sync.is_err(), java, "{}", policy.name);
        let sent = other.unwrap();
        assert_eq!(&*sent.queue.broker, broker, "{}", policy.name);
        assert!(
            (after..after + 10).contains(&took),
            "{}: {took} ms",
            policy.name
        );
        let hung_up =
            |what: &NodeEvent| matches!(what, NodeEvent::Broker(BrokerEvent::Disconnected { .. }));
        let hung_up = seen.at("broker-a", hung_up);
        let expected: &[u64] = if java { &[WARM + 601] } else { &[] };
        assert_eq!(hung_up, expected, "{}", policy.name);
    }
}

#[test]
fn java_waits_for_a_dial_into_nothing_and_strict_for_its_deadline() {
    for (mut policy, attempts, failure, took_ms) in [
        (Policy::strict(), 3, Failure::Attempts(Stage::Dial), 500),
        (Policy::strict(), 1, Failure::Attempts(Stage::Dial), 500),
        (Policy::java_5_3(), 3, Failure::Attempts(Stage::Dial), 3_000),
        (Policy::java_5_3(), 1, Failure::Attempts(Stage::Dial), 3_000),
    ] {
        policy.attempts.sync = attempts;
        policy.send_timeout = 500;
        let setup = brokers(1).fault(Fault {
            kind: FaultKind::SwallowDials,
            place: Place::Node("broker-a".into()),
            at: Position::Time { ms: 0 },
            for_ms: None,
            may_miss: false,
        });
        let ((outcome, took), seen) = play(setup, &policy, async |_, producer| {
            send_sync(producer, message()).await
        });
        let error = outcome.unwrap_err();
        let who = format!("{} with {attempts}: {error}", policy.name);
        assert_eq!(error.failure(), failure, "{who}");
        assert!((took_ms..took_ms + 10).contains(&took), "{who}: {took} ms");
        let made = if policy.name == "strict" { attempts } else { 1 };
        let made = usize::try_from(made).unwrap();
        assert_eq!((&*seen.path(), error.attempts().len()), ("", made), "{who}");
    }
}

#[test]
fn a_broker_that_refuses_its_heartbeat_delays_no_other_ones() {
    for policy in strict_and_java() {
        let setup = brokers(2).fault(refuse("broker-a"));
        let ((), seen) = play(setup, &policy, async |sim, producer| {
            producer.send(message()).await.unwrap();
            sim.until_secs(40).await;
        });
        let started = |what: &NodeEvent| matches!(what, NodeEvent::Producer(Event::Started { .. }));
        let started = seen.at("p", started)[0];
        let heartbeats = seen.requests("broker-b", request::HEART_BEAT);
        // One with the connection, then one in each round.
        let rounds: Vec<_> = heartbeats.iter().map(|ms| (ms - started) / 10).collect();
        assert_eq!(rounds[1..], [100, 3_100], "{}", policy.name);
        assert!(seen.requests("broker-a", request::HEART_BEAT).is_empty());
        assert_eq!(
            seen.dials().matches('a').count(),
            3,
            "{}: {}",
            policy.name,
            seen.dials()
        );
    }
}

#[test]
fn a_request_is_repeated_on_a_fresh_connection_when_its_broker_goes_away() {
    for policy in [Policy::strict(), Policy::java_5_3()] {
        let setup = brokers(2).fault(late(first_sends("broker-a", 1, answer(1_500))));
        let ((outcome, _), seen) = play_warm(setup, &policy, async |_, producer| {
            send_sync(producer, message()).await
        });
        outcome.unwrap();
        assert_eq!(seen.path(), "aa", "{}", policy.name);
        let sends = seen.sends();
        assert_eq!(sends[0].key, sends[1].key);
        assert_ne!(sends[0].peer, sends[1].peer, "{}", policy.name);
    }
}

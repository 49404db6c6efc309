//! The memory of slow and failed brokers between sends, with the tables of 5.x and 4.9.

use std::time::Duration;

use rmq_producer::event::Event;
use rmq_producer::{MessageQueue, Policy, Producer};
use rmq_sim::simulation::{Sim, refuse};
use rmq_sim::trace::NodeEvent;

use crate::support::{
    Evidence, WARM, brokers, delay, first_sends, late, message, play, play_warm, sends,
};

/// The default policy and both Java clients with `sendLatencyFaultEnable`.
fn remembering() -> [Policy; 3] {
    let mut all = [Policy::strict(), Policy::java_5_3(), Policy::java_4_9()];
    for policy in &mut all {
        policy.health.enabled = true;
    }
    all
}

/// Sends every 100 ms for so long.
async fn send_for(sim: &Sim, producer: &Producer, ms: u64) {
    for _ in 0..ms / 100 {
        producer.send(message()).await.unwrap();
        sim.sleep(Duration::from_millis(100)).await;
    }
}

/// From which moment on broker-a is used again, counted from `since`.
fn back_after(seen: &Evidence, since: u64) -> Option<u64> {
    let sends = seen.sends();
    let mut later = sends.iter().filter(|send| send.ms > since);
    later
        .find(|send| send.broker == "a")
        .map(|send| send.ms - since)
}

#[test]
fn a_broker_that_took_600_ms_is_left_alone_for_2_s_in_5_x_and_for_30_s_in_4_9() {
    for (policy, isolated) in remembering().into_iter().zip([2_000, 2_000, 30_000]) {
        let setup = brokers(2).fault(late(first_sends("broker-a", 1, delay(600))));
        let ((), seen) = play_warm(setup, &policy, async |sim, producer| {
            send_for(sim, producer, isolated + 1_000).await;
        });
        let slow = seen.sends()[0].clone();
        assert_eq!(slow.broker, "a");
        // It was answered after 600 ms and a millisecond's way.
        let back = back_after(&seen, slow.ms + 601).unwrap();
        assert!(
            (isolated..isolated + 400).contains(&back),
            "{}: {back}",
            policy.name
        );
    }
}

#[test]
fn a_quick_success_in_between_ends_the_isolation_in_4_9_only() {
    for (policy, back_ms) in remembering()
        .into_iter()
        .zip([2_000..2_400, 2_000..2_400, 0..1_400])
    {
        let setup = brokers(2).fault(late(first_sends("broker-a", 1, delay(600))));
        let ((), seen) = play_warm(setup, &policy, async |sim, producer| {
            send_for(sim, producer, 1_000).await;
            let queue = MessageQueue::new("orders", "broker-a", 0);
            // Java's sync sends to a chosen queue teach nothing.
            let (told, outcome) = tokio::sync::oneshot::channel();
            producer
                .dispatch(message())
                .to(queue)
                .send_with_callback(|outcome| {
                    // The receiver may be gone; then nobody asks.
                    let _ = told.send(outcome);
                });
            outcome.await.unwrap().unwrap();
            send_for(sim, producer, 2_500).await;
        });
        let slow = seen.sends()[0].ms + 601;
        let to_a: Vec<_> = seen
            .sends()
            .into_iter()
            .filter(|send| send.broker == "a")
            .collect();
        assert!(
            (900..1_200).contains(&(to_a[1].ms - slow)),
            "the chosen queue: {to_a:?}"
        );
        let back = to_a[2].ms - slow;
        assert!(back_ms.contains(&back), "{}: {back}", policy.name);
    }
}

#[test]
fn while_both_are_slow_both_are_used() {
    for policy in remembering() {
        let slow = |broker| late(sends(broker, delay(600)));
        let setup = brokers(2).fault(slow("broker-a")).fault(slow("broker-b"));
        let ((), seen) = play_warm(setup, &policy, async |_, producer| {
            for _ in 0..5 {
                producer.send(message()).await.unwrap();
            }
        });
        let path = seen.path();
        // broker-a at 0 s, broker-b at 0.6 s; from 1.2 s on both are avoided until 2.6 s at least.
        assert!(path.starts_with("ab"), "{}: {path}", policy.name);
        assert!(
            path[2..5].contains('a') && path[1..5].contains('b'),
            "{}: {path}",
            policy.name
        );
    }
}

#[test]
fn a_broker_that_refused_a_connection_is_left_alone_for_10_s_in_5_x_and_for_600_s_in_4_9() {
    for (policy, isolated) in remembering().into_iter().zip([10_000, 10_000, 600_000]) {
        let setup = brokers(2).fault(refuse("broker-a").lasting(Duration::from_millis(WARM)));
        let ((), seen) = play(setup, &policy, async |sim, producer| {
            for _ in 0..=(isolated / 500 + 4) {
                producer.send(message()).await.unwrap();
                sim.sleep(Duration::from_millis(500)).await;
            }
        });
        assert!(
            seen.dials().starts_with("ab"),
            "{}: {}",
            policy.name,
            seen.dials()
        );
        let back = back_after(&seen, seen.sends()[0].ms).unwrap();
        assert!(
            (isolated - 10..isolated + 1_200).contains(&back),
            "{}: {back}",
            policy.name
        );
    }
}

#[test]
fn the_only_broker_is_used_however_it_failed() {
    for policy in remembering() {
        // Longer than a send, whose attempts outlast a short refusal.
        let setup = brokers(1).fault(refuse("broker-a").for_secs(4));
        let ((), seen) = play(setup, &policy, async |sim, producer| {
            producer.send(message()).await.unwrap_err();
            sim.until_secs(5).await;
            for _ in 0..3 {
                producer.send(message()).await.unwrap();
            }
        });
        assert_eq!(seen.path(), "aaa", "{}", policy.name);
        let isolated = |what: &NodeEvent| matches!(what, NodeEvent::Producer(Event::Health { .. }));
        assert!(!seen.at("p", isolated).is_empty(), "{}", policy.name);
    }
}

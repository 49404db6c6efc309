//! What becomes of a cluster's traffic when one of its servers goes.

use std::time::Duration;

use rmq_mock_namesrv::event::Event as NameServerEvent;
use rmq_producer::event::Failure;
use rmq_producer::{MessageQueue, Producer};
use rmq_remoting::code::request;
use rmq_remoting::observe::Name;
use rmq_remoting::request::WipeWritePerm;
use rmq_sim::simulation::{Sim, crash, power_loss};
use rmq_sim::trace::NodeEvent;

use crate::support::{
    Outcome, WARM, administer, answer, brokers, message, play, play_warm, requests, send_sync,
    strict_and_java,
};

/// Sends every 10 ms until so many seconds after the start.
async fn send_until(sim: &Sim, producer: &Producer, seconds: u64) -> Vec<Outcome> {
    let end = tokio::time::Instant::now() + Duration::from_secs(seconds - WARM / 1_000);
    let mut outcomes = Vec::new();
    while tokio::time::Instant::now() < end {
        outcomes.push(producer.send(message()).await);
        sim.sleep(Duration::from_millis(10)).await;
    }
    outcomes
}

fn gone(what: &NodeEvent) -> bool {
    matches!(
        what,
        NodeEvent::NameServer(NameServerEvent::BrokerRemoved { .. })
    )
}

#[test]
fn a_killed_broker_costs_one_retry_and_no_message() {
    for policy in strict_and_java() {
        let setup = brokers(2).fault(crash("broker-a").at_secs(5));
        let (outcomes, seen) = play_warm(setup, &policy, async |sim, producer| {
            send_until(sim, producer, 10).await
        });
        let sent: Vec<_> = outcomes
            .into_iter()
            .map(|it| it.expect("no send fails"))
            .collect();
        assert!(sent.iter().all(|it| it.attempts <= 2), "{}", policy.name);
        let stored = seen.stored();
        let is_stored = |key: &Name| stored.iter().any(|(_, it)| it.key == *key);
        // The dead broker's ledger is with its disk; what it acknowledged is there, too.
        assert!(sent.iter().all(|it| is_stored(&it.message_id)));
        let removed = seen.at("ns-1", gone);
        assert!((5_000..6_000).contains(&removed[0]), "{removed:?}");
    }
}

#[test]
fn a_broker_without_power_costs_its_own_calls_their_time_and_the_others_nothing() {
    for mut policy in strict_and_java() {
        policy.attempts.target_queue_sync = 1;
        let setup = brokers(2).fault(power_loss("broker-a").at_secs(5));
        let ((to_a, to_b), seen) = play_warm(setup, &policy, async |sim, producer| {
            sim.until_secs(6).await;
            let target = |broker| {
                let began = tokio::time::Instant::now();
                let queue = MessageQueue::new("orders", broker, 0);
                async move {
                    let outcome = producer.send_to(message(), queue).await;
                    (outcome, began.elapsed().as_millis())
                }
            };
            let both = tokio::join!(biased; target("broker-a"), target("broker-b"));
            sim.until_secs(135).await;
            both
        });
        assert!(
            to_a.0.is_err() && (3_000..=3_100).contains(&to_a.1),
            "{}",
            to_a.1
        );
        assert!(to_b.0.is_ok() && to_b.1 < 10, "{}", policy.name);
        let removed = seen.at("ns-1", gone);
        assert!((95_000..=130_000).contains(&removed[0]), "{removed:?}");
    }
}

#[test]
fn a_broker_whose_permission_is_wiped_gets_no_send_after_the_next_poll() {
    for policy in strict_and_java() {
        let (outcomes, seen) = play_warm(brokers(2), &policy, async |sim, producer| {
            let wipe = WipeWritePerm {
                broker_name: "broker-a",
            };
            administer(sim, &sim.name_servers(), &wipe).await;
            send_until(sim, producer, 39).await
        });
        assert!(outcomes.iter().all(Result::is_ok), "{}", policy.name);
        let to_a = |from, until| {
            let sends = seen.sends().into_iter();
            let sends = sends.filter(|it| (from..until).contains(&it.ms));
            sends.filter(|it| it.broker == "a").count()
        };
        assert!(to_a(WARM, 30_000) > 500, "{}", policy.name);
        assert_eq!(to_a(WARM + 31_000, 39_000), 0, "{}", policy.name);
    }
}

#[test]
fn a_topic_that_nobody_may_write_is_not_looked_for_elsewhere() {
    for policy in strict_and_java() {
        let setup = brokers(1).causes(&["INV-42"]);
        let ((outcome, _), seen) = play(setup, &policy, async |sim, producer| {
            let wipe = WipeWritePerm {
                broker_name: "broker-a",
            };
            administer(sim, &sim.name_servers(), &wipe).await;
            send_sync(producer, message()).await
        });
        assert_eq!(
            outcome.unwrap_err().failure(),
            Failure::NoRoute,
            "{}",
            policy.name
        );
        assert_eq!(seen.lookups(), ["orders".into()], "{}", policy.name);
        assert_eq!((&*seen.path(), &*seen.dials()), ("", ""));
    }
}

#[test]
fn name_servers_that_restart_empty_stop_new_producers_only() {
    for policy in strict_and_java() {
        let setup = brokers(2).fault(crash("ns-1").at_secs(5).down_for_secs(1));
        let ((old, early, late), _) = play_warm(setup, &policy, async |sim, producer| {
            sim.until_secs(7).await;
            let new = sim
                .producer("new")
                .policy(policy.clone())
                .start()
                .await
                .unwrap();
            let early = new.send(message()).await;
            let mut old = Vec::new();
            for second in 8..300 {
                old.push(producer.send(message()).await);
                sim.until_secs(second).await;
            }
            let late = new.send(message()).await;
            new.stop().await;
            (old, early, late)
        });
        assert!(old.iter().all(Result::is_ok), "{}", policy.name);
        assert_eq!(
            early.unwrap_err().failure(),
            Failure::NoRoute,
            "{}",
            policy.name
        );
        assert!(late.is_ok(), "{}", policy.name);
    }
}

#[test]
fn a_broker_that_knows_no_unregister_delays_no_stop() {
    for policy in strict_and_java() {
        let code = request::UNREGISTER_CLIENT;
        let setup = brokers(1).fault(requests("broker-a", code, answer(3)));
        let (took, seen) = play(setup, &policy, async |_, producer| {
            producer.send(message()).await.unwrap();
            let began = tokio::time::Instant::now();
            producer.stop().await;
            began.elapsed().as_millis()
        });
        assert!(took < 50, "{}: {took} ms", policy.name);
        assert!(
            !seen.requests("broker-a", code).is_empty(),
            "{}",
            policy.name
        );
    }
}

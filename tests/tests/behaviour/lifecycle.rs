//! Start and stop, and producers that share a client.

use std::sync::Arc;

use parking_lot::Mutex;
use rmq_mock_broker::control::NoControl;
use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_mock_broker::{Broker, Config, Disk};
use rmq_producer::{Policy, Producer, StartError};
use rmq_remoting::code::request;
use rmq_remoting::observe::{Name, Observer};
use rmq_sim::simulation::{Sim, refuse};

use crate::support::{brokers, message, play, strict_and_java};

#[test]
fn a_group_with_a_blank_does_not_start_and_neither_does_it_a_second_time() {
    for policy in strict_and_java() {
        let (errors, seen) = play(brokers(1), &policy, async |_, producer| {
            let start = || {
                Producer::builder("a b")
                    .client(producer.client().clone())
                    .start()
            };
            [start().await.unwrap_err(), start().await.unwrap_err()]
        });
        for error in errors {
            let text = "the specified group[a b] contains illegal characters";
            assert!(error.to_string().starts_with(text), "{error}");
        }
        assert_eq!((&*seen.dials(), seen.lookups().len()), ("", 0));
    }
}

#[test]
fn a_producer_starts_while_every_server_is_down() {
    for policy in strict_and_java() {
        let setup = brokers(1).fault(refuse("ns-1")).fault(refuse("broker-a"));
        let ((), seen) = play(setup, &policy, async |_, _| {});
        assert_eq!((&*seen.dials(), seen.lookups().len()), ("", 0));
    }
}

#[test]
fn two_producers_of_one_client_share_its_connections_and_its_polls() {
    for policy in strict_and_java() {
        let ((), seen) = play(brokers(2), &policy, async |sim, first| {
            let client = first.client().clone();
            let second = Producer::builder("second")
                .client(client)
                .start()
                .await
                .unwrap();
            for _ in 0..4 {
                first.send(message()).await.unwrap();
                second.send(message()).await.unwrap();
            }
            sim.until_secs(40).await;
            drop(second);
        });
        assert_eq!(seen.dials(), "ab", "{}", policy.name);
        assert_eq!(seen.sends().len(), 8);
        let code = request::GET_ROUTEINFO_BY_TOPIC;
        let seconds: Vec<_> = seen
            .requests("ns-1", code)
            .iter()
            .map(|ms| ms / 1_000)
            .collect();
        assert_eq!(
            seconds,
            [0, 30],
            "one first lookup and one poll: {}",
            policy.name
        );
        let heartbeats = seen.requests("broker-a", request::HEART_BEAT);
        let seconds: Vec<_> = heartbeats.iter().map(|ms| ms / 1_000).collect();
        assert_eq!(seconds, [0, 1, 31], "{}", policy.name);
    }
}

#[test]
fn a_group_is_taken_until_its_producer_has_stopped() {
    for policy in strict_and_java() {
        let (second, _) = play(brokers(1), &policy, async |_, producer| {
            let client = producer.client();
            let start = || Producer::builder("taken").client(client.clone()).start();
            let first = start().await.unwrap();
            let refused = start().await.unwrap_err();
            assert_eq!(refused, StartError::GroupTaken("taken".into()));
            let text = "The producer group[taken] has been created before";
            assert!(refused.to_string().starts_with(text), "{refused}");
            first.stop().await;
            let second = start().await.unwrap();
            second.send(message()).await
        });
        assert_eq!(&*second.unwrap().queue.broker, "broker-a");
    }
}

/// The codes of the requests that a server of the test's own has read.
#[derive(Debug, Default)]
struct Codes(Mutex<Vec<i32>>);

impl Observer<BrokerEvent> for Codes {
    fn on(&self, event: BrokerEvent) {
        if let BrokerEvent::Received { code, .. } = event {
            self.0.lock().push(code);
        }
    }
}

impl Codes {
    fn count(&self, code: i32) -> usize {
        self.0.lock().iter().filter(|it| **it == code).count()
    }
}

/// A slave of broker-a on a machine of its own.
async fn slave(sim: &Sim, codes: &Arc<Codes>) -> Broker {
    let host = sim.host("slave");
    let mut config = Config::new("broker-a", (host.identity().address, 10_911).into());
    config.id = 1;
    config.name_servers = sim.name_servers().split(';').map(Name::from).collect();
    config.topics = vec![("orders".into(), 2)];
    let (control, observer) = (Arc::new(NoControl), Arc::clone(codes));
    let slave = Broker::start(host, config, Arc::new(Disk::new()), control, observer);
    let slave = slave.await.unwrap();
    slave.registered().await;
    slave
}

#[test]
fn heartbeats_go_to_masters_and_unregister_to_slaves_too() {
    for (policy, groups) in [(Policy::strict(), 1), (Policy::java_5_3(), 2)] {
        let ((heartbeats, unregistered), seen) =
            play(brokers(1), &policy, async |sim, producer| {
                let codes = Arc::default();
                let slave = slave(sim, &codes).await;
                producer.send(message()).await.unwrap();
                sim.until_secs(40).await;
                let heartbeats = codes.count(request::HEART_BEAT);
                producer.stop().await;
                let unregistered = codes.count(request::UNREGISTER_CLIENT);
                drop(slave);
                (heartbeats, unregistered)
            });
        let of_master = |code| seen.requests("broker-a", code).len();
        assert_eq!(
            (of_master(request::HEART_BEAT), heartbeats),
            (3, 0),
            "{}",
            policy.name
        );
        let of_master = of_master(request::UNREGISTER_CLIENT);
        assert_eq!(
            (of_master, unregistered),
            (groups, groups),
            "{}",
            policy.name
        );
    }
}

//! One-way sends: what the caller learns.

use rmq_producer::event::{Failure, Stage};
use rmq_producer::{MessageQueue, Policy};
use rmq_sim::simulation::refuse;

use crate::support::{brokers, message, play, strict_and_java};

#[test]
fn an_unreachable_broker_is_an_error_of_a_oneway_send_but_for_java_5_3() {
    for (policy, told) in [
        (Policy::strict(), Some(Failure::Attempts(Stage::Dial))),
        (Policy::java_4_9(), Some(Failure::Attempts(Stage::Dial))),
        (Policy::java_5_3(), None),
    ] {
        let setup = brokers(1).fault(refuse("broker-a"));
        let (outcome, seen) = play(setup, &policy, async |sim, producer| {
            let outcome = producer.send_oneway(message()).await;
            sim.until_secs(3).await;
            outcome
        });
        let failure = outcome.err().map(|error| error.failure());
        assert_eq!(failure, told, "{}", policy.name);
        assert!(seen.dials().starts_with('a'), "{}", policy.name);
        assert_eq!(seen.path(), "", "{}", policy.name);
    }
}

#[test]
fn a_queue_of_another_topic_is_refused_in_a_oneway_send_too_but_for_java() {
    for policy in strict_and_java() {
        let (outcome, seen) = play(brokers(1), &policy, async |sim, producer| {
            let queue = MessageQueue::new("others", "broker-a", 1);
            let outcome = producer.dispatch(message()).to(queue).send_oneway().await;
            sim.until_secs(3).await;
            outcome
        });
        if policy.name == "strict" {
            let error = outcome.unwrap_err();
            assert_eq!(error.failure(), Failure::Invalid, "{error}");
            assert_eq!((&*seen.path(), seen.lookups().len()), ("", 0));
        } else {
            outcome.unwrap();
            let stored = seen.stored();
            let [(broker, entry)] = &stored[..] else {
                panic!("{} copies", stored.len());
            };
            assert_eq!((&**broker, &*entry.topic, entry.queue), ("a", "orders", 1));
        }
    }
}

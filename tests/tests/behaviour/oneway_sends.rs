//! One-way sends: what the caller learns.

use rmq_producer::Policy;
use rmq_producer::event::{Failure, Stage};
use rmq_sim::simulation::refuse;

use crate::support::{brokers, message, play};

#[test]
fn an_unreachable_broker_is_an_error_of_a_oneway_send_but_for_java_5_3() {
    for (policy, told) in [
        (Policy::strict(), Some(Failure::Attempts(Stage::Dial))),
        (Policy::java_4_9(), Some(Failure::Attempts(Stage::Dial))),
        (Policy::java_5_3(), None),
    ] {
        let story = brokers(1).fault(refuse("broker-a"));
        let (outcome, seen) = play(story, &policy, async |sim, producer| {
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

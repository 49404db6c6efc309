//! A workload goes to the queue it names, in every mode.

use std::io;

use rmq_sim::fault::EngineKind;
use rmq_sim::run::run;
use rmq_sim::scenario::Scenario;

#[test]
fn every_send_of_a_workload_with_a_target_queue_is_stored_in_its_queue_whatever_the_mode() {
    for mode in ["sync", "async", "oneway"] {
        let text = format!(
            "format = 2\nseconds = 20\n[cluster]\nbrokers = [\"broker-a\", \"broker-b\"]\n\
             topics = {{ orders = 4 }}\n[producer.p1]\n[[workload]]\nproducer = \"p1\"\n\
             topic = \"orders\"\nmode = \"{mode}\"\nsends = 12\n\
             queue = {{ broker = \"broker-b\", id = 2 }}\n"
        );
        let none = |_: &str| Err(io::Error::from(io::ErrorKind::NotFound));
        let scenario = Scenario::parse("target-queue.toml", &text, &none).expect("a scenario");
        let run = run(&scenario.into(), 1, EngineKind::Event).expect("a run");
        assert!(run.verdict.is_pass(), "{mode}: {}", run.verdict);
        assert_eq!(run.ledger.len(), 12, "{mode}");
        for (broker, entry) in &run.ledger {
            assert_eq!((&**broker, entry.queue), ("broker-b", 2), "{mode}");
        }
    }
}

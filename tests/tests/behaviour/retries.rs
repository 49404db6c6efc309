//! What "retries" means, wherever it can be set: a producer's builder, a scenario file, and the
//! simulation of a program's own code say the same word and must mean the same thing.

use std::sync::Arc;

use parking_lot::Mutex;
use rmq_producer::Policy;
use rmq_producer::policy::{Attempts, PRESETS};
use rmq_sim::fault::EngineKind;
use rmq_sim::run::run;
use rmq_sim::scenario::Scenario;
use rmq_sim::simulation::{Cluster, SimProducer, Simulation};

/// The attempts of a producer that a simulated program starts, described by `describe`.
fn simulated(describe: impl Fn(SimProducer) -> SimProducer + Sync) -> Attempts {
    let attempts = Mutex::new(None);
    Simulation::new(Cluster::new().brokers(1).topic("orders", 1))
        .seeds(0..1)
        .check(async |sim| {
            let producer = describe(sim.producer("app")).start().await?;
            attempts.lock().replace(producer.policy().attempts);
            producer.stop().await;
            Ok(())
        });
    attempts.lock().take().expect("the check ran")
}

/// The attempts of the producer of a scenario file.
fn of_a_scenario(preset: &str, retries: u32) -> Attempts {
    let text = format!(
        r#"
        format  = 2
        seconds = 2
        [cluster]
        brokers = ["broker-a"]
        topics  = {{ orders = 1 }}
        [producer.p1]
        policy  = "{preset}"
        retries = {retries}
        [[workload]]
        producer = "p1"
        topic    = "orders"
        sends    = 1
        "#
    );
    let none = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let scenario = Scenario::parse("retries.toml", &text, &none).expect("a scenario");
    let run = run(&Arc::new(scenario), 0, EngineKind::Event).expect("it runs");
    let facts = &run.trace.header.policies[0];
    Attempts {
        sync: facts.attempts_sync,
        async_: facts.attempts_async,
        target_queue_sync: facts.attempts_target_queue_sync,
        target_queue_async: facts.attempts_target_queue_async,
    }
}

#[test]
fn builder_scenario_and_simulation_mean_the_same_by_retries_for_every_preset() {
    for preset in PRESETS {
        let policy = Policy::preset(preset).unwrap();
        for retries in [0, 1, 5, 100] {
            let meant = policy.clone().with_retries(retries).attempts;
            let built = simulated(|producer| {
                let producer = producer.policy(policy.clone());
                producer.with(move |builder| builder.retries(retries))
            });
            assert_eq!(built, meant, "builder of {preset}, {retries}");
            let scenario = of_a_scenario(preset, retries);
            assert_eq!(scenario, meant, "scenario of {preset}, {retries}");
            let set = simulated(|producer| producer.policy(policy.clone()).retries(retries));
            assert_eq!(set, meant, "simulation of {preset}, {retries}");
        }
    }
}

#[test]
fn in_a_simulation_the_order_of_policy_and_retries_does_not_matter() {
    let java = Policy::java_5_3();
    let meant = java.clone().with_retries(7).attempts;
    let set = simulated(|producer| producer.retries(7).policy(java.clone()));
    assert_eq!(set, meant);
}

#[test]
fn the_most_retries_that_can_be_written_are_taken_everywhere() {
    let meant = Policy::strict().with_retries(u32::MAX).attempts;
    assert_eq!(meant.sync, u32::MAX);
    assert_eq!(simulated(|producer| producer.retries(u32::MAX)), meant);
    let built = simulated(|producer| producer.with(|builder| builder.retries(u32::MAX)));
    assert_eq!(built, meant);
}

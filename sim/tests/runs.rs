//! Runs are what they promise to be: every scenario of the project ends as its file says, equal runs
//! are equal, and a check of one's own code is run over many seeds.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rmq_producer::Message;
use rmq_sim::fault::EngineKind;
use rmq_sim::internals::sweep::sweep;
use rmq_sim::run::{Run, RunError, run};
use rmq_sim::scenario::Scenario;
use rmq_sim::simulation::{Cluster, Simulation, answer, crash, drop_replies, drop_requests};
use rmq_sim::trace::{NodeEvent, WorkEvent, WorkResult};
use rmq_sim::verdict::Class;

fn scenario(name: &str) -> Arc<Scenario> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../scenarios")
        .join(name);
    Arc::new(Scenario::load(&path).unwrap_or_else(|error| panic!("{error}")))
}

fn on_event(name: &str, seed: u64) -> Run {
    run(&scenario(name), seed, EngineKind::Event).expect("a run")
}

fn all() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| {
            PathBuf::from(entry.expect("an entry").file_name())
                .display()
                .to_string()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_policy_with_a_timeout_longer_than_any_run_is_refused() {
    let mut policy = rmq_producer::Policy::strict();
    policy.send_timeout = u64::MAX / 10;
    let text = "format = 2\nseconds = 60\n[cluster]\nbrokers = [\"broker-a\"]\n\
        [producer.p1]\npolicy = \"own.toml\"\n\
        [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 10\n";
    let load = |_: &str| Ok(policy.to_toml());
    let error = Scenario::parse("test.toml", text, &load).expect_err("no scenario");
    let text = error.to_string();
    assert!(
        text.contains("producer p1: send-timeout is 1844674407370955161 ms"),
        "{text}"
    );
    assert!(text.contains("remedy: mend the policy file"), "{text}");
}

#[test]
fn every_scenario_ends_as_its_file_says_for_some_seeds() {
    for name in all() {
        for seed in [0, 7, 8, 9] {
            let run = on_event(&name, seed);
            assert!(
                run.verdict.is_pass(),
                "{name} seed {seed}: {:?}",
                run.verdict.findings
            );
        }
    }
}

#[test]
fn a_run_repeated_on_the_same_thread_is_the_same_run() {
    for name in [
        "broker-crash.toml",
        "broker-frozen.toml",
        "async-crash.toml",
    ] {
        let first = on_event(name, 7);
        on_event("link-loss.toml", 3);
        assert_eq!(first.digest, on_event(name, 7).digest, "{name}");
    }
}

#[test]
fn seeds_change_nothing_where_nothing_is_drawn_and_something_where_there_is_jitter() {
    let healthy = |seed| on_event("healthy.toml", seed).digest;
    assert_eq!(healthy(7), healthy(8));
    let crash = |seed| on_event("broker-crash.toml", seed).digest;
    assert_ne!(crash(7), crash(8));
}

#[test]
fn a_sweep_does_not_depend_on_the_number_of_threads() {
    let scenario = scenario("broker-crash.toml");
    let one = sweep(&scenario, 0..20, 1, &|_| {}).expect("a sweep");
    let two = sweep(&scenario, 0..20, 2, &|_| {}).expect("a sweep");
    assert_eq!(one, two);
    assert_eq!(one.runs, 20);
    assert_eq!(one.classes.get(&Class::Pass), Some(&20));
}

#[test]
fn a_violated_expectation_is_a_violation_that_names_it() {
    let mut scenario = (*scenario("healthy.toml")).clone();
    scenario.expect.failed = Some(rmq_sim::scenario::Bound { min: 1, max: 3 });
    let run = run(&Arc::new(scenario), 7, EngineKind::Event).expect("a run");
    assert_eq!(run.verdict.class, Class::Violation);
    assert_eq!(
        run.verdict.findings[0].to_string(),
        "expect: failed is 0, and the scenario expects 1 to 3"
    );
}

#[test]
fn what_a_real_machine_cannot_do_is_refused_before_anything_runs() {
    let refused = run(&scenario("link-loss.toml"), 7, EngineKind::Tcp).expect_err("it cannot");
    assert!(matches!(refused, RunError::Impossible { .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("loss p1 -> broker-b"), "{text}");
    assert!(text.contains("remedy: "), "{text}");
}

/// For each send: whether it was stored, its broker, and how many attempts it took.
fn outcomes(run: &Run) -> BTreeMap<String, (Option<String>, u64)> {
    let mut outcomes = BTreeMap::new();
    for record in &run.trace.records {
        if let NodeEvent::Work(WorkEvent::Returned { keys, result }) = &record.what {
            let broker = match result {
                WorkResult::Sent { broker, .. } => Some(broker.to_string()),
                WorkResult::Written | WorkResult::Failed(_) => None,
            };
            outcomes.insert(keys.to_string(), (broker, run.summary.attempts));
        }
    }
    outcomes
}

#[test]
fn turmoil_gives_each_send_the_outcome_that_the_event_engine_gives_it() {
    for name in ["broker-crash.toml", "dropped-reply.toml"] {
        let turmoil = run(&scenario(name), 7, EngineKind::Turmoil).expect("a run");
        assert!(turmoil.verdict.is_pass(), "{:?}", turmoil.verdict.findings);
        assert_eq!(outcomes(&on_event(name, 7)), outcomes(&turmoil), "{name}");
    }
}

#[test]
fn an_outbox_loses_nothing_when_a_broker_crashes_and_replies_are_lost() {
    Simulation::new(Cluster::new().brokers(3).topic("orders", 4))
        .fault(crash("broker-a").after_stored(5).down_for_secs(20))
        .fault(drop_replies("broker-b").per_mille(200).between_secs(10..30))
        .seeds(0..50)
        .check(async |sim| {
            let producer = sim.producer("orders-app").start().await?;
            sim.until_secs(1).await;
            for n in 0..30 {
                let order = format!("order {n}");
                producer.send(Message::new("orders", order)).await?;
                sim.sleep(std::time::Duration::from_secs(1)).await;
            }
            producer.stop().await;
            sim.ledger().assert_each_key_stored();
            assert_eq!(sim.ledger().bodies("orders").len(), 30);
            Ok(())
        });
}

#[test]
fn a_failing_check_names_the_seed_and_the_line_that_repeats_it() {
    let refusing = || {
        Simulation::new(Cluster::new().topic("orders", 1))
            .fault(answer("broker-a", 1))
            .seeds(3..5)
            .check(async |sim| {
                let producer = sim.producer("app").start().await?;
                sim.until_secs(1).await;
                producer.send(Message::new("orders", "one")).await?;
                Ok(())
            });
    };
    let panic = std::panic::catch_unwind(refusing).expect_err("the broker refuses");
    let text = panic.downcast_ref::<String>().expect("a text");
    assert!(text.starts_with("seed 3: violation: check: "), "{text}");
    assert!(
        text.contains("ROCKETMQ_SIM_SEED=3 cargo test a_failing_check"),
        "{text}"
    );
}

#[test]
fn a_lost_message_fails_the_ledgers_assertion() {
    let run = Simulation::new(Cluster::new().topic("orders", 1))
        .fault(drop_requests("broker-a"))
        .run(1, async |sim| {
            let producer = sim.producer("app").start().await?;
            sim.until_secs(1).await;
            assert!(producer.send(Message::new("orders", "one")).await.is_err());
            assert_eq!(sim.ledger().missing().len(), 1);
            producer.stop().await;
            Ok(())
        })
        .expect("a run");
    assert!(run.verdict.is_pass(), "{:?}", run.verdict.findings);
}

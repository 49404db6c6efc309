//! What a failing check tells, without a second run: errors with their causes, panics with their place, the
//! faults that it takes, and the same on one thread as on many.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error;
use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use rmq_producer::Message;
use rmq_sim::fault::EngineKind;
use rmq_sim::run;
use rmq_sim::scenario::Scenario;
use rmq_sim::simulation::{
    CheckError, CheckFailure, Checked, Cluster, Sim, Simulation, crash, drop_replies,
    drop_requests, freeze,
};
use rmq_sim::verdict::Class;

/// An error with two causes.
#[derive(Debug)]
struct Nested(&'static str, Option<Box<Nested>>);

impl fmt::Display for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Nested {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.1.as_deref()?)
    }
}

fn nested() -> CheckError {
    let cause = Nested("the connection was refused", None);
    let error = Nested("order 7 was not published", Some(Box::new(cause)));
    Box::new(Nested("the shop is closed", Some(Box::new(error))))
}

fn healthy() -> Simulation {
    Simulation::new(Cluster::new().brokers(2).topic("orders", 4)).seeds(0..6)
}

fn failure(check: impl AsyncFn(Sim) -> Result<(), CheckError> + Sync) -> CheckFailure {
    healthy().try_check(check).unwrap_err()
}

/// Sends ten orders and forgets those that fail.
async fn forgetful(sim: Sim) -> Result<(), CheckError> {
    let producer = sim.producer("orders-app").retries(0).start().await?;
    for n in 0..10 {
        let _forgotten = producer
            .send(Message::new("orders", format!("order {n}")))
            .await;
        sim.sleep(Duration::from_millis(400)).await;
    }
    producer.stop().await;
    sim.ledger().assert_each_key_stored();
    Ok(())
}

/// Three faults, of which one loses orders.
fn troubled() -> Simulation {
    Simulation::new(Cluster::new().brokers(2).topic("orders", 4))
        .fault(freeze("broker-a").at_secs(2).for_secs(1))
        .fault(drop_requests("broker-b").per_mille(30))
        .fault(drop_replies("ns-1").times(1))
        .seeds(0..100)
        .shrinking(Duration::from_secs(600))
}

#[test]
fn an_error_is_told_with_all_of_its_causes() {
    let text = failure(async |_sim| Err(nested())).to_string();
    let expected = "seed 0: violation: check: the shop is closed\n  \
                    caused by: order 7 was not published\n  \
                    caused by: the connection was refused\n";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn the_error_of_a_nodes_program_is_told_with_all_of_its_causes() {
    let failure = failure(async |sim| {
        sim.node("shop", async |_node| Err(nested()));
        sim.until_secs(5).await;
        Ok(())
    });
    let text = failure.to_string();
    assert!(
        text.contains("shop ended with an error: the shop is closed\n"),
        "{text}"
    );
    assert!(
        text.contains("caused by: the connection was refused\n"),
        "{text}"
    );
}

#[test]
fn a_panic_is_told_with_its_place_wherever_it_happens() {
    let in_check = failure(async |_sim| panic!("here"));
    let in_node = failure(async |sim| {
        sim.node("shop", async |_node| panic!("here"));
        sim.until_secs(5).await;
        Ok(())
    });
    #[expect(clippy::disallowed_methods, reason = "what a program does")]
    let in_task = failure(async |sim| {
        tokio::spawn(async { panic!("here") });
        sim.until_secs(5).await;
        Ok(())
    });
    for failure in [in_check, in_node, in_task] {
        let class = failure.run.as_ref().unwrap().verdict.class;
        let text = failure.to_string();
        assert_eq!(class, Class::Panic, "{text}");
        assert!(text.contains("here (tests/tests/failures.rs:"), "{text}");
    }
}

#[test]
fn a_failure_tells_which_of_the_faults_it_takes() {
    let failure = troubled().try_check(forgetful).unwrap_err();
    let place = failure.to_string();
    let place = place
        .split_once(" (")
        .and_then(|(_, rest)| Some(rest.split_once(')')?.0));
    // The line moves when this file changes.
    let told = failure
        .to_string()
        .replace(place.unwrap(), "tests/orders.rs:9:1");
    insta::assert_snapshot!("three_faults_of_which_one_loses_orders", told);
}

#[test]
fn the_shrunk_faults_as_a_file_are_the_shrunk_faults() {
    let failure = troubled().try_check(forgetful).unwrap_err();
    let text = failure.to_string();
    let lines = text.lines().skip_while(|line| !line.starts_with("toml"));
    let lines = lines.take_while(|line| line.starts_with("toml") || line.starts_with("  "));
    let faults: Vec<&str> = lines.map(|line| &line[9..]).collect();
    let scenario = format!(
        "format = 2\nseconds = 60\n[cluster]\nbrokers = [\"broker-a\", \"broker-b\"]\n\
         [producer.orders-app]\n[[workload]]\nproducer = \"orders-app\"\ntopic = \"orders\"\n\
         sends = 10\n{}",
        faults.join("\n")
    );
    let no_policies = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let scenario = Scenario::parse("shrunk.toml", &scenario, &no_policies).unwrap();
    let run = run::run(&scenario.into(), 0, EngineKind::Event).unwrap();
    assert_eq!(run.effects.len(), failure.shrunk.unwrap().faults.len());
}

#[test]
fn one_thread_and_many_find_the_same_failure_and_do_the_same_work() {
    let fail = |jobs| troubled().jobs(jobs).try_check(forgetful).unwrap_err();
    let alone = fail(1);
    for jobs in [2, 5] {
        assert_eq!(fail(jobs).to_string(), alone.to_string(), "{jobs} threads");
    }
    let pass = |jobs| -> Checked {
        let simulation = healthy().fault(crash("broker-a").after_stored(2).down_for_secs(1));
        let checked = simulation.jobs(jobs).try_check(async |sim| {
            let producer = sim.producer("orders-app").start().await?;
            for _ in 0..10 {
                producer.send(Message::new("orders", "order")).await?;
            }
            producer.stop().await;
            Ok(())
        });
        let mut checked = checked.unwrap();
        checked.took = Duration::ZERO;
        checked
    };
    assert_eq!(pass(1), pass(3));
    assert_eq!((pass(1).seeds, pass(1).sends), (6, 60));
    assert!(pass(1).struck["crash"] >= 6, "{}", pass(1));
}

/// What the panic of a check says.
fn panic_of(check: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(check)).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_kept_seed_is_tried_first_and_what_it_left_is_on_disk() {
    // `failures.failing-seeds` has it, and it is none of the five.
    let text = panic_of(|| {
        healthy().check(async |sim| {
            let producer = sim.producer("orders-app").start().await?;
            producer.send(Message::new("orders", "order")).await?;
            producer.stop().await;
            match sim.seed() {
                0..6 => Ok(()),
                _ => Err(nested()),
            }
        });
    });
    assert!(
        text.starts_with("seed 1000: violation: check: the shop is closed"),
        "{text}"
    );
    assert!(
        text.contains("failures.failing-seeds has this seed"),
        "{text}"
    );
    let written = text.lines().find_map(|line| line.strip_prefix("written  "));
    let folder = Path::new(written.unwrap());
    assert!(
        folder
            .ends_with("rocketmq-sim/a_kept_seed_is_tried_first_and_what_it_left_is_on_disk/1000")
    );
    let read = |name| fs::read_to_string(folder.join(name)).unwrap();
    assert!(read("failure.txt").starts_with("seed 1000: violation"));
    assert!(read("trace.txt").contains("s1 ok"), "{}", read("trace.txt"));
    let mut records = read("trace.jsonl");
    records = records.lines().next().unwrap_or_default().to_owned();
    assert!(records.starts_with("{\"header\":"), "{records}");
}

#[test]
fn without_faults_there_is_nothing_to_shrink() {
    let failure = failure(async |_sim| Err(nested()));
    assert!(failure.shrunk.is_none());
    let no_time = troubled().shrinking(Duration::ZERO);
    let failure = no_time.try_check(forgetful).unwrap_err();
    assert!(failure.shrunk.is_none(), "{failure}");
    assert!(
        failure.to_string().contains("faults   freeze broker-a"),
        "{failure}"
    );
}

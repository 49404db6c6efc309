//! Programs under test that are not deterministic: a check tells them so, and where it first shows.
//!
//! A seed that fails today and passes tomorrow wastes a person's day. So some seeds of every check are played
//! twice, and a program that asks anybody but its host for time, randomness or order is found, whatever else
//! it does right.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these are the programs that must be found"
)]

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rmq_producer::{Message, Producer};
use rmq_sim::simulation::{CheckError, Cluster, Sim, Simulation};

/// What a check says of a program that sends what `choose` makes of the number of a send.
fn verdict(choose: impl AsyncFn(u64) -> String + Sync) -> String {
    let program = async |sim: Sim| -> Result<(), CheckError> {
        let producer: Producer = sim.producer("app").start().await?;
        for n in 0..20 {
            let chosen = choose(n).await;
            producer.send(Message::new("orders", chosen)).await?;
        }
        producer.stop().await;
        Ok(())
    };
    let simulation = Simulation::new(Cluster::new().brokers(2)).seeds(0..3);
    match simulation.try_check(program) {
        Ok(_) => "pass".to_owned(),
        Err(failure) => failure.to_string(),
    }
}

/// Asserts that a program is told that it is not deterministic, by the first event that differs.
fn is_found(text: &str) {
    assert!(
        text.contains("nondeterminism: two plays of the seed differ"),
        "{text}"
    );
    assert!(text.contains("differs:") && text.contains("app"), "{text}");
    assert!(text.contains("remedy: ask the host for time"), "{text}");
    assert!(text.contains("repeat   ROCKETMQ_SIM_SEED=0"), "{text}");
}

#[test]
fn a_program_that_is_deterministic_is_not_accused() {
    assert_eq!(verdict(async |n| format!("order {n}")), "pass");
}

#[test]
fn the_clock_of_the_operating_system_is_found() {
    is_found(&verdict(async |_| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        format!("{}", now.unwrap_or_default().as_nanos())
    }));
}

#[test]
fn randomness_of_the_operating_system_is_found() {
    is_found(&verdict(async |n| {
        format!("{}", RandomState::new().hash_one(n))
    }));
}

#[test]
fn the_order_of_a_hash_set_is_found() {
    is_found(&verdict(async |n| {
        let orders: HashSet<u64> = (n..n + 50).collect();
        orders.iter().map(|order| format!("{order} ")).collect()
    }));
}

#[test]
fn an_unbiased_select_is_found() {
    is_found(&verdict(async |_| {
        let (one, other) = (async { "one" }, async { "other" });
        let first = tokio::select! { it = one => it, it = other => it };
        first.to_owned()
    }));
}

#[test]
fn what_another_thread_measures_is_found() {
    is_found(&verdict(async |_| {
        let measured = std::thread::spawn(|| {
            let began = std::time::Instant::now();
            std::thread::sleep(Duration::from_micros(50));
            began.elapsed().as_nanos()
        });
        format!("{:?}", measured.join().ok())
    }));
}

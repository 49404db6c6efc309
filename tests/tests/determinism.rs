//! A run is a pure function of (scenario, seed): the same seed gives the same digest again, after
//! other seeds on the same thread, in another process, and on any number of threads; and a fault or
//! a producer that is taken away moves nothing it has no part in.

use std::process::Command;
use std::sync::Arc;

use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_sim::internals::digests;
use rmq_sim::internals::generate::generate;
use rmq_sim::internals::sweep::sweep;
use rmq_sim::scenario::Scenario;
use rmq_sim::trace::{NodeEvent, Trace, TraceRecord};
use rmq_tests::{play, scenario, scenarios};

/// Seeds for each scenario: enough for both ready orders.
const SEEDS: std::ops::Range<u64> = 0..6;

/// The variable that makes [`digests_of_a_child_process`] print.
const CHILD: &str = "RMQ_TESTS_PRINT_DIGESTS";

fn digests() -> Vec<String> {
    let mut lines = Vec::new();
    for scenario in scenarios() {
        for seed in SEEDS {
            lines.push(format!(
                "{} {seed} {}",
                scenario.name,
                play(&scenario, seed).digest
            ));
        }
    }
    lines
}

#[test]
fn a_seed_gives_one_digest_twice_and_after_ten_other_seeds() {
    for scenario in scenarios() {
        for seed in SEEDS {
            let first = play(&scenario, seed).digest;
            assert_eq!(
                first,
                play(&scenario, seed).digest,
                "{} {seed}",
                scenario.name
            );
        }
        let first = play(&scenario, 3).digest;
        for other in 100..110 {
            play(&scenario, other);
        }
        assert_eq!(
            first,
            play(&scenario, 3).digest,
            "{} after others",
            scenario.name
        );
    }
}

#[test]
fn a_seed_gives_one_digest_in_another_process() {
    let this = std::env::current_exe().expect("the test's own binary");
    let child = Command::new(this)
        .args(["--exact", "digests_of_a_child_process", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("the child runs");
    let text = String::from_utf8(child.stdout).expect("digests are text");
    let theirs: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(".toml "))
        .collect();
    let ours = digests();
    assert_eq!(theirs.len(), ours.len(), "{text}");
    assert_eq!(theirs, ours);
}

#[test]
fn digests_of_a_child_process() {
    if std::env::var_os(CHILD).is_some() {
        // The harness may have begun a line of its own.
        println!("\n{}", digests().join("\n"));
    }
}

/// The list is made anew by `cargo sim digest --seeds 0..1000 > tests/digests.txt`.
#[test]
fn the_first_thousand_generated_seeds_have_the_digests_that_are_committed() {
    let list = digests::parse(include_str!("../digests.txt")).expect("a list of digests");
    let seeds: Vec<u64> = list.listed.iter().map(|listed| listed.seed).collect();
    assert_eq!(seeds, (0..1_000).collect::<Vec<u64>>());
    let generated = |seed| Arc::new(generate(seed));
    let checked = digests::check(&list, &(0..u64::MAX), &generated);
    let (_, moved) = checked.expect("every generated scenario runs");
    let first: Vec<String> = moved
        .iter()
        .take(5)
        .map(|(listed, now)| format!("seed {listed}, now {}", now.digest))
        .collect();
    let other_tokio = list.other_tokio().unwrap_or_default();
    assert!(
        moved.is_empty(),
        "{} digests moved, the first ones: {}; if that is meant, renew tests/digests.txt in a \
         commit that says why. {other_tokio}",
        moved.len(),
        first.join("; ")
    );
}

#[test]
fn a_sweep_does_not_depend_on_the_number_of_jobs() {
    let crash = scenario("broker-crash.toml");
    let one = sweep(&crash, 0..60, 1, &|_| {}).expect("one job");
    let two = sweep(&crash, 0..60, 2, &|_| {}).expect("two jobs");
    assert_eq!(one, two);
    let others = sweep(&crash, 60..120, 1, &|_| {}).expect("other seeds");
    assert_ne!(one.digest, others.digest);
}

#[test]
fn seeds_differ_by_their_link_conditions_alone() {
    let healthy = scenario("healthy.toml");
    assert_eq!(play(&healthy, 7).digest, play(&healthy, 8).digest);
    let mut rough = Scenario::clone(&healthy);
    rough.network.jitter_ms = 3;
    let rough = Arc::new(rough);
    assert_ne!(play(&rough, 7).digest, play(&rough, 8).digest);
}

/// The records before the first one at or after `ms`.
fn before(records: &[TraceRecord], ms: u64) -> &[TraceRecord] {
    &records[..records.partition_point(|record| record.ms < ms)]
}

#[test]
fn a_fault_taken_away_leaves_every_record_before_it_equal() {
    let with = scenario("link-loss.toml");
    let mut without = Scenario::clone(&with);
    without.faults.clear();
    let without = Arc::new(without);
    for seed in SEEDS {
        let (with, without) = (play(&with, seed).trace, play(&without, seed).trace);
        let is_fault = |record: &&TraceRecord| matches!(record.what, NodeEvent::Fault(_));
        let at = with
            .records
            .iter()
            .find(is_fault)
            .expect("the fault is in the trace")
            .ms;
        assert!(before(&with.records, at).len() > 100);
        assert_eq!(before(&with.records, at), before(&without.records, at));
        assert_ne!(with.records, without.records);
    }
}

/// When, where and for which queue the brokers saw the requests for a topic.
fn arrivals(trace: &Trace, topic: &str) -> Vec<(u64, String, i32)> {
    let arrival = |record: &TraceRecord| match &record.what {
        NodeEvent::Broker(BrokerEvent::Received {
            send: Some(seen), ..
        }) if &*seen.topic == topic => Some((
            record.ms,
            trace.header.name(record.node).to_owned(),
            seen.queue,
        )),
        _ => None,
    };
    trace.records.iter().filter_map(arrival).collect()
}

#[test]
fn a_producer_taken_away_leaves_the_others_wire_trace_equal() {
    let mut alone = Scenario::clone(&scenario("broker-crash.toml"));
    // The crash must not move: it is anchored to a request count that both producers feed.
    alone.faults.clear();
    let mut both = alone.clone();
    let mut second = both.producers[0].clone();
    second.name = "p2".into();
    second.group = "p2".to_owned();
    let mut work = both.workloads[0].clone();
    work.producer = "p2".into();
    work.topic = "payments".into();
    both.producers.push(second);
    both.workloads.push(work);
    let (alone, both) = (Arc::new(alone), Arc::new(both));
    for seed in SEEDS {
        let (alone, both) = (play(&alone, seed).trace, play(&both, seed).trace);
        let of_first = arrivals(&alone, "orders");
        assert_eq!(of_first.len(), 58);
        assert_eq!(of_first, arrivals(&both, "orders"), "seed {seed}");
        assert_eq!(arrivals(&both, "payments").len(), 58);
    }
}

//! Ten kinds of nondeterminism, planted one by one, and what catches each: a lint of `clippy.toml`,
//! a house rule, or the comparison of two runs that `diverge` makes.
//!
//! A law of determinism that nothing enforces is a wish. What can be seen in the source is refused
//! there. What cannot, is planted in a small producer of records, and comparing its runs must name
//! the record in which the plant first shows.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicI64, Ordering};

use rmq_sim::trace::diverge::first_difference;
use rmq_sim::trace::{
    NodeEvent, NodeId, Trace, TraceEnd, TraceHeader, TraceRecord, WorkEvent, WorkResult,
};
use rmq_tests::rules::{FLOATS, RANDOM, words};
use rmq_tests::{Source, workspace};

/// Records that every run of the planted producers has before its plant shows.
const HONEST: u64 = 30;

/// The bans of `clippy.toml` with this path.
fn lint(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(workspace().join("clippy.toml")).expect("clippy.toml");
    let table: toml::Table = text.parse().expect("it is TOML");
    let lists = [
        "disallowed-methods",
        "disallowed-types",
        "disallowed-macros",
    ];
    lists.iter().find_map(|list| {
        let bans = table.get(*list)?.as_array()?;
        let named =
            |ban: &&toml::Value| ban.get("path").and_then(toml::Value::as_str) == Some(path);
        let reason = bans.iter().find(named)?.get("reason")?;
        Some(format!("lint {list}: {path}: {reason}"))
    })
}

/// What a house rule says of a line of the simulator.
fn rule(line: &str, banned: &[&str]) -> Option<String> {
    let source = Source {
        path: "sim/src/planted.rs".to_owned(),
        text: line.to_owned(),
    };
    let found = words(&source, |_| true, banned).pop()?;
    Some(format!("house rule: {found}"))
}

fn record(ms: u64, offset: i64) -> TraceRecord {
    let result = WorkResult::Sent {
        unique_key: "k".into(),
        broker: "broker-a".into(),
        queue: 0,
        offset,
        code: 0,
    };
    let keys = format!("s{ms}").as_str().into();
    TraceRecord {
        ms,
        node: NodeId::OUTSIDE,
        what: NodeEvent::Work(WorkEvent::Returned { keys, result }),
    }
}

/// A run whose last records carry what the plant put there.
fn run(planted: &[i64]) -> Trace {
    let honest = (0..HONEST).map(|ms| record(ms, 0));
    let rest = (HONEST..).zip(planted).map(|(ms, it)| record(ms, *it));
    Trace {
        header: TraceHeader {
            scenario: "planted".into(),
            seed: 7,
            engine: "event".into(),
            policy: "strict".into(),
            profile: rmq_mock_broker::Profile::default(),
            nodes: Vec::new(),
            policies: Vec::new(),
            forbidden: vec![],
            slack_ms: 0,
            round_trip_ms: 2,
            horizon_ms: 1_000,
        },
        records: honest.chain(rest).collect(),
        end: TraceEnd::Finished,
        end_ms: 1_000,
    }
}

/// What comparing runs says of a producer: the first record that differs, with twenty before it.
fn diverge(mut producer: impl FnMut(usize) -> Vec<i64>) -> Option<String> {
    let first = run(&producer(0));
    let difference = (1..8).find_map(|job| first_difference(&first, &run(&producer(job))))?;
    assert!(difference.at >= 30, "the honest records are equal");
    assert_eq!(difference.left.len(), 21, "twenty before it, and itself");
    let context = difference.context(&first.header);
    assert_eq!(context.lines().count(), 22, "{context}");
    Some(format!("diverge: {}", difference.headline(&first.header)))
}

/// Numbers in the order of the addresses that the allocator gave them.
fn address_order() -> Option<String> {
    diverge(|_| {
        let mut numbers: Vec<Box<i64>> = (0..6).map(Box::new).collect();
        numbers.sort_by_key(|number| std::ptr::from_ref::<i64>(number).addr());
        let order: Vec<i64> = numbers.iter().map(|number| **number).collect();
        // The allocator's free list turns their order round.
        numbers.sort_by_key(|number| **number);
        order
    })
}

fn static_counter() -> Option<String> {
    static CALLS: AtomicI64 = AtomicI64::new(0);
    diverge(|_| vec![CALLS.fetch_add(1, Ordering::Relaxed)])
}

/// Records made by teardown, in the order in which a map drops its values.
#[expect(
    clippy::disallowed_types,
    reason = "the plant: a map that drops its values in a random order"
)]
fn drop_order() -> Option<String> {
    struct Noted<'a>(i64, &'a std::cell::RefCell<Vec<i64>>);
    impl Drop for Noted<'_> {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0);
        }
    }
    diverge(|_| {
        let dropped = std::cell::RefCell::new(Vec::new());
        let values = (0..20).map(|number| (number, Noted(number, &dropped)));
        drop(values.collect::<std::collections::HashMap<_, _>>());
        dropped.into_inner()
    })
}

fn job_number() -> Option<String> {
    diverge(|job| vec![i64::try_from(job).unwrap_or(i64::MAX)])
}

#[test]
fn ten_of_ten_planted_kinds_of_nondeterminism_are_caught() {
    let caught = [
        ("hash order", lint("std::collections::HashMap")),
        ("wall clock", lint("std::time::SystemTime::now")),
        (
            "unseeded number",
            rule("let n = rand::rng().next();", &RANDOM),
        ),
        ("thread", lint("std::thread::spawn")),
        ("address order", address_order()),
        ("static counter", static_counter()),
        ("watch", rule("use tokio::sync::watch;", &RANDOM)),
        ("float", rule("let mean = sum as f64 / n;", &FLOATS)),
        ("drop order", drop_order()),
        ("job number", job_number()),
    ];
    for (kind, by) in &caught {
        println!("{kind:16} {}", by.as_deref().unwrap_or("NOT CAUGHT"));
    }
    let missed: Vec<&str> = caught
        .iter()
        .filter(|(_, by)| by.is_none())
        .map(|(kind, _)| *kind)
        .collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn every_relative_of_a_planted_kind_is_banned_too() {
    for path in [
        "std::collections::HashSet",
        "std::time::Instant::now",
        "tokio::task::spawn_blocking",
        "tokio::sync::watch::Receiver",
        "tokio::spawn",
    ] {
        assert!(lint(path).is_some(), "{path}");
    }
    assert_eq!(lint("std::vec::Vec"), None);
}

#[test]
fn an_honest_producer_does_not_diverge() {
    assert_eq!(diverge(|_| vec![1, 2, 3]), None);
}

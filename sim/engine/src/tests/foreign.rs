//! Tasks that a program gives to Tokio itself, beside the engine's.
#![expect(clippy::disallowed_methods, reason = "this is about tokio::spawn")]

use std::panic::catch_unwind;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::*;
use crate::{Limits, ReadyOrder, RunEnd};

/// A conversation of two nodes, begun in a task of Tokio's own when nothing else is about to
/// happen: how long each step took.
async fn conversation(sim: EngineHandle, after: u64) -> Vec<(&'static str, u64)> {
    let ((_, a), (_, b)) = pair(sim);
    let _echo = echo(&b, 9000);
    let client = async move {
        sleep(after).await;
        let mut steps = Vec::new();
        let mut last = Instant::now();
        let mut step = |name| {
            let took = u64::try_from(last.elapsed().as_millis()).unwrap();
            steps.push((name, took));
            last = Instant::now();
        };
        let mut connection = a.connect("10.0.0.2:9000").await.unwrap();
        step("dial");
        write(&mut connection, b"ping").await.unwrap();
        read_exactly(&mut connection, 4).await.unwrap();
        step("round trip");
        drop(connection);
        let (say, hear) = tokio::sync::oneshot::channel();
        let task = a.spawn("said", Box::pin(async move { say.send(()).unwrap() }));
        hear.await.unwrap();
        step("spawn");
        drop(task);
        steps
    };
    tokio::spawn(client).await.unwrap()
}

#[test]
fn whatever_a_task_of_tokio_does_to_a_node_happens_at_once() {
    let report = run(async |sim| conversation(sim, 20_000).await);
    let steps = report.value.unwrap();
    assert_eq!(steps, [("dial", 2), ("round trip", 2), ("spawn", 0)]);
    assert_eq!(report.stats.virtual_ms, 20_004);
}

#[test]
fn a_task_of_tokio_sees_the_time_that_it_is() {
    let report = run(async |sim| {
        let ((a, host), _) = pair(sim);
        let spawned = tokio::spawn(async move {
            sleep(7_000).await;
            let before = host.unix_millis();
            sleep(500).await;
            (sim.now_ms(), host.unix_millis() - before)
        });
        let seen = spawned.await.unwrap();
        sim.apply(Change::Crash(a));
        seen
    });
    assert_eq!(report.value, Some((7_500, 500)));
}

#[test]
fn what_a_task_of_tokio_drops_is_closed_and_cancelled_at_once() {
    let report = run(async |sim| {
        let ((a, host), (b, server)) = pair(sim);
        let (dialled, mut accepted, listener) = connected(&host, &server).await;
        let endless = host.spawn("endless", Box::pin(std::future::pending()));
        let held = (dialled, listener, endless);
        tokio::spawn(async move {
            sleep(3_000).await;
            drop(held);
        });
        let start = Instant::now();
        let eof = read_exactly(&mut accepted, 1).await.is_err();
        (
            eof,
            start.elapsed(),
            sim.gauges(a).tasks,
            sim.gauges(b).listeners,
        )
    });
    assert_eq!(report.value, Some((true, ms(3_001), 0, 0)));
}

#[test]
fn a_task_of_tokio_directs_the_run() {
    let report = run(async |sim| {
        let ((a, _host), _) = pair(sim);
        tokio::spawn(async move {
            sleep(1_000).await;
            sim.apply(Change::Crash(a));
            tokio::task::yield_now().await;
            assert!(
                !sim.is_running(a),
                "a crash takes effect before the next poll"
            );
        });
        sleep(2_000).await;
        sim.is_running(a)
    });
    assert_eq!((report.value, report.end), (Some(false), RunEnd::Finished));
}

/// What the engine tells of several conversations at once, begun by Tokio's tasks.
fn events(seed: u64, ready_order: ReadyOrder) -> Vec<EngineEvent> {
    let config = EngineConfig {
        seed,
        ready_order,
        ..EngineConfig::default()
    };
    let kept = Arc::new(Kept::default());
    let report = run_seen(&config, &kept, async |sim| {
        let server = sim.node("s", ip(9));
        let _echo = echo(&sim.boot(server), 9000);
        let hosts: Vec<_> = (1..=4)
            .map(|n| sim.boot(sim.node(&format!("c{n}"), ip(n))))
            .collect();
        let mut running = Vec::new();
        for n in 0..40_u64 {
            let host = Arc::clone(&hosts[usize::try_from(n % 4).unwrap()]);
            running.push(tokio::spawn(async move {
                sleep(n / 8).await;
                let mut connection = host.connect("10.0.0.9:9000").await.unwrap();
                write(&mut connection, &[7; 50]).await.unwrap();
                read_exactly(&mut connection, 50).await.unwrap();
            }));
        }
        for one in running {
            one.await.unwrap();
        }
    });
    assert_eq!(report.end, RunEnd::Finished);
    std::mem::take(&mut *kept.0.lock())
}

#[test]
fn a_seed_repeats_its_run_with_tasks_of_tokio() {
    for order in [ReadyOrder::Fifo, ReadyOrder::Seeded] {
        let first = events(3, order);
        assert!(first.len() > 160, "{} events", first.len());
        for _ in 0..5 {
            assert_eq!(events(3, order), first);
        }
    }
    assert_ne!(events(3, ReadyOrder::Seeded), events(4, ReadyOrder::Seeded));
}

#[test]
fn a_panic_in_a_task_of_tokio_ends_the_run_with_its_place() {
    let report = run(async |sim| {
        let _nodes = pair(sim);
        tokio::spawn(async {
            sleep(50).await;
            panic!("boom");
        });
        sleep(5_000).await;
    });
    assert_eq!(report.value, None);
    let RunEnd::Panicked { task, message } = report.end else {
        panic!("it ended otherwise: {:?}", report.end);
    };
    assert_eq!((task.node, task.task), (None, "tokio::spawn"));
    assert!(message.starts_with("boom ("), "{message}");
    assert!(message.contains("foreign.rs:"), "{message}");
    assert_eq!(report.stats.virtual_ms, 50);
}

#[test]
fn a_joined_panic_is_one_too_and_a_caught_one_is_none() {
    let joined = run(async |_| {
        let task = tokio::spawn(async { panic!("joined") });
        task.await.is_err()
    });
    assert!(
        matches!(joined.end, RunEnd::Panicked { .. }),
        "{:?}",
        joined.end
    );
    let caught = run(async |_| {
        let task = tokio::spawn(async {
            let inner = catch_unwind(|| panic!("caught"));
            sleep(10).await;
            inner.is_err()
        });
        task.await.unwrap()
    });
    assert_eq!((caught.value, caught.end), (Some(true), RunEnd::Finished));
    let after = run(async |_| sleep(10).await);
    assert_eq!(after.end, RunEnd::Finished);
}

#[test]
fn a_task_of_tokio_that_works_on_is_no_deadlock() {
    let config = limited(Limits {
        horizon_ms: 1_000,
        ..Limits::default()
    });
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    let report = run_with(&config, async |sim| {
        let ((_, host), _) = pair(sim);
        let _working = tokio::spawn(async move {
            loop {
                sleep(700).await;
                *count.lock() += 1;
                host.spawn("nothing", Box::pin(std::future::ready(())))
                    .await;
            }
        });
        std::future::pending::<()>().await;
    });
    assert!(
        matches!(report.end, RunEnd::Horizon { .. }),
        "{:?}",
        report.end
    );
    assert!(*seen.lock() <= 2);
}

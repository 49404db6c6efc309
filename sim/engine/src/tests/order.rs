//! The order of things within a millisecond, limits, and how runs end.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::*;
use crate::{Limits, ReadyOrder, RunEnd, WaitingTask};

#[test]
fn a_reply_in_the_millisecond_of_the_deadline_is_in_time() {
    let report = run(async |sim| {
        let ((_, a), (_, b)) = pair(sim);
        let _echo = echo(&b, 9000);
        let mut connection = a.connect("10.0.0.2:9000").await.unwrap();
        let (say, heard) = tokio::sync::oneshot::channel();
        // The reply passes through a second task before it reaches the caller, as in the client.
        let reader = a.spawn(
            "reader",
            Box::pin(async move {
                write(&mut connection, b"ping").await.unwrap();
                let reply = read_exactly(&mut connection, 4).await.unwrap();
                let _ = say.send(reply);
            }),
        );
        let (told, result) = tokio::sync::oneshot::channel();
        let caller = a.spawn(
            "caller",
            Box::pin(async move {
                let start = Instant::now();
                let reply = timeout(ms(2), heard).await;
                let _ = told.send((reply.is_ok(), start.elapsed()));
            }),
        );
        let result = result.await.unwrap();
        drop((reader, caller));
        result
    });
    assert_eq!(report.value, Some((true, ms(2))));
}

#[test]
fn tasks_woken_by_timers_of_one_millisecond_run_ordered_by_node_and_number() {
    let report = run(async |sim| {
        let ((_, a), (_, b)) = pair(sim);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (host, name) in [(&b, "b1"), (&a, "a1"), (&b, "b2"), (&a, "a2")] {
            let order = Arc::clone(&order);
            let start = Instant::now();
            tasks.push(host.spawn(
                name,
                Box::pin(async move {
                    tokio::time::sleep_until(start + ms(5)).await;
                    order.lock().push(name);
                }),
            ));
        }
        sleep(5).await;
        order.lock().clone()
    });
    assert_eq!(report.value, Some(vec!["a1", "a2", "b1", "b2"]));
}

/// Three tasks of four steps each, all in one millisecond; the order of their steps.
fn interleaving(seed: u64, ready_order: ReadyOrder) -> Vec<u8> {
    let config = EngineConfig {
        seed,
        ready_order,
        ..EngineConfig::default()
    };
    let report = run_with(&config, async |sim| {
        let node = sim.node("a", ip(1));
        let host = sim.boot(node);
        let steps = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for task in 0..3 {
            let steps = Arc::clone(&steps);
            tasks.push(host.spawn(
                "stepper",
                Box::pin(async move {
                    for _ in 0..4 {
                        steps.lock().push(task);
                        tokio::task::yield_now().await;
                    }
                }),
            ));
        }
        for task in tasks {
            task.await;
        }
        steps.lock().clone()
    });
    report.value.unwrap()
}

#[test]
fn a_seeded_ready_order_reaches_many_interleavings_and_fifo_one() {
    let seeded: BTreeSet<_> = (0..1_000)
        .map(|seed| interleaving(seed, ReadyOrder::Seeded))
        .collect();
    assert!(seeded.len() > 500, "{}", seeded.len());
    let fifo: BTreeSet<_> = (0..20)
        .map(|seed| interleaving(seed, ReadyOrder::Fifo))
        .collect();
    assert_eq!(fifo.len(), 1);
}

#[test]
fn a_run_without_a_timer_is_a_deadlock_and_not_a_hang() {
    let report = run(async |sim| {
        let ((_, a), _) = pair(sim);
        let _waits = a.spawn("waits for ever", Box::pin(std::future::pending()));
        sleep(7).await;
        std::future::pending::<()>().await;
    });
    let RunEnd::Deadlock { since_ms, waiting } = report.end else {
        panic!("{:?}", report.end);
    };
    assert_eq!(since_ms, 7);
    let task = WaitingTask {
        node: Some(NodeId(0)),
        task: "waits for ever",
    };
    assert_eq!(
        waiting,
        [
            task,
            WaitingTask {
                node: None,
                task: "main"
            }
        ]
    );
}

#[test]
fn a_timer_beyond_the_horizon_is_no_deadlock() {
    let config = limited(Limits {
        horizon_ms: 1_000,
        ..Limits::default()
    });
    let report = run_with(&config, async |_| sleep(5_000).await);
    assert!(
        matches!(report.end, RunEnd::Horizon { .. }),
        "{:?}",
        report.end
    );
    assert_eq!(report.value, None);
}

#[test]
fn polling_for_ever_within_a_millisecond_is_a_livelock_that_names_its_task() {
    let report = run(async |sim| {
        let ((_, a), _) = pair(sim);
        let spin = async {
            loop {
                tokio::task::yield_now().await;
            }
        };
        let _spins = a.spawn("spins", Box::pin(spin));
        sleep(10).await;
    });
    let last = WaitingTask {
        node: Some(NodeId(0)),
        task: "spins",
    };
    assert_eq!(report.end, RunEnd::Livelock { at_ms: 0, last });
}

#[test]
fn the_number_of_events_of_a_run_is_limited() {
    let config = limited(Limits {
        events: 1_000,
        ..Limits::default()
    });
    let report = run_with(&config, async |_| {
        loop {
            sleep(1).await;
        }
    });
    assert_eq!(report.end, RunEnd::EventLimit { at_ms: 1_000 });
}

#[test]
fn a_panic_ends_the_run_and_names_node_and_task() {
    let report = run(async |sim| {
        let (_, (_, b)) = pair(sim);
        let _fails = b.spawn("fails", Box::pin(async { panic!("on purpose") }));
        sleep(10).await;
    });
    let task = WaitingTask {
        node: Some(NodeId(1)),
        task: "fails",
    };
    let RunEnd::Panicked { task: by, message } = report.end else {
        panic!("{:?}", report.end);
    };
    assert_eq!(by, task);
    let place = message.strip_prefix("on purpose (").unwrap_or_default();
    assert!(place.contains("order.rs:"), "{message}");
}

#[test]
fn time_moves_in_whole_milliseconds_and_jumps_over_idle_time() {
    let report = run(async |sim| {
        let start = Instant::now();
        tokio::time::sleep(Duration::from_micros(1)).await;
        let shortest = start.elapsed();
        sleep(3_000_000).await;
        (shortest, sim.now_ms())
    });
    assert_eq!(report.value, Some((ms(1), 3_000_001)));
    assert!(report.stats.jumps < 100, "{}", report.stats.jumps);
}

#[test]
fn planned_actions_run_in_plan_order_before_the_deliveries_of_their_millisecond() {
    let report = run(async |sim| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        for name in ["first", "second"] {
            let seen = Arc::clone(&seen);
            sim.at(4, move || seen.lock().push((name, sim.now_ms())));
        }
        let early = Arc::clone(&seen);
        sim.at(2, move || early.lock().push(("earlier", sim.now_ms())));
        sleep(4).await;
        seen.lock().clone()
    });
    assert_eq!(
        report.value,
        Some(vec![("earlier", 2), ("first", 4), ("second", 4)])
    );
}

#[test]
fn a_handle_that_outlives_its_run_does_not_see_the_next_one() {
    let first = run(async |sim| {
        sim.node("a", ip(1));
        sim
    });
    let stale = first.value.unwrap();
    let report = run(async |sim| {
        sim.node("b", ip(1));
        (
            stale.name(NodeId(0)),
            sim.name(NodeId(0)).map(|name| name.to_string()),
        )
    });
    assert_eq!(report.value, Some((None, Some("b".to_owned()))));
}

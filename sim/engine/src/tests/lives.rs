//! Processes and machines: crash, freeze, slowness, power.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rmq_host::TaskEnd;

use super::*;
use crate::event::TaskOff;

/// Says when it is dropped.
struct Drops(Arc<Mutex<Vec<&'static str>>>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.lock().push("dropped");
    }
}

#[test]
fn a_crash_drops_the_futures_before_the_next_poll() {
    let report = run(async |sim| {
        let ((a, host_a), (_, host_b)) = pair(sim);
        let log = Arc::new(Mutex::new(Vec::new()));
        let drops = Drops(Arc::clone(&log));
        let victim = host_a.spawn(
            "victim",
            Box::pin(async move {
                let _drops = drops;
                std::future::pending::<()>().await;
            }),
        );
        sleep(1).await;
        let (crasher, witness) = (Arc::clone(&log), Arc::clone(&log));
        let crasher = host_b.spawn(
            "crasher",
            Box::pin(async move {
                sim.apply(Change::Crash(a));
                crasher.lock().push("asked");
            }),
        );
        let witness = host_b.spawn(
            "witness",
            Box::pin(async move { witness.lock().push("next poll") }),
        );
        crasher.await;
        witness.await;
        let log = log.lock().clone();
        (victim.await, log)
    });
    let log = vec!["asked", "dropped", "next poll"];
    assert_eq!(report.value, Some((TaskEnd::Cancelled, log)));
}

#[test]
fn a_dropped_handle_cancels_its_task_and_an_awaited_one_tells_how_it_ended() {
    let kept = Arc::new(Kept::default());
    let report = run_seen(&EngineConfig::default(), &kept, async |sim| {
        let ((_, a), _) = pair(sim);
        let log = Arc::new(Mutex::new(Vec::new()));
        let drops = Drops(Arc::clone(&log));
        let wait = async move {
            let _drops = drops;
            std::future::pending::<()>().await;
        };
        drop(a.spawn("waits", Box::pin(wait)));
        let done = a.spawn("done", Box::pin(async {})).await;
        let dropped = log.lock().clone();
        (done, dropped)
    });
    assert_eq!(report.value, Some((TaskEnd::Finished, vec!["dropped"])));
    let ends: Vec<_> = kept
        .0
        .lock()
        .iter()
        .filter_map(|event| match event {
            EngineEvent::TaskOff { name, how, .. } => Some((*name, *how)),
            _ => None,
        })
        .collect();
    assert_eq!(
        ends,
        [("waits", TaskOff::Cancelled), ("done", TaskOff::Finished)]
    );
}

/// A task that counts milliseconds on `host`.
fn counter(host: &SharedHost) -> (rmq_host::Task, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let count_up = async move {
        loop {
            sleep(1).await;
            counted.fetch_add(1, Ordering::Relaxed);
        }
    };
    (host.spawn("counter", Box::pin(count_up)), count)
}

#[test]
fn a_frozen_node_is_not_polled_and_sees_its_timers_late() {
    let report = run(async |sim| {
        let ((a, host), _) = pair(sim);
        let (_task, count) = counter(&host);
        let mut seen = Vec::new();
        sleep(10).await;
        seen.push(count.load(Ordering::Relaxed));
        sim.apply(Change::Freeze(a));
        sleep(100).await;
        seen.push(count.load(Ordering::Relaxed));
        sim.apply(Change::Thaw(a));
        sleep(10).await;
        seen.push(count.load(Ordering::Relaxed));
        seen
    });
    // The timer that fired during the freeze is seen at the thaw, once; ten more follow.
    assert_eq!(report.value, Some(vec![10, 10, 21]));
}

#[test]
fn a_slow_node_gets_one_poll_per_so_many_milliseconds() {
    let report = run(async |sim| {
        let ((a, host), _) = pair(sim);
        sim.apply(Change::Slow {
            node: a,
            ms_per_poll: 10,
        });
        let (_one, count_one) = counter(&host);
        let (_two, count_two) = counter(&host);
        sleep(1_000).await;
        count_one.load(Ordering::Relaxed) + count_two.load(Ordering::Relaxed)
    });
    let polls = report.value.unwrap();
    assert!((95..=101).contains(&polls), "{polls}");
}

#[test]
fn a_restarted_node_is_a_new_process_and_its_old_host_is_dead() {
    let report = run(async |sim| {
        let ((a, old), _) = pair(sim);
        let before = old.identity();
        sleep(1).await;
        sim.apply(Change::Crash(a));
        let new = sim.boot(a);
        sleep(1).await;
        let listens = old.listen(at(1, 9000)).await.is_err();
        let task = old.spawn("of a dead process", Box::pin(async {})).await;
        let differs = new.identity() != before && new.draw("x", 1) != old.draw("x", 1);
        (
            listens,
            task,
            differs,
            new.listen(at(1, 9000)).await.is_ok(),
        )
    });
    assert_eq!(report.value, Some((true, TaskEnd::Cancelled, true, true)));
}

#[test]
fn wall_clocks_follow_virtual_time_and_can_jump() {
    let report = run(async |sim| {
        let ((a, host), (_, other)) = pair(sim);
        let start = host.unix_millis();
        sleep(1_500).await;
        let after = host.unix_millis() - start;
        sim.apply(Change::JumpWallClock {
            node: a,
            ms: -1_000,
        });
        sleep(1).await;
        (
            after,
            host.unix_millis() - start,
            other.unix_millis() - start,
        )
    });
    assert_eq!(report.value, Some((1_500, 501, 1_501)));
}

#[test]
fn gauges_count_what_a_node_holds() {
    let report = run(async |sim| {
        let ((a, host_a), (b, host_b)) = pair(sim);
        let (dialled, accepted, listener) = connected(&host_a, &host_b).await;
        let (_task, _) = counter(&host_a);
        sleep(1).await;
        let full = (sim.gauges(a), sim.gauges(b));
        drop((dialled, accepted, listener));
        sleep(5).await;
        (full, sim.gauges(b))
    });
    let ((a, b), after) = report.value.unwrap();
    assert_eq!((a.tasks, a.connections, a.listeners), (1, 1, 0));
    assert_eq!((b.tasks, b.connections, b.listeners), (0, 1, 1));
    assert_eq!((after.connections, after.listeners), (0, 0));
}

//! Processes with programs, and the plan of a run.

use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::RunEnd;

type Seen = Arc<Mutex<Vec<u32>>>;

/// A program that notes its process number and then waits.
fn notes(seen: &Seen) -> impl Fn(SharedHost) -> std::future::Pending<()> + Send + Sync + 'static {
    let seen = Arc::clone(seen);
    move |host| {
        seen.lock().push(host.identity().process);
        std::future::pending()
    }
}

#[test]
fn a_restarted_node_runs_its_program_anew_in_a_new_process() {
    let seen = Seen::default();
    let mut engine = Engine::new(1);
    let node = engine.process("a", ip(1), notes(&seen));
    engine.at(10, move |sim| sim.apply(Change::Crash(node)));
    engine.at(20, move |sim| sim.restart(node));
    let report = engine.run_with(async |sim| {
        sleep(15).await;
        let crashed = sim.is_running(node);
        sleep(15).await;
        (crashed, sim.is_running(node))
    });
    assert_eq!(report.unwrap().value, Some((false, true)));
    assert_eq!(*seen.lock(), [1001, 1002]);
}

#[test]
fn a_node_without_a_program_is_only_booted() {
    let report = run(async |sim| {
        let node = sim.node("a", ip(1));
        sim.restart(node);
        sleep(1).await;
        (sim.is_running(node), sim.gauges(node).tasks)
    });
    assert_eq!(report.value, Some((true, 0)));
}

#[test]
fn the_plan_of_a_millisecond_happens_in_the_order_of_the_calls() {
    let seen = Seen::default();
    let mut engine = Engine::new(1);
    for n in 0..3 {
        let seen = Arc::clone(&seen);
        engine.at(5, move |_| seen.lock().push(n));
    }
    let report = engine.run_with(async |_| sleep(6).await).unwrap();
    assert_eq!(
        (report.end, &**seen.lock()),
        (RunEnd::Finished, &[0, 1, 2][..])
    );
}

#[test]
fn a_run_waits_for_every_client_and_for_no_other_process() {
    let seen = Seen::default();
    let mut engine = Engine::new(1);
    engine.process("server", ip(1), notes(&seen));
    for n in 2..4 {
        engine.client("client", ip(n), move |_| sleep(u64::from(n) * 100));
    }
    let report = engine.run().unwrap();
    assert_eq!(
        (report.end, report.stats.virtual_ms),
        (RunEnd::Finished, 300)
    );
}

#[test]
fn a_client_that_is_crashed_for_good_leaves_a_deadlock() {
    let mut engine = Engine::new(1);
    let client = engine.client("client", ip(1), |_| sleep(1_000));
    engine.at(500, move |sim| sim.apply(Change::Crash(client)));
    let report = engine.run().unwrap();
    assert!(
        matches!(report.end, RunEnd::Deadlock { since_ms: 500, .. }),
        "{:?}",
        report.end
    );
}

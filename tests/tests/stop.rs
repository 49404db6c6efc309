//! A producer that is stopped while it sends: nothing of it stays, and every send ends once.
//!
//! The scenario is checked by every invariant, as all are. Here the engine's own counts are asked as
//! well, which know each task and each socket of a node, whatever the producer says of them.

use std::collections::BTreeMap;

use dst_engine::EngineEvent;
use rmq_producer::event::{Event, Failure, Outcome};
use rmq_remoting::observe::Name;
use rmq_sim::internals::invariant::{self, CheckedRun};
use rmq_sim::run::Run;
use rmq_sim::trace::{NodeEvent, NodeId, NodeKind, Trace, WorkEvent};
use rmq_tests::{play, scenario};

/// What is wrong with how the producers of a run ended.
fn residue(trace: &Trace) -> Vec<String> {
    let producers = trace.header.of_kind(NodeKind::Producer);
    let mut wrong: Vec<_> = producers.flat_map(|node| left_by(trace, node)).collect();
    wrong.extend(not_ended_once(trace));
    wrong
}

/// Tasks and sockets that a producer has left in the millisecond in which its `stop` returned.
fn left_by(trace: &Trace, node: NodeId) -> Vec<String> {
    let who = trace.header.name(node);
    let returned = NodeEvent::Work(WorkEvent::StopReturned { group: None });
    let of_node = || trace.records.iter().filter(|record| record.node == node);
    let Some(stopped) = of_node().find(|record| record.what == returned) else {
        return vec![format!("{who} is not stopped")];
    };
    let mut open: BTreeMap<String, String> = BTreeMap::new();
    for record in of_node().filter(|record| record.ms <= stopped.ms) {
        let NodeEvent::Engine(event) = &record.what else {
            continue;
        };
        match event {
            // The caller's own tasks.
            EngineEvent::TaskOn {
                name: "workload" | "stop",
                ..
            } => {}
            EngineEvent::TaskOn { number, name, .. } => {
                open.insert(format!("task {number}"), (*name).to_owned());
            }
            EngineEvent::TaskOff { number, .. } => {
                open.remove(&format!("task {number}"));
            }
            EngineEvent::Dial { local, to, .. } => {
                open.insert(format!("socket {local}"), to.to_string());
            }
            EngineEvent::DialFailed { local, .. } | EngineEvent::Closed { local, .. } => {
                open.remove(&format!("socket {local}"));
            }
            _ => {}
        }
    }
    let left = open.into_iter();
    left.map(|(what, of)| format!("{who} leaves {what} ({of})"))
        .collect()
}

/// Sends that do not have exactly one outcome, by the caller's count.
fn not_ended_once(trace: &Trace) -> Vec<String> {
    let mut outcomes: BTreeMap<&Name, i64> = BTreeMap::new();
    for record in &trace.records {
        match &record.what {
            NodeEvent::Work(WorkEvent::Called { keys, .. }) => {
                outcomes.entry(keys).or_default();
            }
            NodeEvent::Work(WorkEvent::Returned { keys, .. }) => {
                *outcomes.entry(keys).or_default() += 1;
            }
            _ => {}
        }
    }
    let wrong = outcomes.into_iter().filter(|(_, count)| *count != 1);
    wrong
        .map(|(keys, count)| format!("{keys} has {count} outcomes"))
        .collect()
}

/// How many sends of the run ended in this way.
fn ended(run: &Run, failure: Failure) -> usize {
    let records = run.trace.records.iter();
    let done = records.filter(|record| {
        matches!(&record.what, NodeEvent::Producer(Event::Done { outcome: Outcome::Failed(how), .. })
            if *how == failure)
    });
    done.count()
}

#[test]
fn a_stop_during_sends_leaves_no_task_and_no_socket_and_ends_each_send_once() {
    let stopped_early = scenario("stop-during-sends.toml");
    let (mut calls, mut closed, mut refused) = (0, 0, 0);
    for seed in 0..200 {
        let run = play(&stopped_early, seed);
        assert!(run.verdict.is_pass(), "seed {seed}: {}", run.verdict);
        assert_eq!(residue(&run.trace), [""; 0], "seed {seed}");
        let (open, late) = (
            ended(&run, Failure::Closed),
            ended(&run, Failure::NotRunning),
        );
        // Otherwise the stops would have met nothing.
        assert!(
            open >= 10 && late >= 10,
            "seed {seed}: {open} open, {late} late"
        );
        calls += run.summary.sends;
        closed += open;
        refused += late;
    }
    println!("200 seeds: {calls} sends, {closed} open at a stop, {refused} called after it");
}

#[test]
fn what_stays_behind_or_ends_twice_is_seen() {
    let run = play(&scenario("stop-during-sends.toml"), 7);
    let without = |gone: &dyn Fn(&NodeEvent) -> bool| {
        let mut trace = run.trace.clone();
        let at = trace.records.iter().rposition(|record| {
            Some(record.node) == run.trace.header.node("p2") && gone(&record.what)
        });
        trace.records.remove(at.expect("there is one"));
        trace
    };
    let socket = without(&|what| matches!(what, NodeEvent::Engine(EngineEvent::Closed { .. })));
    let wrong = residue(&socket);
    assert!(
        wrong.len() == 1 && wrong[0].starts_with("p2 leaves socket"),
        "{wrong:?}"
    );

    let task = |what: &NodeEvent| {
        matches!(
            what,
            NodeEvent::Engine(EngineEvent::TaskOff {
                name: "heartbeat",
                ..
            })
        )
    };
    let wrong = residue(&without(&task));
    assert!(
        wrong.len() == 1 && wrong[0].contains("(heartbeat)"),
        "{wrong:?}"
    );

    let returned = |what: &NodeEvent| matches!(what, NodeEvent::Work(WorkEvent::Returned { .. }));
    let wrong = residue(&without(&returned));
    assert!(
        wrong.len() == 1 && wrong[0].ends_with("has 0 outcomes"),
        "{wrong:?}"
    );

    let mut twice = run.trace.clone();
    let again = twice.records.iter().rfind(|record| returned(&record.what));
    let again = again.expect("there is one").clone();
    twice.records.push(again);
    let wrong = residue(&twice);
    assert!(
        wrong.len() == 1 && wrong[0].ends_with("has 2 outcomes"),
        "{wrong:?}"
    );
    let findings = invariant::check(&CheckedRun::of(&twice)).findings;
    assert!(
        findings.iter().any(|finding| finding.by == "INV-01"),
        "{findings:?}"
    );
}

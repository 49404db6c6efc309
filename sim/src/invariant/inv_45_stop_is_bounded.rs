//! `stop` returns within its limit, whatever the servers do.
//!
//! Checked by the producer's own words and, where the caller's view was recorded, by when the call
//! returned to it.

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{ProducerPhase, Timestamp};
use crate::trace::{NodeEvent, NodeId, WorkEvent};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-45",
    title: "Stop is bounded",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side(
            "took … ms to stop, its limit is …",
            &["stop is done in time"],
        ),
        side("never finishes to stop", &["stop is done in time"]),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let turns = |wanted: ProducerPhase| {
        run.history
            .lives
            .iter()
            .filter(move |life| life.phase == wanted)
    };
    for stopping in turns(ProducerPhase::Stopping) {
        let called = stopping.timestamp;
        let same = (stopping.node, stopping.group);
        let mut ends = turns(ProducerPhase::Stopped);
        let ended = ends.find(|it| (it.node, it.group) == same && it.timestamp > called);
        let ended = ended.map(|life| life.timestamp);
        bounded(run, stopping.node, called, ended, report);
    }
    let records = &run.trace.records;
    for (at, record) in records.iter().enumerate() {
        let NodeEvent::Work(WorkEvent::StopCalled { group: of }) = &record.what else {
            continue;
        };
        let returned = records[at..].iter().position(|it| {
            let is_its = |what: &NodeEvent| match what {
                NodeEvent::Work(WorkEvent::StopReturned { group }) => group == of,
                _ => false,
            };
            it.node == record.node && is_its(&it.what)
        });
        let returned = returned.map(|after| Timestamp {
            at: at + after,
            ms: records[at + after].ms,
        });
        bounded(
            run,
            record.node,
            Timestamp { at, ms: record.ms },
            returned,
            report,
        );
    }
}

fn bounded(
    run: &CheckedRun<'_>,
    node: NodeId,
    called: Timestamp,
    ended: Option<Timestamp>,
    report: &mut CheckReport,
) {
    let Some(policy) = run.policy(node) else {
        return;
    };
    report.exercised();
    let due = run.due(node, called.ms, policy.stop_ms);
    let (who, limit) = (run.name(node), policy.stop_ms);
    match ended {
        Some(ended) if ended.ms > due => {
            let took = ended.ms - called.ms;
            report.wrong(
                ended,
                format!("{who} took {took} ms to stop, its limit is {limit}"),
            );
        }
        None if run.trace.end_ms > due
            && !run.truth.was_gone(node, called.ms, run.trace.end_ms) =>
        {
            report.wrong(called, format!("{who} never finishes to stop"));
        }
        Some(_) | None => {}
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("stop is done in time", || stopping().at(6000).stopped()),
        rejects("stop takes too long", || {
            stopping().at(6051).stopped().wrong()
        }),
        rejects("stop never returns", || stopping().wrong()),
        rejects("the caller waits for ever", || {
            Scene::new()
                .at(1000)
                .work(WorkEvent::StopCalled { group: None })
                .wrong()
        }),
        rejects("the caller waits too long", || {
            let called = WorkEvent::StopCalled { group: None };
            let scene = Scene::new().at(1000).work(called).at(7000);
            scene.work(WorkEvent::StopReturned { group: None }).wrong()
        }),
    ];

    fn stopping() -> Scene {
        Scene::new().at(1000).stopping()
    }
}

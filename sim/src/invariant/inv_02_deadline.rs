//! A send is over within its timeout, whatever was in the way.
//!
//! Route lookup, dial, permits, encoding and every retry are paid from the one timeout the caller
//! named. Only the slack, and for an imitated client its own lateness, comes on top. And it is the timeout
//! that the caller gave this send, if it gave one.

use std::collections::BTreeMap;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::record::Form;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-02",
    title: "Deadline",
    source: Source::ClientEvents,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side(
            "took … ms of … ms",
            &[
                "a send fails in the millisecond of its deadline",
                "a frozen producer finds out when it runs again",
                "an imitated client finds an async timeout by its scan",
            ],
        ),
        side(
            "has … ms, its caller gave … ms",
            &["a send returns within the time that its caller gave"],
        ),
        side(
            "took … ms, its caller gave … ms",
            &["a send returns within the time that its caller gave"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for send in &run.history.sends {
        let Some((done, _)) = send.done.first() else {
            continue;
        };
        report.exercised();
        if done.ms > run.send_due(send) {
            let (who, number, timeout) = (run.name(send.node), send.number, send.timeout_ms);
            let took = done.ms - send.called.ms;
            report.wrong(
                *done,
                format!("{who} s{number} took {took} ms of {timeout} ms"),
            );
        }
    }
    let requests_of: BTreeMap<&str, usize> = run
        .history
        .requests
        .iter()
        .filter_map(|request| Some((request.seen.keys.as_deref()?, request.send?)))
        .collect();
    for work in &run.history.work {
        let strict = run
            .policy(work.node)
            .is_some_and(|it| it.form == Form::Strict);
        let (Some(timeout), Some((returned, _)), true) =
            (work.timeout_ms, work.returned.first(), strict)
        else {
            continue;
        };
        report.exercised();
        let known = requests_of
            .get(&**work.keys)
            .map(|send| &run.history.sends[*send]);
        if let Some(send) = known.filter(|send| send.timeout_ms != timeout) {
            let text = format!(
                "{} has {} ms, its caller gave {timeout} ms",
                work.keys, send.timeout_ms
            );
            report.wrong(send.called, text);
        }
        if returned.ms > run.due(work.node, work.called.ms, timeout) {
            let took = returned.ms - work.called.ms;
            let text = format!("{} took {took} ms, its caller gave {timeout} ms", work.keys);
            report.wrong(*returned, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Failure, Mode};

    use crate::fault::FaultKind;
    use crate::invariant::scene::{Example, Scene, TIMEOUT, accepts, rejects};
    use crate::trace::{WorkEvent, WorkResult};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a send fails in the millisecond of its deadline", || {
            Scene::new()
                .at(100)
                .call(1)
                .at(100 + TIMEOUT)
                .failed(1, Failure::Deadline)
        }),
        accepts("a frozen producer finds out when it runs again", || {
            let scene = Scene::new()
                .at(100)
                .call(1)
                .fault(1, FaultKind::Freeze, "p1");
            scene
                .at(9000)
                .fault_ends(1, "p1")
                .failed(1, Failure::Deadline)
        }),
        accepts(
            "an imitated client finds an async timeout by its scan",
            || {
                let scene = Scene::new().facts(|header| header.policies[0].scan_ms = 2000);
                scene
                    .at(0)
                    .call_in(1, Mode::Async)
                    .at(4900)
                    .failed(1, Failure::Deadline)
            },
        ),
        rejects("a send fails after its deadline and the slack", || {
            Scene::new()
                .at(100)
                .call(1)
                .at(3151)
                .failed(1, Failure::Deadline)
                .wrong()
        }),
        rejects(
            "a send takes the producer's timeout, and its caller gave less",
            || returned_after(2_900).wrong(),
        ),
        rejects("the send has another time than its caller gave", || {
            let scene = returned_after(10).at(100).call(1);
            let scene = scene.wrong_call(1).attempt(1, 1, "a/0");
            scene.seen_with(1, 1, |seen| seen.keys = Some("k".into()))
        }),
        accepts(
            "a send returns within the time that its caller gave",
            || returned_after(900),
        ),
        rejects("a success comes too late", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0");
            scene.at(5000).succeeds(1, 1).wrong()
        }),
        rejects("a send outlasts the freeze by more than the slack", || {
            let scene = Scene::new()
                .at(100)
                .call(1)
                .fault(1, FaultKind::Freeze, "p1");
            scene
                .at(9000)
                .fault_ends(1, "p1")
                .at(9051)
                .failed(1, Failure::Deadline)
                .wrong()
        }),
    ];

    /// A caller gives a second, and hears after some time.
    fn returned_after(ms: u64) -> Scene {
        let called = WorkEvent::Called {
            keys: "k".into(),
            topic: "orders".into(),
            mode: Mode::Sync,
            by: None,
            body_crc: 0,
            body_len: 0,
            timeout_ms: Some(1_000),
            application_crc: 0,
            own_id: None,
            queue_of: None,
            group: None,
        };
        let returned = WorkEvent::Returned {
            keys: "k".into(),
            result: WorkResult::Written,
        };
        Scene::new()
            .at(100)
            .work(called)
            .at(100 + ms)
            .work(returned)
    }
}

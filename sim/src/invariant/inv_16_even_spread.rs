//! Without faults every queue gets its share.
//!
//! A rotation that is per topic visits each queue of the route in turn, so over sends that succeed
//! at once the fullest and the emptiest queue differ by one at most. Checked per producer and route,
//! by which broker read which queue id, for producers of the strict form in runs without faults.

use std::collections::BTreeMap;

use rmq_producer::event::{Failure, Outcome};

use super::{CheckReport, CheckedRun, Checker, Invariant, Source};
use crate::trace::history::{RouteQueues, SendHistory, Timestamp};
use crate::trace::record::Form;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-16",
    title: "Even spread",
    source: Source::Both,
    rate_per_mille: 10,
    checker: Checker::Run(check),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    if !run.truth.intervals().is_empty() {
        return;
    }
    // How often each queue of each route was chosen, in the order of the route; and the last choice.
    let mut routes: BTreeMap<usize, (Vec<u64>, Timestamp)> = BTreeMap::new();
    for send in &run.history.sends {
        let strict = run
            .policy(send.node)
            .is_some_and(|policy| policy.form == Form::Strict);
        // A send that was dropped, or broken off by a stop, has moved the rotation on and need not
        // arrive.
        let closed = send.outcome() == Some(&Outcome::Failed(Failure::Closed));
        if send.cancelled.is_some() || closed {
            return;
        }
        // A retry moves the rotation on.
        let attempt = match &send.attempts[..] {
            [] => continue,
            [attempt] => attempt,
            _ => return,
        };
        let (Some(route), true, None) = (attempt.snapshot, strict, send.target_queue) else {
            continue;
        };
        let queues = &run.history.snapshots[route].queues;
        let Some(queue) = chosen(run, send, queues) else {
            continue;
        };
        let (counts, last) = routes
            .entry(route)
            .or_insert_with(|| (vec![0; queues.len()], attempt.started));
        counts[queue] += 1;
        *last = attempt.started;
    }
    for (route, (counts, last)) in routes {
        report.exercised();
        let (least, most) = (counts.iter().min(), counts.iter().max());
        if let (Some(least), Some(most)) = (least, most)
            && most - least > 1
        {
            let snapshot = &run.history.snapshots[route];
            let (who, topic) = (run.name(snapshot.node), snapshot.topic);
            let text = format!("{who} gave one queue of {topic} {most} messages, another {least}");
            report.wrong(last, text);
        }
    }
}

/// The queue that the message arrived for, as a position in the route.
fn chosen(run: &CheckedRun<'_>, send: &SendHistory<'_>, queues: &RouteQueues<'_>) -> Option<usize> {
    let request = &run.history.requests[*send.requests.first()?];
    let broker = run.name(request.broker);
    queues.position(broker, request.seen.queue)
}

#[cfg(test)]
mod tests {
    use crate::fault::FaultKind;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("queues in turn", || {
            sends(&[
                "a/0", "b/0", "c/0", "a/1", "b/1", "c/1", "a/2", "b/2", "c/2", "a/3",
            ])
        }),
        accepts("with faults anything may be right", || {
            sends(&["a/0", "a/0", "a/0"]).fault(1, FaultKind::Freeze, "broker-b")
        }),
        rejects("one queue gets two of three", || {
            let scene = sends(&["a/0", "b/0"])
                .at(10)
                .call(3)
                .attempt_marked(3, 1, "a/0");
            scene.succeeds(3, 1)
        }),
    ];

    fn sends(targets: &[&str]) -> Scene {
        (1..)
            .zip(targets)
            .fold(Scene::new().at(0), |scene, (send, to)| {
                scene.whole(send, to)
            })
    }
}

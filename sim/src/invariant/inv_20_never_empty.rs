//! While a route has a writable queue, selection returns one.
//!
//! Also when the only broker is the one that just failed, and when every broker is avoided: a
//! doubtful queue is better than none. So no send fails for want of a route while it has one, and
//! every attempt that avoids all brokers of its route still goes somewhere.

use rmq_producer::event::{Failure, Outcome, Stage};

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-20",
    title: "Never empty",
    source: Source::ClientEvents,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[side(
        "found no queue, although its topic has a route",
        &["the only broker is tried again", "every attempt fails"],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for send in &run.history.sends {
        // A queue of the caller's choice may be in no route.
        if send.target_queue.is_some() {
            continue;
        }
        let route = run.history.in_force(send.node, send.topic, send.called);
        let usable = route.is_some_and(|index| !run.history.snapshots[index].queues.is_empty());
        if !usable || run.may_have_forgotten(send.node, send.topic, send.called) {
            continue;
        }
        report.exercised();
        if let Some((done, Outcome::Failed(failure))) = send.done.first()
            && is_empty(*failure)
        {
            let (who, number) = (run.name(send.node), send.number);
            let text = format!("{who} s{number} found no queue, although its topic has a route");
            report.wrong(*done, text);
        }
    }
}

fn is_empty(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::NoRoute
            | Failure::RouteUnreachable
            | Failure::NoNameServer
            | Failure::Attempts(Stage::Address)
    )
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Failure, Stage};

    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("the only broker is tried again", || {
            let scene = Scene::new().found(1, 2, &["a/0"]).at(10).call(1);
            let scene = scene
                .attempt_by(1, 1, queue("a/0"), 2)
                .request(1, 1, 1)
                .refused(1, 1, 2);
            scene
                .attempt_by(1, 2, queue("a/0"), 2)
                .request(1, 2, 1)
                .succeeds(1, 2)
        }),
        accepts("every attempt fails", || {
            let scene = Scene::new()
                .at(10)
                .call(1)
                .attempt(1, 1, "a/0")
                .refused(1, 1, 2);
            scene.failed(1, Failure::Attempts(Stage::Refused))
        }),
        rejects("no queue is found although there are twelve", || {
            Scene::new()
                .at(10)
                .call(1)
                .failed(1, Failure::NoRoute)
                .wrong()
        }),
        rejects("a lookup fails the send although there is a route", || {
            Scene::new()
                .at(10)
                .call(1)
                .at(3000)
                .failed(1, Failure::RouteUnreachable)
                .wrong()
        }),
    ];
}

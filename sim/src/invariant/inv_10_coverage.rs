//! A send that fails has tried as many different brokers as it could.
//!
//! Three attempts on two brokers of three are a waste while the third one idles. Holds for policies
//! that avoid every broker that failed in the send.

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::SendHistory;
use rmq_producer::event::Outcome;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-10",
    title: "Coverage",
    source: Source::Both,
    rate_per_mille: 20,
    checker: Checker::Run(check),
    sides: &[side(
        "tried … brokers where it could …",
        &[
            "three attempts reach three brokers",
            "two brokers are all there is",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for send in &run.history.sends {
        let Some((done, Outcome::Failed(_))) = send.done.first() else {
            continue;
        };
        let covers = run
            .policy_of(send.producer())
            .is_some_and(|policy| policy.avoids_all_failed);
        if !covers || send.target_queue.is_some() || send.attempts.len() < 2 {
            continue;
        }
        report.exercised();
        let tried = distinct(send.attempts.iter().map(|attempt| &*attempt.to.broker));
        let possible = send.attempts.len().min(smallest_route(run, send));
        if tried < possible {
            let (who, number) = (run.name(send.node), send.number);
            let text = format!("{who} s{number} tried {tried} brokers where it could {possible}");
            report.wrong(*done, text);
        }
    }
}

fn distinct<'a>(brokers: impl Iterator<Item = &'a str>) -> usize {
    let mut brokers: Vec<&str> = brokers.collect();
    brokers.sort_unstable();
    brokers.dedup();
    brokers.len()
}

/// The fewest brokers in any route that an attempt of the send was chosen from.
fn smallest_route(run: &CheckedRun<'_>, send: &SendHistory<'_>) -> usize {
    let mut routes: Vec<usize> = send.attempts.iter().filter_map(|it| it.snapshot).collect();
    routes.dedup();
    let snapshots = &run.history.snapshots;
    let brokers = routes.into_iter();
    let brokers = brokers.map(|route| snapshots[route].queues.brokers().len());
    brokers.min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Failure, Stage};

    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("three attempts reach three brokers", || {
            fails(&["a/0", "b/0", "c/0"])
        }),
        accepts("two brokers are all there is", || {
            let scene = Scene::new().found(1, 2, &["a/0", "b/0"]).at(0).call(1);
            let scene = scene
                .attempt_by(1, 1, queue("a/0"), 2)
                .attempt_by(1, 2, queue("b/0"), 2);
            scene
                .attempt_by(1, 3, queue("a/0"), 2)
                .failed(1, Failure::Deadline)
        }),
        rejects("the third broker is never tried", || {
            fails(&["a/0", "b/0", "a/1"]).wrong()
        }),
    ];

    fn fails(targets: &[&str]) -> Scene {
        let scene = (1..)
            .zip(targets)
            .fold(Scene::new().at(0).call(1), |scene, (number, to)| {
                scene.attempt(1, number, to).refused(1, number, 2)
            });
        scene.failed(1, Failure::Attempts(Stage::Refused))
    }
}

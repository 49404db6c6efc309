//! A send to a queue of the caller's choice is attempted only there.
//!
//! Callers pin a queue because order depends on it; a "helpful" retry elsewhere breaks it silently.
//! Checked by what the attempts say and by which broker reads which queue id.

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-13",
    title: "The target queue stays",
    source: Source::Both,
    rate_per_mille: 10,
    checker: Checker::Run(check),
    sides: &[
        side(
            "goes to …, not …",
            &["every attempt goes to the chosen queue"],
        ),
        side(
            "reads …, for target queue …",
            &["every attempt goes to the chosen queue"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for send in &run.history.sends {
        let Some(target_queue) = send.target_queue else {
            continue;
        };
        report.exercised();
        let (who, number) = (run.name(send.node), send.number);
        let (broker, queue) = (&target_queue.broker, target_queue.queue);
        if let Some(attempt) = send
            .attempts
            .iter()
            .find(|attempt| attempt.to != target_queue)
        {
            let (k, to, other) = (attempt.number, &attempt.to.broker, attempt.to.queue);
            let text = format!("{who} s{number} #{k} goes to {to}/{other}, not {broker}/{queue}");
            report.wrong(attempt.started, text);
        }
        let mut requests = send
            .requests
            .iter()
            .map(|index| &run.history.requests[*index]);
        let stray = requests
            .find(|request| (run.name(request.broker), request.seen.queue) != (&**broker, queue));
        if let Some(request) = stray {
            let (at, other) = (run.name(request.broker), request.seen.queue);
            let text =
                format!("{at}/{other} reads {who} s{number}, for target queue {broker}/{queue}");
            report.wrong(request.received, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::Mode;

    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("every attempt goes to the chosen queue", || {
            let scene = target_queue().attempt(1, 1, "a/2").refused(1, 1, 2);
            scene.attempt(1, 2, "a/2").succeeds(1, 2)
        }),
        rejects("a retry goes to another broker", || {
            let scene = target_queue().attempt(1, 1, "a/2").refused(1, 1, 2);
            scene.attempt_by(1, 2, queue("b/2"), 1).wrong()
        }),
        rejects("the message arrives for another queue", || {
            target_queue()
                .attempt(1, 1, "a/2")
                .seen_with(1, 1, |seen| seen.queue = 1)
                .wrong()
        }),
    ];

    fn target_queue() -> Scene {
        Scene::new().at(0).call_to(1, Mode::Sync, Some("a/2"))
    }
}

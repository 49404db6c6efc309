//! What happens after an attempt follows from the table, in every mode.
//!
//! Whether a refusal is retried depends on its code and the policy's table of the mode, and on
//! nothing else; so it is with every other end that the table calls final; what is final ends the send whichever attempt got it; after a success nobody tries
//! again. (That a retry which the table demands does start is INV-08.)

use rmq_producer::event::Stage;

use super::inv_08_liveness::retryable;
use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-11",
    title: "One policy",
    source: Source::ClientEvents,
    rate_per_mille: 50,
    checker: Checker::Run(check),
    sides: &[side(
        "starts after … was …",
        &[
            "a busy broker is left, a wrong message is not sent again",
            "a policy that wants a safe copy tries for one",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for (send, attempt) in run.attempts() {
        let Some(policy) = run.policy_of(send.producer()) else {
            continue;
        };
        let Some(end) = attempt.ended else { continue };
        let last = match end.stage {
            Stage::Accepted => !policy.retries_unsafe || end.code.is_none_or(|code| code == 0),
            Stage::Refused
            | Stage::Decode
            | Stage::Denied
            | Stage::Hook
            | Stage::Vetoed
            | Stage::Address => !retryable(policy, send.mode, end.stage, end.code),
            _ => false,
        };
        if !last {
            continue;
        }
        report.exercised();
        if let Some(next) = send
            .attempts
            .iter()
            .find(|next| next.started > end.timestamp)
        {
            let (who, number, k) = (run.name(send.node), send.number, next.number);
            let (past, stage) = (attempt.number, end.stage);
            let code = end.code.unwrap_or(0);
            let text = format!("{who} s{number} #{k} starts after #{past} was {stage:?} ({code})");
            report.wrong(next.started, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Failure, Mode, Stage};

    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts(
            "a busy broker is left, a wrong message is not sent again",
            || {
                let scene = Scene::new()
                    .at(0)
                    .call(1)
                    .attempt(1, 1, "a/0")
                    .refused(1, 1, 2);
                let scene = scene.attempt(1, 2, "b/0").refused(1, 2, 13);
                scene.failed(1, Failure::Attempts(Stage::Refused))
            },
        ),
        accepts("a policy that wants a safe copy tries for one", || {
            let scene = Scene::new().facts(|it| it.policies[0].retries_unsafe = true);
            let scene = scene.at(0).call(1).attempt(1, 1, "a/0");
            let scene = scene.ended(1, 1, Stage::Accepted, 10);
            scene.attempt(1, 2, "b/0").succeeds(1, 2)
        }),
        rejects("a copy that is not safe is not enough", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0");
            let scene = scene.ended(1, 1, Stage::Accepted, 10);
            scene.attempt_by(1, 2, queue("b/0"), 1).wrong()
        }),
        rejects("a refusal that is final is retried", || {
            let scene = Scene::new()
                .at(0)
                .call(1)
                .attempt(1, 1, "a/0")
                .refused(1, 1, 13);
            scene.attempt_by(1, 2, queue("b/0"), 1).wrong()
        }),
        rejects("an async send retries what its table does not name", || {
            let scene = Scene::new().facts(|it| it.policies[0].retry_codes_async.clear());
            let scene = scene
                .at(0)
                .call_in(1, Mode::Async)
                .attempt(1, 1, "a/0")
                .refused(1, 1, 2);
            scene.attempt_by(1, 2, queue("b/0"), 1).wrong()
        }),
        rejects("an attempt starts after a success", || {
            Scene::new()
                .at(0)
                .whole(1, "a/0")
                .attempt_by(1, 2, queue("b/0"), 1)
                .wrong()
        }),
    ];
}

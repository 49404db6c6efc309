//! Nobody gives up before the time is used up.
//!
//! A send whose outcome is a timeout has had its whole timeout, unless its attempts are used up; an
//! attempt that is called silent has had its budget. An early timeout throws away answers that were
//! on their way.

use rmq_producer::event::{Failure, Outcome, Stage};

use super::{Case, Invariant, Judge, Judged, Source};
use crate::trace::story::SendStory;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-04",
    title: "No early timeout",
    source: Source::Testimony,
    rate_per_mille: 80,
    judge: Judge::Run(judge),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// A real clock may round a deadline down.
const GRAIN_MS: u64 = 1;

fn judge(case: &Case<'_>, judged: &mut Judged) {
    for send in &case.story.sends {
        outcome(case, send, judged);
        for attempt in &send.attempts {
            let Some(end) = attempt.ended.filter(|end| end.stage == Stage::Silent) else {
                continue;
            };
            judged.case();
            let had = end.moment.ms - attempt.started.ms;
            let budget = attempt.budget_ms;
            if had + GRAIN_MS < budget {
                let (who, number, k) = (case.name(send.node), send.number, attempt.number);
                let text = format!("{who} s{number} #{k} is silent after {had} of {budget} ms");
                judged.wrong(end.moment, text);
            }
        }
    }
}

fn outcome(case: &Case<'_>, send: &SendStory<'_>, judged: &mut Judged) {
    let Some((done, Outcome::Failed(failure))) = send.done.first() else {
        return;
    };
    let Some(policy) = case.policy(send.node) else {
        return;
    };
    let allowed =
        usize::try_from(policy.attempts(send.mode, send.pinned.is_some())).unwrap_or(usize::MAX);
    let used_up = send.attempts.len() >= allowed;
    let timeout = match failure {
        Failure::Deadline => true,
        Failure::Attempts(Stage::Silent) => !used_up,
        _ => false,
    };
    if !timeout {
        return;
    }
    judged.case();
    if done.ms + GRAIN_MS < send.deadline_ms() {
        let (who, number, timeout) = (case.name(send.node), send.number, send.timeout_ms);
        let took = done.ms - send.called.ms;
        let text = format!("{who} s{number} timed out after {took} of {timeout} ms");
        judged.wrong(*done, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a send that times out has had all its time", || {
            open()
                .at(3000)
                .ended(1, 1, Stage::Silent, None)
                .failed(1, Failure::Deadline)
        }),
        accepts("attempts that refuse may end a send at once", || {
            let scene = Scene::new()
                .at(0)
                .call(1)
                .attempt(1, 1, "a/0")
                .refused(1, 1, 13);
            scene.failed(1, Failure::Attempts(Stage::Refused))
        }),
        rejects("a send times out early", || {
            open().at(2900).failed(1, Failure::Deadline).wrong()
        }),
        rejects(
            "an attempt is called silent before its budget is used up",
            || open().at(900).ended(1, 1, Stage::Silent, None).wrong(),
        ),
        rejects("silence ends a send that has attempts left", || {
            let scene = open().at(1000).ended(1, 1, Stage::Silent, None);
            scene.failed(1, Failure::Attempts(Stage::Silent)).wrong()
        }),
    ];

    fn open() -> Scene {
        Scene::new().at(0).call(1).attempt(1, 1, "a/0")
    }
}

//! Nobody gives up before the time is used up.
//!
//! A send whose outcome is a timeout has had its whole timeout, unless its attempts are used up; an
//! attempt that is called silent has had its timeout. An early timeout throws away answers that were
//! on their way. So does a send that ends with the failure of one attempt while another one is open beside
//! it and may still succeed; only a refusal that no attempt would change is final.

use rmq_producer::event::{Failure, Outcome, Stage};

use super::inv_08_liveness::retryable;
use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{EndedAttempt, SendHistory};
use crate::trace::record::Form;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-04",
    title: "No early timeout",
    source: Source::ClientEvents,
    rate_per_mille: 80,
    checker: Checker::Run(check),
    sides: &[
        side(
            "is given up with … ms left",
            &["attempts that refuse may end a send at once"],
        ),
        side(
            "is silent after … of … ms",
            &["a send that times out has had all its time"],
        ),
        side(
            "gives up with … open and … ms left",
            &["a final refusal ends a send beside an open attempt"],
        ),
        side(
            "timed out after … of … ms",
            &["a send that times out has had all its time"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// A real clock may round a deadline down.
const GRAIN_MS: u64 = 1;

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for send in &run.history.sends {
        outcome(run, send, report);
        gives_up(run, send, report);
        for attempt in &send.attempts {
            let Some(end) = attempt.ended.filter(|end| end.stage == Stage::Silent) else {
                continue;
            };
            report.exercised();
            let had = end.timestamp.ms - attempt.started.ms;
            let timeout = attempt.timeout_ms;
            // An attempt that is hedged stays open for as long as its send.
            let stays = run
                .policy_of(send.producer())
                .is_some_and(|policy| policy.hedged_accepted && policy.form == Form::Strict);
            let over = send.over().is_some_and(|over| over.ms <= end.timestamp.ms);
            let left = send.deadline_ms().saturating_sub(end.timestamp.ms);
            if stays && !over && left > GRAIN_MS {
                let (who, number, k) = (run.name(send.node), send.number, attempt.number);
                let text = format!("{who} s{number} #{k} is given up with {left} ms left");
                report.wrong(end.timestamp, text);
            } else if had + GRAIN_MS < timeout {
                let (who, number, k) = (run.name(send.node), send.number, attempt.number);
                let text = format!("{who} s{number} #{k} is silent after {had} of {timeout} ms");
                report.wrong(end.timestamp, text);
            }
        }
    }
}

fn outcome(run: &CheckedRun<'_>, send: &SendHistory<'_>, report: &mut CheckReport) {
    let Some((done, Outcome::Failed(failure))) = send.done.first() else {
        return;
    };
    let Some(policy) = run.policy_of(send.producer()) else {
        return;
    };
    let allowed = usize::try_from(policy.attempts(send.mode, send.target_queue.is_some()))
        .unwrap_or(usize::MAX);
    let used_up = send.attempts.len() >= allowed;
    let timeout = match failure {
        Failure::Deadline => true,
        Failure::Attempts(Stage::Silent) => !used_up,
        _ => false,
    };
    if !timeout {
        return;
    }
    report.exercised();
    if done.ms + GRAIN_MS < send.deadline_ms() {
        let (who, number, timeout) = (run.name(send.node), send.number, send.timeout_ms);
        let took = done.ms - send.called.ms;
        let text = format!("{who} s{number} timed out after {took} of {timeout} ms");
        report.wrong(*done, text);
    }
}

/// A send that failed early although an attempt of it was open.
fn gives_up(run: &CheckedRun<'_>, send: &SendHistory<'_>, report: &mut CheckReport) {
    let (Some((done, Outcome::Failed(Failure::Attempts(_)))), Some(policy)) =
        (send.done.first(), run.policy_of(send.producer()))
    else {
        return;
    };
    let is_final = |end: &EndedAttempt| {
        end.timestamp <= *done
            && !matches!(end.stage, Stage::Superseded | Stage::Silent)
            && !retryable(policy, send.mode, end.stage, end.code)
    };
    let refused = send
        .attempts
        .iter()
        .any(|it| it.ended.as_ref().is_some_and(is_final));
    let open = send.attempts.iter().find(|attempt| {
        let superseded = attempt
            .ended
            .is_some_and(|end| end.stage == Stage::Superseded);
        // What the end of the send has ended was open until then.
        attempt.ended.is_none_or(|end| end.timestamp > *done) || superseded
    });
    let Some(open) = open.filter(|_| policy.hedged_accepted && policy.form == Form::Strict) else {
        return;
    };
    report.exercised();
    if !refused && done.ms + GRAIN_MS < send.deadline_ms() {
        let (who, number, k) = (run.name(send.node), send.number, open.number);
        let left = send.deadline_ms() - done.ms;
        let text = format!("{who} s{number} gives up with #{k} open and {left} ms left");
        report.wrong(*done, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::TraceHeader;

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
        rejects(
            "the failure of one attempt ends a send beside an open one",
            || {
                let scene = open().at(1000).hedged(1, 1).attempt(1, 2, "b/0").at(1010);
                let scene = scene.ended(1, 2, Stage::Lost, None);
                scene.failed(1, Failure::Attempts(Stage::Lost)).wrong()
            },
        ),
        accepts("a final refusal ends a send beside an open attempt", || {
            let scene = open().at(1000).hedged(1, 1).attempt(1, 2, "b/0").at(1010);
            let scene = scene.ended(1, 2, Stage::Refused, 13);
            scene.failed(1, Failure::Attempts(Stage::Refused))
        }),
        rejects("a hedged attempt is given up before its send ends", || {
            let scene = open().at(1000).hedged(1, 1).attempt(1, 2, "b/0").at(1500);
            scene
                .ended(1, 1, Stage::Silent, None)
                .wrong()
                .at(3000)
                .failed(1, Failure::Deadline)
        }),
        rejects("a send times out early", || {
            open().at(2900).failed(1, Failure::Deadline).wrong()
        }),
        rejects(
            "an attempt is called silent before its timeout is over",
            || open().at(900).ended(1, 1, Stage::Silent, None).wrong(),
        ),
        rejects(
            "an attempt that is not hedged has less than its time",
            || {
                let unhedged = |header: &mut TraceHeader| {
                    for policy in &mut header.policies {
                        policy.hedged_accepted = false;
                    }
                };
                let scene = open().facts(unhedged).at(900);
                scene.ended(1, 1, Stage::Silent, None).wrong()
            },
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

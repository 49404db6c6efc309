//! A success that was read in time is a success.
//!
//! If a broker's acceptance of any open attempt reached the producer before the send's deadline and
//! before its end, the send succeeds. The answers come from the connections; whether one was an
//! acceptance is the broker's evidence where the answer found its request already gone.

use rmq_mock_broker::event::Ending;
use rmq_producer::event::Outcome;
use rmq_remoting::code::response;

use super::inv_08_liveness::is_an_answer;
use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{AttemptHistory, SendHistory, Timestamp};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-03",
    title: "No lost success",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[side(
        "failed, although … was accepted with … ms left",
        &[
            "the hedged attempt's success completes the send",
            "a success after the deadline is too late",
            "an imitated client ignores the hedged attempt",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// Whether a response code means that the message is stored.
pub(super) fn accepted(code: i32) -> bool {
    matches!(
        code,
        response::SUCCESS
            | response::FLUSH_DISK_TIMEOUT
            | response::SLAVE_NOT_AVAILABLE
            | response::FLUSH_SLAVE_TIMEOUT
    )
}

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for (send, attempt) in run.attempts() {
        let Some(read) = success_read(run, attempt) else {
            continue;
        };
        let Some(policy) = run.policy_of(send.producer()) else {
            continue;
        };
        let given_up = attempt.ended.is_some_and(|end| end.timestamp < read);
        let current = attempt.hedged.is_none_or(|hedged| read < hedged) && !given_up;
        let in_time = read.ms <= send.deadline_ms();
        let over = send.over();
        if !in_time || over.is_some_and(|over| over < read) {
            continue;
        }
        if !policy.hedged_accepted && !current {
            continue;
        }
        // Of two answers that come in one millisecond the first one that is looked at counts.
        let refused = send.attempts.iter().any(|it| {
            let end = it.ended.filter(|end| is_an_answer(end.stage));
            let answer = it.reply.map(|(at, _)| at.ms);
            end.is_some_and(|end| end.timestamp.ms == read.ms || answer == Some(read.ms))
        });
        if refused {
            continue;
        }
        report.exercised();
        if let Some((done, outcome)) = send.done.first()
            && !matches!(outcome, Outcome::Sent { .. })
        {
            let text = lost(run, send, attempt, read);
            report.wrong(*done, text);
        }
    }
}

/// When an acceptance of the attempt was read.
fn success_read(run: &CheckedRun<'_>, attempt: &AttemptHistory<'_>) -> Option<Timestamp> {
    let seen = attempt.seen().map(|seen| &run.history.requests[seen]);
    let ending = seen.and_then(|request| request.ended);
    if matches!(ending, Some((_, Ending::Empty { .. }))) {
        // It says nothing of where the message is.
        return None;
    }
    match (attempt.reply, attempt.late) {
        (Some((timestamp, code)), _) => accepted(code).then_some(timestamp),
        (None, Some(timestamp)) => {
            let request = &run.history.requests[attempt.seen()?];
            let ended = request.ended?;
            matches!(ended.1, Ending::Answered { code } if accepted(code)).then_some(timestamp)
        }
        (None, None) => None,
    }
}

fn lost(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    read: Timestamp,
) -> String {
    let (who, number, k) = (run.name(send.node), send.number, attempt.number);
    let left = send.deadline_ms() - read.ms;
    format!("{who} s{number} failed, although #{k} was accepted with {left} ms left")
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Failure, Stage};

    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("the hedged attempt's success completes the send", || {
            hedged()
                .reply(1, 1, 0)
                .ended(1, 1, Stage::Accepted, 0)
                .sent(1, 1)
        }),
        accepts("a success after the deadline is too late", || {
            let scene = hedged().at(3000).failed(1, Failure::Deadline);
            scene.at(3100).late(1, 1)
        }),
        accepts("an imitated client ignores the hedged attempt", || {
            let scene = hedged().facts(|header| header.policies[0].hedged_accepted = false);
            scene.late(1, 1).at(3000).failed(1, Failure::Deadline)
        }),
        rejects("a success that was read is followed by a failure", || {
            let scene = Scene::new()
                .at(0)
                .call(1)
                .attempt(1, 1, "a/0")
                .at(2)
                .seen(1, 1);
            let scene = scene.stored(1, 1).answered(1, 1, 0).at(4).reply(1, 1, 0);
            scene.failed(1, Failure::Deadline).wrong()
        }),
        rejects(
            "the hedged attempt's success finds its request gone",
            || {
                hedged()
                    .late(1, 1)
                    .at(3000)
                    .failed(1, Failure::Deadline)
                    .wrong()
            },
        ),
    ];

    /// #1 to broker-a was hedged after a second; its answer arrives after 1.2 s.
    fn hedged() -> Scene {
        let scene = Scene::new()
            .at(0)
            .call(1)
            .attempt(1, 1, "a/0")
            .at(2)
            .seen(1, 1);
        let scene = scene.at(1000).hedged(1, 1).attempt(1, 2, "b/0");
        scene.at(1198).stored(1, 1).answered(1, 1, 0).at(1200)
    }
}

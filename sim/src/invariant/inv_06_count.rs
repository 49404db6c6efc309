//! No send makes more attempts than configured.
//!
//! Counted twice: as the producer says, and as requests with the message's unique key that brokers
//! read (a transparent repetition after a drain notice is no attempt). One-way sends try once.

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::SendHistory;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-06",
    title: "Count",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side(
            "brokers read … requests of …, not …",
            &["three attempts of three"],
        ),
        side("of … attempts", &["three attempts of three"]),
        side("is its attempt …", &["three attempts of three"]),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for send in &run.history.sends {
        let Some(policy) = run.policy_of(send.producer()) else {
            continue;
        };
        if send.attempts.is_empty() {
            continue;
        }
        report.exercised();
        let allowed = usize::try_from(policy.attempts(send.mode, send.target_queue.is_some()))
            .unwrap_or(usize::MAX);
        let (who, number) = (run.name(send.node), send.number);
        if let Some(attempt) = send.attempts.get(allowed) {
            let k = attempt.number;
            report.wrong(
                attempt.started,
                format!("{who} s{number} #{k} of {allowed} attempts"),
            );
        }
        numbers(run, send, report);
        let written: usize = send
            .attempts
            .iter()
            .map(|attempt| attempt.wires.len().max(1))
            .sum();
        if let Some(index) = send.requests.get(written) {
            let at = run.history.requests[*index].received;
            let seen = send.requests.len();
            let text = format!("brokers read {seen} requests of {who} s{number}, not {written}");
            report.wrong(at, text);
        }
    }
}

/// Attempts are numbered from 1 without gaps.
fn numbers(run: &CheckedRun<'_>, send: &SendHistory<'_>, report: &mut CheckReport) {
    let odd = (1..)
        .zip(&send.attempts)
        .find(|(number, attempt)| attempt.number != *number);
    if let Some((number, attempt)) = odd {
        let (who, send, k) = (run.name(send.node), send.number, attempt.number);
        report.wrong(
            attempt.started,
            format!("{who} s{send} #{k} is its attempt {number}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::Mode;

    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("three attempts of three", || {
            let scene = Scene::new()
                .at(0)
                .call(1)
                .attempt(1, 1, "a/0")
                .refused(1, 1, 2);
            let scene = scene.attempt(1, 2, "b/0").refused(1, 2, 2);
            scene.attempt(1, 3, "c/0").succeeds(1, 3)
        }),
        rejects("a second attempt of a producer without retries", || {
            let scene = Scene::new().facts(|header| header.policies[0].attempts_sync = 1);
            let scene = scene.at(0).call(1).attempt(1, 1, "a/0").refused(1, 1, 2);
            scene.attempt_by(1, 2, queue("b/0"), 1).wrong()
        }),
        rejects("a one-way send tries again", || {
            let scene = Scene::new()
                .at(0)
                .call_in(1, Mode::Oneway)
                .attempt(1, 1, "a/0");
            scene.attempt_by(1, 2, queue("b/0"), 1).wrong()
        }),
        rejects("an attempt is left out", || {
            let scene = Scene::new()
                .at(0)
                .call(1)
                .attempt(1, 1, "a/0")
                .refused(1, 1, 2);
            scene.attempt_by(1, 3, queue("b/0"), 1).wrong()
        }),
        rejects("a broker reads a request that no attempt made", || {
            Scene::new()
                .at(0)
                .call(1)
                .attempt(1, 1, "a/0")
                .seen(1, 1)
                .seen(1, 1)
                .wrong()
        }),
    ];

    use crate::invariant::scene::queue;
}

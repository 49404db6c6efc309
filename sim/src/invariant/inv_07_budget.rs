//! Every attempt has time of its own.
//!
//! An attempt that starts with nothing left can only fail; one that is given more than is left will
//! break the deadline, and one that is given less than its part is given up, or hedged, although its
//! answer is on the way. Under equal timeouts the part of an attempt is the same share of the whole time
//! and of what is left of it, whichever is less; the last attempt has all that is left.

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{AttemptHistory, SendHistory};
use crate::trace::record::Form;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-07",
    title: "Budget",
    source: Source::ClientEvents,
    rate_per_mille: 800,
    checker: Checker::Run(check),
    sides: &[
        side(
            "has a timeout of … ms with … ms left",
            &["the last millisecond"],
        ),
        side(
            "has a timeout of … ms, its part is … ms",
            &["a late attempt has its share of what is left"],
        ),
        side("starts with no time left", &["the last millisecond"]),
        side("starts without a timeout", &["an attempt with its timeout"]),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for (send, attempt) in run.attempts() {
        // Clients that give each attempt the whole timeout, or try with nothing left, are known.
        if run
            .policy_of(send.producer())
            .is_none_or(|policy| policy.form == Form::Parity)
        {
            continue;
        }
        report.exercised();
        let left = send.deadline_ms().saturating_sub(attempt.started.ms);
        let (who, number, k) = (run.name(send.node), send.number, attempt.number);
        let timeout = attempt.timeout_ms;
        let text = if left == 0 {
            format!("{who} s{number} #{k} starts with no time left")
        } else if timeout == 0 {
            format!("{who} s{number} #{k} starts without a timeout")
        } else if timeout > left {
            format!("{who} s{number} #{k} has a timeout of {timeout} ms with {left} ms left")
        } else if let Some(part) = part(run, send, attempt).filter(|part| {
            let least_known = run
                .policy_of(send.producer())
                .is_some_and(|it| it.second_connections);
            // With one connection an attempt at the only broker has all the time.
            timeout + GRAIN_MS < *part || (least_known && timeout > *part + GRAIN_MS)
        }) {
            format!("{who} s{number} #{k} has a timeout of {timeout} ms, its part is {part} ms")
        } else {
            continue;
        };
        report.wrong(attempt.started, text);
    }
}

/// A real clock may round a time down.
const GRAIN_MS: u64 = 1;

/// The least time that an attempt has under equal timeouts.
fn part(run: &CheckedRun<'_>, send: &SendHistory<'_>, attempt: &AttemptHistory<'_>) -> Option<u64> {
    let policy = run.policy_of(send.producer())?;
    let all = policy
        .attempts(send.mode, send.target_queue.is_some())
        .max(1);
    let to_come = all.checked_sub(attempt.number)?.saturating_add(1);
    let left = send.deadline_ms().saturating_sub(attempt.started.ms);
    Some(match to_come {
        1 => left,
        _ => (send.timeout_ms / u64::from(all)).min(left / u64::from(to_come)),
    })
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::Event;

    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};
    use crate::trace::NodeEvent;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("an attempt with its timeout", || attempt_at(0, 1000)),
        accepts("a late attempt has its share of what is left", || {
            attempt_at(2400, 200)
        }),
        rejects(
            "a late attempt has less than its share of what is left",
            || attempt_at(2400, 150).wrong(),
        ),
        rejects("an attempt has a tenth of its share", || {
            attempt_at(0, 100).wrong()
        }),
        rejects("an attempt has more than its share of what is left", || {
            attempt_at(2400, 600).wrong()
        }),
        accepts("the last millisecond", || attempt_at(2999, 1)),
        rejects("an attempt at the deadline", || attempt_at(3000, 1).wrong()),
        rejects("no timeout", || attempt_at(100, 0).wrong()),
        rejects("more than is left", || attempt_at(2500, 501).wrong()),
    ];

    fn attempt_at(ms: u64, timeout: u64) -> Scene {
        let scene = Scene::new()
            .at(0)
            .call(1)
            .at(ms)
            .attempt_by(1, 1, queue("a/0"), 1);
        scene.change(|what| {
            if let NodeEvent::Producer(Event::Attempt { timeout_ms, .. }) = what {
                *timeout_ms = timeout;
            }
        })
    }
}

//! A retry leaves the broker that just failed, while there is another.
//!
//! Checked by where the attempts go, and by which brokers read them one after the other. A targeted
//! send has no choice. By a policy that leaves only the last broker, and has a health table, every other
//! one may be avoided; one that leaves all brokers that failed in the send goes to none of them while there is
//! another.

use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{AttemptHistory, SendHistory};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-09",
    title: "Not the last one",
    source: Source::Both,
    rate_per_mille: 100,
    checker: Checker::Run(check),
    sides: &[
        side(
            "goes to … again, which just failed",
            &[
                "a retry goes to another broker",
                "there is only one broker",
                "a send to a target queue stays",
            ],
        ),
        side(
            "goes back to …, others have …",
            &["the third attempt goes back, and there are two brokers"],
        ),
        side(
            "reads … although it had …",
            &["a retry goes to another broker"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for send in &run.history.sends {
        let avoids = run
            .policy_of(send.producer())
            .is_some_and(|policy| policy.avoids_last);
        if send.target_queue.is_some() || !avoids {
            continue;
        }
        for pair in send.attempts.windows(2) {
            if has_choice(run, send, &pair[0], &pair[1]) {
                report.exercised();
                stays(run, send, pair, report);
            }
        }
        returns(run, send, report);
    }
}

/// No attempt goes back to a broker that failed in the send while its route has one that did not.
fn returns(run: &CheckedRun<'_>, send: &SendHistory<'_>, report: &mut CheckReport) {
    if !run
        .policy_of(send.producer())
        .is_some_and(|it| it.avoids_all_failed)
    {
        return;
    }
    for (index, attempt) in send.attempts.iter().enumerate().skip(2) {
        let before = &send.attempts[..index];
        let failed = |broker: &Name| before.iter().any(|it| it.to.broker == *broker);
        let route = attempt.snapshot.map(|index| &run.history.snapshots[index]);
        let Some(route) = route.filter(|it| it.queues.names().any(|it| !failed(it))) else {
            continue;
        };
        report.exercised();
        if failed(&attempt.to.broker) {
            let (who, number, k) = (run.name(send.node), send.number, attempt.number);
            let (broker, topic) = (&attempt.to.broker, route.topic);
            let text = format!("{who} s{number} #{k} goes back to {broker}, others have {topic}");
            report.wrong(attempt.started, text);
        }
    }
}

/// Whether the route that the second attempt was chosen from has a queue on another broker.
fn has_choice(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    last: &AttemptHistory<'_>,
    next: &AttemptHistory<'_>,
) -> bool {
    let Some(snapshot) = next.snapshot.map(|index| &run.history.snapshots[index]) else {
        return false;
    };
    // Who leaves every broker that failed has a tier of its own for the last one: the worst of all.
    let health = run
        .policy_of(send.producer())
        .is_some_and(|policy| policy.isolation.is_some() && !policy.avoids_all_failed);
    snapshot.queues.names().any(|broker| {
        let avoided = health && next.avoided.contains(broker);
        *broker != last.to.broker && !avoided
    })
}

fn stays(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    pair: &[AttemptHistory<'_>],
    report: &mut CheckReport,
) {
    let (who, number, k) = (run.name(send.node), send.number, pair[1].number);
    if pair[1].to.broker == pair[0].to.broker {
        let broker = &pair[1].to.broker;
        let text = format!("{who} s{number} #{k} goes to {broker} again, which just failed");
        report.wrong(pair[1].started, text);
        return;
    }
    let seen = |attempt: &AttemptHistory<'_>| Some(&run.history.requests[attempt.seen()?]);
    if let (Some(last), Some(next)) = (seen(&pair[0]), seen(&pair[1]))
        && last.broker == next.broker
    {
        let broker = run.name(next.broker);
        let text = format!(
            "{broker} reads {who} s{number} #{k} although it had #{}",
            k - 1
        );
        report.wrong(next.received, text);
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::Mode;

    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a retry goes to another broker", || {
            refused_once().attempt(1, 2, "b/0").succeeds(1, 2)
        }),
        accepts("there is only one broker", || {
            let scene = refused_once().found(1, 2, &["a/0", "a/1"]);
            scene
                .attempt_by(1, 2, queue("a/1"), 2)
                .request(1, 2, 1)
                .succeeds(1, 2)
        }),
        accepts("a send to a target queue stays", || {
            let scene = Scene::new().at(0).call_to(1, Mode::Sync, Some("a/0"));
            scene
                .attempt(1, 1, "a/0")
                .refused(1, 1, 2)
                .attempt(1, 2, "a/0")
                .succeeds(1, 2)
        }),
        rejects(
            "the third attempt goes back, and a third broker is there",
            || {
                let scene = refused_once().attempt(1, 2, "b/0").refused(1, 2, 2);
                scene.attempt_by(1, 3, queue("a/1"), 1).wrong()
            },
        ),
        accepts(
            "the third attempt goes back, and there are two brokers",
            || {
                let scene = refused_once().found(1, 2, &["a/0", "b/0"]);
                let scene = scene.attempt_by(1, 2, queue("b/0"), 2).request(1, 2, 2);
                let scene = scene.refused(1, 2, 2);
                scene.attempt_by(1, 3, queue("a/0"), 2)
            },
        ),
        rejects("a retry goes to the broker that failed", || {
            refused_once().attempt_by(1, 2, queue("a/1"), 1).wrong()
        }),
        rejects(
            "a retry is said to go elsewhere and arrives there again",
            || {
                let scene = refused_once()
                    .attempt_by(1, 2, queue("b/0"), 1)
                    .request(1, 2, 1);
                scene.seen_at(1, 2, "broker-a").wrong()
            },
        ),
    ];

    fn refused_once() -> Scene {
        Scene::new()
            .at(0)
            .call(1)
            .attempt(1, 1, "a/0")
            .refused(1, 1, 2)
    }
}

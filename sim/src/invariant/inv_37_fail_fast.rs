//! When a connection is lost, what waits on it ends at once.
//!
//! Each attempt that is open on a closing connection ends within the slack as lost, instead of
//! waiting for its timeout with nobody left to answer. What follows a drain notice may be repeated
//! on a fresh connection instead. Of a client that does not notice a loss, or not every one, nothing
//! is demanded there.

use rmq_producer::event::Stage;
use rmq_producer::policy::OnLost;
use rmq_remoting::event::CloseCause;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source};
use crate::trace::history::{AttemptHistory, SendHistory, Timestamp};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-37",
    title: "Fail fast",
    source: Source::ClientEvents,
    rate_per_mille: 100,
    checker: Checker::Run(check),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for connection in &run.history.connections {
        let Some((closed, cause)) = connection.closed else {
            continue;
        };
        if !run
            .policy(connection.node)
            .is_some_and(|policy| notices(policy.on_lost, cause))
        {
            continue;
        }
        for (_, send, attempt, wire) in connection.given.iter().rev() {
            let send = &run.history.sends[*send];
            let attempt = &send.attempts[*attempt];
            let moved = attempt.wires.len() > wire + 1;
            let answered = attempt.reply.is_some_and(|(read, _)| read < closed);
            let written = attempt.wires[*wire].timestamp < closed;
            if written && !moved && !answered && attempt.open_at(closed, send.over()) {
                report.exercised();
                ends(run, send, attempt, (closed, cause), report);
            }
        }
    }
}

/// Whether a policy takes this end of a connection for the end of what waits on it.
fn notices(on_lost: OnLost, cause: CloseCause) -> bool {
    match on_lost {
        OnLost::Fail => true,
        OnLost::WaitAfterClose => cause != CloseCause::PeerClosed,
        OnLost::Wait => !matches!(
            cause,
            CloseCause::PeerClosed | CloseCause::Broken | CloseCause::BadFrame
        ),
    }
}

fn ends(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    (closed, cause): (Timestamp, CloseCause),
    report: &mut CheckReport,
) {
    let (who, number, k) = (run.name(send.node), send.number, attempt.number);
    let due = run.due(send.node, closed.ms, 0);
    let end = attempt.ended.map(|end| (end.timestamp, Some(end.stage)));
    let over = send.over().map(|over| (over, None));
    let Some((ended, stage)) = end
        .into_iter()
        .chain(over)
        .min_by_key(|(timestamp, _)| *timestamp)
    else {
        let gone = run.truth.was_gone(send.node, closed.ms, run.trace.end_ms);
        if run.trace.end_ms > due && !gone {
            let text = format!("{who} s{number} #{k} stays open when its connection is lost");
            report.wrong(closed, text);
        }
        return;
    };
    if ended.ms > due {
        let after = ended.ms - closed.ms;
        let text = format!("{who} s{number} #{k} ends {after} ms after its connection was lost");
        report.wrong(ended, text);
    } else if stage == Some(Stage::Silent)
        && cause != CloseCause::CallTimedOut
        // Where both come in one millisecond, either is true; so it is for a producer that was frozen.
        && closed.ms < attempt.started.ms.saturating_add(attempt.timeout_ms).min(send.deadline_ms())
    {
        let text = format!("{who} s{number} #{k} is called silent, its connection was lost");
        report.wrong(ended, text);
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::Failure;

    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("the open attempt ends as lost", || {
            lost()
                .ended(1, 1, Stage::Lost, None)
                .attempt(1, 2, "b/0")
                .succeeds(1, 2)
        }),
        accepts("an answered attempt is not concerned", || {
            let scene = Scene::new().at(0).whole(1, "a/0");
            lost_on(scene.call(2).attempt(2, 1, "a/1")).ended(2, 1, Stage::Lost, None)
        }),
        accepts("a client of 4.9 waits on what its peer closed", || {
            waits_after(OnLost::WaitAfterClose, CloseCause::PeerClosed)
        }),
        rejects("a client of 4.9 waits on what broke", || {
            waits_after(OnLost::WaitAfterClose, CloseCause::Broken).wrong()
        }),
        rejects("the open attempt waits for its timeout", || {
            lost().at(1000).ended(1, 1, Stage::Silent, None).wrong()
        }),
        rejects("the attempt never ends", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").at(50);
            scene.close(1, "broker-a", CloseCause::Broken).wrong()
        }),
        rejects("the loss is called silence", || {
            lost().ended(1, 1, Stage::Silent, None).wrong()
        }),
        accepts(
            "it was lost in the millisecond in which its time was over",
            || {
                let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").at(1_000);
                let scene = scene.close(1, "broker-a", CloseCause::Broken);
                scene.ended(1, 1, Stage::Silent, None)
            },
        ),
        rejects("the send fails late", || {
            lost().at(3000).failed(1, Failure::Deadline).wrong()
        }),
    ];

    fn waits_after(on_lost: OnLost, cause: CloseCause) -> Scene {
        let scene = Scene::new().facts(|it| it.policies[0].on_lost = on_lost);
        let scene = scene.at(0).call(1).attempt(1, 1, "a/0").at(50);
        let scene = scene.close(1, "broker-a", cause).at(1_000);
        scene.ended(1, 1, Stage::Silent, None)
    }

    fn lost() -> Scene {
        lost_on(Scene::new().at(0).call(1).attempt(1, 1, "a/0"))
    }

    fn lost_on(scene: Scene) -> Scene {
        scene.at(50).close(1, "broker-a", CloseCause::Broken)
    }
}

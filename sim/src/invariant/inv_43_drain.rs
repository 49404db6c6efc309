//! A server that announces its shutdown costs no send an attempt.
//!
//! A broker, or the proxy before it, that is about to stop answers `GO_AWAY`: come again, over another
//! connection. A client that goes on with the old connection is refused again and again, and one that repeats
//! a request which nobody sent back stores it twice. So, where the policy repeats such requests: a request is
//! repeated only after that answer, over another connection, and no request is put on the old one any more
//! once another one is open.

use rmq_mock_broker::event::Ending;
use rmq_remoting::code::response;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{AttemptHistory, ConnectionHistory, SendHistory};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-43",
    title: "Drain",
    source: Source::Both,
    rate_per_mille: 20,
    checker: Checker::Run(check),
    sides: &[
        side(
            "puts a request on its connection to …, which drains",
            &["a request that was sent back goes over another connection"],
        ),
        side(
            "is repeated on the connection that drains",
            &["a request that was sent back goes over another connection"],
        ),
        side(
            "is repeated, and nobody sent it back",
            &["a request that was sent back goes over another connection"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for (send, attempt) in run.attempts() {
        repeated(run, send, attempt, report);
    }
    for connection in &run.history.connections {
        let resends = run
            .policy(connection.node)
            .is_some_and(|it| it.resends_drained);
        if resends {
            left_alone(run, connection, report);
        }
    }
}

/// A request that was repeated was sent back before, and goes over another connection.
fn repeated(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    report: &mut CheckReport,
) {
    for pair in attempt.wires.windows(2) {
        report.exercised();
        let (who, number, k) = (run.name(send.node), send.number, attempt.number);
        let before = pair[0].seen.map(|index| &run.history.requests[index]);
        let sent_back = before.is_some_and(|request| {
            let go_away = Ending::Answered {
                code: response::GO_AWAY,
            };
            request.ended.is_some_and(|(_, ending)| ending == go_away)
        });
        if !sent_back {
            let text = format!("{who} s{number} #{k} is repeated, and nobody sent it back");
            report.wrong(pair[1].timestamp, text);
        } else if pair[0].connection == pair[1].connection {
            let text = format!("{who} s{number} #{k} is repeated on the connection that drains");
            report.wrong(pair[1].timestamp, text);
        }
    }
}

/// No request of a send is put on a connection whose peer has announced its shutdown.
fn left_alone(run: &CheckedRun<'_>, connection: &ConnectionHistory<'_>, report: &mut CheckReport) {
    let mut answers = connection.answers.iter();
    let announced = answers.find(|(.., code)| *code == Some(response::GO_AWAY));
    let Some((_, announced, _)) = announced else {
        return;
    };
    let fresh = run.history.connections.iter().filter_map(|it| {
        let same = it.node == connection.node && it.to == connection.to;
        it.opened.filter(|(opened, _)| same && opened > announced)
    });
    let Some(fresh) = fresh.map(|(opened, _)| opened).min() else {
        return;
    };
    report.exercised();
    let put = connection
        .given
        .iter()
        .find_map(|(_, send, attempt, wire)| {
            let wire = &run.history.sends[*send].attempts[*attempt].wires[*wire];
            (wire.timestamp.ms > fresh.ms).then_some(wire.timestamp)
        });
    if let Some(put) = put {
        let (who, to) = (run.name(connection.node), connection.to);
        let text = format!("{who} puts a request on its connection to {to}, which drains");
        report.wrong(put, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts(
            "a request that was sent back goes over another connection",
            || {
                sent_back()
                    .open(4, "broker-a")
                    .request(1, 1, 4)
                    .succeeds(1, 1)
            },
        ),
        rejects("it goes over the connection that drains", || {
            let scene = sent_back();
            let marked = scene.trace.records.len();
            let mut scene = scene.request(1, 1, 1);
            scene.marked = Some(marked);
            scene
        }),
        rejects("a request is repeated that nobody sent back", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").seen(1, 1);
            let scene = scene.open(4, "broker-a");
            let marked = scene.trace.records.len();
            let mut scene = scene.request(1, 1, 4);
            scene.marked = Some(marked);
            scene
        }),
        rejects("the next send takes the connection that drains", || {
            let scene = sent_back()
                .open(4, "broker-a")
                .request(1, 1, 4)
                .succeeds(1, 1);
            let scene =
                scene
                    .at(20)
                    .call(2)
                    .attempt_by(2, 1, crate::invariant::scene::queue("a/1"), 1);
            let marked = scene.trace.records.len();
            let mut scene = scene.request(2, 1, 1);
            scene.marked = Some(marked);
            scene
        }),
    ];

    /// broker-a answers the first attempt with its drain notice.
    fn sent_back() -> Scene {
        let code = response::GO_AWAY;
        let scene = Scene::new()
            .at(0)
            .facts(|it| it.policies[0].resends_drained = true);
        let scene = scene.call(1).attempt(1, 1, "a/0").at(2).seen(1, 1);
        scene.answered(1, 1, code).at(4).reply(1, 1, code)
    }
}

//! A reply completes the request it answers, and no other.
//!
//! No connection carries one id twice; a reply completes only what is open under its id on its
//! connection, with the code that the broker gave it; a late or unknown one changes nothing. An
//! attempt is accepted or refused only by a reply.

use std::collections::BTreeSet;

use rmq_mock_broker::event::Ending;
use rmq_producer::event::Stage;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{AttemptHistory, ConnectionHistory, SendHistory, Timestamp};
use crate::truth::Condition;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-34",
    title: "Ids",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side(
            "writes a second request with one id to …",
            &["a reply completes its request"],
        ),
        side(
            "a reply of … completes what … never wrote",
            &["a reply completes its request"],
        ),
        side(
            "a second reply of … completes one request again",
            &["a reply completes its request"],
        ),
        side(
            "the reply to … matches nothing, but it is open",
            &["a reply comes late when the send is over"],
        ),
        side(
            "gets another answer than its broker gave",
            &["a broker that is back counts its requests anew"],
        ),
        side(
            "is answered without a reply",
            &["a reply completes its request"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for connection in &run.history.connections {
        given_once(run, connection, report);
        answers(run, connection, report);
    }
    for (send, attempt) in run.attempts() {
        report.exercised();
        by_reply(run, send, attempt, report);
    }
}

fn given_once(run: &CheckedRun<'_>, connection: &ConnectionHistory<'_>, report: &mut CheckReport) {
    // Ids rise, so a repeated one is rare: only then the set is needed.
    if connection.written.is_sorted_by(|a, b| a.0 < b.0) {
        return;
    }
    let mut seen = BTreeSet::new();
    for (opaque, timestamp) in &connection.written {
        if !seen.insert(*opaque) {
            let (who, to) = (run.name(connection.node), connection.to);
            let text = format!("{who} writes a second request with one id to {to}");
            report.wrong(*timestamp, text);
        }
    }
}

fn answers(run: &CheckedRun<'_>, connection: &ConnectionHistory<'_>, report: &mut CheckReport) {
    let mut completed = BTreeSet::new();
    for (opaque, timestamp, code) in &connection.answers {
        if code.is_none() {
            continue;
        }
        let (who, to) = (run.name(connection.node), connection.to);
        let known = connection
            .written
            .iter()
            .rev()
            .any(|(it, at)| it == opaque && at < timestamp);
        if !known {
            report.wrong(
                *timestamp,
                format!("a reply of {to} completes what {who} never wrote"),
            );
        } else if !completed.insert(*opaque) {
            report.wrong(
                *timestamp,
                format!("a second reply of {to} completes one request again"),
            );
        }
    }
}

/// Whether a fault may have cut the answer into pieces, the last of which came as the time was over.
fn in_pieces(run: &CheckedRun<'_>, send: &SendHistory<'_>, attempt: &AttemptHistory<'_>) -> bool {
    let broker = run.header().node(&attempt.to.broker);
    broker.is_none_or(|broker| {
        let (from, to) = (attempt.started.ms, send.deadline_ms());
        run.truth.worst(send.node, broker, from, to) != Condition::Healthy
    })
}

fn by_reply(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    report: &mut CheckReport,
) {
    let (who, number, k) = (run.name(send.node), send.number, attempt.number);
    if let Some(late) = attempt.late
        && attempt.reply.is_none()
        && attempt.open_at(late, send.over())
        // A slow producer closes an attempt some steps after its time is over.
        && late.ms <= send.deadline_ms()
        && !(late.ms == send.deadline_ms() && in_pieces(run, send, attempt))
    {
        let text = format!("the reply to {who} s{number} #{k} matches nothing, but it is open");
        report.wrong(late, text);
    }
    // A request that was repeated on another connection was on the wire twice.
    let written = |read: Timestamp| {
        attempt
            .wires
            .iter()
            .rev()
            .find(move |wire| wire.timestamp < read)
    };
    if let Some((read, code)) = attempt.reply
        && let Some(seen) = written(read).and_then(|wire| wire.seen)
    {
        let request = &run.history.requests[seen];
        // Another answer than the broker's own, or one without an answer of the broker.
        let same = request.ended.is_none_or(|(_, ending)| match ending {
            Ending::Answered { code: given } | Ending::Empty { code: given } => given == code,
            Ending::NoAnswerDue | Ending::Silent | Ending::Closed | Ending::Mangled => false,
        });
        if !same {
            let text = format!("{who} s{number} #{k} gets another answer than its broker gave");
            report.wrong(read, text);
        }
    }
    let Some(end) = attempt.ended else { return };
    let answered = matches!(end.stage, Stage::Accepted | Stage::Refused);
    let one_way = send.mode == rmq_producer::event::Mode::Oneway;
    if answered && !one_way && attempt.reply.is_none_or(|(read, _)| read > end.timestamp) {
        let text = format!("{who} s{number} #{k} is answered without a reply");
        report.wrong(end.timestamp, text);
    }
}

#[cfg(test)]
mod tests {
    use rmq_mock_broker::event::Event as BrokerEvent;
    use rmq_producer::event::Event;
    use rmq_remoting::event::Event as Transport;

    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::NodeEvent;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a reply completes its request", || {
            Scene::new().at(0).whole(1, "a/0")
        }),
        accepts("a broker that is back counts its requests anew", || {
            let at = "10.0.0.4:10911".parse().expect("an address");
            let scene = Scene::new().at(0).whole(1, "a/0").at(20_000);
            let scene = scene.broker("broker-a", BrokerEvent::Listening { at });
            let ending = Ending::Answered { code: 2 };
            scene.broker("broker-a", BrokerEvent::Ended { request: 1, ending })
        }),
        accepts("a reply comes late when the send is over", || {
            let scene = two_open()
                .at(1010)
                .succeeds(1, 2)
                .ended(1, 1, Stage::Superseded, None);
            scene.at(2000).stored(1, 1).answered(1, 1, 0).late(1, 1)
        }),
        rejects("two requests of a connection have one id", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").call(2);
            let scene = scene.attempt(2, 1, "a/1").change(|what| {
                if let NodeEvent::Producer(Event::Transport(Transport::Written {
                    opaque, ..
                })) = what
                {
                    *opaque = 1;
                }
            });
            scene.wrong()
        }),
        rejects("a reply completes a request twice", || {
            Scene::new().at(0).whole(1, "a/0").reply(1, 1, 0).wrong()
        }),
        rejects("a reply completes a request that was never written", || {
            Scene::new()
                .at(0)
                .whole(1, "a/0")
                .reply(1, 1, 0)
                .change(|what| {
                    if let NodeEvent::Producer(Event::Transport(Transport::Reply {
                        opaque, ..
                    })) = what
                    {
                        *opaque = 77;
                    }
                })
                .wrong()
        }),
        rejects("a reply finds nothing although its attempt is open", || {
            two_open().stored(1, 1).answered(1, 1, 0).late(1, 1).wrong()
        }),
        rejects("the answer is not the broker's", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").seen(1, 1);
            scene.answered(1, 1, 2).reply(1, 1, 0).wrong()
        }),
        rejects("an attempt is accepted without a reply", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").seen(1, 1);
            scene.stored(1, 1).ended(1, 1, Stage::Accepted, 0).wrong()
        }),
    ];

    fn two_open() -> Scene {
        let scene = Scene::new()
            .at(0)
            .call(1)
            .attempt(1, 1, "a/0")
            .at(2)
            .seen(1, 1);
        scene.at(1000).hedged(1, 1).attempt(1, 2, "b/0")
    }
}

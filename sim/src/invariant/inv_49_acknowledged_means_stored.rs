//! What is acknowledged is stored, where it is said to be, with the caller's body.
//!
//! The one promise nobody forgives breaking. Checked by what the brokers stored, from the producer's
//! outcome and, where the caller's view was recorded, from what the caller got: the place, and how safely the
//! broker said that it is stored.

use rmq_mock_broker::event::Ending;
use rmq_producer::event::{Mode, Outcome};
use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::WorkResult;
use crate::trace::history::{RequestHistory, SendHistory, StoredMessage, Timestamp};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-49",
    title: "Acknowledged means stored",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side(
            "is acknowledged, but … has nothing of it at …",
            &["a stored message is acknowledged"],
        ),
        side(
            "is stored with another body",
            &[
                "a stored message is acknowledged",
                "the caller gets the place where it is",
            ],
        ),
        side(
            "is told …, and the broker answered …",
            &["the caller gets the place where it is"],
        ),
        side(
            "is said to be written, and … had no connection",
            &["a one-way send is written to an open connection"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for send in &run.history.sends {
        let Some((done, Outcome::Sent { at, offset, .. })) = send.done.first() else {
            continue;
        };
        let built = send.built.map(|built| built.unique_key);
        if built.is_some_and(|key| run.was_told_no_place(key)) {
            continue;
        }
        report.exercised();
        let mut copies = send.requests.iter().filter_map(|index| {
            let request = &run.history.requests[*index];
            Some((run.name(request.broker), request.stored?))
        });
        let place = (&*at.broker, at.queue, *offset);
        let Some(copy) = copies.find(|(broker, copy)| is_at(broker, copy, place, *done)) else {
            let who = format!("{} s{}", run.name(send.node), send.number);
            report.wrong(*done, not_there(&who, place));
            continue;
        };
        let body = send.built.map(|built| built.body_crc);
        // A compressed body has no checksum.
        if copy.1.body_crc != 0 && body.is_some_and(|body| body != copy.1.body_crc) {
            let who = format!("{} s{}", run.name(send.node), send.number);
            report.wrong(*done, format!("{who} is stored with another body"));
        }
    }
    for send in run
        .history
        .sends
        .iter()
        .filter(|send| send.mode == Mode::Oneway)
    {
        written(run, send, report);
    }
    told(run, report);
}

/// What callers were told of the place of their messages.
fn told(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for work in &run.history.work {
        let Some((
            returned,
            WorkResult::Sent {
                unique_key: key,
                broker,
                queue,
                offset,
                code,
            },
        )) = work.returned.first()
        else {
            continue;
        };
        let place = (&**broker, *queue, *offset);
        if run.was_told_no_place(key) {
            continue;
        }
        let found = stored(run, key, place, *returned);
        if let Some((request, _)) = found
            && let Some((_, Ending::Answered { code: given })) = request.ended
            && given != *code
        {
            let text = format!(
                "{} is told {code}, and the broker answered {given}",
                work.keys
            );
            report.wrong(*returned, text);
        }
        match found.map(|(_, copy)| copy) {
            None => report.wrong(*returned, not_there(work.keys, place)),
            Some(copy) if copy.body_crc != 0 && copy.body_crc != work.body_crc => {
                let text = format!("{} is stored with another body", work.keys);
                report.wrong(*returned, text);
            }
            Some(_) => {}
        }
    }
}

/// A one-way send that is said to be written was given to a connection: one to its broker was open.
fn written(run: &CheckedRun<'_>, send: &SendHistory<'_>, report: &mut CheckReport) {
    let waits = run
        .policy_of(send.producer())
        .is_some_and(|it| it.oneway_waits);
    let (Some((done, Outcome::Written)), Some(attempt), true) =
        (send.done.first(), send.attempts.first(), waits)
    else {
        return;
    };
    report.exercised();
    let to = attempt.address.into_iter();
    let mut connections = to.flat_map(|to| run.history.index.connections(send.node, to));
    let open = connections.any(|index| {
        let connection = &run.history.connections[*index];
        let opened = connection.opened.is_some_and(|(opened, _)| opened < *done);
        // What its peer ended a moment ago the producer may not know yet, a frozen one of what it slept through.
        let closed = connection.closed.map(|(closed, _)| closed);
        let known = |end: &Timestamp| run.due(send.node, end.ms, 0) < done.ms;
        let ended = closed.into_iter().chain(connection.ends().filter(known));
        opened && ended.min().is_none_or(|end| end > attempt.started)
    });
    if !open && send.requests.is_empty() {
        let (who, number, broker) = (run.name(send.node), send.number, &attempt.to.broker);
        let text = format!("{who} s{number} is said to be written, and {broker} had no connection");
        report.wrong(*done, text);
    }
}

fn is_at(name: &str, copy: &StoredMessage<'_>, place: (&str, i32, i64), before: Timestamp) -> bool {
    (name, copy.queue, copy.offset) == place && copy.timestamp < before
}

/// The copy with this key at this place, looked for from the newest request on.
fn stored<'c, 't>(
    run: &'c CheckedRun<'t>,
    key: &Name,
    place: (&str, i32, i64),
    before: Timestamp,
) -> Option<(&'c RequestHistory<'t>, StoredMessage<'t>)> {
    let mut requests = run.history.requests.iter().rev();
    let request = requests.find(|request| {
        request.stored.is_some_and(|copy| {
            copy.offset == place.2
                && copy.unique_key == key
                && is_at(run.name(request.broker), &copy, place, before)
        })
    })?;
    Some((request, request.stored?))
}

fn not_there(who: &str, (broker, queue, offset): (&str, i32, i64)) -> String {
    format!("{who} is acknowledged, but {broker}/{queue} has nothing of it at {offset}")
}

#[cfg(test)]
mod tests {
    use rmq_mock_broker::event::Event as BrokerEvent;

    use rmq_producer::event::{Event, Mode, Outcome};
    use rmq_remoting::event::CloseCause;

    use crate::invariant::scene::{BODY_CRC, Example, Scene, accepts, key, queue, rejects};
    use crate::trace::{NodeEvent, NodeId, WorkEvent, WorkResult};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a stored message is acknowledged", || {
            Scene::new().at(0).whole(1, "a/0")
        }),
        accepts("the caller gets the place where it is", || {
            returned(called(BODY_CRC).whole(1, "a/0"), 0)
        }),
        rejects("an answer without a copy", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").seen(1, 1);
            scene.answered(1, 1, 0).reply(1, 1, 0).sent(1, 1).wrong()
        }),
        rejects("the copy is stored after the acknowledgement", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").seen(1, 1);
            scene.sent(1, 1).wrong().stored(1, 1)
        }),
        rejects("another body is stored", || {
            let scene = Scene::new()
                .at(0)
                .call(1)
                .attempt(1, 1, "a/0")
                .seen(1, 1)
                .stored(1, 1);
            let scene = scene.change(|what| {
                if let NodeEvent::Broker(BrokerEvent::Stored { body_crc, .. }) = what {
                    *body_crc += 1;
                }
            });
            scene.sent(1, 1).wrong()
        }),
        rejects("the caller is told another offset", || {
            returned(called(BODY_CRC).whole(1, "a/0"), 1).wrong()
        }),
        accepts("a one-way send is written to an open connection", || {
            said_written(Scene::new())
        }),
        rejects("a one-way send is written to nobody", || {
            let scene = Scene::new().at(1).close(1, "broker-a", CloseCause::Broken);
            said_written(scene).wrong()
        }),
        rejects(
            "the caller is told that it is safe, and the broker said it is not",
            || {
                let scene = called(BODY_CRC).call(1).attempt(1, 1, "a/0").seen(1, 1);
                let scene = scene.stored(1, 1).answered(1, 1, 11).reply(1, 1, 11);
                returned(scene.sent(1, 1), 0).wrong()
            },
        ),
        rejects("the caller gave another body", || {
            returned(called(BODY_CRC + 1).whole(1, "a/0"), 0).wrong()
        }),
    ];

    fn called(body_crc: u32) -> Scene {
        let (topic, mode) = ("orders".into(), Mode::Sync);
        Scene::new().work(WorkEvent::Called {
            keys: "k".into(),
            topic,
            mode,
            by: None,
            body_crc,
            body_len: 0,
            timeout_ms: None,
            application_crc: 0,
            own_id: None,
            queue_of: None,
            group: None,
        })
    }

    fn returned(scene: Scene, offset: i64) -> Scene {
        let (key, broker) = (key(NodeId(0), 1), "broker-a".into());
        let result = WorkResult::Sent {
            unique_key: key,
            broker,
            queue: 0,
            offset,
            code: 0,
        };
        scene.work(WorkEvent::Returned {
            keys: "k".into(),
            result,
        })
    }

    /// A one-way send to broker-a is said to be written.
    fn said_written(scene: Scene) -> Scene {
        let scene = scene.at(5).call_in(1, Mode::Oneway);
        let scene = scene.attempt_by(1, 1, queue("a/0"), 1).at(6);
        scene.say(Event::Done {
            send: 1.into(),
            outcome: Outcome::Written,
            after_ms: 1,
        })
    }
}

//! Every queue gets its share: a rotation visits each queue of the route in turn.
//!
//! So the first attempt of a send goes to the queue that follows that of the first attempt before it, to the
//! same topic by the same route, whatever becomes of the sends: retries have a rotation of their own, and
//! a turn at a broker that is avoided passes over it once and goes elsewhere. A rotation that stands still,
//! skips queues or is moved by something else gives some queues twice the load of others. Checked for
//! producers of the strict form, by where brokers read the requests or, for those that never arrived, by
//! where they were sent.

use std::collections::BTreeMap;

use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::NodeId;
use crate::trace::history::{AttemptHistory, ProducerKey, ProducerPhase, SendHistory, Timestamp};
use crate::trace::record::Form;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-16",
    title: "Even spread",
    source: Source::Both,
    rate_per_mille: 500,
    checker: Checker::Run(check),
    sides: &[side(
        "begins at …, and it was the turn of …",
        &[
            "queues in turn, and around",
            "a producer that is started again begins where it likes",
            "a retry takes nobody's turn",
            "a turn at a broker that is avoided goes elsewhere, and the next one goes on",
            "a new route begins where it likes",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// Where the rotation of a topic stands.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// The route (an index), whose queues are walked around.
    route: usize,
    /// The place of the last turn in it; none while every turn so far was at an avoided broker.
    place: Option<usize>,
}

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let mut first: Vec<(&SendHistory<'_>, &AttemptHistory<'_>)> = run
        .history
        .sends
        .iter()
        .filter(|send| send.target_queue.is_none() && walks(run, send.producer()))
        .filter_map(|send| Some((send, send.attempts.first()?)))
        .collect();
    first.sort_unstable_by_key(|(_, attempt)| attempt.started);
    let mut turns: BTreeMap<(ProducerKey<'_>, usize, &Name), Turn> = BTreeMap::new();
    for (send, attempt) in first {
        let Some(route) = attempt.snapshot else {
            continue;
        };
        let queues = &run.history.snapshots[route].queues;
        let (broker, queue) = taken(run, attempt);
        let Some(place) = queues.position(broker, queue) else {
            continue;
        };
        let start = run.starts_before(send.producer(), send.called);
        let walk = (send.producer(), start, send.topic);
        let turn = turns.entry(walk).or_insert(Turn { route, place: None });
        let last = turn.place.filter(|_| turn.route == route);
        let due = last.map(|last| (last + 1) % queues.len().max(1));
        *turn = Turn {
            route,
            // Where the turn is passed over, the rotation has moved on all the same.
            place: due.or((!passes_over(run, send, attempt)).then_some(place)),
        };
        let Some(due) = due else { continue };
        report.exercised();
        let target = &queues.all()[due];
        if due != place && !avoids(run, send, attempt, &target.broker) {
            let (who, number) = (run.name(send.node), send.number);
            let text = format!(
                "{who} s{number} begins at {broker}/{queue}, and it was the turn of {}/{}",
                target.broker, target.queue
            );
            report.wrong(attempt.started, text);
            turns.remove(&walk);
        }
    }
}

/// Whether the first attempts of a producer make one walk around each topic: it is of the strict form, and
/// no other one is taken for it.
fn walks(run: &CheckedRun<'_>, producer: ProducerKey<'_>) -> bool {
    // One that does not wait until a one-way request is written tells of its attempts later.
    let strict = run
        .policy_of(producer)
        .is_some_and(|it| it.form == Form::Strict && it.oneway_waits);
    let mut alive = 0_usize;
    let mut most = 0;
    for life in run.lives(producer) {
        match life.phase {
            ProducerPhase::Started => alive += 1,
            ProducerPhase::Stopped | ProducerPhase::Dropped => alive = alive.saturating_sub(1),
            ProducerPhase::Stopping => {}
        }
        most = alive.max(most);
    }
    strict && most == 1 && !restarted(run, producer.0)
}

/// Whether the process was killed and is another one now, with a rotation that begins anew.
fn restarted(run: &CheckedRun<'_>, node: NodeId) -> bool {
    run.truth.was_gone(node, 0, run.trace.end_ms)
}

/// Whether the turn of a first attempt may be at a broker that it avoids.
fn passes_over(run: &CheckedRun<'_>, send: &SendHistory<'_>, attempt: &AttemptHistory<'_>) -> bool {
    let mut isolated = isolated(run, send.producer(), attempt.started);
    !attempt.avoided.is_empty() || isolated.next().is_some()
}

/// Whether a first attempt avoids a broker, for what the producer says that it remembers of it.
fn avoids(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    broker: &Name,
) -> bool {
    let mut isolated = isolated(run, send.producer(), attempt.started);
    attempt.avoided.contains(broker) || isolated.any(|it| it == broker)
}

/// The brokers that a producer avoids at some moment.
fn isolated<'c>(
    run: &'c CheckedRun<'_>,
    producer: ProducerKey<'c>,
    now: Timestamp,
) -> impl Iterator<Item = &'c Name> {
    let isolations = run.history.isolations(now).iter();
    let isolations = isolations.filter(move |it| {
        let until = it.timestamp.ms.saturating_add(it.for_ms);
        it.producer() == producer && it.timestamp < now && now.ms <= until
    });
    isolations.map(|it| it.broker)
}

/// Where an attempt arrived, or else was sent to.
fn taken<'t>(run: &CheckedRun<'t>, attempt: &AttemptHistory<'t>) -> (&'t str, i32) {
    match attempt.seen().map(|seen| &run.history.requests[seen]) {
        Some(request) => (run.name(request.broker), request.seen.queue),
        None => (&*attempt.to.broker, attempt.to.queue),
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, Stage};

    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts(
            "a producer that is started again begins where it likes",
            || {
                let scene = Scene::new().shared().at(1_000).whole(1, "a/0");
                let group = "group".into();
                let scene = scene.at(2_000).stop("group").say(Event::Started { group });
                scene.whole(2, "c/0")
            },
        ),
        accepts("queues in turn, and around", || {
            sends(&[
                "a/2", "a/3", "b/0", "b/1", "b/2", "b/3", "c/0", "c/1", "c/2", "c/3", "a/0",
            ])
        }),
        accepts("a retry takes nobody's turn", || {
            let scene = sends(&["a/0"])
                .call(2)
                .attempt(2, 1, "a/1")
                .refused(2, 1, 2);
            let scene = scene.attempt(2, 2, "c/3").succeeds(2, 2);
            scene.call(3).attempt(3, 1, "a/2")
        }),
        accepts(
            "a turn at a broker that is avoided goes elsewhere, and the next one goes on",
            || {
                let scene = sends(&["a/3"]).say(Event::Health {
                    broker: "broker-b".into(),
                    for_ms: 10_000,
                    reason: Stage::Lost,
                });
                let scene = scene.at(20).whole(2, "c/2").whole(3, "c/1");
                let scene = scene.whole(4, "a/1").whole(5, "c/3");
                scene.call(6).attempt(6, 1, "c/0")
            },
        ),
        accepts("a new route begins where it likes", || {
            let scene = sends(&["a/0", "a/1"]).found(1, 2, &["a/0", "b/0"]);
            scene.call(3).attempt_by(3, 1, queue("b/0"), 2)
        }),
        rejects("the rotation stands still", || {
            let scene = sends(&["a/0"]).call(2);
            scene.attempt_marked(2, 1, "a/0")
        }),
        rejects("the rotation skips a queue", || {
            let scene = sends(&["a/0"]).call(2);
            scene.attempt_marked(2, 1, "a/2")
        }),
        rejects("a retry moves the rotation", || {
            let scene = sends(&["a/0"])
                .call(2)
                .attempt(2, 1, "a/1")
                .refused(2, 1, 2);
            let scene = scene.attempt(2, 2, "c/3").succeeds(2, 2);
            scene.call(3).attempt_marked(3, 1, "a/3")
        }),
        rejects("a broker loses its turn that nobody avoids", || {
            let scene = sends(&["a/3"]).call(2);
            scene.attempt_marked(2, 1, "c/0")
        }),
    ];

    fn sends(targets: &[&str]) -> Scene {
        (1..)
            .zip(targets)
            .fold(Scene::new().at(0), |scene, (send, to)| {
                scene.whole(send, to)
            })
    }
}

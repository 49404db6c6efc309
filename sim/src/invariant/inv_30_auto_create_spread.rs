//! A topic that is made by sending to it is made on every broker of the default route.
//!
//! With the Java client it stays for ever on the broker that its first message reached: one broker takes
//! all, and its end fails every send beside healthy ones. Checked, where the policy makes topics on every
//! broker, from what brokers stored: after twice as many successes as the default route has queues, each
//! of its brokers that was well meanwhile has stored a message. One attempt is owed to each of them: a
//! broker whose attempt was superseded before the broker read it is excused.

use rmq_producer::event::Outcome;
use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{SendHistory, SnapshotHistory, Timestamp};
use crate::truth::Condition;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-30",
    title: "Auto-create spread",
    source: Source::Truth,
    rate_per_mille: 20,
    checker: Checker::Run(check),
    sides: &[side(
        "sends … so often and never to …",
        &[
            "each broker of the default route gets a message",
            "too few messages say nothing",
            "a broker was frozen meanwhile",
            "the attempt at a broker was superseded",
            "a broker is avoided for what was wrong before",
            "a name server that lies is asked meanwhile",
            "a policy makes topics on the first broker only",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let snapshots = &run.history.snapshots;
    for (index, route) in snapshots.iter().enumerate() {
        let everywhere = run
            .policy(route.node)
            .is_some_and(|it| it.creates_everywhere);
        let earlier = |it: &SnapshotHistory<'_>| {
            it.node == route.node && it.topic == route.topic && run.is_borrowed(it)
        };
        if !everywhere || !run.is_borrowed(route) || snapshots[..index].iter().any(earlier) {
            continue;
        }
        let Some(due) = due(run, route) else {
            continue;
        };
        for broker in route.queues.names().filter(|it| well(run, route, it, due)) {
            report.exercised();
            let tried = run.was_tried(route.node, route.topic, broker, due);
            let told_otherwise = told_otherwise(run, route, due);
            if !tried && !stored(run, route.topic, broker, due) && !told_otherwise {
                let (who, topic) = (run.name(route.node), route.topic);
                report.wrong(
                    due,
                    format!("{who} sends {topic} so often and never to {broker}"),
                );
            }
        }
    }
}

/// When the producer has sent to the topic twice as often as the route has queues; sends whose queue
/// their caller chose do not count.
fn due(run: &CheckedRun<'_>, route: &SnapshotHistory<'_>) -> Option<Timestamp> {
    let free = run.history.sends.iter().filter(|send| {
        let here = send.node == route.node && send.topic == route.topic;
        here && send.target_queue.is_none() && send.called >= route.timestamp
    });
    let sent = free.filter(|send| matches!(send.outcome(), Some(Outcome::Sent { .. })));
    let mut ends: Vec<_> = sent.filter_map(SendHistory::over).collect();
    ends.sort_unstable();
    ends.get((2 * route.queues.len()).checked_sub(1)?).copied()
}

/// Whether nothing was wrong with a broker, for this producer, from the route on, and the producer did
/// not avoid it for what was wrong before.
fn well(
    run: &CheckedRun<'_>,
    route: &SnapshotHistory<'_>,
    broker: &Name,
    until: Timestamp,
) -> bool {
    let isolated = run.history.health.iter().any(|it| {
        let here = it.node == route.node && it.broker == broker && it.timestamp <= until;
        here && it.timestamp.ms.saturating_add(it.for_ms) >= route.timestamp.ms
    });
    let node = run.header().node(broker).filter(|_| !isolated);
    node.is_some_and(|broker| {
        let worst = run
            .truth
            .worst(route.node, broker, route.timestamp.ms, until.ms);
        worst == Condition::Healthy
    })
}

/// Whether a name server that lies was asked for the topic meanwhile: what it told of may be less.
fn told_otherwise(run: &CheckedRun<'_>, route: &SnapshotHistory<'_>, until: Timestamp) -> bool {
    run.history.asked.iter().any(|asked| {
        let meanwhile = route.timestamp <= asked.timestamp && asked.timestamp <= until;
        meanwhile && asked.topic == route.topic && asked.ruled.is_some()
    })
}

fn stored(run: &CheckedRun<'_>, topic: &Name, broker: &Name, until: Timestamp) -> bool {
    run.history.requests.iter().any(|request| {
        let here = request.seen.topic == *topic && run.name(request.broker) == &**broker;
        here && request
            .stored
            .is_some_and(|stored| stored.timestamp <= until)
    })
}

#[cfg(test)]
mod tests {
    use rmq_mock_namesrv::event::Event as NameServerEvent;
    use rmq_producer::event::{Event, LookupReason, Stage};
    use rmq_remoting::code::request;

    use crate::fault::FaultKind;
    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("each broker of the default route gets a message", || {
            sent(default_route(Scene::new()), &["a/0", "a/0", "b/0", "a/0"])
        }),
        accepts("too few messages say nothing", || {
            sent(default_route(Scene::new()), &["a/0", "a/0", "a/0"])
        }),
        accepts("a broker was frozen meanwhile", || {
            let scene = default_route(Scene::new()).fault(1, FaultKind::Freeze, "broker-b");
            sent(scene, &["a/0", "a/0", "a/0", "a/0"])
        }),
        accepts("the attempt at a broker was superseded", || {
            let scene = default_route(Scene::new()).at(50).call(9);
            let scene = scene.attempt_by(9, 1, queue("b/0"), 2);
            sent(scene, &["a/0", "a/0", "a/0", "a/0"])
        }),
        accepts("a broker is avoided for what was wrong before", || {
            let scene = Scene::new().at(5).say(Event::Health {
                broker: "broker-b".into(),
                for_ms: 10_000,
                reason: Stage::Silent,
            });
            sent(default_route(scene), &["a/0", "a/0", "a/0", "a/0"])
        }),
        accepts("a policy makes topics on the first broker only", || {
            let scene = Scene::new().facts(|it| it.policies[0].creates_everywhere = false);
            sent(default_route(scene), &["a/0", "a/0", "a/0", "a/0"])
        }),
        accepts("a name server that lies is asked meanwhile", || {
            let lies = |scene: Scene| {
                let (peer, opaque) = (scene.local(1), 9);
                let (code, topic) = (request::GET_ROUTEINFO_BY_TOPIC, Some("orders".into()));
                let asked = NameServerEvent::Received {
                    request: 7,
                    peer,
                    code,
                    opaque,
                    topic,
                };
                let (request, rule) = (7, "ordered-route".into());
                let ruled = NameServerEvent::Ruled { request, rule };
                scene.name_server("ns-1", asked).name_server("ns-1", ruled)
            };
            let scene = lies(default_route(Scene::new()).at(50));
            sent(scene, &["a/0", "a/0", "a/0", "a/0"])
        }),
        rejects("a topic stays on the broker of its first message", || {
            sent(default_route(Scene::new()), &["a/0", "a/0", "a/0", "a/0"]).wrong()
        }),
    ];

    /// The topic's route has broker-a and broker-b of the default topic's.
    fn default_route(scene: Scene) -> Scene {
        let scene = scene.at(10).say(Event::Lookup {
            lookup: 3.into(),
            topic: "TBW102".into(),
            reason: LookupReason::DefaultTopic,
        });
        scene.found(3, 2, &["a/0", "b/0"])
    }

    fn sent(scene: Scene, to: &[&str]) -> Scene {
        (1..).zip(to).fold(scene, |scene, (send, to)| {
            let connection = if to.starts_with('a') { 1 } else { 2 };
            let scene = scene.at(100 * send).call(send);
            let scene = scene.attempt_by(send, 1, queue(to), 2);
            scene.request(send, 1, connection).succeeds(send, 1)
        })
    }
}

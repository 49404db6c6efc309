//! Every broker of a route with a connection hears from the producer.
//!
//! While a connection to a healthy broker is open and a route of the producer names its address,
//! heartbeats arrive there no further apart than the period, whatever other brokers do. Where the policy says
//! so, the first one comes as soon as the connection has opened: until then the broker does not know the
//! producer. Each one names the groups of all producers that run, and of no other. Checked by what the
//! brokers read.

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{ConnectionHistory, ProducerPhase, Timestamp};
use crate::trace::{NodeId, NodeKind};
use crate::truth::Condition;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-44",
    title: "Cadence",
    source: Source::Evidence,
    rate_per_mille: 500,
    checker: Checker::Run(check),
    sides: &[
        side(
            "hears nothing of … for … ms from here",
            &[
                "a heartbeat each period",
                "a frozen broker hears nothing",
                "a broker that left the route hears no more",
                "heartbeats go to the newer one of two connections",
                "a client without a producer says nothing",
                "a broker hears of the producer as soon as the connection opens",
            ],
        ),
        side(
            "tells … nothing of …, which runs",
            &["a heartbeat names the groups of both producers"],
        ),
        side(
            "tells … that … is there, and it is not",
            &[
                "the group of a producer that has stopped is gone",
                "the group of a producer that was dropped is gone",
            ],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

mod groups;

/// Bytes that a connection takes without waiting for its peer.
const FREE_BYTES: u64 = 32_768;

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for connection in &run.history.connections {
        let broker = run
            .header()
            .of_kind(NodeKind::Broker)
            .find(|node| run.header().nodes[node.index()].address.as_ref() == Some(connection.to));
        if let Some(broker) = broker {
            heartbeats(run, connection, broker, report);
        }
    }
    groups::check(run, report);
}

fn heartbeats(
    run: &CheckedRun<'_>,
    connection: &ConnectionHistory<'_>,
    broker: NodeId,
    report: &mut CheckReport,
) {
    let Some((opened, local)) = connection.opened else {
        return;
    };
    let Some(policy) = run.policy(connection.node) else {
        return;
    };
    // Where there is a newer one, that one is used.
    let same = run
        .history
        .index
        .connections(connection.node, connection.to);
    let same = same.iter().map(|index| &run.history.connections[*index]);
    let newer = same.filter_map(|it| Some(it.opened?.0));
    let end = connection
        .ends()
        .chain(run.stops(connection.node))
        .chain(newer)
        .filter(|timestamp| *timestamp > opened)
        .min();
    let end = end.unwrap_or_else(|| run.end());
    let period = policy
        .heartbeat_ms
        .saturating_add(run.header().round_trip_ms);
    let mut last = opened;
    let heartbeats = run
        .history
        .heartbeats
        .iter()
        .filter(|it| it.broker == broker && it.peer == local && it.timestamp > opened);
    for timestamp in heartbeats.map(|it| it.timestamp).chain([end]) {
        // One that stops dials to say goodbye.
        let stops = run.stops(connection.node).any(|at| at < opened);
        // Behind many bytes of messages it waits for its turn.
        // One that was away may be at another address now.
        let away = run.truth.was_gone(broker, 0, opened.ms);
        let excused = stops || away || is_crowded(run, connection);
        let first = last == opened && policy.beats_on_open && !excused;
        let period = if first {
            run.header().round_trip_ms
        } else {
            period
        };
        let due = run.due(connection.node, last.ms, period);
        let healthy = run.truth.worst(connection.node, broker, last.ms, due) == Condition::Healthy;
        // A broker that left the routes is not the producer's any more.
        let needed = |until| {
            let history = &run.history;
            history.routed(connection.node, connection.to, last, until)
                && run.still_routes(connection.node, connection.to, run.after(until))
        };
        let owed = healthy && timestamp.ms >= due && needed(due) && runs(run, connection.node, due);
        if owed {
            report.exercised();
        }
        if owed && timestamp.ms > due {
            late(run, (connection.node, broker), (last, timestamp), report);
        } else if timestamp != end {
            report.exercised();
        }
        last = timestamp;
    }
}

/// Whether a client has a producer that runs: one that outlives all of them has nobody to speak for.
fn runs(run: &CheckedRun<'_>, client: NodeId, ms: u64) -> bool {
    let lives = run.history.lives.iter();
    let lives = lives.filter(|life| life.node == client && life.timestamp.ms <= ms);
    let count = |phase| lives.clone().filter(|life| life.phase == phase).count();
    count(ProducerPhase::Started) > count(ProducerPhase::Stopping)
}

/// Whether the messages on a connection are more than it takes without waiting for its peer.
fn is_crowded(run: &CheckedRun<'_>, connection: &ConnectionHistory<'_>) -> bool {
    let bytes = connection.given.iter().map(|(_, send, ..)| {
        let built = run.history.sends[*send].built;
        built.map_or(0, |it| u64::from(it.body_len))
    });
    bytes.sum::<u64>() > FREE_BYTES
}

fn late(
    run: &CheckedRun<'_>,
    (producer, broker): (NodeId, NodeId),
    (last, next): (Timestamp, Timestamp),
    report: &mut CheckReport,
) {
    let (who, name, gap) = (run.name(producer), run.name(broker), next.ms - last.ms);
    report.wrong(
        last,
        format!("{name} hears nothing of {who} for {gap} ms from here"),
    );
}

#[cfg(test)]
mod tests {
    use rmq_mock_broker::event::Event as BrokerEvent;
    use rmq_producer::event::{Event, LookupReason};
    use rmq_remoting::code::request;
    use rmq_remoting::event::Event as Transport;

    use crate::fault::FaultKind;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::{NodeEvent, TraceEnd, WorkEvent};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a heartbeat names the groups of both producers", || {
            let scene = says(Scene::new().shared().at(29_000), &["group", "second"]);
            scene.end(TraceEnd::Finished, 29_100)
        }),
        rejects("a heartbeat names the first group of two", || {
            let scene = says(Scene::new().shared().at(29_000), &["group"]);
            scene.wrong_heartbeat().end(TraceEnd::Finished, 29_100)
        }),
        accepts("the group of a producer that has stopped is gone", || {
            let scene = Scene::new().shared().at(10_000).stop("second");
            says(scene.at(29_000), &["group"]).end(TraceEnd::Finished, 29_100)
        }),
        rejects("a producer that has stopped stays in heartbeats", || {
            let scene = Scene::new().shared().at(10_000).stop("second");
            let scene = says(scene.at(29_000), &["group", "second"]);
            scene.wrong_heartbeat().end(TraceEnd::Finished, 29_100)
        }),
        accepts("the group of a producer that was dropped is gone", || {
            says(dropped().at(29_000), &["group"]).end(TraceEnd::Finished, 29_100)
        }),
        rejects("a producer that was dropped stays in heartbeats", || {
            let scene = says(dropped().at(29_000), &["group", "second"]);
            scene.wrong_heartbeat().end(TraceEnd::Finished, 29_100)
        }),
        rejects("a heartbeat names a group that never was", || {
            let scene = says(Scene::new().at(29_000), &["group", "stranger"]);
            scene.wrong_heartbeat().end(TraceEnd::Finished, 29_100)
        }),
        accepts("a heartbeat each period", || {
            let scene = all(all(all(Scene::new(), 1000), 31_000), 61_000);
            scene.end(TraceEnd::Finished, 90_000)
        }),
        accepts("a frozen broker hears nothing", || {
            let scene = all(Scene::new(), 1000)
                .at(20_000)
                .fault(1, FaultKind::Freeze, "broker-a");
            let scene = heartbeat(heartbeat(scene.at(31_000), "broker-b", 2), "broker-c", 3);
            scene.end(TraceEnd::Finished, 60_000)
        }),
        accepts("a broker that left the route hears no more", || {
            let scene = all(Scene::new(), 1000).at(30_000);
            let scene = scene.lookup(2, LookupReason::Poll);
            let scene = scene.found(2, 2, &["a/0", "b/0"]).at(31_000);
            let scene = heartbeat(heartbeat(scene, "broker-a", 1), "broker-b", 2);
            scene.end(TraceEnd::Finished, 60_000)
        }),
        rejects("a broker that came back to the route hears nothing", || {
            let scene = all(Scene::new(), 1000).at(10_000);
            let scene = scene.lookup(2, LookupReason::FailedAttempt);
            let scene = scene.found(2, 2, &["a/0", "b/0"]).at(20_000);
            let scene = scene.lookup(3, LookupReason::FailedAttempt);
            let scene = scene.found(3, 3, &["a/0", "b/0", "c/0"]);
            let scene = all(scene, 31_000).wrong().at(61_000);
            let scene = heartbeat(heartbeat(scene, "broker-a", 1), "broker-b", 2);
            scene.end(TraceEnd::Finished, 70_000)
        }),
        accepts(
            "a broker hears of the producer as soon as the connection opens",
            || at_once(2).end(TraceEnd::Finished, 20_000),
        ),
        accepts("heartbeats go to the newer one of two connections", || {
            let scene = all(Scene::new(), 1000).at(20_000);
            let scene = scene.open(4, "broker-a").at(31_000);
            let scene = heartbeat(heartbeat(scene, "broker-a", 4), "broker-b", 2);
            heartbeat(scene, "broker-c", 3).end(TraceEnd::Finished, 60_000)
        }),
        accepts("a client without a producer says nothing", || {
            let scene = all(Scene::new(), 1000).at(20_000).stopping().stopped();
            let scene = scene.at(25_000).open(4, "broker-a");
            scene.end(TraceEnd::Finished, 90_000)
        }),
        rejects("the newer one of two connections is forgotten", || {
            let scene = all(Scene::new(), 1000)
                .at(20_000)
                .open(4, "broker-a")
                .wrong();
            let scene = heartbeat(heartbeat(scene.at(31_000), "broker-a", 1), "broker-b", 2);
            heartbeat(scene, "broker-c", 3).end(TraceEnd::Finished, 60_000)
        }),
        rejects(
            "a broker does not hear of the producer when the connection opens",
            || {
                let mut scene = at_once(900).end(TraceEnd::Finished, 20_000);
                let opened = |what: &NodeEvent| {
                    let text = format!("{what:?}");
                    text.contains("Opened") && text.contains("10.0.2.1")
                };
                let records = &scene.trace.records;
                scene.marked = records.iter().position(|it| opened(&it.what));
                scene
            },
        ),
        rejects("one broker is forgotten", || {
            // The last heartbeat of the first round is that of broker-c.
            let scene = all(Scene::new(), 1000).wrong().at(31_000);
            let scene = all(
                heartbeat(heartbeat(scene, "broker-a", 1), "broker-b", 2),
                61_000,
            );
            scene.end(TraceEnd::Finished, 70_000)
        }),
    ];

    /// Heartbeats go out with the openings; that to broker-a arrives at this time.
    fn at_once(ms: u64) -> Scene {
        let scene = Scene::new().facts(|it| it.policies[0].beats_on_open = true);
        let scene = heartbeat(heartbeat(scene.at(2), "broker-b", 2), "broker-c", 3);
        heartbeat(scene.at(ms), "broker-a", 1)
    }

    /// Of two producers of a client the second one was dropped.
    fn dropped() -> Scene {
        let scene = Scene::new().shared().at(10_000);
        let group = Some("second".into());
        scene.work(WorkEvent::HandleDropped { group })
    }

    /// A heartbeat arrives at broker-a that names these groups.
    fn says(scene: Scene, groups: &[&str]) -> Scene {
        let (connection, opaque) = (1.into(), 1);
        let written = Transport::Written { connection, opaque };
        let scene = heartbeat(scene.say(Event::Transport(written)), "broker-a", 1);
        let event = BrokerEvent::Heartbeat {
            request: 1,
            client_id: "client".into(),
            groups: groups.iter().map(|it| (*it).into()).collect(),
        };
        scene.broker("broker-a", event)
    }

    impl Scene {
        /// The heartbeat is wrong, and not what is said of it behind it.
        fn wrong_heartbeat(mut self) -> Self {
            self.marked = self.trace.records.len().checked_sub(2);
            self
        }
    }

    fn all(scene: Scene, ms: u64) -> Scene {
        let scene = heartbeat(heartbeat(scene.at(ms), "broker-a", 1), "broker-b", 2);
        heartbeat(scene, "broker-c", 3)
    }

    fn heartbeat(scene: Scene, broker: &str, connection: u64) -> Scene {
        let peer = scene.local(connection);
        let (code, oneway, send) = (request::HEART_BEAT, false, None);
        let event = BrokerEvent::Received {
            request: 1,
            peer,
            code,
            opaque: 1,
            oneway,
            send,
        };
        scene.broker(broker, event)
    }
}

//! The default topic's route is used only for a topic that does not exist, and within bounds.
//!
//! It is asked for only after a lookup that a send needs said "does not exist", and no name server knew it; it gives each broker at
//! most as many queues as the client's default; and it ends with the first route of the topic's own:
//! after that it tells where the topic's brokers are now, and changes no queue.
//!
//! A policy that makes topics on every broker keeps a broker of the default route in the topic's route
//! until an attempt went there: otherwise the topic stays on the broker of its first message.

use rmq_producer::event::{LookupEnd, LookupReason};
use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::NodeKind;
use crate::trace::history::{LookupHistory, SnapshotHistory};
use crate::truth::Condition;

mod evidence;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-29",
    title: "Auto-create bounds",
    source: Source::ClientEvents,
    rate_per_mille: 10,
    checker: Checker::Run(check),
    sides: &[
        side(
            "asks for the default topic, although no send misses a topic",
            &["an unknown topic gets the default route, then its own"],
        ),
        side(
            "asks for the default topic, although … knows …",
            &["an unknown topic gets the default route, then its own"],
        ),
        side(
            "keeps … at …, and … has it at …",
            &["a broker moves, and the default topic tells where"],
        ),
        side(
            "does not ask for the default topic, and … is nowhere",
            &["an unknown topic gets the default route, then its own"],
        ),
        side(
            "leaves … out of … before it was tried once",
            &[
                "a broker of the default route was tried, and left out",
                "a policy makes topics on the first broker only",
                "a broker of a topic's own route has moved",
            ],
        ),
        side(
            "replaces route … of … by the default topic's",
            &["an unknown topic gets the default route, then its own"],
        ),
        side(
            "uses … queues of … for …, allowed …",
            &["an unknown topic gets the default route, then its own"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let lookups = &run.history.lookups;
    for (index, lookup) in lookups.iter().enumerate() {
        if lookup.reason != LookupReason::DefaultTopic {
            continue;
        }
        report.exercised();
        let own = lookups[..index].iter().find(|own| {
            let missing = own.ended.is_some_and(|(ended, end)| {
                ended < lookup.started
                    && ended.ms == lookup.started.ms
                    && *end == LookupEnd::NotExist
            });
            let by_send = matches!(
                own.reason,
                LookupReason::FirstSend | LookupReason::FailedAttempt
            );
            own.node == lookup.node && by_send && missing
        });
        if let Some(own) = own {
            evidence::check(run, (own, lookup), report);
        } else {
            let who = run.name(lookup.node);
            let text = format!("{who} asks for the default topic, although no send misses a topic");
            report.wrong(lookup.started, text);
        }
    }
    for lookup in lookups {
        asks_for_default(run, lookup, report);
    }
    let snapshots = &run.history.snapshots;
    for (index, snapshot) in snapshots.iter().enumerate() {
        if run.is_borrowed(snapshot) {
            used(run, snapshot, &snapshots[..index], report);
        } else {
            left(run, snapshot, &snapshots[..index], report);
        }
    }
}

/// A lookup on the way of a send that finds no topic goes on with the default topic, at once.
fn asks_for_default(run: &CheckedRun<'_>, lookup: &LookupHistory<'_>, report: &mut CheckReport) {
    let by_send = matches!(
        lookup.reason,
        LookupReason::FirstSend | LookupReason::FailedAttempt
    );
    let Some((ended, LookupEnd::NotExist)) = lookup.ended.filter(|_| by_send) else {
        return;
    };
    let due = run.due(lookup.node, ended.ms, 0);
    let stops = run.stops(lookup.node).any(|at| at.ms <= due);
    if stops || due >= run.trace.end_ms || run.truth.was_gone(lookup.node, ended.ms, due) {
        return;
    }
    let mut later = run.history.lookups.iter();
    let asks = later.any(|it| {
        let here = it.node == lookup.node && it.reason == LookupReason::DefaultTopic;
        here && it.started >= ended && it.started.ms <= due
    });
    if !asks {
        let (who, topic) = (run.name(lookup.node), lookup.topic);
        let text = format!("{who} does not ask for the default topic, and {topic} is nowhere");
        report.wrong(ended, text);
    }
}

/// Whether a topic's own route leaves out a broker that the topic could still be made on.
fn left(
    run: &CheckedRun<'_>,
    snapshot: &SnapshotHistory<'_>,
    earlier: &[SnapshotHistory<'_>],
    report: &mut CheckReport,
) {
    let (who, topic) = (run.name(snapshot.node), snapshot.topic);
    let mut before = earlier.iter().rev();
    let before = before.find(|it| it.node == snapshot.node && it.topic == topic);
    let named = |broker: &Name| snapshot.addresses.iter().any(|(name, _)| name == broker);
    let brokers = before.into_iter().flat_map(|before| before.queues.names());
    // A name server that was ill told less than it knew, perhaps.
    let since = snapshot
        .lookup
        .map_or(snapshot.timestamp, |it| run.history.lookups[it].started);
    // What was forgotten is learned anew.
    if run.may_have_forgotten(snapshot.node, topic, since) {
        return;
    }
    let window = (since.ms, run.due(snapshot.node, snapshot.timestamp.ms, 0));
    let mut servers = run.header().of_kind(NodeKind::NameServer);
    let ill = servers
        .any(|it| run.truth.worst(snapshot.node, it, window.0, window.1) != Condition::Healthy);
    for broker in brokers.filter(|broker| !ill && !named(broker)) {
        if run.may_be_made(snapshot.node, topic, broker, snapshot.timestamp) {
            let text = format!("{who} leaves {broker} out of {topic} before it was tried once");
            report.wrong(snapshot.timestamp, text);
        }
    }
}

fn used(
    run: &CheckedRun<'_>,
    snapshot: &SnapshotHistory<'_>,
    earlier: &[SnapshotHistory<'_>],
    report: &mut CheckReport,
) {
    let (who, topic) = (run.name(snapshot.node), snapshot.topic);
    let mut before = earlier.iter().rev();
    let before = before.find(|it| it.node == snapshot.node && it.topic == topic);
    if before.is_some_and(|it| it.queues.all() == snapshot.queues.all()) {
        return;
    }
    let most = run
        .policy(snapshot.node)
        .map_or(u32::MAX, |policy| policy.default_topic_queues);
    let exceeds = |count: usize| u32::try_from(count).map_or(true, |count| count > most);
    let mut brokers = snapshot.queues.brokers().iter();
    if let Some((broker, count)) = brokers.find(|(_, count)| exceeds(*count)) {
        let text = format!("{who} uses {count} queues of {broker} for {topic}, allowed {most}");
        report.wrong(snapshot.timestamp, text);
    }
    let own = earlier
        .iter()
        .find(|it| it.node == snapshot.node && it.topic == topic && !run.is_borrowed(it));
    if let Some(own) = own {
        let number = own.number;
        let text = format!("{who} replaces route {number} of {topic} by the default topic's");
        report.wrong(snapshot.timestamp, text);
    }
}

#[cfg(test)]
mod tests {
    use rmq_mock_namesrv::event::Event as NameServerEvent;
    use rmq_producer::event::{Event, Mode};
    use rmq_remoting::code::request;
    use rmq_remoting::event::Event as Transport;

    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};
    use crate::trace::NodeEvent;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts(
            "an unknown topic gets the default route, then its own",
            || only_a_is_left(default_route(&["a/0", "a/1"])),
        ),
        accepts(
            "a broker of the default route was tried, and left out",
            || only_a_is_left(tried(default_route(&["a/0", "a/1", "b/0"]))),
        ),
        accepts("a policy makes topics on the first broker only", || {
            let scene = Scene::new().facts(|it| it.policies[0].creates_everywhere = false);
            only_a_is_left(from_default(scene, &["a/0", "a/1", "b/0"]))
        }),
        rejects("a broker of the default route is left out untried", || {
            only_a_is_left(default_route(&["a/0", "a/1", "b/0"])).wrong()
        }),
        rejects(
            "a broker is left out by the second route of its own",
            || {
                let scene = default_route(&["a/0", "a/1", "b/0"]);
                let scene = scene.at(20_000).lookup(5, LookupReason::Poll);
                let scene = of_news(scene.found(5, 4, &["a/0", "a/1", "b/0"]));
                only_a_is_left(scene).wrong()
            },
        ),
        rejects("a name server knows the topic", || {
            let scene = Scene::new().open(4, "ns-1").at(5_000).call(1);
            let scene = answered(scene.lookup(8, LookupReason::FirstSend), "orders");
            asks_for_default(scene.at(5_004)).wrong()
        }),
        accepts("a broker moves, and the default topic tells where", || {
            lost("10.0.2.1:10911")
        }),
        rejects("a broker moves, and the topic's route does not", || {
            lost("10.0.2.9:10911").wrong()
        }),
        accepts("a broker of a topic's own route has moved", || {
            let own = Scene::new().lookup(9, LookupReason::FirstSend);
            let scene = of_news(own.found(9, 9, &["c/0", "c/1", "c/2", "c/3", "c/4"]));
            let moved = from_default(scene, &["c/0", "c/1", "c/2", "c/3", "c/4"]);
            moved.change(|what| {
                if let NodeEvent::Producer(Event::Snapshot { addresses, .. }) = what {
                    *addresses = [("broker-c".into(), "10.0.0.9:10911".into())].into();
                }
            })
        }),
        rejects(
            "a send finds no topic, and the default topic is not asked for",
            || {
                let scene = Scene::new()
                    .at(5_000)
                    .call(1)
                    .lookup(8, LookupReason::FirstSend);
                let (lookup, end) = (8.into(), LookupEnd::NotExist);
                let scene = scene.say(Event::LookupEnded { lookup, end }).wrong();
                scene.at(9_000).call(2)
            },
        ),
        rejects("the default topic is asked for without need", || {
            let topic = "TBW102".into();
            let reason = LookupReason::DefaultTopic;
            Scene::new()
                .say(Event::Lookup {
                    lookup: 2.into(),
                    topic,
                    reason,
                })
                .wrong()
        }),
        rejects(
            "a poll of a missing topic leads to the default topic",
            || {
                let (topic, end) = ("TBW102".into(), LookupEnd::NotExist);
                let reason = LookupReason::DefaultTopic;
                let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
                let scene = scene.say(Event::LookupEnded {
                    lookup: 2.into(),
                    end,
                });
                let lookup = 3.into();
                scene
                    .say(Event::Lookup {
                        lookup,
                        topic,
                        reason,
                    })
                    .wrong()
            },
        ),
        rejects("more queues than the client's default", || {
            let scene = Scene::new().facts(|it| it.policies[0].default_topic_queues = 1);
            from_default(scene, &["a/0", "a/1"]).wrong()
        }),
        rejects("the default route replaces the topic's own", || {
            let scene = of_news(Scene::new().lookup(9, LookupReason::FirstSend).found(
                9,
                9,
                &["c/0"],
            ));
            from_default(scene, &["a/0"]).wrong()
        }),
    ];

    /// A name server reads a route request of this topic, and answers it with success.
    fn answered(scene: Scene, topic: &str) -> Scene {
        let opaque = i32::try_from(scene.trace.records.len()).unwrap_or(0);
        let (peer, request) = (scene.local(4), opaque.unsigned_abs().into());
        let received = NameServerEvent::Received {
            request,
            peer,
            code: request::GET_ROUTEINFO_BY_TOPIC,
            opaque,
            topic: Some(topic.into()),
        };
        let scene = scene.name_server("ns-1", received);
        let scene = scene.name_server("ns-1", NameServerEvent::Answered { request, code: 0 });
        scene.say(Event::Transport(Transport::Reply {
            connection: 4.into(),
            opaque,
            code: 0,
        }))
    }

    /// A lookup of a send found no topic, and the default topic is asked for.
    fn asks_for_default(scene: Scene) -> Scene {
        let (lookup, end) = (8.into(), LookupEnd::NotExist);
        let scene = scene.say(Event::LookupEnded { lookup, end });
        scene.say(Event::Lookup {
            lookup: 9.into(),
            topic: "TBW102".into(),
            reason: LookupReason::DefaultTopic,
        })
    }

    /// The name servers lose the topic, whose first broker is at this address now.
    fn lost(at: &str) -> Scene {
        let added = NameServerEvent::BrokerAdded {
            broker: "broker-a".into(),
            id: 0,
            address: at.into(),
        };
        let route = NameServerEvent::RouteChanged {
            topic: "TBW102".into(),
            write_queues: vec![("broker-a".into(), 8)],
        };
        let scene = Scene::new()
            .open(4, "ns-1")
            .at(5_000)
            .name_server("ns-1", added);
        let scene = scene.name_server("ns-1", route).call(1);
        let scene = asks_for_default(scene.lookup(8, LookupReason::FailedAttempt));
        answered(scene, "TBW102").say(Event::LookupEnded {
            lookup: 9.into(),
            end: LookupEnd::Unchanged,
        })
    }

    /// The topic's own route has only broker-a.
    fn only_a_is_left(scene: Scene) -> Scene {
        let scene = scene.at(30_000).lookup(4, LookupReason::Poll);
        of_news(scene.found(4, 3, &["a/0", "a/1"]))
    }

    /// An attempt goes to broker-b.
    fn tried(scene: Scene) -> Scene {
        let call = Event::Call {
            send: 1.into(),
            group: "group".into(),
            topic: "news".into(),
            mode: Mode::Sync,
            timeout_ms: 3000,
            target_queue: None,
            unique_key: None,
        };
        scene.at(10).say(call).attempt_by(1, 1, queue("b/0"), 2)
    }

    fn default_route(queues: &[&str]) -> Scene {
        from_default(Scene::new(), queues)
    }

    /// `news` does not exist; its route is made from the default topic's.
    fn from_default(scene: Scene, queues: &[&str]) -> Scene {
        let (topic, reason) = ("news".into(), LookupReason::FirstSend);
        let scene = scene.say(Event::Lookup {
            lookup: 2.into(),
            topic,
            reason,
        });
        let scene = scene.say(Event::LookupEnded {
            lookup: 2.into(),
            end: LookupEnd::NotExist,
        });
        let (topic, reason) = ("TBW102".into(), LookupReason::DefaultTopic);
        let scene = scene.say(Event::Lookup {
            lookup: 3.into(),
            topic,
            reason,
        });
        of_news(scene.found(3, 2, queues))
    }

    fn of_news(scene: Scene) -> Scene {
        scene.change(|what| {
            if let NodeEvent::Producer(Event::Snapshot { topic, .. }) = what {
                *topic = "news".into();
            }
        })
    }
}

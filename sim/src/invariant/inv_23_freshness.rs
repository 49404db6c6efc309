//! What the name servers have known for a while, the producer knows, too.
//!
//! A route that is refreshed too late, or read once and never again, sends messages to a broker that
//! has moved or left, long after everybody could know better. When all name servers say the same of
//! a topic, and go on saying it, it is in force at each producer of the topic after a poll and the
//! time to ask them all; where a failed attempt refreshes the route, after that attempt and one
//! lookup. And a send to a queue whose broker is in no route waits for the lookup that it starts.

use std::collections::BTreeMap;

use rmq_producer::event::{Failure, Outcome, QueueRef, Stage};
use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{AttemptHistory, SendHistory, SnapshotHistory, Timestamp, WidthSource};
use crate::trace::{Form, NodeId, NodeKind, PolicyFacts};
use crate::truth::Condition;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-23",
    title: "Freshness",
    source: Source::Truth,
    rate_per_mille: 10,
    checker: Checker::Run(check),
    sides: &[
        side(
            "has an old route of … ms after it changed here",
            &[
                "the next poll brings the new route",
                "a name server hangs meanwhile",
                "a topic may still be made on a broker that was not tried",
                "nobody can write to the brokers of the new route",
            ],
        ),
        side(
            "ends for want of an address while … is looked up",
            &[
                "a send waits for the lookup of its queue's broker",
                "a send has waited, and the next lookup begins at once",
            ],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// How long name servers must have been healthy: what a fault held back may arrive this much later.
const RECOVERY_MS: u64 = 10_000;

/// A route that all name servers agree on, for some time.
struct Agreed<'t> {
    topic: &'t Name,
    route: &'t [(Name, i32)],
    since: Timestamp,
    until: Timestamp,
}

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for send in run
        .history
        .sends
        .iter()
        .filter(|it| it.target_queue.is_some())
    {
        waits_for_its_broker(run, send, report);
    }
    let servers: Vec<NodeId> = run.header().of_kind(NodeKind::NameServer).collect();
    let agreed = agreed(run, &servers);
    for producer in run.header().of_kind(NodeKind::Producer) {
        let Some(policy) = run.policy(producer) else {
            continue;
        };
        for agreed in &agreed {
            in_force(run, producer, (policy, &servers), agreed, report);
        }
    }
}

/// A send to a queue whose broker no route has waits for the lookup that may bring it.
fn waits_for_its_broker(run: &CheckedRun<'_>, send: &SendHistory<'_>, report: &mut CheckReport) {
    let strict = run
        .policy_of(send.producer())
        .is_some_and(|it| it.form == Form::Strict);
    let Some((done, outcome)) = send.done.first().filter(|_| strict) else {
        return;
    };
    let failed = matches!(outcome, Outcome::Failed(Failure::Attempts(Stage::Address)));
    let has_time = send.deadline_ms() > done.ms.saturating_add(run.header().slack_ms);
    // A later attempt goes by the route in force.
    let first = send.attempts.first();
    let first = first.filter(|it| it.ended.is_some_and(|end| end.stage == Stage::Address));
    let Some(first) = first.filter(|_| failed && has_time) else {
        return;
    };
    report.exercised();
    // Without a route at its call it waited for the topic's first one, and for no other. One that has waited
    // goes on without the lookup behind that.
    let route = run.history.in_force(send.node, send.topic, send.called);
    let began = first.started;
    let own = run.history.lookups.iter();
    let own = own.filter(|it| it.node == send.node && it.topic == send.topic);
    let mut ends = own.clone().filter_map(|it| Some(it.ended?.0));
    let has_waited = began.ms > send.called.ms || ends.any(|end| send.called < end && end < began);
    if route.is_none() || has_waited {
        return;
    }
    let mut under_way =
        own.filter(|it| it.started < began && it.ended.is_none_or(|(ended, _)| ended > began));
    if under_way.next().is_some() {
        let (who, number, topic) = (run.name(send.node), send.number, send.topic);
        let text =
            format!("{who} s{number} ends for want of an address while {topic} is looked up");
        report.wrong(*done, text);
    }
}

/// Everything that all name servers agreed on, in order.
fn agreed<'t>(run: &CheckedRun<'t>, servers: &[NodeId]) -> Vec<Agreed<'t>> {
    let mut topics: Vec<&Name> = run.history.snapshots.iter().map(|it| it.topic).collect();
    topics.sort_unstable();
    topics.dedup();
    let mut all = Vec::new();
    for topic in topics {
        let news =
            run.history.widths.iter().filter(|news| {
                news.topic == topic && matches!(news.source, WidthSource::Route(..))
            });
        let boots = run
            .history
            .boots
            .iter()
            .filter(|(node, _)| servers.contains(node));
        let mut turns: Vec<Timestamp> = news.map(|news| news.timestamp).collect();
        turns.extend(boots.map(|(_, timestamp)| *timestamp));
        turns.sort_unstable();
        for (index, since) in turns.iter().enumerate() {
            let until = turns.get(index + 1).copied().unwrap_or_else(|| run.end());
            let route_at = |server: &NodeId| run.history.route_at(*server, topic, *since);
            let Some(route) = servers.first().map(route_at) else {
                continue;
            };
            let mut brokers = route.iter().filter(|(_, queues)| *queues > 0);
            let usable = brokers.any(|(broker, _)| has_master(run, broker, *since));
            if usable && servers.iter().all(|server| route_at(server) == route) {
                all.push(Agreed {
                    topic,
                    route,
                    since: *since,
                    until,
                });
            }
        }
    }
    all
}

fn in_force(
    run: &CheckedRun<'_>,
    producer: NodeId,
    (policy, servers): (&PolicyFacts, &[NodeId]),
    agreed: &Agreed<'_>,
    report: &mut CheckReport,
) {
    let Some(before) = run.history.in_force(producer, agreed.topic, agreed.since) else {
        return;
    };
    if says(run, &run.history.snapshots[before], agreed) {
        return;
    }
    let count = u64::try_from(servers.len()).unwrap_or(u64::MAX);
    let pass = policy.name_server_timeout_ms.saturating_mul(count);
    let mut due = run.due(
        producer,
        agreed.since.ms,
        policy.poll_ms.saturating_add(pass),
    );
    if let Some(failed) = refreshed(run, producer, policy, agreed) {
        let lookup = policy.name_server_timeout_ms;
        // One lookup may be under way, and the next one is spaced.
        let time = policy.refresh_spacing_ms.saturating_add(2 * lookup);
        due = due.min(run.due(producer, failed.ms, time));
    }
    let since = agreed.since.ms.saturating_sub(RECOVERY_MS);
    // A connection that was opened before the server's last fault may be dead.
    let well = |server: &NodeId| {
        let dialled = run.dialled(producer, *server, run.after(due));
        let since = dialled.map_or(since, |dialled| dialled.ms.min(since));
        run.truth.worst(producer, *server, since, due) == Condition::Healthy
    };
    // What nobody needs any more is forgotten, and not refreshed.
    let forgotten = run.may_have_forgotten(producer, agreed.topic, run.after(due));
    let over = due >= agreed.until.ms || due >= ends(run, producer);
    if over || forgotten || !servers.iter().all(well) {
        return;
    }
    report.exercised();
    let now = run.history.in_force(producer, agreed.topic, run.after(due));
    if !now.is_some_and(|now| says(run, &run.history.snapshots[now], agreed)) {
        let (who, topic, late) = (run.name(producer), agreed.topic, due - agreed.since.ms);
        let text = format!("{who} has an old route of {topic} {late} ms after it changed here");
        report.wrong(agreed.since, text);
    }
}

/// Whether a published route has exactly the queues of the name servers', and those of brokers that
/// the topic may still be made on.
fn says(run: &CheckedRun<'_>, snapshot: &SnapshotHistory<'_>, agreed: &Agreed<'_>) -> bool {
    let mut widths: BTreeMap<&Name, usize> = BTreeMap::new();
    for (broker, queues) in agreed.route {
        let queues = usize::try_from(*queues).unwrap_or(0);
        let width = widths.entry(broker).or_insert(queues);
        *width = (*width).max(queues);
    }
    widths.retain(|broker, width| *width > 0 && has_master(run, broker, agreed.since));
    let has = |queue: &QueueRef| {
        let width = widths.get(&queue.broker);
        width.is_none_or(|width| usize::try_from(queue.queue).is_ok_and(|queue| queue < *width))
    };
    let mut known = 0;
    for (broker, count) in snapshot.queues.brokers() {
        match widths.get(broker) {
            Some(width) if width == count => known += 1,
            None if run.may_be_made(snapshot.node, snapshot.topic, broker, agreed.since) => {}
            Some(_) | None => return false,
        }
    }
    known == widths.len() && snapshot.queues.all().iter().all(has)
}

/// Whether a name server knows a master of the broker: nobody can write to one that has none.
fn has_master(run: &CheckedRun<'_>, broker: &Name, at: Timestamp) -> bool {
    let mut servers = run.header().of_kind(NodeKind::NameServer);
    let knows = |server| run.history.master_at(server, broker, at).is_some();
    run.history.masters.is_empty() || servers.any(knows)
}

/// The first attempt after the change whose failure says that the route is old, and which finds no
/// lookup that was made a moment ago.
fn refreshed(
    run: &CheckedRun<'_>,
    producer: NodeId,
    policy: &PolicyFacts,
    agreed: &Agreed<'_>,
) -> Option<Timestamp> {
    if !policy.refreshes_on_failure {
        return None;
    }
    let old = |attempt: &AttemptHistory<'_>| {
        let end = attempt.ended?;
        matches!(end.stage, Stage::Dial | Stage::Lost).then_some(end.timestamp)
    };
    let attempts = run
        .attempts()
        .filter(|(send, _)| send.node == producer && send.topic == agreed.topic);
    let failed = attempts.filter_map(|(_, attempt)| old(attempt));
    let spaced = |failed: &Timestamp| {
        let from = failed.ms.saturating_sub(policy.refresh_spacing_ms);
        let mut lookups = run.history.lookups.iter();
        !lookups.any(|lookup| {
            let lately = (from..=failed.ms).contains(&lookup.started.ms);
            let before = lookup.started < *failed && lately;
            before && lookup.node == producer && lookup.topic == agreed.topic
        })
    };
    let after = failed.filter(|failed| *failed > agreed.since);
    after.filter(spaced).min()
}

/// When the producer's duty ends.
fn ends(run: &CheckedRun<'_>, producer: NodeId) -> u64 {
    let stopping = run.stops(producer).next();
    stopping.map_or(run.trace.end_ms, |timestamp| timestamp.ms)
}

#[cfg(test)]
mod tests {
    use rmq_mock_namesrv::event::Event as NameServerEvent;
    use rmq_producer::event::{Event, LookupEnd, LookupReason, Mode};

    use super::*;
    use crate::fault::FaultKind;
    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};
    use crate::trace::TraceEnd;

    /// A send to a queue of a broker that is in no route begins, and the topic is looked up.
    fn without_its_broker() -> Scene {
        let scene = Scene::new().at(100).found(1, 2, &["a/0"]);
        let scene = scene.call_to(1, Mode::Sync, Some("b/0"));
        scene.lookup(2, LookupReason::FailedAttempt)
    }

    /// The send has no address.
    fn gives_up(scene: Scene) -> Scene {
        let scene = scene.attempt_by(1, 1, queue("b/0"), 2);
        let scene = scene.ended(1, 1, Stage::Address, None);
        scene.failed(1, Failure::Attempts(Stage::Address))
    }

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("the next poll brings the new route", || {
            let scene = changed().at(30_000).lookup(2, LookupReason::Poll);
            scene
                .found(2, 2, &["a/0", "b/0"])
                .end(TraceEnd::Finished, 90_000)
        }),
        accepts("a send waits for the lookup of its queue's broker", || {
            let scene = without_its_broker().say(Event::LookupEnded {
                lookup: 2.into(),
                end: LookupEnd::Unchanged,
            });
            gives_up(scene).end(TraceEnd::Finished, 1_000)
        }),
        accepts(
            "a send has waited, and the next lookup begins at once",
            || {
                let (lookup, end) = (2.into(), LookupEnd::Unchanged);
                let scene = without_its_broker().say(Event::LookupEnded { lookup, end });
                let scene = scene.lookup(3, LookupReason::FailedAttempt);
                gives_up(scene).end(TraceEnd::Finished, 1_000)
            },
        ),
        rejects("a send does not wait for the lookup that it starts", || {
            gives_up(without_its_broker())
                .wrong()
                .end(TraceEnd::Finished, 1_000)
        }),
        accepts("a name server hangs meanwhile", || {
            let scene = changed().at(20_000).fault(1, FaultKind::Freeze, "ns-2");
            scene.end(TraceEnd::Finished, 90_000)
        }),
        accepts(
            "a topic may still be made on a broker that was not tried",
            || {
                let scene = changes(of_default(10_000)).at(30_000);
                let scene = scene.lookup(4, LookupReason::Poll);
                let scene = scene.say(Event::LookupEnded {
                    lookup: 4.into(),
                    end: LookupEnd::Unchanged,
                });
                scene.end(TraceEnd::Finished, 90_000)
            },
        ),
        rejects(
            "a broker that does not make the topic stays in its route",
            || {
                let scene = of_default(5_000).call(1).attempt_by(1, 1, queue("c/0"), 2);
                changes(scene.at(10_000)).end(TraceEnd::Finished, 90_000)
            },
        ),
        accepts("nobody can write to the brokers of the new route", || {
            changes(with_master("broker-c").at(10_000)).end(TraceEnd::Finished, 90_000)
        }),
        rejects("a broker of the new route has a master", || {
            changes(with_master("broker-b").at(10_000)).end(TraceEnd::Finished, 90_000)
        }),
        rejects("the route is never read again", || {
            changed().end(TraceEnd::Finished, 90_000)
        }),
        rejects("an attempt that failed does not refresh the route", || {
            let scene = changed().at(12_000).call(1).attempt(1, 1, "c/0");
            let scene = scene.ended(1, 1, Stage::Dial, None);
            let scene = scene.at(30_000).lookup(2, LookupReason::Poll);
            scene
                .found(2, 2, &["a/0", "b/0"])
                .end(TraceEnd::Finished, 90_000)
        }),
    ];

    /// Both name servers say that two of three brokers have a queue each.
    fn changed() -> Scene {
        changes(Scene::new().at(10_000))
    }

    /// Of all brokers the name servers know a master of one.
    fn with_master(broker: &str) -> Scene {
        let event = || NameServerEvent::BrokerAdded {
            broker: broker.into(),
            id: 0,
            address: "10.0.0.9:10911".into(),
        };
        let scene = Scene::new().at(5).name_server("ns-1", event());
        scene.name_server("ns-2", event())
    }

    fn changes(scene: Scene) -> Scene {
        let event = |count| NameServerEvent::RouteChanged {
            topic: "orders".into(),
            write_queues: vec![("broker-a".into(), count), ("broker-b".into(), count)],
        };
        let scene = scene.name_server("ns-1", event(1));
        scene.name_server("ns-2", event(1)).wrong()
    }

    /// The topic goes by the default topic's route, with a queue on three brokers.
    fn of_default(at_ms: u64) -> Scene {
        let scene = Scene::new().at(1_000).lookup(2, LookupReason::FirstSend);
        let (lookup, end) = (2.into(), LookupEnd::NotExist);
        let scene = scene.say(Event::LookupEnded { lookup, end });
        let scene = scene.lookup(3, LookupReason::DefaultTopic);
        scene.found(3, 2, &["a/0", "b/0", "c/0"]).at(at_ms)
    }
}

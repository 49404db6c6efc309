//! A stopped producer leaves nothing behind.
//!
//! When `stop` has returned, no connection of the producer is open, none is dialled any more, and
//! nothing is written. Checked by its connections' events and, where the engine tells, the kernel's. Before
//! that, if the policy says so, each healthy broker of its routes that it has a connection to hears that it
//! goes: otherwise operators and transaction checks find it there for two more minutes.
//!
//! Where producers share a client, each says goodbye for its own group and for no other, by what brokers read,
//! and connections stay until the last one has stopped.

use rmq_remoting::event::CloseCause;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{
    ConnectionHistory, GoodbyeHistory, LifeHistory, ProducerPhase, Timestamp,
};
use crate::trace::{NodeId, NodeKind};
use crate::truth::Condition;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-48",
    title: "No residue",
    source: Source::Both,
    rate_per_mille: 500,
    checker: Checker::Run(check),
    sides: &[
        side(
            "is stopped, but its connection to … stays open",
            &["all connections are closed"],
        ),
        side(
            "writes to … after it was stopped",
            &["all connections are closed"],
        ),
        side(
            "dials … after it was stopped",
            &["all connections are closed"],
        ),
        side(
            "stops, and … is not told",
            &["every broker is told", "a broker that hangs cannot be told"],
        ),
        side(
            "tells … that … is gone, which has not stopped",
            &["one of two producers goes, and its connections stay"],
        ),
        side(
            "closes its connection to … as stopped, and a producer runs",
            &["one of two producers goes, and its connections stay"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for goodbye in &run.history.goodbyes {
        goes(run, goodbye, report);
    }
    let connections = run.history.connections.iter();
    for connection in connections.filter(|it| run.header().is_shared(it.node)) {
        outlives(run, connection, report);
    }
    let lives = &run.history.lives;
    for life in lives.iter().filter(|it| it.phase == ProducerPhase::Stopped) {
        let (node, stopped) = (life.node, life.timestamp);
        report.exercised();
        says_goodbye(run, life, report);
        let mut later = lives
            .iter()
            .filter(|it| it.node == node && it.timestamp > stopped);
        let is_last = later.clone().next().is_none() && run.stops(node).any(|at| at == stopped);
        let client_outlives = run.policy(node).is_some_and(|it| it.client_outlives);
        if client_outlives || run.header().is_shared(node) && !is_last {
            // The client is there for another one, or until the program ends it.
            continue;
        }
        // A new life of the same node is another history.
        let again = later.find(|it| it.phase == ProducerPhase::Started);
        let until = again.map_or_else(|| run.end(), |it| it.timestamp);
        let connections = run.history.connections.iter().filter(|it| it.node == node);
        for connection in connections.filter(|it| it.dialled < until) {
            residue(run, node, connection, (stopped, until), report);
        }
    }
}

/// A connection is closed for the end of its client, not for that of one of its producers.
fn outlives(run: &CheckedRun<'_>, connection: &ConnectionHistory<'_>, report: &mut CheckReport) {
    let node = connection.node;
    let Some((closed, CloseCause::Stopped)) = connection.closed else {
        return;
    };
    if !run.policy(node).is_some_and(|it| it.of_scenario) {
        // One of its producers may have been dropped, which nobody tells.
        return;
    }
    if !run.stops(node).any(|at| at < closed) {
        let (who, to) = (run.name(node), connection.to);
        let text = format!("{who} closes its connection to {to} as stopped, and a producer runs");
        report.wrong(closed, text);
    }
}

/// Whoever is said to be gone has begun to stop.
fn goes(run: &CheckedRun<'_>, goodbye: &GoodbyeHistory<'_>, report: &mut CheckReport) {
    let (Some(group), Some(connection)) =
        (goodbye.group, run.history.connection_from(goodbye.peer))
    else {
        return;
    };
    let node = run.history.connections[connection].node;
    let mut starts = run.lives((node, Some(group)));
    // Java's client has a producer of its own within, which no program has started.
    if !starts.any(|life| life.phase == ProducerPhase::Started) {
        return;
    }
    report.exercised();
    let shared = run.header().is_shared(node);
    let told = shared.then_some(group);
    let mut turns = run.lives((node, told));
    let stops =
        turns.any(|it| it.phase == ProducerPhase::Stopping && it.timestamp < goodbye.timestamp);
    if !stops {
        let (who, broker) = (run.name(node), run.name(goodbye.broker));
        let text = format!("{who} tells {broker} that {group} is gone, which has not stopped");
        report.wrong(goodbye.timestamp, text);
    }
}

fn residue(
    run: &CheckedRun<'_>,
    node: NodeId,
    connection: &ConnectionHistory<'_>,
    (stopped, until): (Timestamp, Timestamp),
    report: &mut CheckReport,
) {
    let (who, to) = (run.name(node), connection.to);
    // A client that several producers shared ends right after the last of them.
    let due = run.due(node, stopped.ms, 0);
    let shared = run.header().is_shared(node);
    let is_late = |at: Timestamp| at > stopped && (!shared || at.ms > due);
    if is_late(connection.dialled) {
        report.wrong(
            connection.dialled,
            format!("{who} dials {to} after it was stopped"),
        );
        return;
    }
    let written = connection
        .written
        .iter()
        .find(|(_, at)| is_late(*at) && *at < until);
    if let Some((_, at)) = written {
        report.wrong(*at, format!("{who} writes to {to} after it was stopped"));
        return;
    }
    let open = connection.ends().all(|end| end.ms > due);
    let gone = run.truth.was_gone(node, connection.dialled.ms, until.ms);
    if connection.opened.is_some() && open && until.ms > due && !gone {
        report.wrong(
            stopped,
            format!("{who} is stopped, but its connection to {to} stays open"),
        );
    }
}

/// Each broker that can be told has been told that the producer goes.
fn says_goodbye(run: &CheckedRun<'_>, life: &LifeHistory<'_>, report: &mut CheckReport) {
    let (node, stopped) = (life.node, life.timestamp);
    if !run.policy(node).is_some_and(|it| it.unregisters) {
        return;
    }
    let own = || run.lives((node, life.group));
    let mut stops =
        own().filter(|it| it.phase == ProducerPhase::Stopping && it.timestamp < stopped);
    let starts = own().filter(|it| it.phase == ProducerPhase::Started);
    let mut groups = starts.filter_map(|it| it.group);
    // Of several producers each one says goodbye for its own group.
    let (Some(begun), None) = (stops.next().map(|it| it.timestamp), stops.next()) else {
        return;
    };
    let group = groups.next();
    for broker in run.header().of_kind(NodeKind::Broker) {
        let info = &run.header().nodes[broker.index()];
        let Some(address) = &info.address else {
            continue;
        };
        let routed = run.history.routed(node, address, begun, begun.ms)
            && run.still_routes(node, address, begun);
        // A fault that is over may still hold back what was sent: the longer it was, the longer.
        let well = |heard: Timestamp| {
            let since = begun.ms.saturating_sub(RECOVERY_MS).min(heard.ms);
            run.truth.worst(node, broker, since, stopped.ms) == Condition::Healthy
        };
        let connections = run.history.index.connections(node, address).iter();
        let open = connections.map(|index| &run.history.connections[*index]);
        let open = open.filter(|it| {
            let opened = it.opened.filter(|(opened, _)| *opened < begun);
            // One that was not heard of may be dead.
            let heard = it.answers.last().map(|(_, heard, _)| *heard);
            let there = opened.is_some() && it.ends().all(|end| end > begun);
            there && heard.is_some_and(well)
        });
        let locals: Vec<_> = open.filter_map(|it| Some(it.opened?.1)).collect();
        if !routed || locals.is_empty() || run.truth.was_gone(broker, 0, stopped.ms) {
            continue;
        }
        report.exercised();
        let goodbyes = run.history.goodbyes.iter();
        let mut own = goodbyes.filter(|it| {
            let names = group.is_none() || it.group == group;
            names && it.broker == broker && it.timestamp > begun && run.is_of(node, it.peer)
        });
        if own.next().is_none() {
            let (who, name) = (run.name(node), run.name(broker));
            let text = format!("{who} stops, and {name} is not told");
            report.wrong(stopped, text);
        }
    }
}

/// How long a broker must have been healthy: what a fault held back may arrive this much later.
const RECOVERY_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use rmq_mock_broker::event::Event as BrokerEvent;
    use rmq_producer::event::Event;
    use rmq_remoting::code::request;
    use rmq_remoting::event::{CloseCause, Event as Transport};

    use crate::fault::FaultKind;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::{NodeEvent, WorkEvent};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("all connections are closed", || closed().stopped()),
        rejects("a connection stays open", || {
            let scene = Scene::new()
                .at(100)
                .close(1, "broker-a", CloseCause::Stopped);
            scene
                .close(2, "broker-b", CloseCause::Stopped)
                .stopped()
                .wrong()
        }),
        accepts("every broker is told", || {
            goodbyes(&["broker-a", "broker-b", "broker-c"]).stopped()
        }),
        rejects("one broker is not told", || {
            goodbyes(&["broker-a", "broker-c"]).stopped().wrong()
        }),
        accepts(
            "one of two producers goes, and its connections stay",
            || {
                let scene = shared("second", "second");
                scene.work(returned("second"))
            },
        ),
        rejects("the wrong group of two is told to be gone", || {
            let mut scene = shared("second", "group").work(returned("second"));
            let told = |it: &NodeEvent| format!("{it:?}").contains("code: 35");
            scene.marked = scene.trace.records.iter().position(|it| told(&it.what));
            scene
        }),
        rejects("no broker is told that one of two producers goes", || {
            shared("second", "nobody").wrong()
        }),
        rejects(
            "a connection is closed with the first of two producers",
            || {
                let scene = shared("second", "second").work(returned("second"));
                let scene = scene.at(120).close(1, "broker-a", CloseCause::Stopped);
                scene.wrong()
            },
        ),
        rejects("the last of two producers leaves a connection open", || {
            let scene = shared("second", "second").work(returned("second"));
            let scene = scene.facts(|it| it.policies[0].unregisters = false);
            let group = Some("group".into());
            let scene = scene.at(200).work(WorkEvent::StopCalled { group });
            scene.stopping().stopped().wrong()
        }),
        accepts("a broker that hangs cannot be told", || {
            let scene = goodbyes(&["broker-a", "broker-c"]);
            scene.fault(1, FaultKind::Freeze, "broker-b").stopped()
        }),
        rejects("a stopped producer dials", || {
            let (connection, to) = (4.into(), "10.0.2.1:10911".into());
            let scene = closed().stopped().at(900);
            scene
                .say(Event::Transport(Transport::Dial { connection, to }))
                .wrong()
        }),
        rejects("a stopped producer writes", || {
            let scene = closed().stopped().at(110);
            let event = Transport::Written {
                connection: 1.into(),
                opaque: 9,
            };
            scene.say(Event::Transport(event)).wrong()
        }),
    ];

    fn closed() -> Scene {
        let scene = Scene::new()
            .at(100)
            .close(1, "broker-a", CloseCause::Stopped);
        let scene = scene.close(2, "broker-b", CloseCause::Stopped);
        scene.close(3, "broker-c", CloseCause::Stopped)
    }

    /// Of two producers of a client one stops, and brokers are told that this group is gone; `nobody`: they
    /// are told nothing.
    fn shared(stops: &str, gone: &str) -> Scene {
        let scene = Scene::new().shared().facts(|it| {
            it.policies.iter_mut().for_each(|it| it.unregisters = true);
        });
        let scene = (1..4).fold(scene.at(50), |scene, it| scene.say(answered(it)));
        let group = Some(stops.into());
        let scene = scene.at(90).work(WorkEvent::StopCalled { group });
        let scene = scene.stopping().at(92);
        let brokers = ["broker-a", "broker-b", "broker-c"];
        let told = (1..).zip(brokers).filter(|_| gone != "nobody");
        let scene = told.fold(scene, |scene, (number, broker)| {
            let event = BrokerEvent::ProducerLeft {
                request: number,
                client_id: "client".into(),
                group: Some(gone.into()),
            };
            goodbye(scene, number, broker).broker(broker, event)
        });
        scene.at(100).stopped()
    }

    fn returned(group: &str) -> WorkEvent {
        let group = Some(group.into());
        WorkEvent::StopReturned { group }
    }

    /// An answer on a connection, which proves it alive.
    fn answered(connection: u64) -> Event {
        Event::Transport(Transport::Late {
            connection: connection.into(),
            opaque: 99,
        })
    }

    /// A broker reads on a connection that a group is gone.
    fn goodbye(scene: Scene, connection: u64, broker: &str) -> Scene {
        let event = BrokerEvent::Received {
            request: connection,
            peer: scene.local(connection),
            code: request::UNREGISTER_CLIENT,
            opaque: 1,
            oneway: false,
            send: None,
        };
        scene.broker(broker, event)
    }

    /// A producer that stops tells these brokers, and closes its connections.
    fn goodbyes(brokers: &[&str]) -> Scene {
        let scene = Scene::new()
            .facts(|it| it.policies[0].unregisters = true)
            .at(50);
        let scene = (1..4).fold(scene, |scene, it| scene.say(answered(it)));
        let scene = scene.at(90).stopping().at(92);
        let scene = (1..).zip(["broker-a", "broker-b", "broker-c"]).fold(
            scene,
            |scene, (number, broker)| match brokers.contains(&broker) {
                true => goodbye(scene, number, broker).broker(
                    broker,
                    BrokerEvent::ProducerLeft {
                        request: number,
                        client_id: "client".into(),
                        group: Some("group".into()),
                    },
                ),
                false => scene,
            },
        );
        let scene = scene.at(100).close(1, "broker-a", CloseCause::Stopped);
        let scene = scene.close(2, "broker-b", CloseCause::Stopped);
        scene.close(3, "broker-c", CloseCause::Stopped)
    }
}

//! A stopped producer leaves nothing behind.
//!
//! When `stop` has returned, no connection of the producer is open, none is dialled any more, and
//! nothing is written. Checked by its connections' events and, where the engine tells, the kernel's. Before
//! that, if the policy says so, each healthy broker of its routes that it has a connection to hears that it
//! goes: otherwise operators and transaction checks find it there for two more minutes.

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{ConnectionHistory, ProducerPhase, Timestamp};
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
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for (node, life, stopped) in &run.history.lives {
        if *life != ProducerPhase::Stopped {
            continue;
        }
        report.exercised();
        says_goodbye(run, *node, *stopped, report);
        // A new life of the same node is another history.
        let again = run.history.lives.iter().find_map(|(at, life, timestamp)| {
            (at == node && *life == ProducerPhase::Started && timestamp > stopped)
                .then_some(*timestamp)
        });
        let until = again.unwrap_or_else(|| run.end());
        let connections = run.history.connections.iter().filter(|it| it.node == *node);
        for connection in connections.filter(|it| it.dialled < until) {
            residue(run, *node, connection, (*stopped, until), report);
        }
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
    if connection.dialled > stopped {
        report.wrong(
            connection.dialled,
            format!("{who} dials {to} after it was stopped"),
        );
        return;
    }
    let written = connection
        .written
        .iter()
        .find(|(_, at)| *at > stopped && *at < until);
    if let Some((_, at)) = written {
        report.wrong(*at, format!("{who} writes to {to} after it was stopped"));
        return;
    }
    let due = run.due(node, stopped.ms, 0);
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
fn says_goodbye(run: &CheckedRun<'_>, node: NodeId, stopped: Timestamp, report: &mut CheckReport) {
    if !run.policy(node).is_some_and(|it| it.unregisters) {
        return;
    }
    let lives = run.history.lives.iter();
    let mut stops = lives.filter(|(at, phase, begun)| {
        *at == node && *phase == ProducerPhase::Stopping && *begun < stopped
    });
    // Of several producers each one says goodbye for its own group.
    let (Some((.., begun)), None) = (stops.next(), stops.next()) else {
        return;
    };
    for broker in run.header().of_kind(NodeKind::Broker) {
        let info = &run.header().nodes[broker.index()];
        let Some(address) = &info.address else {
            continue;
        };
        let routed = run.history.routed(node, address, *begun, begun.ms);
        // A fault that is over may still hold back what was sent.
        let since = begun.ms.saturating_sub(RECOVERY_MS);
        let well = run.truth.worst(node, broker, since, stopped.ms) == Condition::Healthy;
        let connections = run.history.index.connections(node, address).iter();
        let open = connections.map(|index| &run.history.connections[*index]);
        let open = open.filter(|it| {
            let opened = it.opened.filter(|(opened, _)| *opened < *begun);
            // One that was not heard of may be dead.
            opened.is_some() && it.ends().all(|end| end > *begun) && !it.answers.is_empty()
        });
        let locals: Vec<_> = open.filter_map(|it| Some(it.opened?.1)).collect();
        if !routed || !well || locals.is_empty() || run.truth.was_gone(broker, 0, stopped.ms) {
            continue;
        }
        report.exercised();
        let goodbyes = run.history.goodbyes.iter();
        let mut own = goodbyes
            .filter(|(at, peer, told)| *at == broker && *told > *begun && run.is_of(node, *peer));
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

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("all connections are closed", || {
            closed().say(Event::Stopped)
        }),
        rejects("a connection stays open", || {
            let scene = Scene::new()
                .at(100)
                .close(1, "broker-a", CloseCause::Stopped);
            scene
                .close(2, "broker-b", CloseCause::Stopped)
                .say(Event::Stopped)
                .wrong()
        }),
        accepts("every broker is told", || {
            goodbyes(&["broker-a", "broker-b", "broker-c"]).say(Event::Stopped)
        }),
        rejects("one broker is not told", || {
            goodbyes(&["broker-a", "broker-c"])
                .say(Event::Stopped)
                .wrong()
        }),
        accepts("a broker that hangs cannot be told", || {
            let scene = goodbyes(&["broker-a", "broker-c"]);
            scene
                .fault(1, FaultKind::Freeze, "broker-b")
                .say(Event::Stopped)
        }),
        rejects("a stopped producer dials", || {
            let (connection, to) = (4.into(), "10.0.2.1:10911".into());
            let scene = closed().say(Event::Stopped).at(900);
            scene
                .say(Event::Transport(Transport::Dial { connection, to }))
                .wrong()
        }),
        rejects("a stopped producer writes", || {
            let scene = closed().say(Event::Stopped).at(110);
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

    /// A producer that stops tells these brokers, and closes its connections.
    fn goodbyes(brokers: &[&str]) -> Scene {
        let answered = |connection: u64| {
            Event::Transport(Transport::Late {
                connection: connection.into(),
                opaque: 99,
            })
        };
        let scene = Scene::new()
            .facts(|it| it.policies[0].unregisters = true)
            .at(50);
        let scene = (1..4).fold(scene, |scene, it| scene.say(answered(it)));
        let scene = scene.at(90).say(Event::Stopping).at(92);
        let scene = (1..).zip(["broker-a", "broker-b", "broker-c"]).fold(
            scene,
            |scene, (number, broker)| {
                let event = BrokerEvent::Received {
                    request: number,
                    peer: scene.local(number),
                    code: request::UNREGISTER_CLIENT,
                    opaque: 1,
                    oneway: false,
                    send: None,
                };
                match brokers.contains(&broker) {
                    true => scene.broker(broker, event),
                    false => scene,
                }
            },
        );
        let scene = scene.at(100).close(1, "broker-a", CloseCause::Stopped);
        let scene = scene.close(2, "broker-b", CloseCause::Stopped);
        scene.close(3, "broker-c", CloseCause::Stopped)
    }
}

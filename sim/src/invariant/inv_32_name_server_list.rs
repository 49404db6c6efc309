//! Only the name servers of the list are asked.
//!
//! Whoever takes a name server out of service removes it from the list first; a client that keeps an
//! old one, in a copy of the list or in an open connection, finds out by an outage. So each lookup
//! asks only servers of the list that is in force when it chooses, the list is never empty, and no
//! name server outside of it reads a route request of the producer.

use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::NodeId;
use crate::trace::history::Timestamp;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-32",
    title: "Name-server membership",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side(
            "has no name server any more",
            &["the servers of the list are asked"],
        ),
        side(
            "asks …, which is not in its list",
            &["the servers of the list are asked"],
        ),
        side(
            "reads a route request of …, not being in its list",
            &["the servers of the list are asked"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for (node, timestamp, servers) in &run.history.lists {
        if servers.is_empty() {
            let who = run.name(*node);
            report.wrong(*timestamp, format!("{who} has no name server any more"));
        }
    }
    for lookup in &run.history.lookups {
        for (timestamp, server) in &lookup.servers {
            let Some(list) = in_force(run, lookup.node, *timestamp) else {
                continue;
            };
            report.exercised();
            if !list.contains(server) {
                let who = run.name(lookup.node);
                let text = format!("{who} asks {server}, which is not in its list");
                report.wrong(*timestamp, text);
            }
        }
    }
    for asked in &run.history.asked {
        let Some(index) = run.history.connection_from(asked.peer) else {
            continue;
        };
        let connection = &run.history.connections[index];
        // What was written before the list changed may arrive now.
        let slack_ms = run.header().slack_ms;
        let asked_ms = asked.timestamp.ms;
        let lately = run.history.lists.iter().filter(|(node, timestamp, _)| {
            *node == connection.node
                && timestamp.ms <= asked_ms
                && timestamp.ms.saturating_add(slack_ms) >= asked_ms
        });
        let list = in_force(run, connection.node, asked.timestamp).into_iter();
        let known = |list: &[Name]| list.contains(connection.to);
        // So may what a server reads late.
        let before = |(_, at): &(i32, Timestamp)| {
            in_force(run, connection.node, *at).is_none_or(|list| list.contains(connection.to))
        };
        let changing = lately.count() > 0 || connection.written.last().is_some_and(before);
        if list.into_iter().any(|list| !known(list)) && !changing {
            let (who, server) = (run.name(connection.node), run.name(asked.server));
            let text = format!("{server} reads a route request of {who}, not being in its list");
            report.wrong(asked.timestamp, text);
        }
    }
}

/// The list of a producer at some moment.
pub(super) fn in_force<'t>(
    run: &CheckedRun<'t>,
    node: NodeId,
    timestamp: Timestamp,
) -> Option<&'t [Name]> {
    let mut lists = run.history.lists.iter().rev();
    let list = lists.find(|(at, since, _)| *at == node && *since <= timestamp);
    list.map(|(.., servers)| *servers)
}

#[cfg(test)]
mod tests {
    use rmq_mock_namesrv::event::Event as NameServerEvent;
    use rmq_producer::event::{Event, LookupReason};
    use rmq_remoting::code::request;

    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("the servers of the list are asked", || {
            let scene = list(Scene::new().open(4, "ns-1"), &["10.0.1.1:9876"]).at(30_000);
            read(scene.lookup(2, LookupReason::Poll), "ns-1")
        }),
        rejects("a removed server is chosen", || {
            let scene = list(Scene::new(), &["10.0.1.2:9876"]).at(30_000);
            // A lookup of a scene chooses the first name server.
            scene.lookup(2, LookupReason::Poll).wrong()
        }),
        rejects("a removed server is asked on an open connection", || {
            let scene = Scene::new().open(4, "ns-1");
            let scene = list(scene, &["10.0.1.2:9876"]).at(30_000);
            read(scene, "ns-1").wrong()
        }),
        rejects("the list becomes empty", || list(Scene::new(), &[]).wrong()),
    ];

    fn list(scene: Scene, servers: &[&str]) -> Scene {
        let servers = servers.iter().map(|server| (*server).into()).collect();
        scene.say(Event::NameServers { servers })
    }

    fn read(scene: Scene, server: &str) -> Scene {
        let event = NameServerEvent::Received {
            request: 1,
            peer: scene.local(4),
            code: request::GET_ROUTEINFO_BY_TOPIC,
            opaque: 1,
            topic: Some("orders".into()),
        };
        scene.name_server(server, event)
    }
}

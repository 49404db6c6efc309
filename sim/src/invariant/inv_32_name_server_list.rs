//! Only the name servers of the list are asked.
//!
//! Whoever takes a name server out of service removes it from the list first; a client that keeps an
//! old one, in a copy of the list or in an open connection, finds out by an outage. So each lookup
//! asks only servers of the list that is in force when it chooses, the list is never empty, and no
//! name server outside of it reads a route request of the producer. And what the program takes out of the list is
//! out at once, and what it puts back is in.

use std::collections::{BTreeMap, BTreeSet};

use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::fault::{FaultEvent, FaultKind, FaultNumber, Place};
use crate::trace::history::Timestamp;
use crate::trace::{NodeEvent, NodeId, NodeKind};

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
        side(
            "was …, and … has not changed its list",
            &["the server that is taken out leaves the list"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    changes(run, report);
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

/// A change that the program made: the server that it took out of a producer's list, or put back.
struct Change<'t> {
    made: Timestamp,
    node: NodeId,
    server: &'t Name,
    is_in: bool,
}

/// A process that is slow takes so long at most to change its list.
const CHANGE_MS: u64 = 1_000;

/// Every change of a list is in force when the producer has had the time to make it.
fn changes(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let made = made(run);
    for change in &made {
        let node = change.node;
        let until_ms = run.due(node, change.made.ms, CHANGE_MS);
        let same = made.iter().filter(|it| it.node == node);
        let together = same.filter(|it| change.made <= it.made && it.made.ms <= until_ms);
        let gone = run.truth.was_gone(node, 0, until_ms);
        let stopped = run.stops(node).any(|at| at.ms <= until_ms);
        if together.count() > 1 || gone || stopped || until_ms > run.trace.end_ms {
            continue;
        }
        let now = run.after(until_ms);
        let Some(list) = in_force(run, node, now) else {
            continue;
        };
        report.exercised();
        if list.contains(change.server) != change.is_in {
            let (who, server) = (run.name(node), change.server);
            let how = if change.is_in {
                "put back"
            } else {
                "taken out"
            };
            let text = format!("{server} was {how}, and {who} has not changed its list");
            report.wrong(change.made, text);
        }
    }
}

/// The changes that the program made, but for those that would have left no server or a list as it was.
fn made<'t>(run: &CheckedRun<'t>) -> Vec<Change<'t>> {
    let header = run.header();
    let servers = header.of_kind(NodeKind::NameServer).count();
    let mut out: BTreeMap<FaultNumber, (NodeId, NodeId)> = BTreeMap::new();
    let mut made = Vec::new();
    for (at, record) in run.trace.records.iter().enumerate() {
        let (changed, is_in) = match &record.what {
            NodeEvent::Fault(FaultEvent::On { fault, data }) => {
                let (FaultKind::NameServerList(list), Place::Node(name)) =
                    (&data.kind, &data.place)
                else {
                    continue;
                };
                let ends = header.node(name).zip(header.node(&list.without));
                let Some((node, server)) = ends else { continue };
                out.insert(*fault, (node, server));
                ((node, server), false)
            }
            NodeEvent::Fault(FaultEvent::Off { fault, .. }) => match out.remove(fault) {
                Some(changed) => (changed, true),
                None => continue,
            },
            _ => continue,
        };
        let (node, server) = changed;
        let own = out.values().filter(|(of, _)| *of == node);
        let away: BTreeSet<NodeId> = own.map(|(_, server)| *server).collect();
        let is_so = away.contains(&server) != is_in;
        let address = header.nodes[server.index()].address.as_ref();
        if let Some(server) = address.filter(|_| is_so && away.len() < servers) {
            made.push(Change {
                made: Timestamp { at, ms: record.ms },
                node,
                server,
                is_in,
            });
        }
    }
    made
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

    use crate::fault::{FaultKind, NameServerList};
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::TraceEnd;

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
        accepts("the server that is taken out leaves the list", || {
            let scene = list(taken_out(), &["10.0.1.2:9876"]).at(20_000);
            let scene = list(
                scene.fault_ends(1, "p1"),
                &["10.0.1.2:9876", "10.0.1.1:9876"],
            );
            scene.end(TraceEnd::Finished, 30_000)
        }),
        rejects("the server that is taken out stays", || {
            let scene = list(Scene::new().at(1_000), &["10.0.1.1:9876"]);
            let scene = scene.at(10_000).fault(1, without(), "p1").wrong();
            scene.end(TraceEnd::Finished, 30_000)
        }),
        rejects("the server that is put back stays away", || {
            let scene = list(taken_out(), &["10.0.1.2:9876"]).at(20_000);
            let scene = scene.fault_ends(1, "p1").wrong();
            scene.end(TraceEnd::Finished, 30_000)
        }),
        rejects("the list becomes empty", || list(Scene::new(), &[]).wrong()),
    ];

    /// The program takes the first name server out of the list.
    fn taken_out() -> Scene {
        Scene::new().at(10_000).fault(1, without(), "p1")
    }

    fn without() -> FaultKind {
        let without = "ns-1".into();
        FaultKind::NameServerList(NameServerList { without })
    }

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

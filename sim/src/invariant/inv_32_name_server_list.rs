//! Only the name servers of the list are asked.
//!
//! Whoever takes a name server out of service removes it from the list first; a client that keeps an
//! old one, in a copy of the list or in an open connection, finds out by an outage. So each lookup
//! asks only servers of the list that is in force when it chooses, the list is never empty, and no
//! name server outside of it reads a route request of the producer. And what the program takes out of the list is
//! out at once, and what it puts back is in; only connections to what is out are closed.

use std::collections::BTreeMap;

use rmq_remoting::event::CloseCause;
use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::fault::{Fault, FaultEvent, FaultKind, FaultNumber, NameServerList, Place};
use crate::trace::history::{ConnectionHistory, Timestamp};
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
        side(
            "closes its connection to …, which is in its list",
            &["the connection to the server that is taken out closes, and no other"],
        ),
        side(
            "keeps its connection to …, which left its list",
            &["the connection to the server that is taken out closes, and no other"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    changes(run, report);
    connections(run, report);
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

/// A change that the program made: the servers that it took out of a producer's list, or put in.
struct Change<'t> {
    made: Timestamp,
    node: NodeId,
    servers: Vec<(&'t Name, bool)>,
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
        for (server, is_in) in &change.servers {
            if list.contains(server) == *is_in {
                continue;
            }
            let (who, how) = (run.name(node), if *is_in { "put in" } else { "taken out" });
            let text = format!("{server} was {how}, and {who} has not changed its list");
            report.wrong(change.made, text);
        }
    }
}

/// A change of the list closes the connections to the servers that left it, and no other.
fn connections(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for (index, (node, since, servers)) in run.history.lists.iter().enumerate() {
        let mut earlier = run.history.lists[..index].iter().rev();
        let Some((.., before)) = earlier.find(|(of, ..)| of == node) else {
            continue;
        };
        let due_ms = run.due(*node, since.ms, CHANGE_MS);
        let mut later = run.history.lists[index + 1..].iter();
        let changes = later.any(|(of, at, _)| of == node && at.ms <= due_ms);
        let gone = run.truth.was_gone(*node, 0, due_ms);
        let must_close = !changes && !gone && due_ms < run.trace.end_ms;
        for server in *before {
            let there = run.history.index.connections(*node, server).iter();
            let there = there.map(|at| &run.history.connections[*at]);
            for connection in there.filter(|it| is_open(it, *since)) {
                report.exercised();
                if servers.contains(server) {
                    stays(run, connection, *since, report);
                } else if must_close && connection.ends().all(|end| end.ms > due_ms) {
                    let who = run.name(*node);
                    let text =
                        format!("{who} keeps its connection to {server}, which left its list");
                    report.wrong(*since, text);
                }
            }
        }
    }
}

/// Whether a connection was open right before a moment.
fn is_open(connection: &ConnectionHistory<'_>, now: Timestamp) -> bool {
    let opened = connection.opened.is_some_and(|(opened, _)| opened < now);
    opened && connection.ends().all(|end| end >= now)
}

/// No change of the list closes a connection to a server that stays in it.
fn stays(
    run: &CheckedRun<'_>,
    connection: &ConnectionHistory<'_>,
    changed: Timestamp,
    report: &mut CheckReport,
) {
    if let Some((closed, CloseCause::Offline)) = connection.closed
        && closed.ms == changed.ms
    {
        let (who, server) = (run.name(connection.node), connection.to);
        let text = format!("{who} closes its connection to {server}, which is in its list");
        report.wrong(closed, text);
    }
}

/// The changes that the program made: where the list would have become empty it has all that is left, which
/// says nothing of one server.
fn made<'t>(run: &CheckedRun<'t>) -> Vec<Change<'t>> {
    let header = run.header();
    // A server that takes another one's place at any time is in the list only then.
    let spares: Vec<(&Name, &Name)> = changes_of(run)
        .filter_map(|(node, list)| Some((node, list.instead.as_ref()?)))
        .collect();
    let mut out: BTreeMap<FaultNumber, (NodeId, &NameServerList)> = BTreeMap::new();
    let mut made = Vec::new();
    if changes_of(run).next().is_none() {
        return made;
    }
    for (at, record) in run.trace.records.iter().enumerate() {
        let (changed, is_in) = match &record.what {
            NodeEvent::Fault(FaultEvent::On { fault, data }) => {
                let Some((name, list)) = change_of(data) else {
                    continue;
                };
                let Some(node) = header.node(name) else {
                    continue;
                };
                out.insert(*fault, (node, list));
                ((node, list), false)
            }
            NodeEvent::Fault(FaultEvent::Off { fault, .. }) => match out.remove(fault) {
                Some(changed) => (changed, true),
                None => continue,
            },
            _ => continue,
        };
        let (node, list) = changed;
        let address = |name: &Name| header.nodes[header.node(name)?.index()].address.as_ref();
        let known = run.history.lists.iter();
        let known = known.filter(|(of, since, _)| *of == node && since.at < at);
        let known = known.map(|(.., servers)| *servers);
        let own = out.values().filter(|(of, _)| *of == node);
        let own: Vec<&NameServerList> = own.map(|(_, list)| *list).collect();
        let is_listed = |server: &Name| {
            let is_gone = own.iter().any(|it| it.without == *server);
            let is_spare = spares.contains(&(&header.nodes[node.index()].name, server));
            let stands_in = own.iter().any(|it| it.instead.as_ref() == Some(server));
            // One that was never in the list may be a spare whose time has not come.
            let was_in = known
                .clone()
                .any(|servers| address(server).is_some_and(|it| servers.contains(it)));
            !is_gone && (stands_in || (was_in && !is_spare))
        };
        let mut servers = header.of_kind(NodeKind::NameServer);
        if !servers.any(|it| is_listed(&header.nodes[it.index()].name)) {
            continue;
        }
        let moved = [
            Some((&list.without, is_in)),
            list.instead.as_ref().map(|it| (it, !is_in)),
        ];
        let moved = moved.into_iter().flatten();
        let moved = moved.filter(|(server, is_in)| is_listed(server) == *is_in);
        let servers = moved.filter_map(|(server, is_in)| Some((address(server)?, is_in)));
        made.push(Change {
            made: Timestamp { at, ms: record.ms },
            node,
            servers: servers.collect(),
        });
    }
    made
}

/// The producer whose list a fault changes, and how.
fn change_of(fault: &Fault) -> Option<(&Name, &NameServerList)> {
    match (&fault.kind, &fault.place) {
        (FaultKind::NameServerList(list), Place::Node(node)) => Some((node, list)),
        _ => None,
    }
}

/// Every change of a list that the run makes.
fn changes_of<'t>(run: &CheckedRun<'t>) -> impl Iterator<Item = (&'t Name, &'t NameServerList)> {
    let records = run.trace.records.iter();
    records.filter_map(|record| match &record.what {
        NodeEvent::Fault(FaultEvent::On { data, .. }) => change_of(data),
        _ => None,
    })
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
    use rmq_remoting::event::CloseCause;

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
            let scene = taken_out().wrong();
            scene.end(TraceEnd::Finished, 30_000)
        }),
        rejects("the server that is put back stays away", || {
            let scene = list(taken_out(), &["10.0.1.2:9876"]).at(20_000);
            let scene = scene.fault_ends(1, "p1").wrong();
            scene.end(TraceEnd::Finished, 30_000)
        }),
        accepts(
            "the connection to the server that is taken out closes, and no other",
            || {
                let scene = changed(&["10.0.1.2:9876"]).close(4, "ns-1", CloseCause::Offline);
                scene.end(TraceEnd::Finished, 30_000)
            },
        ),
        rejects("the connection to the server that stays closes", || {
            let scene = changed(&["10.0.1.1:9876"]).close(4, "ns-1", CloseCause::Offline);
            scene.wrong().end(TraceEnd::Finished, 30_000)
        }),
        rejects(
            "the connection to the server that is taken out stays",
            || {
                changed(&["10.0.1.2:9876"])
                    .wrong()
                    .end(TraceEnd::Finished, 30_000)
            },
        ),
        rejects("another server takes its place, and the list stays", || {
            let scene = list(Scene::new().at(1_000), &["10.0.1.1:9876"]);
            let replaced = FaultKind::NameServerList(NameServerList {
                without: "ns-1".into(),
                instead: Some("ns-2".into()),
            });
            let mut scene = scene.at(10_000).fault(1, replaced, "p1");
            scene.marked = Some(scene.trace.records.len() - 1);
            scene.end(TraceEnd::Finished, 30_000)
        }),
        rejects("the list becomes empty", || list(Scene::new(), &[]).wrong()),
    ];

    /// A producer with a connection to the first name server gets this list.
    fn changed(servers: &[&str]) -> Scene {
        let scene = list(Scene::new().at(0), &["10.0.1.1:9876", "10.0.1.2:9876"]);
        list(scene.open(4, "ns-1").at(10_000), servers)
    }

    /// The program takes the first name server out of the list.
    fn taken_out() -> Scene {
        let scene = list(Scene::new().at(0), &["10.0.1.1:9876", "10.0.1.2:9876"]);
        scene.at(10_000).fault(1, without(), "p1")
    }

    fn without() -> FaultKind {
        FaultKind::NameServerList(NameServerList {
            without: "ns-1".into(),
            instead: None,
        })
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

//! Only the name servers of the list are asked.
//!
//! Whoever takes a name server out of service removes it from the list first; a client that keeps an
//! old one, in a copy of the list or in an open connection, finds out by an outage. So each lookup
//! asks only servers of the list that is in force when it chooses, the list is never empty, and no
//! name server outside of it reads a route request of the producer.

use rmq_remoting::observe::Name;

use super::{Case, Invariant, Judge, Judged, Source};
use crate::trace::NodeId;
use crate::trace::story::Moment;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-32",
    title: "Name-server membership",
    source: Source::Both,
    rate_per_mille: 900,
    judge: Judge::Run(judge),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn judge(case: &Case<'_>, judged: &mut Judged) {
    for (node, moment, servers) in &case.story.lists {
        if servers.is_empty() {
            let who = case.name(*node);
            judged.wrong(*moment, format!("{who} has no name server any more"));
        }
    }
    for lookup in &case.story.lookups {
        for (moment, server) in &lookup.servers {
            let Some(list) = in_force(case, lookup.node, *moment) else {
                continue;
            };
            judged.case();
            if !list.contains(server) {
                let who = case.name(lookup.node);
                let text = format!("{who} asks {server}, which is not in its list");
                judged.wrong(*moment, text);
            }
        }
    }
    for asked in &case.story.asked {
        let Some(index) = case.story.connection_from(asked.peer) else {
            continue;
        };
        let connection = &case.story.connections[index];
        // What was written before the list changed may arrive now.
        let slack_ms = case.header().slack_ms;
        let asked_ms = asked.moment.ms;
        let lately = case.story.lists.iter().filter(|(node, moment, _)| {
            *node == connection.node
                && moment.ms <= asked_ms
                && moment.ms.saturating_add(slack_ms) >= asked_ms
        });
        let list = in_force(case, connection.node, asked.moment).into_iter();
        let known = |list: &[Name]| list.contains(connection.to);
        // So may what a server reads late.
        let before = |(_, at): &(i32, Moment)| {
            in_force(case, connection.node, *at).is_none_or(|list| list.contains(connection.to))
        };
        let changing = lately.count() > 0 || connection.written.last().is_some_and(before);
        if list.into_iter().any(|list| !known(list)) && !changing {
            let (who, server) = (case.name(connection.node), case.name(asked.server));
            let text = format!("{server} reads a route request of {who}, not being in its list");
            judged.wrong(asked.moment, text);
        }
    }
}

/// The list of a producer at some moment.
pub(super) fn in_force<'t>(case: &Case<'t>, node: NodeId, moment: Moment) -> Option<&'t [Name]> {
    let mut lists = case.story.lists.iter().rev();
    let list = lists.find(|(at, since, _)| *at == node && *since <= moment);
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

//! Name servers are asked no more than needed.
//!
//! A topic's refreshes are a period apart on the average, each lookup asks each name server once at
//! most (the last one a second time, if it says nothing for long and the policy has second
//! connections), and no name server reads more route requests of a producer than its lookups explain.

use rmq_producer::event::LookupReason;
use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source};
use crate::trace::history::{Asked, LookupHistory};
use crate::trace::{NodeId, NodeKind};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-33",
    title: "Name-server load",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let lookups = &run.history.lookups;
    for lookup in lookups {
        report.exercised();
        let mut servers = asked_once(run, lookup);
        servers.sort_unstable();
        let twice = servers.windows(2).any(|pair| pair[0] == pair[1]);
        if let (true, Some((last, _))) = (twice, lookup.servers.last()) {
            let (who, topic) = (run.name(lookup.node), lookup.topic);
            let text = format!("{who} asks a name server twice in one lookup of {topic}");
            report.wrong(*last, text);
        }
    }
    for (index, lookup) in lookups.iter().enumerate() {
        if lookup.reason == LookupReason::Poll {
            polls(run, lookup, &lookups[..index], report);
        }
    }
    for producer in run.header().of_kind(NodeKind::Producer) {
        explained(run, producer, report);
    }
}

/// This poll is not one more than the periods since the first one allow.
/// The servers of a lookup, without one that was asked again because it was silent. That is the last
/// one, unless the list of name servers changed meanwhile.
fn asked_once<'t>(run: &CheckedRun<'_>, lookup: &LookupHistory<'t>) -> Vec<&'t Name> {
    let mut all: Vec<&Name> = lookup.servers.iter().map(|(_, server)| *server).collect();
    let allowed = run
        .policy(lookup.node)
        .is_some_and(|it| it.second_connections);
    let again = lookup.servers.windows(2).position(|pair| {
        let [(first, server), (again, same)] = pair else {
            return false;
        };
        server == same && again.ms >= first.ms + LEAST_SILENCE_MS
    });
    if let Some(again) = again.filter(|_| allowed) {
        all.remove(again);
    }
    all
}

/// A name server that is asked a second time was silent for so long at least, in milliseconds.
const LEAST_SILENCE_MS: u64 = 50;

fn polls(
    run: &CheckedRun<'_>,
    poll: &LookupHistory<'_>,
    earlier: &[LookupHistory<'_>],
    report: &mut CheckReport,
) {
    let Some(policy) = run.policy(poll.node) else {
        return;
    };
    let mut before = earlier.iter().filter(|it| {
        it.reason == LookupReason::Poll && it.node == poll.node && it.topic == poll.topic
    });
    let Some(first) = before.next() else { return };
    let count = u64::try_from(before.count())
        .unwrap_or(u64::MAX)
        .saturating_add(2);
    let since = poll.started.ms - first.started.ms;
    let restarted = run
        .truth
        .was_gone(poll.node, first.started.ms, poll.started.ms);
    // One may come early: a producer that ran late catches up.
    let allowed = since
        .checked_div(policy.poll_ms)
        .unwrap_or(u64::MAX)
        .saturating_add(2);
    if count > allowed && !restarted {
        let (who, topic) = (run.name(poll.node), poll.topic);
        report.wrong(
            poll.started,
            format!("{who} polls {topic} {count} times in {since} ms"),
        );
    }
}

fn explained(run: &CheckedRun<'_>, producer: NodeId, report: &mut CheckReport) {
    let lookups = run
        .history
        .lookups
        .iter()
        .filter(|lookup| lookup.node == producer);
    let chosen: usize = lookups.map(|lookup| lookup.servers.len()).sum();
    let of_producer = |asked: &&Asked<'_>| {
        let connection = run.history.connection_from(asked.peer);
        connection.is_some_and(|index| run.history.connections[index].node == producer)
    };
    if let Some(asked) = run.history.asked.iter().filter(of_producer).nth(chosen) {
        let (who, server) = (run.name(producer), run.name(asked.server));
        let text = format!("{server} reads a route request of {who} that no lookup made");
        report.wrong(asked.timestamp, text);
    }
}

#[cfg(test)]
mod tests {
    use rmq_mock_namesrv::event::Event as NameServerEvent;
    use rmq_producer::event::Event;
    use rmq_remoting::code::request;

    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    use super::*;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a poll each period", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            scene.at(60_000).lookup(3, LookupReason::Poll)
        }),
        accepts("each lookup is read once", || {
            read(
                read(Scene::new().open(4, "ns-1"), 4).lookup(2, LookupReason::FailedAttempt),
                4,
            )
        }),
        rejects("polls follow each other at once", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            let scene = scene.at(30_100).lookup(3, LookupReason::Poll).at(30_200);
            let (topic, reason) = ("orders".into(), LookupReason::Poll);
            scene
                .say(Event::Lookup {
                    lookup: 4.into(),
                    topic,
                    reason,
                })
                .wrong()
        }),
        rejects("a lookup asks one server twice", || {
            let server = "10.0.1.1:9876".into();
            Scene::new()
                .say(Event::NameServerChosen {
                    lookup: 1.into(),
                    server,
                })
                .wrong()
        }),
        accepts("a silent name server is asked once more", || {
            let server = "10.0.1.1:9876".into();
            let scene = Scene::new().at(1_500);
            scene.say(Event::NameServerChosen {
                lookup: 1.into(),
                server,
            })
        }),
        rejects(
            "a client without second connections asks it once more",
            || {
                let server = "10.0.1.1:9876".into();
                let scene = Scene::new().facts(|it| it.policies[0].second_connections = false);
                let scene = scene.at(1_500);
                scene
                    .say(Event::NameServerChosen {
                        lookup: 1.into(),
                        server,
                    })
                    .wrong()
            },
        ),
        rejects("a name server is asked without a lookup", || {
            read(read(Scene::new().open(4, "ns-1"), 4), 4).wrong()
        }),
    ];

    fn read(scene: Scene, connection: u64) -> Scene {
        let event = NameServerEvent::Received {
            request: 1,
            peer: scene.local(connection),
            code: request::GET_ROUTEINFO_BY_TOPIC,
            opaque: 1,
            topic: Some("orders".into()),
        };
        scene.name_server("ns-1", event)
    }
}

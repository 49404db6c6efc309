//! A published route is a value: whole, without duplicates, from one answer.
//!
//! A route put together from two answers, or published under a number that is in use, makes every
//! later choice unexplainable. (That a choice is in the route it names is INV-14.) And it says what the
//! answer said: the writable queues of every broker that has a master, at the master's address, as one of
//! the name servers that were asked knew them meanwhile. Of a topic that is to be made, as many queues
//! as the default topic has there, and no more than the policy says. Of an ordered topic, the queues that its
//! operator has written down; of a static one none, as its brokers would refuse what is sent to their own queues.

use rmq_producer::event::{LookupEnd, LookupReason};
use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{LookupHistory, SnapshotHistory, Timestamp, WidthSource};
use crate::trace::{NodeId, NodeKind};
use crate::truth::Condition;

mod forms;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-15",
    title: "Snapshots are values",
    source: Source::ClientEvents,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side("comes from no lookup", &["a poll brings another route"]),
        side(
            "comes from a lookup that ended …",
            &["a poll brings another route"],
        ),
        side(
            "has a number that is in use",
            &[
                "another process of the node numbers from the start",
                "a poll brings another route",
            ],
        ),
        side(
            "has another address of … than the answer",
            &["a route is as the name server knows it"],
        ),
        side(
            "has queues of …, and the answer none",
            &["a name server that lies may say anything"],
        ),
        side(
            "has … queues of …, and the answer …",
            &["a route is as the name server knows it"],
        ),
        side("has … twice", &["a poll brings another route"]),
        side(
            "has … queues of …, and its operator wrote … down",
            &["an ordered topic has the queues that are written down"],
        ),
        side("is of a static topic", &["a static topic has no route"]),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let snapshots = &run.history.snapshots;
    for (index, snapshot) in snapshots.iter().enumerate() {
        report.exercised();
        if let Some(text) = defect(run, snapshot, &snapshots[..index]) {
            let (who, number) = (run.name(snapshot.node), snapshot.number);
            report.wrong(
                snapshot.timestamp,
                format!("route {number} of {who} {text}"),
            );
        }
    }
}

fn defect(
    run: &CheckedRun<'_>,
    snapshot: &SnapshotHistory<'_>,
    earlier: &[SnapshotHistory<'_>],
) -> Option<String> {
    let mut queues: Vec<_> = snapshot.queues.all().iter().collect();
    queues.sort_unstable();
    if let Some(twice) = queues.windows(2).find(|pair| pair[0] == pair[1]) {
        return Some(format!("has {}/{} twice", twice[0].broker, twice[0].queue));
    }
    let alike = |it: &SnapshotHistory<'_>| {
        (it.node, it.number) == (snapshot.node, snapshot.number)
            && run.is_one_process(it.node, it.timestamp, snapshot.timestamp)
    };
    if earlier.iter().any(alike) {
        return Some("has a number that is in use".to_owned());
    }
    let Some(lookup) = snapshot.lookup.map(|index| &run.history.lookups[index]) else {
        return Some("comes from no lookup".to_owned());
    };
    match lookup.ended {
        Some((_, LookupEnd::Changed)) | None => {
            forms::defect(run, snapshot, lookup).or_else(|| as_answered(run, snapshot, lookup))
        }
        Some((_, end)) => Some(format!("comes from a lookup that ended {end:?}")),
    }
}

/// What a route says otherwise than every name server that was asked.
fn as_answered(
    run: &CheckedRun<'_>,
    snapshot: &SnapshotHistory<'_>,
    lookup: &LookupHistory<'_>,
) -> Option<String> {
    let mut before = run
        .history
        .index
        .routes(snapshot.node, snapshot.topic)
        .iter();
    let known = before.any(|it| run.history.snapshots[*it].timestamp < snapshot.timestamp);
    if known && lookup.reason == LookupReason::DefaultTopic {
        // It may tell where the topic's brokers are now, and changes no queue: INV-29.
        return None;
    }
    let mut candidates = Vec::new();
    for (_, address) in &lookup.servers {
        let server = run.header().of_kind(NodeKind::NameServer).find(|node| {
            let info = &run.header().nodes[node.index()];
            info.address.as_ref() == Some(*address)
        })?;
        let (from, to) = (lookup.started, snapshot.timestamp);
        // One that lies, or cannot answer in order, says anything.
        let truth = run.truth.worst(snapshot.node, server, from.ms, to.ms);
        if truth != Condition::Healthy || run.truth.answered_as_of(from.ms, to.ms) != to.ms {
            return None;
        }
        let told = run.history.widths.iter().filter(|news| {
            matches!(news.source, WidthSource::Route(at, _) if at == server)
                && news.topic == lookup.topic
        });
        let masters = run.history.masters.iter().filter(|it| it.server == server);
        let turns = told.map(|news| news.timestamp);
        let turns = turns.chain(masters.map(|it| it.timestamp));
        let turns = turns.filter(|at| *at > from && *at <= to);
        candidates.extend(turns.chain([from]).map(|at| (server, at)));
    }
    let differs =
        |(server, at): &(NodeId, Timestamp)| difference(run, snapshot, lookup, (*server, *at));
    let mut all = candidates.iter().map(differs);
    let first = all.next()??;
    all.all(|it| it.is_some()).then_some(first)
}

/// What a route says otherwise than one name server at some moment; none of one that says nothing.
fn difference(
    run: &CheckedRun<'_>,
    snapshot: &SnapshotHistory<'_>,
    lookup: &LookupHistory<'_>,
    (server, at): (NodeId, Timestamp),
) -> Option<String> {
    let answer = run.history.route_at(server, lookup.topic, at);
    if answer.is_empty() {
        return None;
    }
    let borrowed = lookup.reason == LookupReason::DefaultTopic;
    let policy = run.policy(snapshot.node)?;
    let most = usize::try_from(policy.default_topic_queues).unwrap_or(usize::MAX);
    for (broker, queues) in answer {
        let master = run.history.master_at(server, broker, at);
        let all = usize::try_from(*queues).unwrap_or(0);
        let all = if borrowed { all.min(most) } else { all };
        let all = if master.is_some() { all } else { 0 };
        let mut known = snapshot.queues.brokers().iter();
        let has = known
            .find(|(name, _)| *name == broker)
            .map_or(0, |(_, has)| *has);
        if has != all {
            return Some(format!(
                "has {has} queues of {broker}, and the answer {all}"
            ));
        }
        let mut addresses = snapshot.addresses.iter();
        let address = addresses.find(|(name, _)| name == broker).map(|(_, at)| at);
        if all > 0 && address != master {
            return Some(format!("has another address of {broker} than the answer"));
        }
    }
    let foreign = |name: &&Name| !answer.iter().any(|(broker, _)| broker == *name);
    let stays = |name: &&Name| {
        borrowed || !run.may_be_made(snapshot.node, snapshot.topic, name, snapshot.timestamp)
    };
    let mut names = snapshot.queues.names();
    let foreign = names.find(|name| foreign(name) && stays(name))?;
    Some(format!("has queues of {foreign}, and the answer none"))
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, LookupReason};

    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use rmq_mock_namesrv::event::Event as NameServerEvent;

    use crate::fault::{FaultKind, OddRoute, Rule, RuleAction};
    use crate::trace::{NodeEvent, WorkEvent};
    use rmq_remoting::code::request;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a poll brings another route", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            scene.found(2, 2, &["a/0", "b/0"])
        }),
        rejects("a queue is there twice", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            scene.found(2, 2, &["a/0", "a/0"]).wrong()
        }),
        rejects("a number is used again", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            scene.found(2, 1, &["a/0"]).wrong()
        }),
        rejects("a route without a lookup", || {
            Scene::new().found(9, 2, &["a/0"]).wrong()
        }),
        accepts("a route is as the name server knows it", || {
            told(2)
                .lookup(2, LookupReason::Poll)
                .found(2, 2, &["a/0", "a/1"])
        }),
        rejects(
            "a route has a queue that the name server does not know",
            || {
                let scene = told(1).lookup(2, LookupReason::Poll);
                scene.found(2, 2, &["a/0", "a/1"]).wrong()
            },
        ),
        rejects("a route lacks a queue that the name server knows", || {
            let scene = told(3).lookup(2, LookupReason::Poll);
            scene.found(2, 2, &["a/0", "a/1"]).wrong()
        }),
        rejects(
            "a route has a broker that the name server does not know",
            || {
                let scene = told(1).lookup(2, LookupReason::Poll);
                scene.found(2, 2, &["a/0", "b/0"]).wrong()
            },
        ),
        rejects("a route has a broker without a master", || {
            let scene = told(1).name_server("ns-1", added("broker-a", 1)).at(30_001);
            let scene = scene.lookup(2, LookupReason::Poll);
            scene.found(2, 2, &["a/0"]).wrong()
        }),
        rejects(
            "a route has an address that the name server does not know",
            || {
                let scene = told(1).lookup(2, LookupReason::Poll);
                let scene = scene.found(2, 2, &["a/0"]).change(|what| {
                    if let NodeEvent::Producer(Event::Snapshot { addresses, .. }) = what {
                        *addresses = [("broker-a".into(), "10.9.9.9:1".into())].into();
                    }
                });
                scene.wrong()
            },
        ),
        accepts("another process of the node numbers from the start", || {
            let scene = Scene::new().at(30_000).work(WorkEvent::ProcessEnded);
            let scene = scene.lookup(1, LookupReason::FirstSend);
            scene.found(1, 1, &["a/0"])
        }),
        accepts("a name server that lies may say anything", || {
            let scene = told(1).fault(1, FaultKind::Freeze, "ns-1");
            scene.lookup(2, LookupReason::Poll).found(2, 2, &["b/0"])
        }),
        accepts(
            "an ordered topic has the queues that are written down",
            || formed(OddRoute::Ordered, &["a/0", "a/1"]),
        ),
        rejects("an ordered topic has all queues of its brokers", || {
            formed(OddRoute::Ordered, &["a/0", "a/1", "a/2", "a/3"]).wrong()
        }),
        accepts("a static topic has no route", || {
            asked_in(OddRoute::Static).say(Event::LookupEnded {
                lookup: 2.into(),
                end: LookupEnd::Unusable(String::new()),
            })
        }),
        rejects("a static topic has a route", || {
            formed(OddRoute::Static, &["a/0", "a/1", "a/2", "a/3"]).wrong()
        }),
        rejects("a failed lookup brings a route", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            let scene = scene.say(Event::LookupEnded {
                lookup: 2.into(),
                end: LookupEnd::NotExist,
            });
            let scene = scene.found(1, 2, &["a/0"]).change(|what| {
                if let NodeEvent::Producer(Event::Snapshot { lookup, .. }) = what {
                    *lookup = 2.into();
                }
            });
            scene.wrong()
        }),
    ];

    /// The first name server answers a poll with a route in some form.
    fn asked_in(form: OddRoute) -> Scene {
        let rule = Rule::of(Rule::default_codes(false), RuleAction::OddRoute(form));
        let scene = told(4)
            .open(4, "ns-1")
            .fault(1, FaultKind::Rule(rule), "ns-1");
        let scene = scene.lookup(2, LookupReason::Poll);
        let (peer, request) = (scene.local(4), 7);
        let events = [
            NameServerEvent::Received {
                request,
                peer,
                code: request::GET_ROUTEINFO_BY_TOPIC,
                opaque: 7,
                topic: Some("orders".into()),
            },
            NameServerEvent::Ruled {
                request,
                rule: "fault 1".into(),
            },
            NameServerEvent::Answered { request, code: 0 },
        ];
        let said = |scene: Scene, event| scene.name_server("ns-1", event);
        events.into_iter().fold(scene, said)
    }

    fn formed(form: OddRoute, queues: &[&str]) -> Scene {
        asked_in(form).found(2, 2, queues)
    }

    fn added(broker: &str, id: i64) -> NameServerEvent {
        NameServerEvent::BrokerAdded {
            broker: broker.into(),
            id,
            address: match broker {
                "broker-a" => "10.0.2.1:10911".into(),
                _ => "10.0.2.2:10911".into(),
            },
        }
    }

    /// The first name server knows of so many queues of one broker.
    fn told(queues: i32) -> Scene {
        let scene = Scene::new()
            .at(29_000)
            .name_server("ns-1", added("broker-a", 0));
        let route = NameServerEvent::RouteChanged {
            topic: "orders".into(),
            write_queues: vec![("broker-a".into(), queues)],
        };
        scene.name_server("ns-1", route).at(30_000)
    }
}

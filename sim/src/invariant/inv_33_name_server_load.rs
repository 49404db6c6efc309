//! Name servers are asked no more than needed.
//!
//! A topic's refreshes are a period apart on the average, each lookup asks each name server once at
//! most (the last one a second time, if it says nothing for long and the policy has second
//! connections), and no name server reads more route requests of a producer than its lookups explain.
//! What a failed attempt asks for keeps its distance from the lookup before it, and follows from a send; a
//! send asks for a topic that has no route. And the other way round: an attempt whose end says that the
//! route may be old is followed by a lookup, unless one was made a moment ago.

use rmq_producer::event::{LookupReason, Stage};
use rmq_remoting::code::response;
use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{Asked, AttemptHistory, EndedAttempt, LookupHistory, SendHistory};
use crate::trace::{NodeId, NodeKind};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-33",
    title: "Name-server load",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side("polls … times in … ms", &["a poll each period"]),
        side(
            "looks … up for a send, and has its route",
            &[
                "a poll each period",
                "a topic that nobody sent to is forgotten",
            ],
        ),
        side(
            "looks … up for a failed attempt, and no send goes on",
            &["a failed attempt looks the topic up"],
        ),
        side(
            "looks … up again after … ms for a failed attempt",
            &["the topic was looked up a moment before"],
        ),
        side(
            "ends …, and … is not looked up",
            &[
                "a failed attempt looks the topic up",
                "the topic was looked up a moment before",
                "a client that stands still is stopped before it looks up",
            ],
        ),
        side(
            "asks a name server twice in one lookup of …",
            &[
                "a silent name server is asked once more",
                "the last ones of two lists are asked once more each",
            ],
        ),
        side(
            "reads a route request of … that no lookup made",
            &["each lookup is read once"],
        ),
    ],
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
        match lookup.reason {
            LookupReason::Poll => polls(run, lookup, &lookups[..index], report),
            LookupReason::FailedAttempt => spaced(run, lookup, &lookups[..index], report),
            LookupReason::FirstSend => needed(run, lookup, report),
            LookupReason::DefaultTopic => {}
        }
    }
    for (send, attempt) in run.attempts() {
        refreshes(run, send, attempt, report);
    }
    for producer in run.header().of_kind(NodeKind::Producer) {
        explained(run, producer, report);
    }
}

/// A lookup that a failed attempt asks for keeps its distance from any other of its topic, and some send of
/// the topic has just failed or goes on.
fn spaced(
    run: &CheckedRun<'_>,
    lookup: &LookupHistory<'_>,
    earlier: &[LookupHistory<'_>],
    report: &mut CheckReport,
) {
    let Some(policy) = run.policy(lookup.node) else {
        return;
    };
    let same = |it: &&LookupHistory<'_>| it.node == lookup.node && it.topic == lookup.topic;
    let (who, topic) = (run.name(lookup.node), lookup.topic);
    let restarted = |from| run.truth.was_gone(lookup.node, from, lookup.started.ms);
    if let Some(last) = earlier.iter().rev().find(same)
        && lookup.started.ms < last.started.ms.saturating_add(policy.refresh_spacing_ms)
        && !restarted(last.started.ms)
        // One that runs late tells late that it has asked.
        && run.truth.thaw(lookup.node, last.started.ms, lookup.started.ms).is_none()
    {
        let since = lookup.started.ms - last.started.ms;
        let text = format!("{who} looks {topic} up again after {since} ms for a failed attempt");
        report.wrong(lookup.started, text);
    }
    let mut sends = run.history.sends.iter();
    let goes_on = sends.any(|send| {
        let ours = send.node == lookup.node && send.topic == lookup.topic;
        // One that runs late tells late that it has asked.
        let over = send
            .over()
            .map_or(u64::MAX, |over| run.due(send.node, over.ms, 0));
        ours && send.called <= lookup.started && over >= lookup.started.ms
    });
    if !goes_on {
        let text = format!("{who} looks {topic} up for a failed attempt, and no send goes on");
        report.wrong(lookup.started, text);
    }
}

/// A send's own lookup is of a topic that has no route yet, or that is forgotten because no send needed it.
fn needed(run: &CheckedRun<'_>, lookup: &LookupHistory<'_>, report: &mut CheckReport) {
    let route = run
        .history
        .in_force(lookup.node, lookup.topic, lookup.started);
    let usable = route.filter(|index| !run.history.snapshots[*index].queues.is_empty());
    let published = usable.map(|index| run.history.snapshots[index].timestamp.ms);
    let forgets = |from| run.truth.was_gone(lookup.node, from, lookup.started.ms);
    let forgotten = run.may_have_forgotten(lookup.node, lookup.topic, lookup.started);
    if published.is_some_and(|at| !forgets(at)) && !forgotten {
        let (who, topic) = (run.name(lookup.node), lookup.topic);
        let text = format!("{who} looks {topic} up for a send, and has its route");
        report.wrong(lookup.started, text);
    }
}

/// An attempt that ended as with an old route is followed by a lookup, unless there was one lately.
fn refreshes(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    report: &mut CheckReport,
) {
    let Some(policy) = run
        .policy_of(send.producer())
        .filter(|it| it.refreshes_on_failure)
    else {
        return;
    };
    let says_old = |end: &EndedAttempt| match end.stage {
        Stage::Address | Stage::Dial | Stage::Lost => true,
        Stage::Refused => end.code == Some(response::TOPIC_NOT_EXIST),
        _ => false,
    };
    let Some(end) = attempt.ended.filter(says_old) else {
        return;
    };
    // What ends with its send, or because its producer stops, asks for nothing any more.
    let over = send.over().is_some_and(|over| over < end.timestamp);
    let due = run.due(send.node, end.timestamp.ms, 0);
    // The lookup of a client that stands still begins when it runs again, if it is not stopped before.
    let stands = run
        .truth
        .thaw(send.node, end.timestamp.ms, end.timestamp.ms);
    let stopped_by = stands.map_or(end.timestamp.ms, |_| due);
    let stops = run.stops(send.node).any(|at| at.ms <= stopped_by);
    if over
        || stops
        || due >= run.trace.end_ms
        || run.truth.was_gone(send.node, end.timestamp.ms, due)
    {
        return;
    }
    report.exercised();
    let from = end.timestamp.ms.saturating_sub(policy.refresh_spacing_ms);
    let mut lookups = run.history.lookups.iter();
    let asks = lookups.any(|it| {
        // A lookup of a topic that does not exist goes on with that of the default topic.
        let ours = it.topic == send.topic || it.reason == LookupReason::DefaultTopic;
        let same = it.node == send.node && ours;
        let ended = it.ended.map_or(u64::MAX, |(ended, _)| ended.ms);
        let lately = (from..=due).contains(&it.started.ms);
        let under_way = it.started.ms <= due && ended >= end.timestamp.ms;
        same && (lately || under_way)
    });
    if !asks {
        let (who, number, k) = (run.name(send.node), send.number, attempt.number);
        let (stage, topic) = (end.stage, send.topic);
        let text = format!("{who} s{number} #{k} ends {stage:?}, and {topic} is not looked up");
        report.wrong(end.timestamp, text);
    }
}

/// The servers of a lookup, without those that were asked again because they were silent. That is the last
/// one of the list, and of each list that came in force meanwhile.
fn asked_once<'t>(run: &CheckedRun<'_>, lookup: &LookupHistory<'t>) -> Vec<&'t Name> {
    let mut all: Vec<&Name> = lookup.servers.iter().map(|(_, server)| *server).collect();
    let allowed = run
        .policy(lookup.node)
        .is_some_and(|it| it.second_connections);
    let ended = lookup.ended.map_or(run.end(), |(at, _)| at);
    let mut lists = run.history.lists.iter();
    let lists = lists
        .by_ref()
        .filter(|(node, at, _)| *node == lookup.node && *at > lookup.started && *at <= ended);
    let mut left = if allowed { 1 + lists.count() } else { 0 };
    for place in (1..lookup.servers.len()).rev() {
        let [(first, server), (again, same)] = [lookup.servers[place - 1], lookup.servers[place]];
        if left > 0 && server == same && again.ms >= first.ms + LEAST_SILENCE_MS {
            all.remove(place);
            left -= 1;
        }
    }
    all
}

/// A name server that is asked a second time was silent for so long at least, in milliseconds.
const LEAST_SILENCE_MS: u64 = 50;

/// This poll is not one more than the periods since the first one allow.
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
    // One may come early: a producer that ran late catches up. So may a second one: a poll waits for the lookups
    // of sends that fail, and the next one comes in its own time.
    let early = 3;
    let allowed = since
        .checked_div(policy.poll_ms)
        .unwrap_or(u64::MAX)
        .saturating_add(early);
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

    use crate::fault::FaultKind;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    use super::*;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a poll each period", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            scene.at(60_000).lookup(3, LookupReason::Poll)
        }),
        accepts("a topic that nobody sent to is forgotten", || {
            let scene = Scene::new().facts(|it| it.policies[0].forget_ms = 12_000);
            scene.at(20_000).call(1).lookup(2, LookupReason::FirstSend)
        }),
        accepts("each lookup is read once", || {
            read(
                read(Scene::new().open(4, "ns-1"), 4)
                    .at(2_000)
                    .call(1)
                    .lookup(2, LookupReason::FailedAttempt),
                4,
            )
        }),
        accepts("a failed attempt looks the topic up", || {
            lost().lookup(2, LookupReason::FailedAttempt)
        }),
        accepts(
            "a client that stands still is stopped before it looks up",
            || {
                let scene = Scene::new().at(1_900).fault(1, FaultKind::Freeze, "p1");
                let scene = lost_after(scene).at(3_000).stopping().stopped();
                scene
                    .at(9_000)
                    .fault_ends(1, "p1")
                    .at(12_000)
                    .lookup(2, LookupReason::Poll)
            },
        ),
        rejects("a client that stood still never looks the topic up", || {
            let scene = Scene::new().at(1_900).fault(1, FaultKind::Freeze, "p1");
            let scene = lost_after(scene).wrong().at(9_000).fault_ends(1, "p1");
            scene.at(12_000).stopping().stopped()
        }),
        rejects("a failed attempt does not look the topic up", || {
            lost().wrong().at(9_000).call(2)
        }),
        rejects("a broker has no address, and nobody asks for one", || {
            let scene = Scene::new()
                .at(2_000)
                .call(1)
                .attempt(1, 1, "a/0")
                .at(2_001);
            let scene = scene.ended(1, 1, Stage::Address, None).wrong();
            scene.at(9_000).call(2)
        }),
        accepts("the topic was looked up a moment before", || {
            let scene = Scene::new().at(1_900).lookup(2, LookupReason::Poll);
            lost_after(scene).at(9_000).call(2)
        }),
        rejects("two failed attempts ask one after the other", || {
            let scene = lost().lookup(2, LookupReason::FailedAttempt).at(2_300);
            again(scene, LookupReason::FailedAttempt)
        }),
        rejects("a lookup for a failed attempt, and nobody sends", || {
            again(Scene::new().at(5_000), LookupReason::FailedAttempt)
        }),
        rejects("a send looks up what is known", || {
            again(Scene::new().at(5_000).call(1), LookupReason::FirstSend)
        }),
        rejects("polls follow each other at once", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            let scene = scene.at(30_100).lookup(3, LookupReason::Poll);
            let scene = scene.at(30_150).lookup(5, LookupReason::Poll).at(30_200);
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
            chosen(Scene::new(), "10.0.1.1:9876").wrong()
        }),
        accepts("a silent name server is asked once more", || {
            chosen(Scene::new().at(1_500), "10.0.1.1:9876")
        }),
        accepts(
            "the last ones of two lists are asked once more each",
            || {
                let servers: Vec<Name> = vec!["10.0.1.1:9876".into(), "10.0.1.2:9876".into()];
                let servers = servers.into();
                let scene = asked_again().say(Event::NameServers { servers });
                both_again(scene)
            },
        ),
        rejects("two are asked once more in one list", || {
            both_again(asked_again()).wrong()
        }),
        rejects(
            "a client without second connections asks it once more",
            || {
                let scene = Scene::new().facts(|it| it.policies[0].second_connections = false);
                chosen(scene.at(1_500), "10.0.1.1:9876").wrong()
            },
        ),
        rejects("a name server is asked without a lookup", || {
            read(read(Scene::new().open(4, "ns-1"), 4), 4).wrong()
        }),
    ];

    /// The first lookup asks this name server.
    fn chosen(scene: Scene, server: &str) -> Scene {
        chosen_by(1, scene, server)
    }

    /// A poll asks the only name server of its list a second time.
    fn asked_again() -> Scene {
        let scene = Scene::new().at(1_500).lookup(4, LookupReason::Poll);
        chosen_by(4, scene.at(3_000), "10.0.1.1:9876")
    }

    /// It asks another one twice.
    fn both_again(scene: Scene) -> Scene {
        let scene = chosen_by(4, scene, "10.0.1.2:9876");
        chosen_by(4, scene.at(4_000), "10.0.1.2:9876")
    }

    fn chosen_by(lookup: u64, scene: Scene, server: &str) -> Scene {
        scene.say(Event::NameServerChosen {
            lookup: lookup.into(),
            server: server.into(),
        })
    }

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

    /// An attempt loses its connection.
    fn lost() -> Scene {
        lost_after(Scene::new())
    }

    fn lost_after(scene: Scene) -> Scene {
        let scene = scene.at(2_000).call(1).attempt(1, 1, "a/0").at(2_100);
        scene.ended(1, 1, Stage::Lost, None)
    }

    /// A lookup for this reason, which is wrong.
    fn again(scene: Scene, reason: LookupReason) -> Scene {
        let topic = "orders".into();
        let lookup = 9.into();
        scene
            .say(Event::Lookup {
                lookup,
                topic,
                reason,
            })
            .wrong()
    }
}

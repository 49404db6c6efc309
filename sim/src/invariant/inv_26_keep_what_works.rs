//! A route that works is not thrown away.
//!
//! No failed or empty answer replaces a usable route; and while the brokers of the route are
//! healthy, whatever the name servers do fails no send.

use rmq_producer::event::{Failure, Outcome, Stage};
use rmq_remoting::event::CloseCause;
use rmq_remoting::observe::Name;

use super::inv_08_liveness::outlived_its_peer;
use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::SendHistory;
use crate::trace::{Form, NodeKind};
use crate::truth::{Condition, Scope};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-26",
    title: "Keep what works",
    source: Source::Truth,
    rate_per_mille: 20,
    checker: Checker::Run(check),
    sides: &[
        side(
            "replaces its route of … by none",
            &[
                "a failed answer changes nothing",
                "a broker of 4.9 has fewer queues than the default topic",
            ],
        ),
        side(
            "fails, although every broker of its route is healthy",
            &["sends go on while the name servers are down"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// How long brokers must have been healthy: what a fault held back may arrive this much later.
const RECOVERY_MS: u64 = 10_000;

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let snapshots = &run.history.snapshots;
    for (index, snapshot) in snapshots.iter().enumerate() {
        let same = run.history.index.routes(snapshot.node, snapshot.topic);
        let before = same.partition_point(|it| *it < index).checked_sub(1);
        let last = before.map(|at| &snapshots[same[at]]);
        if snapshot.queues.is_empty() && last.is_some_and(|last| !last.queues.is_empty()) {
            let (who, topic) = (run.name(snapshot.node), snapshot.topic);
            report.wrong(
                snapshot.timestamp,
                format!("{who} replaces its route of {topic} by none"),
            );
        }
    }
    let ill = name_servers_were_ill(run);
    for send in run.history.sends.iter().filter(|_| ill) {
        sends_go_on(run, send, report);
    }
}

/// Whether any fault concerned a name server.
fn name_servers_were_ill(run: &CheckedRun<'_>) -> bool {
    let of_name_server = |node| {
        let info = run.header().nodes.get(crate::trace::NodeId::index(node));
        info.is_some_and(|info| info.kind == NodeKind::NameServer)
    };
    run.truth
        .intervals()
        .iter()
        .any(|interval| match interval.scope {
            Scope::Node(node) => of_name_server(node),
            Scope::Pair(a, b) => of_name_server(a) || of_name_server(b),
        })
}

fn sends_go_on(run: &CheckedRun<'_>, send: &SendHistory<'_>, report: &mut CheckReport) {
    let Some((done, outcome)) = send.done.first() else {
        return;
    };
    let Some(route) = run.history.in_force(send.node, send.topic, send.called) else {
        return;
    };
    let snapshot = &run.history.snapshots[route];
    // A broker may have moved while a name server did not hear of it.
    let since = send.called.ms.min(run.as_of(route));
    let since = since.saturating_sub(RECOVERY_MS);
    let is_healthy = |name: &Name| {
        let node = run.header().node(name);
        node.is_some_and(|node| {
            // What was done to a connection may show only with the next answer on it.
            let dialled = run.dialled(send.node, node, *done);
            let since = dialled.map_or(since, |dialled| dialled.ms.min(since));
            let worst = run.worst_for(send, node, (since, done.ms));
            worst == Condition::Healthy && !outlived_its_peer(run, send, (route, name), node)
        })
    };
    let healthy = match send.target_queue {
        // The route promises nothing of a queue that it does not have.
        Some(target_queue) => {
            snapshot.queues.contains(target_queue) && is_healthy(&target_queue.broker)
        }
        None => {
            let queues = &snapshot.queues;
            !queues.is_empty() && queues.names().all(is_healthy)
        }
    };
    if !healthy {
        return;
    }
    report.exercised();
    let Outcome::Failed(failure) = outcome else {
        return;
    };
    let own = matches!(
        failure,
        Failure::Invalid | Failure::NotRunning | Failure::BackPressure | Failure::Closed
    );
    let excused = run.no_such_queue(send)
        || run.waited_for_others(send)
        || run.asks_for_a_delay(send)
        || cut_by_another(run, send);
    if !own && !excused {
        let (who, number) = (run.name(send.node), send.number);
        let text = format!("{who} s{number} fails, although every broker of its route is healthy");
        report.wrong(*done, text);
    }
}

/// Whether the last attempt lost its connection to another request's timeout, as with RocketMQ's policies.
fn cut_by_another(run: &CheckedRun<'_>, send: &SendHistory<'_>) -> bool {
    let Some((attempt, end)) = send.attempts.last().and_then(|it| Some((it, it.ended?))) else {
        return false;
    };
    let mut connections = run.history.connections.iter();
    let cut = connections.any(|connection| {
        let own = connection.node == send.node && Some(connection.to) == attempt.address;
        let closed = connection
            .closed
            .filter(|(at, _)| at.ms == end.timestamp.ms);
        own && closed.is_some_and(|(_, cause)| cause == CloseCause::CallTimedOut)
    });
    let strict = run
        .policy_of(send.producer())
        .is_some_and(|it| it.form == Form::Strict);
    end.stage == Stage::Lost && cut && !strict
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, LookupEnd, LookupReason};
    use rmq_remoting::profile::Profile;

    use super::*;
    use crate::fault::{Crash, FaultKind};
    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("sends go on while the name servers are down", || {
            down().at(40_000).whole(1, "a/0")
        }),
        accepts("a failed answer changes nothing", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            let scene = scene.say(Event::LookupEnded {
                lookup: 2.into(),
                end: LookupEnd::NotExist,
            });
            scene.whole(1, "a/0")
        }),
        accepts(
            "a broker of 4.9 has fewer queues than the default topic",
            || lacks_the_queue(Profile::V4_9_7).failed(1, Failure::Attempts(Stage::Refused)),
        ),
        rejects("a broker of 5.3 answers something else", || {
            let scene = lacks_the_queue(Profile::V5_3_3);
            scene.failed(1, Failure::Attempts(Stage::Refused)).wrong()
        }),
        rejects("an empty answer replaces a route", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            scene.found(2, 2, &[]).wrong()
        }),
        rejects(
            "a send fails because nobody knows the topic any more",
            || {
                down()
                    .at(40_000)
                    .call(1)
                    .at(43_000)
                    .failed(1, Failure::RouteUnreachable)
                    .wrong()
            },
        ),
    ];

    /// A name server does not know the topic yet, and a broker refuses a queue of the default topic
    /// by the code 1.
    fn lacks_the_queue(profile: Profile) -> Scene {
        let scene = Scene::new().facts(|it| it.profile = profile).at(30_000);
        let scene = scene.fault(1, FaultKind::Freeze, "ns-2");
        let scene =
            scene
                .lookup(2, LookupReason::DefaultTopic)
                .found(2, 2, &["a/0", "a/1", "a/2", "a/3"]);
        let attempt = scene.call(1).attempt_by(1, 1, queue("a/3"), 2);
        attempt.request(1, 1, 1).refused(1, 1, 1)
    }

    fn down() -> Scene {
        let crash = || FaultKind::Crash(Crash::default());
        Scene::new()
            .at(10_000)
            .fault(1, crash(), "ns-1")
            .fault(2, crash(), "ns-2")
    }
}

//! A quiet connection stays usable, and a healthy cluster takes every message.
//!
//! Servers and firewalls drop connections on which nothing happens. A client that finds this out by
//! a failed send has a bug that no test of a busy producer shows: one message a minute fails, and
//! every retry of it succeeds. So each connection to a broker of a route carries something at least
//! twice in the idle limit; and in a run without any fault no send fails, at whatever pace.

use rmq_producer::event::{Failure, Outcome};
use rmq_remoting::event::CloseCause;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{ConnectionHistory, Timestamp, WidthSource};
use crate::trace::{NodeId, NodeKind};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-42",
    title: "Kept alive",
    source: Source::Both,
    rate_per_mille: 20,
    checker: Checker::Run(check),
    sides: &[
        side(
            "writes nothing to … for … ms from here",
            &[
                "something is written every half of the idle limit",
                "a broker that left the route is not kept",
                "another one is dialled beside a silent one",
            ],
        ),
        side(
            "fails in a run without faults: …",
            &["a send fails in a run with a fault"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for connection in &run.history.connections {
        carries(run, connection, report);
    }
    if run.truth.intervals().is_empty() {
        nothing_fails(run, report);
    }
}

fn carries(run: &CheckedRun<'_>, connection: &ConnectionHistory<'_>, report: &mut CheckReport) {
    let (Some((opened, _)), Some(policy)) = (connection.opened, run.policy(connection.node)) else {
        return;
    };
    // The new requests of a server that drains go over a fresh one.
    if connection
        .closed
        .is_some_and(|(_, cause)| cause == CloseCause::Drained)
    {
        return;
    }
    let (beside, only_since) = beside(run, connection, opened);
    let ends = connection
        .ends()
        .chain(run.stops(connection.node))
        .chain(beside);
    let end = ends
        .filter(|end| *end > opened)
        .min()
        .unwrap_or_else(|| run.end());
    let mut last = opened.max(only_since);
    let written = connection.written.iter().map(|(_, timestamp)| *timestamp);
    // What is dialled beside it was to carry the requests that it is not trusted with.
    let beside = run.history.connections.iter().filter(|other| {
        let same = other.node == connection.node && other.to == connection.to;
        same && other.opened.is_none() && other.dialled > opened
    });
    let mut traffic: Vec<Timestamp> = written.chain(beside.map(|other| other.dialled)).collect();
    traffic.retain(|at| *at < end);
    traffic.sort_unstable();
    for next in traffic.into_iter().chain([end]) {
        let due = run.due(connection.node, last.ms, policy.idle_ms / 2);
        let routed = |timestamp| in_route(run, connection, timestamp);
        if next.ms >= due && routed(last) && routed(next) {
            report.exercised();
            if next.ms > due {
                let (who, to, gap) = (run.name(connection.node), connection.to, next.ms - last.ms);
                let text = format!("{who} writes nothing to {to} for {gap} ms from here");
                report.wrong(last, text);
            }
        }
        last = next;
    }
}

/// When a second connection to the same address opens, of which one takes the requests from then on;
/// and since when this one is the only one.
fn beside(
    run: &CheckedRun<'_>,
    connection: &ConnectionHistory<'_>,
    opened: Timestamp,
) -> (Option<Timestamp>, Timestamp) {
    let connections = run.history.connections.iter();
    let others = connections.filter(|other| {
        let same = other.node == connection.node && other.to == connection.to;
        same && other.number != connection.number
    });
    let openings = others.clone().filter_map(|other| Some(other.opened?.0));
    let later = openings.filter(|timestamp| *timestamp > opened).min();
    let earlier = others.filter(|other| other.opened.is_some_and(|(at, _)| at < opened));
    let ends = earlier.filter_map(|other| Some(other.closed?.0));
    (later, ends.max().unwrap_or(opened))
}

/// Whether sends may use the connection: its address is in a route in force.
fn in_route(
    run: &CheckedRun<'_>,
    connection: &ConnectionHistory<'_>,
    timestamp: Timestamp,
) -> bool {
    let node: NodeId = connection.node;
    let snapshots = run.history.snapshots.iter().enumerate();
    let mut named = snapshots.filter(|(_, snapshot)| {
        let mut addresses = snapshot.addresses.iter();
        snapshot.node == node && addresses.any(|(_, address)| address == connection.to)
    });
    named.any(|(index, snapshot)| {
        run.history.in_force(node, snapshot.topic, timestamp) == Some(index)
    })
}

fn nothing_fails(run: &CheckedRun<'_>, report: &mut CheckReport) {
    // Before that, nobody can know where a message may go.
    let mut news = run.history.widths.iter();
    let first_route = news.find(|news| matches!(news.source, WidthSource::Route(..)));
    let known_ms = first_route.map(|news| news.timestamp.ms);
    // Two lookups that ask everybody, their dial, and the broker's dial and answer.
    let servers = run.header().of_kind(NodeKind::NameServer).count() as u64;
    let least_ms = (2 * servers + 4).saturating_mul(run.header().round_trip_ms);
    for send in &run.history.sends {
        let Some((done, outcome)) = send.done.first() else {
            continue;
        };
        report.exercised();
        if let Outcome::Failed(failure) = outcome
            && !matches!(
                failure,
                Failure::Invalid | Failure::NotRunning | Failure::BackPressure | Failure::Closed
            )
            && send.timeout_ms > least_ms
            && !run.no_such_queue(send)
            && !run.waited_for_others(send)
            && !run.chose_nowhere(send)
            && !run.asks_for_a_delay(send)
            && !(*failure == Failure::NoRoute && known_ms.is_some_and(|ms| send.called.ms <= ms))
        {
            let (who, number) = (run.name(send.node), send.number);
            let text = format!("{who} s{number} fails in a run without faults: {failure:?}");
            report.wrong(*done, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, Stage};
    use rmq_remoting::event::Event as Transport;

    use super::*;
    use crate::fault::FaultKind;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::{NodeEvent, TraceEnd};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("something is written every half of the idle limit", || {
            let scene = all(all(Scene::new(), 50_000), 100_000);
            scene.end(TraceEnd::Finished, 150_000)
        }),
        accepts("a broker that left the route is not kept", || {
            let scene = all(Scene::new().at(10).found(1, 2, &["b/0"]), 50_000);
            let scene = all(scene, 100_000);
            scene.end(TraceEnd::Finished, 150_000)
        }),
        accepts("a send fails in a run with a fault", || {
            let scene = Scene::new().fault(1, FaultKind::Freeze, "broker-b");
            scene
                .call(1)
                .failed(1, Failure::Deadline)
                .end(TraceEnd::Finished, 50_000)
        }),
        accepts("another one is dialled beside a silent one", || {
            let scene = all(Scene::new(), 50_000).at(100_000);
            let scene = scene.whole(60, "a/1").whole(61, "b/1").dial(9, "broker-c");
            scene.end(TraceEnd::Finished, 115_000)
        }),
        rejects("a connection lies idle", || {
            let scene = all(Scene::new(), 50_000).at(100_000);
            let mut scene = scene.whole(60, "a/1").whole(61, "b/1");
            let connection = 3.into();
            scene.marked = scene.trace.records.iter().rposition(|record| {
                let NodeEvent::Producer(Event::Transport(event)) = &record.what else {
                    return false;
                };
                matches!(event, Transport::Written { connection: at, .. } if *at == connection)
            });
            scene.end(TraceEnd::Finished, 115_000)
        }),
        rejects("a healthy cluster loses a message", || {
            let scene = Scene::new().call(1).attempt(1, 1, "a/0").at(50);
            let scene = scene.close(1, "broker-a", CloseCause::Idle);
            let scene = scene.failed(1, Failure::Attempts(Stage::Lost));
            scene.wrong().end(TraceEnd::Finished, 50_000)
        }),
    ];

    fn all(scene: Scene, ms: u64) -> Scene {
        let scene = scene
            .at(ms)
            .whole(ms / 1_000, "a/0")
            .whole(ms / 1_000 + 1, "b/0");
        scene.whole(ms / 1_000 + 2, "c/0")
    }
}

//! Routes are refreshed for ever.
//!
//! For each topic that a producer knows, one poll starts no later than a period, and the time that
//! asking every name server about every topic may take, after the one before. Whatever the servers
//! do, the poller does not die. Lookups for other reasons do not count: sends that fail would hide
//! a dead poller for as long as they fail. One that is under way when a poll is due may end first.

use rmq_producer::event::LookupReason;
use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{LookupHistory, SnapshotHistory, Timestamp};
use crate::trace::{NodeId, NodeKind};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-24",
    title: "Poller lives",
    source: Source::ClientEvents,
    rate_per_mille: 500,
    checker: Checker::Run(check),
    sides: &[side(
        "does not refresh … for … ms from here",
        &[
            "a poll each period, answered or not",
            "a poll waits for the lookup of a failed attempt",
            "a poll's turn comes while a failed attempt looks up",
            "a stopped producer polls no more",
            "a process that is gone polls no more",
            "a topic that nobody sent to is forgotten",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let snapshots = &run.history.snapshots;
    for (index, snapshot) in snapshots.iter().enumerate() {
        let mut before = snapshots[..index].iter();
        let known = before.any(|it| {
            same_topic(it, snapshot)
                && run.is_one_process(it.node, it.timestamp, snapshot.timestamp)
        });
        if !known {
            polls(
                run,
                snapshot.node,
                snapshot.topic,
                snapshot.timestamp,
                report,
            );
        }
    }
}

fn same_topic(one: &SnapshotHistory<'_>, other: &SnapshotHistory<'_>) -> bool {
    one.node == other.node && one.topic == other.topic
}

fn polls(
    run: &CheckedRun<'_>,
    node: NodeId,
    topic: &Name,
    known: Timestamp,
    report: &mut CheckReport,
) {
    let Some(policy) = run.policy(node) else {
        return;
    };
    let servers = run.header().of_kind(NodeKind::NameServer).count();
    // Topics are polled one after the other.
    let mut topics: Vec<&Name> = run
        .history
        .lookups
        .iter()
        .map(|lookup| lookup.topic)
        .collect();
    topics.sort_unstable();
    topics.dedup();
    // And behind the lookup of a send that was there first.
    let turns = topics.len().saturating_add(1);
    let calls = u64::try_from(servers.saturating_mul(turns)).unwrap_or(u64::MAX);
    let pass = policy.name_server_timeout_ms.saturating_mul(calls);
    let bound = policy.poll_ms.saturating_add(pass);
    // The first turn may come at any time.
    let (mut last, mut from) = (known, known.ms);
    for lookup in &run.history.lookups {
        let later = lookup.started > known;
        let own = later
            && (lookup.node, lookup.topic) == (node, topic)
            && run.is_one_process(node, known, lookup.started);
        // What was forgotten is known again from then on.
        if own && lookup.reason == LookupReason::FirstSend {
            last = lookup.started;
        }
        if !own || lookup.reason != LookupReason::Poll {
            continue;
        }
        report.exercised();
        let due = due(run, (node, topic), last, (from, bound));
        if lookup.started.ms > due && !run.may_have_forgotten(node, topic, run.after(due)) {
            late(run, node, topic, (last, lookup.started.ms), report);
        }
        last = lookup.started;
        from = last.ms.saturating_add(policy.poll_ms);
    }
    let end = ends(run, node, known);
    let due = due(run, (node, topic), last, (from, bound));
    let owed = end > due && !run.may_have_forgotten(node, topic, run.after(due));
    if owed && !run.truth.was_gone(node, last.ms, end) {
        late(run, node, topic, (last, end), report);
    }
}

/// When the next poll is due. A lookup of the topic that is under way then may end first, within its time: the
/// two would be one. So one whose lookup was under way when the poll's turn came has the next turn.
fn due(
    run: &CheckedRun<'_>,
    (node, topic): (NodeId, &Name),
    last: Timestamp,
    (from, bound): (u64, u64),
) -> u64 {
    let due = run.due(node, last.ms, bound);
    let limit = run
        .policy(node)
        .map_or(0, |policy| policy.name_server_timeout_ms);
    let own = run.history.lookups.iter().filter(|it| it.node == node);
    let end = |lookup: &LookupHistory<'_>| {
        let longest = run.due(node, lookup.started.ms, limit);
        lookup.ended.map_or(longest, |(ended, _)| ended.ms)
    };
    let same = own
        .clone()
        .filter(|it| it.topic == topic && it.started.ms <= due);
    let ends = same.clone().map(|lookup| {
        // The default topic is asked for in its place.
        let mut others = own.clone();
        let instead = others
            .find(|it| it.reason == LookupReason::DefaultTopic && it.started.ms == end(lookup));
        instead.map_or_else(|| end(lookup), end)
    });
    let joined =
        same.filter(|it| it.reason != LookupReason::Poll && it.started > last && end(it) >= from);
    let next_turn = joined.map(|it| run.due(node, end(it), bound)).max();
    let due = due.max(next_turn.unwrap_or(0));
    let under_way = ends.filter(|ends| *ends > due).max();
    under_way.map_or(due, |ends| run.due(node, ends, 0))
}

fn late(
    run: &CheckedRun<'_>,
    node: NodeId,
    topic: &Name,
    (last, next_ms): (Timestamp, u64),
    report: &mut CheckReport,
) {
    let (who, gap) = (run.name(node), next_ms - last.ms);
    report.wrong(
        last,
        format!("{who} does not refresh {topic} for {gap} ms from here"),
    );
}

/// When the producer's duty ends.
fn ends(run: &CheckedRun<'_>, node: NodeId, known: Timestamp) -> u64 {
    let stopping = run.stops(node).find(|timestamp| *timestamp > known);
    stopping.map_or(run.trace.end_ms, |timestamp| timestamp.ms)
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, LookupEnd};

    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::{NodeEvent, TraceEnd, WorkEvent};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a poll each period, answered or not", || {
            poll(poll(Scene::new(), 30_000, 2), 60_000, 3).end(TraceEnd::Finished, 90_000)
        }),
        accepts("a poll waits for the lookup of a failed attempt", || {
            let scene = Scene::new()
                .at(35_000)
                .lookup(2, LookupReason::FailedAttempt);
            let lookup = 2.into();
            let end = LookupEnd::Unreachable;
            let scene = scene.at(38_000).say(Event::LookupEnded { lookup, end });
            poll(poll(scene, 38_000, 3), 60_000, 4).end(TraceEnd::Finished, 90_000)
        }),
        accepts(
            "a poll's turn comes while a failed attempt looks up",
            || {
                let scene = poll(Scene::new(), 30_000, 2).at(59_000);
                let scene = scene.lookup(3, LookupReason::FailedAttempt).at(61_000);
                let (lookup, end) = (3.into(), LookupEnd::Unreachable);
                let scene = scene.say(Event::LookupEnded { lookup, end });
                poll(scene, 90_000, 4).end(TraceEnd::Finished, 95_000)
            },
        ),
        rejects("a failed attempt looks up between two turns", || {
            let mut scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            scene.marked = Some(scene.trace.records.len() - 2);
            let (lookup, end) = (2.into(), LookupEnd::Unreachable);
            let scene = scene.say(Event::LookupEnded { lookup, end });
            let scene = scene.at(45_000).lookup(3, LookupReason::FailedAttempt);
            let (lookup, end) = (3.into(), LookupEnd::Unreachable);
            let scene = scene.at(46_000).say(Event::LookupEnded { lookup, end });
            scene.end(TraceEnd::Finished, 100_000)
        }),
        accepts("a stopped producer polls no more", || {
            Scene::new()
                .at(20_000)
                .stopping()
                .end(TraceEnd::Finished, 500_000)
        }),
        accepts("a process that is gone polls no more", || {
            Scene::new()
                .at(20_000)
                .work(WorkEvent::ProcessEnded)
                .end(TraceEnd::Finished, 500_000)
        }),
        accepts("a topic that nobody sent to is forgotten", || {
            let scene = Scene::new().facts(|it| it.policies[0].forget_ms = 12_000);
            scene.end(TraceEnd::Finished, 100_000)
        }),
        rejects("the poller dies", || {
            let mut scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            // A lookup makes two records: its start and the server asked.
            scene.marked = Some(scene.trace.records.len() - 2);
            scene.end(TraceEnd::Finished, 200_000)
        }),
        rejects("a topic is never polled", || {
            known(Scene::new().end(TraceEnd::Finished, 60_000))
        }),
        rejects("failed attempts ask, and no poll does", || {
            let asked = |scene: Scene, (ms, lookup): (u64, u64)| {
                scene.at(ms).lookup(lookup, LookupReason::FailedAttempt)
            };
            let scene = [
                (20_000, 2),
                (40_000, 3),
                (60_000, 4),
                (80_000, 5),
                (100_000, 6),
            ];
            known(
                scene
                    .into_iter()
                    .fold(Scene::new(), asked)
                    .end(TraceEnd::Finished, 130_000),
            )
        }),
    ];

    /// Marks the first route.
    fn known(mut scene: Scene) -> Scene {
        scene.marked =
            scene.trace.records.iter().position(|record| {
                matches!(record.what, NodeEvent::Producer(Event::Snapshot { .. }))
            });
        scene
    }

    fn poll(scene: Scene, ms: u64, lookup: u64) -> Scene {
        let scene = scene.at(ms).lookup(lookup, LookupReason::Poll);
        scene.say(Event::LookupEnded {
            lookup: lookup.into(),
            end: LookupEnd::Unreachable,
        })
    }
}

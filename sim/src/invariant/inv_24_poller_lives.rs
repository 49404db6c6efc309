//! Routes are refreshed for ever.
//!
//! For each topic that a producer knows, one poll starts no later than a period, and the time that
//! asking every name server about every topic may take, after the one before. Whatever the servers
//! do, the poller does not die. Lookups for other reasons do not count: sends that fail would hide
//! a dead poller for as long as they fail. One that is under way when a poll is due may end first.

use rmq_producer::event::LookupReason;
use rmq_remoting::observe::Name;

use super::{Case, Invariant, Judge, Judged, Source};
use crate::trace::story::{Life, Moment, SnapshotStory};
use crate::trace::{NodeId, NodeKind};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-24",
    title: "Poller lives",
    source: Source::Testimony,
    rate_per_mille: 500,
    judge: Judge::Run(judge),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn judge(case: &Case<'_>, judged: &mut Judged) {
    let snapshots = &case.story.snapshots;
    for (index, snapshot) in snapshots.iter().enumerate() {
        let known = snapshots[..index].iter().any(|it| same_topic(it, snapshot));
        if !known {
            polls(case, snapshot.node, snapshot.topic, snapshot.moment, judged);
        }
    }
}

fn same_topic(one: &SnapshotStory<'_>, other: &SnapshotStory<'_>) -> bool {
    one.node == other.node && one.topic == other.topic
}

fn polls(case: &Case<'_>, node: NodeId, topic: &Name, known: Moment, judged: &mut Judged) {
    let Some(policy) = case.policy(node) else {
        return;
    };
    let servers = case.header().of_kind(NodeKind::NameServer).count();
    // Topics are polled one after the other.
    let mut topics: Vec<&Name> = case
        .story
        .lookups
        .iter()
        .map(|lookup| lookup.topic)
        .collect();
    topics.sort_unstable();
    topics.dedup();
    let calls = u64::try_from(servers.saturating_mul(topics.len())).unwrap_or(u64::MAX);
    let pass = policy.name_server_timeout_ms.saturating_mul(calls);
    let bound = policy.poll_ms.saturating_add(pass);
    let mut last = known;
    for lookup in &case.story.lookups {
        let later = lookup.started > known;
        let poll = lookup.reason == LookupReason::Poll;
        if !later || !poll || lookup.node != node || lookup.topic != topic {
            continue;
        }
        judged.case();
        if lookup.started.ms > due(case, (node, topic), last, bound) {
            late(case, node, topic, (last, lookup.started.ms), judged);
        }
        last = lookup.started;
    }
    let end = ends(case, node, known);
    if end > due(case, (node, topic), last, bound) && !case.truth.was_gone(node, last.ms, end) {
        late(case, node, topic, (last, end), judged);
    }
}

/// When the next poll is due. A lookup that is under way then may end first, within its time.
fn due(case: &Case<'_>, (node, topic): (NodeId, &Name), last: Moment, bound: u64) -> u64 {
    let due = case.due(node, last.ms, bound);
    let limit = case
        .policy(node)
        .map_or(0, |policy| policy.name_server_timeout_ms);
    let lookups = case.story.lookups.iter();
    let same = lookups.filter(|it| it.node == node && it.topic == topic && it.started.ms <= due);
    let ends = same.map(|lookup| {
        let longest = case.due(node, lookup.started.ms, limit);
        lookup.ended.map_or(longest, |(ended, _)| ended.ms)
    });
    let under_way = ends.filter(|ends| *ends > due).max();
    under_way.map_or(due, |ends| case.due(node, ends, 0))
}

fn late(
    case: &Case<'_>,
    node: NodeId,
    topic: &Name,
    (last, next_ms): (Moment, u64),
    judged: &mut Judged,
) {
    let (who, gap) = (case.name(node), next_ms - last.ms);
    judged.wrong(
        last,
        format!("{who} does not refresh {topic} for {gap} ms from here"),
    );
}

/// When the producer's duty ends.
fn ends(case: &Case<'_>, node: NodeId, known: Moment) -> u64 {
    let mut turns = case.story.lives.iter();
    let stopping =
        turns.find(|(at, life, moment)| *at == node && *life != Life::Started && *moment > known);
    stopping.map_or(case.trace.end_ms, |(.., moment)| moment.ms)
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, LookupEnd};

    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::{End, What};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a poll each period, answered or not", || {
            poll(poll(Scene::new(), 30_000, 2), 60_000, 3).end(End::Finished, 90_000)
        }),
        accepts("a poll waits for the lookup of a failed attempt", || {
            let scene = Scene::new()
                .at(35_000)
                .lookup(2, LookupReason::FailedAttempt);
            let lookup = 2;
            let end = LookupEnd::Unreachable;
            let scene = scene.at(38_000).say(Event::LookupEnded { lookup, end });
            poll(poll(scene, 38_000, 3), 60_000, 4).end(End::Finished, 90_000)
        }),
        accepts("a stopped producer polls no more", || {
            Scene::new()
                .at(20_000)
                .say(Event::Stopping)
                .end(End::Finished, 500_000)
        }),
        rejects("the poller dies", || {
            let mut scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            // A lookup makes two records: its start and the server asked.
            scene.marked = Some(scene.trace.records.len() - 2);
            scene.end(End::Finished, 200_000)
        }),
        rejects("a topic is never polled", || {
            known(Scene::new().end(End::Finished, 60_000))
        }),
        rejects("failed attempts ask, and no poll does", || {
            let asked = |scene: Scene, (ms, lookup): (u64, u64)| {
                scene.at(ms).lookup(lookup, LookupReason::FailedAttempt)
            };
            let scene = [(20_000, 2), (40_000, 3), (60_000, 4)];
            known(
                scene
                    .into_iter()
                    .fold(Scene::new(), asked)
                    .end(End::Finished, 62_000),
            )
        }),
    ];

    /// Marks the first route.
    fn known(mut scene: Scene) -> Scene {
        scene.marked = scene
            .trace
            .records
            .iter()
            .position(|record| matches!(record.what, What::Producer(Event::Snapshot { .. })));
        scene
    }

    fn poll(scene: Scene, ms: u64, lookup: u64) -> Scene {
        let scene = scene.at(ms).lookup(lookup, LookupReason::Poll);
        scene.say(Event::LookupEnded {
            lookup,
            end: LookupEnd::Unreachable,
        })
    }
}

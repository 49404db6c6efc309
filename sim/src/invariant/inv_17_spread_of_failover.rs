//! What one broker loses is shared by all others.
//!
//! While a broker fails, its sends move on. If all of them take the first queue of the next broker,
//! that broker gets twice its load, fails in its turn, and the herd moves on: one outage becomes
//! two. Retries that were chosen from one route and avoid the same brokers, and likewise the first
//! attempts that the health table sends elsewhere, are spread evenly over the queues that are left,
//! and over their brokers.
//!
//! Rotations of several routes share one counter, so the counts need not differ by one at most: they
//! stay within four sigma of even. Judged for producers of the strict form, by where requests
//! arrived, or, for those that never did, by where they were sent.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rmq_remoting::observe::Name;
use smallvec::SmallVec;

use super::{Case, Invariant, Judge, Judged, Source};
use crate::trace::record::Form;
use crate::trace::story::{AttemptStory, HealthStory, Moment, SendStory};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-17",
    title: "Spread of failover",
    source: Source::Both,
    rate_per_mille: 10,
    judge: Judge::Run(judge),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// Fewer attempts say nothing about their spread.
const ENOUGH: u64 = 8;

/// Attempts that had the same choice.
struct Group<'t> {
    /// The queues that were left.
    queues: Vec<(&'t str, i32)>,
    /// How often each was taken.
    counts: Vec<u64>,
    last: Moment,
}

/// What makes a choice: the route; for a first attempt the record that began the isolation, since
/// few sends of each of many short ones fall on the same part of the rotation; the brokers that are
/// avoided.
type Choice<'t> = (usize, Option<usize>, Vec<&'t Name>);

fn judge(case: &Case<'_>, judged: &mut Judged) {
    let mut groups: BTreeMap<Choice<'_>, Group<'_>> = BTreeMap::new();
    for (send, attempt) in case.attempts() {
        let policy = case.policy(send.node);
        let strict = policy.is_some_and(|it| it.form == Form::Strict && it.retargets_queue);
        let (Some(route), true, None) = (attempt.snapshot, strict, send.pinned) else {
            continue;
        };
        let isolated: SmallVec<[_; 4]> = isolated(case, send, attempt).collect();
        let avoided = avoided(&isolated, attempt);
        if avoided.is_empty() {
            continue;
        }
        let taken = taken(case, attempt);
        let last = isolated.last().map_or(0, |last| last.moment.at);
        let began = (attempt.number == 1).then_some(last);
        let choice = (route, began, avoided);
        let group = match groups.entry(choice) {
            Entry::Occupied(group) => group.into_mut(),
            Entry::Vacant(place) => {
                let queues = left(case, route, &place.key().2);
                place.insert(Group {
                    counts: vec![0; queues.len()],
                    queues,
                    last: attempt.started,
                })
            }
        };
        if let Some(index) = group.queues.iter().position(|queue| *queue == taken) {
            group.counts[index] += 1;
            group.last = attempt.started;
        }
    }
    for ((route, ..), group) in groups {
        spread(case, route, &group, judged);
    }
}

/// The brokers that failed in this send, and those that the producer avoids because of others.
fn avoided<'t>(isolated: &[&HealthStory<'t>], attempt: &AttemptStory<'t>) -> Vec<&'t Name> {
    let mut all: Vec<&Name> = isolated.iter().map(|it| it.broker).collect();
    all.extend(attempt.avoided);
    all.sort_unstable();
    all.dedup();
    all
}

/// The isolations in force when an attempt started, in their order.
fn isolated<'c, 't>(
    case: &'c Case<'t>,
    send: &SendStory<'t>,
    attempt: &AttemptStory<'t>,
) -> impl Iterator<Item = &'c HealthStory<'t>> {
    let (node, now) = (send.node, attempt.started);
    case.story.health.iter().filter(move |it| {
        let until = it.moment.ms.saturating_add(it.for_ms);
        it.node == node && it.moment < now && now.ms < until
    })
}

/// The queues that such a choice could take.
fn left<'t>(case: &Case<'t>, route: usize, avoided: &[&Name]) -> Vec<(&'t str, i32)> {
    let queues = case.story.snapshots[route].queues.iter();
    let left = queues.filter(|queue| !avoided.contains(&&queue.broker));
    left.map(|queue| (&*queue.broker, queue.queue)).collect()
}

/// Where the attempt arrived, or else was sent to.
fn taken<'t>(case: &Case<'t>, attempt: &AttemptStory<'t>) -> (&'t str, i32) {
    match attempt.seen().map(|seen| &case.story.requests[seen]) {
        Some(request) => (case.name(request.broker), request.seen.queue),
        None => (&*attempt.to.broker, attempt.to.queue),
    }
}

fn spread(case: &Case<'_>, route: usize, group: &Group<'_>, judged: &mut Judged) {
    let all: u64 = group.counts.iter().sum();
    let queues = u64::try_from(group.queues.len()).unwrap_or(u64::MAX);
    // Whether a herd would be seen at all.
    if all < ENOUGH || !too_many(all, all, 1, queues) {
        return;
    }
    judged.case();
    let mut brokers: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for ((broker, _), count) in group.queues.iter().zip(&group.counts) {
        let of_broker = brokers.entry(broker).or_default();
        of_broker.0 += count;
        of_broker.1 += 1;
    }
    let snapshot = &case.story.snapshots[route];
    let (who, topic) = (case.name(snapshot.node), snapshot.topic);
    let broker = brokers
        .iter()
        .find(|(_, (count, share))| too_many(*count, all, *share, queues));
    let queue = group.queues.iter().zip(&group.counts);
    let queue = queue
        .into_iter()
        .find(|(_, count)| too_many(**count, all, 1, queues));
    let herd = match (queue, broker) {
        (Some(((broker, queue), count)), _) => Some((format!("{broker}/{queue}"), *count)),
        (None, Some((broker, (count, _)))) => Some(((*broker).to_owned(), *count)),
        (None, None) => None,
    };
    if let Some((target, count)) = herd {
        let text =
            format!("{target} gets {count} of {who}'s {all} attempts to {topic} that avoid others");
        judged.wrong(group.last, text);
    }
}

/// Whether `count` of `all` is more than four sigma above the part of `share` in `of` queues.
fn too_many(count: u64, all: u64, share: u64, of: u64) -> bool {
    let (got, fair) = (
        u128::from(count) * u128::from(of),
        u128::from(all) * u128::from(share),
    );
    let variance = fair * u128::from(of.saturating_sub(share));
    got > fair && (got - fair).pow(2) > 16 * variance
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};
    use crate::trace::What;
    use rmq_producer::event::{Event, Stage};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("retries go around the queues of the others", || {
            let targets = ["b/0", "b/1", "b/2", "b/3", "c/0", "c/1", "c/2", "c/3"];
            targets.iter().zip(1..).fold(Scene::new(), retry)
        }),
        accepts("three retries say nothing", || {
            ["b/0"; 3].iter().zip(1..).fold(Scene::new(), retry)
        }),
        rejects("the first queue of the next broker gets them all", || {
            herd(&["b/0"; 8])
        }),
        rejects("all go to one of two brokers", || {
            let targets = ["b/0", "b/1", "b/2", "b/3"].repeat(5);
            herd(&targets)
        }),
    ];

    fn herd(targets: &[&str]) -> Scene {
        let mut scene = targets.iter().zip(1..).fold(Scene::new(), retry);
        scene.marked = scene.trace.records.iter().rposition(|record| {
            matches!(
                record.what,
                What::Producer(Event::Attempt { number: 2, .. })
            )
        });
        scene
    }

    /// A send whose first attempt, to broker-a, is lost.
    fn retry(scene: Scene, (to, send): (&&str, u64)) -> Scene {
        let scene = scene.at(100 * send).call(send).attempt(send, 1, "a/0");
        let scene = scene.ended(send, 1, Stage::Lost, None);
        let scene = scene.attempt_by(send, 2, queue(to), 1).change(|what| {
            if let What::Producer(Event::Attempt { avoided, .. }) = what {
                *avoided = vec!["broker-a".into()];
            }
        });
        let connection = if to.starts_with('b') { 2 } else { 3 };
        scene.request(send, 2, connection).succeeds(send, 2)
    }

    #[test]
    fn four_sigma_are_counted_for_any_share() {
        // All of eight to one of eight queues, and five of them; twenty to one of two brokers.
        assert!(too_many(8, 8, 1, 8) && too_many(5, 8, 1, 8) && !too_many(4, 8, 1, 8));
        assert!(too_many(20, 20, 4, 8) && !too_many(16, 16, 4, 8));
        assert!(!too_many(9, 9, 1, 1));
    }
}

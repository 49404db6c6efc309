//! What one broker loses is shared by all others.
//!
//! While a broker fails, its sends move on. If all of them take the first queue of the next broker,
//! that broker gets twice its load, fails in its turn, and the herd moves on: one outage becomes
//! two. Retries that were chosen from one route and avoid the same brokers, and likewise the first
//! attempts that the health table sends elsewhere, are spread evenly over the queues that are left,
//! and over their brokers.
//!
//! Rotations of several routes share one counter, so the counts need not differ by one at most: they
//! stay within four sigma of even. Checked for producers of the strict form, by where requests
//! arrived, or, for those that never did, by where they were sent.

use std::collections::BTreeMap;

use rmq_producer::event::QueueRef;
use rmq_remoting::observe::Name;
use smallvec::SmallVec;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{AttemptHistory, HealthHistory, ProducerKey, SendHistory, Timestamp};
use crate::trace::record::Form;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-17",
    title: "Spread of failover",
    source: Source::Both,
    rate_per_mille: 10,
    checker: Checker::Run(check),
    sides: &[
        side(
            "gets … of …'s … attempts to … that avoid others",
            &[
                "retries go around the queues of the others",
                "three retries say nothing",
            ],
        ),
        side(
            "is in none of …'s … attempts to … that avoid others",
            &["each queue of those that are left gets its part"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// Fewer attempts say nothing about their spread.
const ENOUGH: u64 = 8;

/// Attempts that had the same choice.
struct Group {
    /// How often each queue was taken, by its place in the route.
    counts: BTreeMap<usize, u64>,
    last: Timestamp,
}

/// What makes a choice: the producer, whose rotation it is; the route; for a first attempt the record that began the isolation, since
/// few sends of each of many short ones fall on the same part of the rotation; the brokers that are
/// avoided.
type Choice<'t> = (ProducerKey<'t>, usize, Option<usize>, Vec<&'t Name>);

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let mut groups: BTreeMap<Choice<'_>, Group> = BTreeMap::new();
    for (send, attempt) in run.attempts() {
        let policy = run.policy_of(send.producer());
        let strict = policy.is_some_and(|it| it.form == Form::Strict && it.retargets_queue);
        let (Some(route), true, None) = (attempt.snapshot, strict, send.target_queue) else {
            continue;
        };
        // Of a broker that a hook forbids nothing is learnt: it is chosen, in vain, as before.
        let mut forbidden = run.header().forbidden.iter();
        if forbidden.any(|(producer, _)| *producer == send.node) {
            continue;
        }
        let isolated: SmallVec<[_; 4]> = isolated(run, send, attempt).collect();
        let avoided = avoided(&isolated, attempt);
        if avoided.is_empty() {
            continue;
        }
        let (broker, queue) = taken(run, attempt);
        if avoided.iter().any(|it| ***it == *broker) {
            continue;
        }
        let last = isolated.last().map_or(0, |last| last.timestamp.at);
        let began = (attempt.number == 1).then_some(last);
        let choice = (send.producer(), route, began, avoided);
        let group = groups.entry(choice).or_insert_with(|| Group {
            counts: BTreeMap::new(),
            last: attempt.started,
        });
        if let Some(place) = run.history.snapshots[route].queues.position(broker, queue) {
            *group.counts.entry(place).or_default() += 1;
            group.last = attempt.started;
        }
    }
    for ((_, route, began, avoided), group) in groups {
        // First attempts whose turn is at no avoided broker keep the order of the route: their spread
        // shows only over a whole round of its queues.
        let least = match began {
            Some(_) => run.history.snapshots[route].queues.all().len() as u64,
            None => 0,
        };
        spread(run, (route, least), &avoided, &group, report);
    }
}

/// The brokers that failed in this send, and those that the producer avoids because of others.
fn avoided<'t>(isolated: &[&HealthHistory<'t>], attempt: &AttemptHistory<'t>) -> Vec<&'t Name> {
    let mut all: Vec<&Name> = isolated.iter().map(|it| it.broker).collect();
    all.extend(attempt.avoided);
    all.sort_unstable();
    all.dedup();
    all
}

/// The isolations in force when an attempt started, in their order.
fn isolated<'c, 't>(
    run: &'c CheckedRun<'t>,
    send: &SendHistory<'t>,
    attempt: &AttemptHistory<'t>,
) -> impl Iterator<Item = &'c HealthHistory<'t>> {
    let (producer, now) = (send.producer(), attempt.started);
    run.history.isolations(now).iter().filter(move |it| {
        let until = it.timestamp.ms.saturating_add(it.for_ms);
        it.producer() == producer
            && it.timestamp < now
            && now.ms < until
            && run.is_one_process(it.node, it.timestamp, now)
    })
}

/// Where the attempt arrived, or else was sent to.
fn taken<'t>(run: &CheckedRun<'t>, attempt: &AttemptHistory<'t>) -> (&'t str, i32) {
    match attempt.seen().map(|seen| &run.history.requests[seen]) {
        Some(request) => (run.name(request.broker), request.seen.queue),
        None => (&*attempt.to.broker, attempt.to.queue),
    }
}

fn spread(
    run: &CheckedRun<'_>,
    (route, least): (usize, u64),
    avoided: &[&Name],
    group: &Group,
    report: &mut CheckReport,
) {
    let snapshot = &run.history.snapshots[route];
    let left = snapshot.queues.brokers().iter();
    // The queues that such a choice could take, broker by broker.
    let left = left.filter(|(broker, _)| !avoided.contains(broker));
    let left: BTreeMap<&str, u64> = left
        .map(|(broker, queues)| (&***broker, *queues as u64))
        .collect();
    let all: u64 = group.counts.values().sum();
    let queues: u64 = left.values().sum();
    // Whether a herd would be seen at all.
    if all < ENOUGH.max(least) || !too_many(all, all, 1, queues) {
        return;
    }
    report.exercised();
    let route = snapshot.queues.all();
    let mut brokers: BTreeMap<&str, u64> = BTreeMap::new();
    for (place, count) in &group.counts {
        *brokers.entry(&route[*place].broker).or_default() += count;
    }
    let share = |broker: &str| left.get(broker).copied().unwrap_or(0);
    let broker = brokers
        .iter()
        .find(|(broker, count)| too_many(**count, all, share(broker), queues));
    let queue = group
        .counts
        .iter()
        .find(|(_, count)| too_many(**count, all, 1, queues));
    let missing = route.iter().enumerate().find(|(place, queue)| {
        left.contains_key(&*queue.broker) && !group.counts.contains_key(place)
    });
    if let Some((_, queue)) = missing.filter(|_| all >= least.max(ROUNDS * queues)) {
        let (who, topic) = (run.name(snapshot.node), snapshot.topic);
        let (broker, queue) = (&queue.broker, queue.queue);
        let text = format!(
            "{broker}/{queue} is in none of {who}'s {all} attempts to {topic} that avoid others"
        );
        report.wrong(group.last, text);
    }
    let herd = match (queue, broker) {
        (Some((place, count)), _) => {
            let QueueRef { broker, queue } = &route[*place];
            Some((format!("{broker}/{queue}"), *count))
        }
        (None, Some((broker, count))) => Some(((*broker).to_owned(), *count)),
        (None, None) => None,
    };
    if let Some((target, count)) = herd {
        let (who, topic) = (run.name(snapshot.node), snapshot.topic);
        let text =
            format!("{target} gets {count} of {who}'s {all} attempts to {topic} that avoid others");
        report.wrong(group.last, text);
    }
}

/// After so many attempts for each queue there is none that got nothing by mere chance: fewer than one in a
/// million runs have one.
const ROUNDS: u64 = 16;

/// So many of 64 runs may see by mere chance what counts as a herd: fewer than one.
const RUNS: u64 = 64;

/// Where so many or more are expected, counts are spread about their mean as a bell is.
const A_BELL: u128 = 4;

/// The queues from which on it counts that any of so many may stick out.
const FEW: u64 = 16;

/// Whether `count` of `all` is too much for the part of `share` in `of` queues: more than four sigma
/// above it, and somewhat more where many queues might stick out. Few attempts on many queues are
/// not spread as a bell is: one attempt on one of 300 queues is many sigma above its part. There it
/// must also be unlikely that any queue gets so many by chance.
fn too_many(count: u64, all: u64, share: u64, of: u64) -> bool {
    let (got, fair) = (
        u128::from(count) * u128::from(of),
        u128::from(all) * u128::from(share),
    );
    let variance = fair * u128::from(of.saturating_sub(share));
    // The square of a bell's sigmas grows by twice the logarithm of the number of queues.
    let doublings = (of / share.max(1) / FEW)
        .checked_ilog2()
        .map_or(0, |it| it + 1);
    let sigmas_squared = 16 + 2 * u128::from(doublings);
    if got <= fair || (got - fair).pow(2) <= sigmas_squared * variance {
        return false;
    }
    fair >= A_BELL * u128::from(of) || is_unlikely(count, all, share, of)
}

/// Whether fewer than one in [`RUNS`] of runs would have any part of `share` in `of` queues with
/// `count` of `all` attempts that choose by chance: a bound of the binomial's tail, times the number
/// of such parts.
fn is_unlikely(count: u64, all: u64, share: u64, of: u64) -> bool {
    /// The one of the fixed point.
    const ONE: u128 = 1 << 32;
    let mut expected = ONE * u128::from(RUNS) * u128::from(of) / u128::from(share.max(1));
    for taken in 0..count.min(all) {
        let ways = u128::from(all - taken) * u128::from(share);
        expected = expected * ways / (u128::from(taken + 1) * u128::from(of.max(1)));
        if expected == 0 {
            return true;
        }
    }
    expected < ONE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};
    use crate::trace::NodeEvent;
    use rmq_producer::event::{Event, Stage};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("retries go around the queues of the others", || {
            let targets = ["b/0", "b/1", "b/2", "b/3", "c/0", "c/1", "c/2", "c/3"];
            targets.iter().zip(1..).fold(Scene::new(), retry)
        }),
        accepts("three retries say nothing", || {
            ["b/0"; 3].iter().zip(1..).fold(Scene::new(), retry)
        }),
        accepts("each queue of those that are left gets its part", || {
            let targets = ["b/0", "c/0", "b/1", "c/1", "b/2", "c/2", "b/3", "c/3"].repeat(20);
            herd(&targets)
        }),
        rejects("one queue of those that are left gets nothing", || {
            let targets = ["b/0", "c/0", "b/1", "c/1", "b/2", "c/2", "b/3"].repeat(20);
            herd(&targets)
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
                NodeEvent::Producer(Event::Attempt { number: 2, .. })
            )
        });
        scene
    }

    /// A send whose first attempt, to broker-a, is lost.
    fn retry(scene: Scene, (to, send): (&&str, u64)) -> Scene {
        let scene = scene.at(100 * send).call(send).attempt(send, 1, "a/0");
        let scene = scene.ended(send, 1, Stage::Lost, None);
        let scene = scene.attempt_by(send, 2, queue(to), 1).change(|what| {
            if let NodeEvent::Producer(Event::Attempt { avoided, .. }) = what {
                *avoided = vec!["broker-a".into()];
            }
        });
        let connection = if to.starts_with('b') { 2 } else { 3 };
        scene.request(send, 2, connection).succeeds(send, 2)
    }

    #[test]
    fn few_attempts_on_many_queues_are_no_herd_and_many_on_one_of_them_are() {
        // One, two or three of ten attempts may well meet on one of 300 queues.
        assert!(!too_many(1, 8, 1, 300) && !too_many(1, 1, 1, 300));
        assert!(!too_many(2, 10, 1, 300) && !too_many(2, 60, 1, 300));
        assert!(!too_many(3, 60, 1, 300) && !too_many(8, 600, 1, 300));
        assert!(too_many(5, 10, 1, 300) && too_many(10, 60, 1, 300));
        assert!(too_many(16, 600, 1, 300) && too_many(600, 600, 1, 300));
        // A whole broker of three takes them all.
        assert!(too_many(60, 60, 100, 300) && !too_many(26, 60, 100, 300));
    }

    #[test]
    fn four_sigma_are_counted_for_any_share() {
        // All of eight to one of eight queues, and five of them; twenty to one of two brokers.
        assert!(too_many(8, 8, 1, 8) && too_many(5, 8, 1, 8) && !too_many(4, 8, 1, 8));
        assert!(too_many(20, 20, 4, 8) && !too_many(16, 16, 4, 8));
        assert!(!too_many(9, 9, 1, 1));
    }
}

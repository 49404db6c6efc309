//! Which queue the next attempt goes to.
//!
//! First attempts walk around the queues of the topic, so that each gets its part. A retry avoids
//! the brokers that failed; while any queue is writable, one is chosen, even if all are avoided.
//!
//! A choice costs by the number of brokers, not of queues: a broker may have thousands.

use rmq_remoting::observe::Name;
use smallvec::SmallVec;

use super::queues::Queues;
use crate::event::Mode;
use crate::policy::{Avoid, Failover, Policy, Rotation, RotationStart};

/// A place in a rotation: a counter that only ever steps on, and wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationPosition(i32);

impl RotationPosition {
    /// The position whose next step is the queue numbered `first`, counted around.
    #[must_use]
    pub fn before(first: i32) -> Self {
        Self(first.wrapping_sub(1))
    }

    /// A position from a random number.
    #[must_use]
    pub fn drawn(number: u64) -> Self {
        Self(number as i32)
    }

    /// Steps on; returns the new position and the place among `count` that it stands for.
    ///
    /// At the end of the numbers it goes on at the place that follows, so that no queue is skipped
    /// or doubled there. The sign bit is cleared instead of negated, because -(-2^31) is no `i32`.
    #[must_use]
    fn step(self, count: usize) -> (Self, usize) {
        let count = bounded(count);
        let next = match self.0.checked_add(1) {
            Some(next) => next & i32::MAX,
            None => (i32::MAX % count + 1) % count,
        };
        (Self(next), usize::try_from(next % count).unwrap_or(0))
    }

    /// Where so many steps lead, fewer than there are places.
    #[must_use]
    fn skip(self, steps: usize, count: usize) -> Self {
        let steps = i32::try_from(steps).unwrap_or(i32::MAX);
        let next = self.0.checked_add(steps).unwrap_or_else(|| {
            let beyond = steps - (i32::MAX - self.0);
            let (Self(at), _) = Self(i32::MAX).step(count);
            at.saturating_add(beyond - 1)
        });
        Self(next)
    }
}

fn bounded(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX).max(1)
}

/// The two places in the rotation of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions {
    /// Where first attempts are.
    pub first: RotationPosition,
    /// Where retries are, if they have a rotation of their own.
    pub retry: RotationPosition,
}

/// The queue that an attempt goes to, and where the rotation stands then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Its place in the list.
    pub index: usize,
    /// The rotation after the choice.
    pub positions: Positions,
}

/// The brokers that the next choice avoids, given those that failed in this send, in their order.
#[must_use]
pub fn avoided<'a>(policy: &Policy, failed: &'a [Name]) -> &'a [Name] {
    match policy.avoid {
        Avoid::AllFailed => failed,
        Avoid::Last => &failed[failed.len().saturating_sub(1)..],
        Avoid::None => &[],
    }
}

/// Whether all callers of a producer share one rotation.
#[must_use]
pub fn shared(policy: &Policy) -> bool {
    match policy.rotation {
        Rotation::PerTopic => true,
        Rotation::PerCaller => false,
    }
}

/// Where rotations start, given a random number.
#[must_use]
pub fn start(policy: &Policy, drawn: u64) -> Positions {
    match policy.rotation_start {
        RotationStart::Drawn => Positions {
            first: RotationPosition::drawn(drawn),
            retry: RotationPosition::drawn(drawn >> 32),
        },
        RotationStart::At(queue) => Positions {
            first: RotationPosition::before(queue),
            retry: RotationPosition::before(queue),
        },
    }
}

/// Where a choice takes its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// On the topic's rotation, one for each queue that is looked at.
    Topic,
    /// On the retries' rotation, over the queues that are not avoided, in their order.
    Retry,
    /// On the retries' rotation, over the queues that are not avoided, from broker to broker: what one
    /// broker loses is at once shared by all others, however many queues each of them has.
    Spread,
}

/// Where a choice that leaves the topic's rotation takes its steps: a retry, or a first attempt whose
/// turn is at a broker that is avoided.
#[must_use]
pub fn steps(policy: &Policy, mode: Mode) -> Steps {
    match policy.failover {
        Failover::OwnRotation => Steps::Spread,
        Failover::StepOn if mode == Mode::Async => Steps::Retry,
        Failover::StepOn => Steps::Topic,
    }
}

/// How good a choice a broker is, by what is remembered of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// It was slow or failed, and could not even be reached.
    Unreachable,
    /// It was slow or failed a moment ago.
    Reachable,
    /// Nothing speaks against it.
    Usable,
    /// It is chosen whether it failed in this send or not.
    Welcome,
}

/// Chooses a queue; `None` only if there is none.
///
/// `failed` are the brokers that failed in this send, in their order; `grade` tells what the
/// health table says of a broker. The tiers, best first: welcome; usable and not avoided;
/// reachable and not avoided; not avoided; not the last one; any.
#[must_use]
pub fn queue(
    policy: &Policy,
    mode: Mode,
    queues: &Queues,
    positions: Positions,
    failed: &[Name],
    grade: impl Fn(&Name) -> Grade,
) -> Option<Choice> {
    if queues.is_empty() {
        return None;
    }
    let fits = best(policy, queues, failed, grade);
    let elsewhere = steps(policy, mode);
    let walk = if failed.is_empty() {
        Steps::Topic
    } else {
        elsewhere
    };
    Some(match walk {
        Steps::Topic => around(queues, positions, &fits, elsewhere),
        Steps::Retry => among(queues, positions, &fits, |_, place| place),
        Steps::Spread => spread(queues, positions, &fits, failed.len()),
    })
}

/// Which brokers are in the best tier that has a queue. A tier without one costs no step: a whole
/// round would end at the same place.
fn best(
    policy: &Policy,
    queues: &Queues,
    failed: &[Name],
    grade: impl Fn(&Name) -> Grade,
) -> SmallVec<[bool; 16]> {
    let avoided = avoided(policy, failed);
    let last = avoided.last();
    let tier = |broker: &Name| {
        let fresh = !avoided.contains(broker);
        match grade(broker) {
            Grade::Welcome => 0,
            Grade::Usable if fresh => 1,
            Grade::Reachable if fresh => 2,
            _ if fresh => 3,
            _ if Some(broker) != last => 4,
            _ => 5,
        }
    };
    let tiers: SmallVec<[u8; 16]> = queues.brokers.iter().map(tier).collect();
    let best = tiers.iter().min().copied().unwrap_or_default();
    tiers.iter().map(|tier| *tier == best).collect()
}

/// Steps on to the next queue. If its broker does not fit, the choice is made elsewhere, or goes on
/// around all queues until one fits.
fn around(queues: &Queues, now: Positions, fits: &[bool], elsewhere: Steps) -> Choice {
    let count = queues.len();
    let (first, index) = now.first.step(count);
    let positions = Positions { first, ..now };
    let run = queues.run_of(index);
    if fits[queues.runs[run].broker] {
        return Choice { index, positions };
    }
    if elsewhere == Steps::Spread {
        return spread(queues, positions, fits, 0);
    }
    let next = queues.runs[run..].iter().chain(&queues.runs[..run]);
    let mut next = next.filter(|run| fits[run.broker]);
    let at = next.next().map_or(index, |run| run.start);
    let steps = (at + count - index) % count;
    let positions = Positions {
        first: first.skip(steps, count),
        ..now
    };
    Choice {
        index: at,
        positions,
    }
}

/// Takes the next of those queues that fit; `order` says which one, given the position and its place
/// among so many.
fn among(
    queues: &Queues,
    now: Positions,
    fits: &[bool],
    order: impl Fn(RotationPosition, usize) -> usize,
) -> Choice {
    let count = queues.count(fits);
    let (retry, place) = now.retry.step(count);
    let index = queues.fitting(fits, order(retry, place));
    let positions = Positions { retry, ..now };
    Choice { index, positions }
}

fn spread(queues: &Queues, now: Positions, fits: &[bool], failures: usize) -> Choice {
    let count = queues.count(fits);
    among(queues, now, fits, |position, _| {
        apart(position, failures, count)
    })
}

/// The parts of a circle, as parts of 2^32, by which an attempt after so many failures of its send goes on: the
/// golden section, then the roots of 2, 3, 7 and 11 without their whole turns. No two of them are in a ratio
/// of whole numbers, so where a second attempt went says nothing of where the third one goes.
const TURNS: [u32; 5] = [
    0x9E37_79B9,
    0x6A09_E667,
    0xBB67_AE85,
    0xA54F_F53A,
    0x510E_527F,
];

/// One of `count` places, as far from those of the last positions as can be: the way around is the position's
/// multiple of an irrational part of a circle. So every place gets its part of any row of positions, and of
/// every second or third of them as well. Sends that all make two retries take every second position for
/// each; a plain rotation would give each of the two its own half of the queues, for ever.
fn apart(position: RotationPosition, failures: usize, count: usize) -> usize {
    let turn = TURNS[failures.saturating_sub(1) % TURNS.len()];
    let around = u64::from((position.0 as u32).wrapping_mul(turn));
    let count = u64::from(bounded(count).unsigned_abs());
    // Less than the count, which was a `usize`.
    ((around * count) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::QueueRef;

    fn queues(brokers: &[(&str, i32)]) -> Queues {
        let of = |&(broker, count): &(&str, i32)| {
            let broker = Name::from(broker);
            (0..count).map(move |queue| QueueRef {
                broker: Name::clone(&broker),
                queue,
            })
        };
        Queues::new(brokers.iter().flat_map(of).collect())
    }

    fn start(first: i32) -> Positions {
        Positions {
            first: RotationPosition::before(first),
            retry: RotationPosition::before(0),
        }
    }

    fn names(of: &[&str]) -> Vec<Name> {
        of.iter().map(|&name| Name::from(name)).collect()
    }

    fn pick(policy: &Policy, list: &Queues, at: &mut Positions, failed: &[&str]) -> String {
        let failed = names(failed);
        let choice = queue(policy, Mode::Sync, list, *at, &failed, |_| Grade::Usable).unwrap();
        *at = choice.positions;
        let queue = &list[choice.index];
        format!("{}{}", queue.broker, queue.queue)
    }

    #[test]
    fn eight_sends_hit_each_of_eight_queues_once_in_order() {
        let list = queues(&[("a", 4), ("b", 4)]);
        let mut at = start(2);
        let seen: Vec<_> = (0..8)
            .map(|_| pick(&Policy::strict(), &list, &mut at, &[]))
            .collect();
        assert_eq!(seen, ["a2", "a3", "b0", "b1", "b2", "b3", "a0", "a1"]);
    }

    #[test]
    fn the_counter_wraps_to_the_queue_that_follows_and_is_never_negative() {
        let list = queues(&[("a", 3)]);
        let mut at = start(i32::MAX);
        assert_eq!(pick(&Policy::strict(), &list, &mut at, &[]), "a1");
        assert_eq!(pick(&Policy::strict(), &list, &mut at, &[]), "a2");
        assert_eq!(pick(&Policy::strict(), &list, &mut at, &[]), "a0");
        let mut at = start(i32::MIN);
        assert_eq!(pick(&Policy::strict(), &list, &mut at, &[]), "a2");
        let mut at = start(-1);
        assert_eq!(pick(&Policy::strict(), &list, &mut at, &[]), "a1");
    }

    #[test]
    fn java_goes_to_the_first_queue_of_the_other_broker_and_back() {
        let java = Policy::java_5_3();
        let list = queues(&[("a", 4), ("b", 4)]);
        let mut at = start(1);
        assert_eq!(pick(&java, &list, &mut at, &[]), "a1");
        assert_eq!(pick(&java, &list, &mut at, &["a"]), "b0");
        assert_eq!(pick(&java, &list, &mut at, &["a", "b"]), "a0");
    }

    #[test]
    fn javas_retry_on_the_only_broker_uses_the_next_queue() {
        let java = Policy::java_5_3();
        let list = queues(&[("a", 4)]);
        let mut at = start(2);
        assert_eq!(pick(&java, &list, &mut at, &[]), "a2");
        assert_eq!(pick(&java, &list, &mut at, &["a"]), "a3");
    }

    #[test]
    fn all_failed_brokers_are_avoided_and_the_third_is_reached() {
        let list = queues(&[("a", 4), ("b", 4), ("c", 4)]);
        let mut at = start(0);
        assert_eq!(pick(&Policy::strict(), &list, &mut at, &["a", "b"]), "c0");
    }

    #[test]
    fn if_all_failed_only_the_last_one_is_avoided() {
        let list = queues(&[("a", 1), ("b", 1)]);
        let mut at = start(0);
        assert_eq!(pick(&Policy::strict(), &list, &mut at, &["b", "a"]), "b0");
        assert_eq!(pick(&Policy::strict(), &list, &mut at, &["a", "b"]), "a0");
    }

    #[test]
    fn the_only_broker_is_chosen_though_it_failed() {
        let list = queues(&[("a", 2)]);
        let mut at = start(0);
        assert_eq!(pick(&Policy::strict(), &list, &mut at, &["a"]), "a0");
        assert_eq!(pick(&Policy::strict(), &list, &mut at, &["a", "a"]), "a0");
    }

    #[test]
    fn no_queue_is_no_choice() {
        let list = queues(&[]);
        let nothing = queue(&Policy::strict(), Mode::Sync, &list, start(0), &[], |_| {
            Grade::Usable
        });
        assert_eq!(nothing, None);
    }

    #[test]
    fn retries_spread_evenly_over_the_other_brokers_queues() {
        let list = queues(&[("a", 4), ("b", 4), ("c", 4)]);
        let mut at = start(0);
        let seen: Vec<_> = (0..8)
            .map(|_| pick(&Policy::strict(), &list, &mut at, &["a"]))
            .collect();
        assert_eq!(seen, ["b0", "c0", "b1", "c2", "b3", "b0", "c1", "b2"]);
    }

    #[test]
    fn what_a_broker_of_many_queues_loses_is_shared_by_all_others_at_once() {
        let list = queues(&[("a", 100), ("b", 100), ("c", 100)]);
        let usable = |broker: &Name| match &**broker {
            "a" => Grade::Reachable,
            _ => Grade::Usable,
        };
        for failed in [names(&[]), names(&["a"])] {
            let mut at = start(0);
            let mut taken = [0_i32; 3];
            for _ in 0..20 {
                let strict = Policy::strict();
                let choice = queue(&strict, Mode::Sync, &list, at, &failed, usable).unwrap();
                at = choice.positions;
                taken[choice.index / 100] += 1;
                assert!((taken[1] - taken[2]).abs() <= 2, "{taken:?}");
            }
            assert_eq!(taken[0], 0);
        }
    }

    #[test]
    fn a_choice_looks_at_runs_of_queues_not_at_queues() {
        let list = queues(&[("a", 65_536), ("b", 65_536)]);
        assert_eq!(list.runs.len(), 2);
        assert_eq!(list.len(), 131_072);
    }

    #[test]
    fn an_unhealthy_broker_is_no_first_choice_but_better_than_none() {
        let list = queues(&[("a", 1), ("b", 1)]);
        let policy = Policy::strict();
        let choose = |failed: &[Name], grades: [Grade; 2]| {
            let grade = |name: &Name| grades[usize::from(&**name == "b")];
            let choice = queue(&policy, Mode::Sync, &list, start(0), failed, grade);
            choice.unwrap().index
        };
        let (gone, slow) = (Grade::Unreachable, Grade::Reachable);
        assert_eq!(choose(&[], [slow, Grade::Usable]), 1);
        assert_eq!(choose(&[], [slow, slow]), 0);
        assert_eq!(choose(&[], [gone, slow]), 1);
        assert_eq!(choose(&names(&["b"]), [slow, Grade::Usable]), 0);
        assert_eq!(choose(&names(&["b"]), [slow, Grade::Welcome]), 1);
    }

    #[test]
    fn javas_async_retry_leaves_the_topics_rotation_where_it_is() {
        let java = Policy::java_5_3();
        let list = queues(&[("a", 2), ("b", 2)]);
        let at = start(0);
        let failed = names(&["a"]);
        let retry = |mode| queue(&java, mode, &list, at, &failed, |_| Grade::Usable).unwrap();
        assert_eq!(retry(Mode::Async).positions.first, at.first);
        assert_ne!(retry(Mode::Sync).positions.first, at.first);
    }

    /// Java's walk, queue by queue: what [`around`] must come to.
    fn walked(
        list: &Queues,
        mut at: RotationPosition,
        fits: impl Fn(&Name) -> bool,
    ) -> (RotationPosition, usize) {
        let mut index;
        for _ in 0..list.len() {
            (at, index) = at.step(list.len());
            if fits(&list[index].broker) {
                return (at, index);
            }
        }
        panic!("no queue fits");
    }

    proptest! {
        #[test]
        fn a_walk_by_runs_comes_to_the_queue_and_position_of_a_walk_by_queues(
            counts in proptest::collection::vec((0_usize..3, 1_i32..4), 1..6),
            first in prop_oneof![any::<i32>(), (i32::MAX - 20)..=i32::MAX],
            isolated in 0_usize..4,
        ) {
            let brokers = ["a", "b", "c", "none"];
            let of: Vec<_> = counts.iter().map(|(at, count)| (brokers[*at], *count)).collect();
            let list = queues(&of);
            let usable = |name: &Name| &**name != brokers[isolated];
            prop_assume!(list.brokers().iter().any(usable));
            let grade = |name: &Name| if usable(name) { Grade::Usable } else { Grade::Reachable };
            let at = start(first);
            let choice = queue(&Policy::java_5_3(), Mode::Sync, &list, at, &[], grade).unwrap();
            let (position, index) = walked(&list, at.first, usable);
            prop_assert_eq!(choice.index, index);
            prop_assert_eq!(choice.positions.first, position);
        }

        #[test]
        fn where_the_second_attempt_went_says_nothing_of_the_third(count in 4_usize..65, from in any::<i32>()) {
            // Sends that make two retries: of those whose first one went to the first quarter, the second ones
            // go to every quarter.
            let quarter = |place: usize| (place * 4 / count).min(3);
            let (mut at, mut taken) = (RotationPosition(from), [0_u32; 4]);
            for _ in 0..2_000 {
                let (second, _) = at.step(count);
                let (third, _) = second.step(count);
                at = third;
                if quarter(apart(second, 1, count)) == 0 {
                    taken[quarter(apart(third, 2, count))] += 1;
                }
            }
            let all: u32 = taken.iter().sum();
            prop_assert!(taken.iter().all(|it| it * 8 > all), "{:?}", taken);
        }

        #[test]
        fn whoever_takes_every_position_or_every_second_or_third_comes_to_every_place(
            count in 1_usize..65,
            stride in 1_usize..9,
            failures in 0_usize..9,
            from in any::<i32>(),
        ) {
            const ROUNDS: usize = 20;
            let mut taken = vec![0_usize; count];
            let mut at = RotationPosition(from);
            for _ in 0..ROUNDS * count {
                for _ in 0..stride {
                    (at, _) = at.step(count);
                }
                taken[apart(at, failures, count)] += 1;
            }
            prop_assert!(taken.iter().all(|it| it.abs_diff(ROUNDS) <= ROUNDS / 2), "{:?}", taken);
        }

        #[test]
        fn a_choice_is_legal_and_avoids_what_can_be_avoided(
            counts in proptest::collection::vec(1_i32..5, 1..5),
            first in any::<i32>(),
            retry in any::<u64>(),
            failed in proptest::collection::vec(0_usize..5, 0..4),
            java in any::<bool>(),
        ) {
            let policy = if java { Policy::java_5_3() } else { Policy::strict() };
            let brokers = ["a", "b", "c", "d", "e"];
            let of: Vec<_> = brokers.iter().copied().zip(counts.iter().copied()).collect();
            let list = queues(&of);
            let failed: Vec<_> = failed.into_iter().map(|at| Name::from(brokers[at])).collect();
            let at = Positions { first: RotationPosition::before(first), retry: RotationPosition::drawn(retry) };
            let usable = |_: &Name| Grade::Usable;
            let choice = queue(&policy, Mode::Sync, &list, at, &failed, usable).unwrap();
            let chosen = &list[choice.index].broker;
            let avoid = avoided(&policy, &failed);
            if list.iter().any(|queue| !avoid.contains(&queue.broker)) {
                prop_assert!(!avoid.contains(chosen));
            }
            if let Some(last) = failed.last() && list.has_other(last) {
                prop_assert!(chosen != last);
            }
        }
    }
}

//! Which queue the next attempt goes to.
//!
//! First attempts walk around the queues of the topic, so that each gets its part. A retry avoids
//! the brokers that failed; while any queue is writable, one is chosen, even if all are avoided.

use rmq_remoting::observe::Name;

use crate::event::{Mode, QueueRef};
use crate::policy::{Avoid, Failover, Policy, Rotation, RotationStart};

/// A place in a rotation: a counter that only ever steps on, and wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(i32);

impl Position {
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
        let count = i32::try_from(count).unwrap_or(i32::MAX).max(1);
        let next = match self.0.checked_add(1) {
            Some(next) => next & i32::MAX,
            None => (i32::MAX % count + 1) % count,
        };
        (Self(next), usize::try_from(next % count).unwrap_or(0))
    }
}

/// The two places in the rotation of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions {
    /// Where first attempts are.
    pub first: Position,
    /// Where retries are, if they have a rotation of their own.
    pub retry: Position,
}

/// A chosen queue.
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
            first: Position::drawn(drawn),
            retry: Position::drawn(drawn >> 32),
        },
        RotationStart::At(queue) => Positions {
            first: Position::before(queue),
            retry: Position::before(queue),
        },
    }
}

/// Where a choice takes its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// On the topic's rotation, one for each queue that is looked at.
    Topic,
    /// On the retries' rotation, over the queues that are not avoided.
    Retry,
}

/// Where a retry takes its steps.
#[must_use]
pub fn steps(policy: &Policy, mode: Mode) -> Steps {
    match policy.failover {
        Failover::OwnRotation => Steps::Retry,
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
    queues: &[QueueRef],
    positions: Positions,
    failed: &[Name],
    grade: impl Fn(&Name) -> Grade,
) -> Option<Choice> {
    if queues.is_empty() {
        return None;
    }
    let avoided = avoided(policy, failed);
    let last = avoided.last();
    let fresh = |queue: &QueueRef| !avoided.contains(&queue.broker);
    let best = |queue: &QueueRef| fresh(queue) && grade(&queue.broker) >= Grade::Usable;
    let tiers: [&dyn Fn(&QueueRef) -> bool; 5] = [
        &|queue| grade(&queue.broker) == Grade::Welcome,
        &best,
        &|queue| fresh(queue) && grade(&queue.broker) == Grade::Reachable,
        &fresh,
        &|queue| Some(&queue.broker) != last,
    ];
    let walk = if failed.is_empty() {
        Steps::Topic
    } else {
        steps(policy, mode)
    };
    // A tier without a queue costs no step: a whole round would end at the same place.
    let tier = tiers.into_iter().find(|tier| queues.iter().any(tier));
    let fits = tier.unwrap_or(&|_| true);
    Some(match walk {
        Steps::Topic => around(queues, positions, fits),
        Steps::Retry => among(queues, positions, fits),
    })
}

/// Steps around all queues until one fits.
fn around(queues: &[QueueRef], now: Positions, fits: &dyn Fn(&QueueRef) -> bool) -> Choice {
    let (mut first, mut index) = now.first.step(queues.len());
    for _ in 1..queues.len() {
        if fits(&queues[index]) {
            break;
        }
        (first, index) = first.step(queues.len());
    }
    let positions = Positions { first, ..now };
    Choice { index, positions }
}

/// Takes the next of those queues that fit.
fn among(queues: &[QueueRef], now: Positions, fits: &dyn Fn(&QueueRef) -> bool) -> Choice {
    let count = queues.iter().filter(|queue| fits(queue)).count();
    let (retry, place) = now.retry.step(count);
    let mut fitting = queues.iter().enumerate().filter(|(_, queue)| fits(queue));
    let index = fitting.nth(place).map_or(0, |(index, _)| index);
    let positions = Positions { retry, ..now };
    Choice { index, positions }
}

/// Whether a broker other than `broker` has a queue here.
#[must_use]
pub fn has_other(queues: &[QueueRef], broker: &Name) -> bool {
    queues.iter().any(|queue| queue.broker != *broker)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queues(brokers: &[(&str, i32)]) -> Vec<QueueRef> {
        let of = |&(broker, count): &(&str, i32)| {
            let broker = Name::from(broker);
            (0..count).map(move |queue| QueueRef {
                broker: Name::clone(&broker),
                queue,
            })
        };
        brokers.iter().flat_map(of).collect()
    }

    fn start(first: i32) -> Positions {
        Positions {
            first: Position::before(first),
            retry: Position::before(0),
        }
    }

    fn names(of: &[&str]) -> Vec<Name> {
        of.iter().map(|&name| Name::from(name)).collect()
    }

    fn pick(policy: &Policy, list: &[QueueRef], at: &mut Positions, failed: &[&str]) -> String {
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
        assert_eq!(pick(&Policy::strict(), &list, &mut at, &["a", "a"]), "a1");
    }

    #[test]
    fn no_queue_is_no_choice() {
        let nothing = queue(&Policy::strict(), Mode::Sync, &[], start(0), &[], |_| {
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
        assert_eq!(seen, ["b0", "b1", "b2", "b3", "c0", "c1", "c2", "c3"]);
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

    proptest! {
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
            let at = Positions { first: Position::before(first), retry: Position::drawn(retry) };
            let usable = |_: &Name| Grade::Usable;
            let choice = queue(&policy, Mode::Sync, &list, at, &failed, usable).unwrap();
            let chosen = &list[choice.index].broker;
            let avoid = avoided(&policy, &failed);
            if list.iter().any(|queue| !avoid.contains(&queue.broker)) {
                prop_assert!(!avoid.contains(chosen));
            }
            if let Some(last) = failed.last() && has_other(&list, last) {
                prop_assert!(chosen != last);
            }
        }
    }
}

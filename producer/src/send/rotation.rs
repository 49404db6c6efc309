//! Where a caller stands in the rotation over the queues of each topic.
//!
//! The positions are state; which queue follows is decided in [`decide::select`](crate::decide).

use std::collections::BTreeMap;

use parking_lot::Mutex;
use rmq_host::SharedHost;
use rmq_remoting::observe::Name;

use crate::client::state::identity_hash;
use crate::decide::queues::Queues;
use crate::decide::select::{self, Grade, Positions, RotationPosition};
use crate::event::{Mode, QueueRef};
use crate::policy::Policy;

/// What a choice does to the rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The queue is taken: the next choice is the one after it.
    Take,
    /// The queue is only looked at: the next choice is the same one.
    Look,
}

/// The positions of one caller, or of all callers of one producer.
#[derive(Debug)]
pub(crate) struct Rotations {
    host: SharedHost,
    /// Tells the draws of one producer from those of another.
    seed: u64,
    /// The first queue, if it is not drawn.
    start: Option<i32>,
    topics: Mutex<BTreeMap<Name, Positions>>,
    callers: Mutex<u64>,
}

impl Rotations {
    pub(crate) fn new(host: SharedHost, seed: u64, start: Option<i32>) -> Self {
        Self {
            host,
            seed,
            start,
            topics: Mutex::default(),
            callers: Mutex::new(0),
        }
    }

    /// A rotation of its own for another caller, which starts elsewhere.
    pub(crate) fn of_another_caller(&self) -> Self {
        let caller = {
            let mut callers = self.callers.lock();
            *callers += 1;
            *callers
        };
        let seed = self.seed.rotate_left(17) ^ caller;
        Self::new(SharedHost::clone(&self.host), seed, self.start)
    }

    /// Chooses the next queue of a topic.
    pub(crate) fn choose(
        &self,
        (step, mode): (Step, Mode),
        policy: &Policy,
        topic: &Name,
        queues: &Queues,
        failed: &[Name],
        grade: impl Fn(&Name) -> Grade,
    ) -> Option<QueueRef> {
        let mut topics = self.topics.lock();
        let positions = match topics.get_mut(topic) {
            Some(positions) => positions,
            None => topics
                .entry(Name::clone(topic))
                .or_insert(self.first(policy, topic)),
        };
        let choice = select::queue(policy, mode, queues, *positions, failed, grade)?;
        if step == Step::Take {
            *positions = choice.positions;
        }
        queues.get(choice.index).cloned()
    }

    fn first(&self, policy: &Policy, topic: &Name) -> Positions {
        if let Some(start) = self.start {
            let position = RotationPosition::before(start);
            return Positions {
                first: position,
                retry: position,
            };
        }
        let drawn = self
            .host
            .draw("producer.rotation", self.seed ^ identity_hash(topic));
        select::start(policy, drawn)
    }
}

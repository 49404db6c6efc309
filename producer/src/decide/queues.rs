//! The queues of a route by broker, so that a choice among them costs by the number of brokers: one
//! broker may have thousands of queues, and each send chooses.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use rmq_remoting::observe::Name;

use crate::event::QueueRef;

/// The queues of a route, in their order, and where the queues of each broker are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queues {
    list: Arc<[QueueRef]>,
    pub(super) brokers: Vec<Name>,
    pub(super) runs: Vec<Run>,
}

/// Queues of one broker that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// The place of the first one.
    pub(super) start: usize,
    /// The place after the last one.
    pub(super) end: usize,
    /// Whose they are, as a place among the brokers.
    pub(super) broker: usize,
}

impl Queues {
    /// The queues in this order.
    #[must_use]
    pub fn new(list: Arc<[QueueRef]>) -> Self {
        let mut brokers: Vec<Name> = Vec::new();
        let mut places: BTreeMap<&Name, usize> = BTreeMap::new();
        let mut runs: Vec<Run> = Vec::new();
        for (place, queue) in list.iter().enumerate() {
            let end = place + 1;
            match runs.last_mut() {
                Some(run) if brokers[run.broker] == queue.broker => run.end = end,
                _ => {
                    let broker = *places.entry(&queue.broker).or_insert_with(|| {
                        brokers.push(Name::clone(&queue.broker));
                        brokers.len() - 1
                    });
                    let start = place;
                    runs.push(Run { start, end, broker });
                }
            }
        }
        Self {
            list,
            brokers,
            runs,
        }
    }

    /// All queues of the route, in its order.
    #[must_use]
    pub fn list(&self) -> &Arc<[QueueRef]> {
        &self.list
    }

    /// The brokers, each once.
    #[must_use]
    pub fn brokers(&self) -> &[Name] {
        &self.brokers
    }

    /// Whether a broker other than `broker` has a queue here.
    #[must_use]
    pub fn has_other(&self, broker: &Name) -> bool {
        self.brokers.iter().any(|other| other != broker)
    }

    /// The run that a place is in.
    pub(super) fn run_of(&self, place: usize) -> usize {
        let after = self.runs.partition_point(|run| run.start <= place);
        after.saturating_sub(1)
    }

    /// The queue at `nth` of those whose brokers fit.
    pub(super) fn fitting(&self, fits: &[bool], nth: usize) -> usize {
        let mut left = nth;
        for run in self.runs.iter().filter(|run| fits[run.broker]) {
            let len = run.end - run.start;
            if left < len {
                return run.start + left;
            }
            left -= len;
        }
        0
    }

    /// How many queues have brokers that fit.
    pub(super) fn count(&self, fits: &[bool]) -> usize {
        let runs = self.runs.iter().filter(|run| fits[run.broker]);
        runs.map(|run| run.end - run.start).sum()
    }
}

impl Deref for Queues {
    type Target = [QueueRef];

    fn deref(&self) -> &[QueueRef] {
        &self.list
    }
}

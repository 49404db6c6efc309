//! The queues of a route, to be found again without looking at all of them.
//!
//! A route may have thousands of queues, and checkers ask about it at every attempt. Routes list their
//! queues broker by broker, so a route is kept as runs of one broker, and what is asked costs as much
//! as there are brokers, not queues.

use rmq_producer::event::QueueRef;
use rmq_remoting::observe::Name;

use crate::trace::work;

/// The queues of a route.
#[derive(Debug, Default)]
pub struct RouteQueues<'t> {
    all: &'t [QueueRef],
    /// Where each row of queues of one broker begins and ends.
    runs: Vec<(usize, usize)>,
    /// Every broker once, in the order of their names, with the number of its queues.
    brokers: Vec<(&'t Name, usize)>,
}

impl<'t> RouteQueues<'t> {
    /// Looks at each queue once.
    pub fn of(all: &'t [QueueRef]) -> Self {
        work::done(all.len());
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for (at, queue) in all.iter().enumerate() {
            match runs.last_mut() {
                Some((start, end)) if all[*start].broker == queue.broker => *end = at + 1,
                _ => runs.push((at, at + 1)),
            }
        }
        let mut brokers: Vec<(&Name, usize)> = runs
            .iter()
            .map(|(start, end)| (&all[*start].broker, end - start))
            .collect();
        brokers.sort_unstable();
        brokers.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        Self { all, runs, brokers }
    }

    /// All of them, in the order of the route.
    pub fn all(&self) -> &'t [QueueRef] {
        work::done(self.all.len());
        self.all
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The brokers in the order of their names, each with the number of its queues.
    pub fn brokers(&self) -> &[(&'t Name, usize)] {
        work::done(self.brokers.len());
        &self.brokers
    }

    /// The names of the brokers, in their order.
    pub fn names(&self) -> impl Iterator<Item = &'t Name> + '_ {
        self.brokers().iter().map(|(name, _)| *name)
    }

    /// Whether any queue is at this broker.
    pub fn has_broker(&self, broker: &str) -> bool {
        work::done(1);
        let found = self
            .brokers
            .binary_search_by(|(name, _)| (***name).cmp(broker));
        found.is_ok()
    }

    /// The place of a queue in the route.
    pub fn position(&self, broker: &str, queue: i32) -> Option<usize> {
        work::done(self.runs.len());
        self.runs.iter().find_map(|(start, end)| {
            let run = &self.all[*start..*end];
            let first = run.first().filter(|first| *first.broker == *broker)?;
            // Queues mostly count up from the first one.
            let likely = queue.checked_sub(first.queue);
            let likely = likely.and_then(|offset| usize::try_from(offset).ok());
            let found = likely.filter(|at| run.get(*at).is_some_and(|it| it.queue == queue));
            let found = found.or_else(|| {
                work::done(run.len());
                run.iter().position(|it| it.queue == queue)
            });
            found.map(|at| start + at)
        })
    }

    /// Whether a queue belongs to the route.
    pub fn contains(&self, queue: &QueueRef) -> bool {
        self.position(&queue.broker, queue.queue).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(list: &[(&str, i32)]) -> Vec<QueueRef> {
        let queue = |(broker, queue): &(&str, i32)| QueueRef {
            broker: Name::from(*broker),
            queue: *queue,
        };
        list.iter().map(queue).collect()
    }

    #[test]
    fn every_queue_is_found_where_it_is_and_no_other_one() {
        let list = [("b", 0), ("b", 1), ("a", 7), ("a", 3), ("b", 9), ("b", 1)];
        let all = queues(&list);
        let route = RouteQueues::of(&all);
        for (broker, queue) in list {
            let first = list.iter().position(|it| *it == (broker, queue));
            assert_eq!(route.position(broker, queue), first, "{broker}/{queue}");
        }
        for (broker, queue) in [("a", 0), ("b", 2), ("c", 0), ("b", -1), ("a", i32::MIN)] {
            assert_eq!(route.position(broker, queue), None, "{broker}/{queue}");
        }
        let brokers: Vec<(&str, usize)> =
            route.brokers().iter().map(|(it, n)| (&***it, *n)).collect();
        assert_eq!(brokers, [("a", 2), ("b", 4)]);
        assert!(route.has_broker("a") && !route.has_broker("c"));
    }
}

//! What the checkers of two runs compare: the sends of both, found again by the caller's own name.

use std::collections::BTreeMap;

use rmq_producer::event::{Outcome, QueueRef, Stage};
use rmq_remoting::observe::Name;

use crate::trace::history::{History, ProducerPhase, SendHistory, Timestamp};
use crate::trace::{NodeId, Trace};

/// The sends of one run that carry a name of their caller's (`KEYS`) and reached a broker.
pub(super) struct Sends<'t> {
    history: History<'t>,
}

/// A send, as it is compared.
pub(super) struct Compared<'c> {
    /// The producer that was called.
    pub(super) node: NodeId,
    /// The topic that the message goes to.
    pub(super) topic: &'c Name,
    /// When it was called.
    pub(super) called: Timestamp,
    /// Its first target; none if the caller chose it.
    pub(super) chosen: Option<Chosen<'c>>,
    /// Whether it ended well; none if it has no outcome.
    pub(super) well: Option<bool>,
    /// How long it took, in milliseconds.
    pub(super) took_ms: u64,
    /// Whether a broker refused one of its attempts: which queue it went to may have decided that.
    pub(super) refused: bool,
}

/// A queue that a producer chose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen<'c> {
    /// When it was chosen.
    pub(super) at: Timestamp,
    /// The queue.
    pub(super) queue: &'c QueueRef,
    /// The route that it was chosen from: an index into [`History::snapshots`].
    route: Option<usize>,
}

impl<'c> Compared<'c> {
    /// Its first target, unless the caller chose it.
    pub(super) fn target(&self) -> Option<&'c QueueRef> {
        self.chosen.map(|chosen| chosen.queue)
    }
}

impl<'t> Sends<'t> {
    pub(super) fn of(trace: &'t Trace) -> Self {
        let history = History::of(trace);
        Self { history }
    }

    /// Every send by its name.
    pub(super) fn by_name(&self) -> BTreeMap<&Name, Compared<'_>> {
        let named = self.history.sends.iter().filter_map(|send| {
            let request = &self.history.requests[*send.requests.first()?];
            Some((request.seen.keys.as_ref()?, compared(send)))
        });
        named.collect()
    }

    /// Whether a producer began to stop while a send was under way, or so soon after it that the send may be
    /// under way then in the other run.
    pub(super) fn stops_during(&self, send: &Compared<'_>, slack_ms: u64) -> bool {
        let until = send.called.ms + send.took_ms + slack_ms;
        let mut lives = self.history.lives.iter();
        lives.any(|life| {
            let during = life.timestamp.ms >= send.called.ms && life.timestamp.ms <= until;
            life.node == send.node && life.phase == ProducerPhase::Stopping && during
        })
    }

    /// When the producer first avoided a broker: by then it may choose otherwise than in another
    /// run, in which the broker was a moment quicker. Or when a caller first dropped a send: whether
    /// that took a turn depends on how far it had come. Or when a send failed without an attempt, for want of a
    /// permit, say, which came a moment too late.
    pub(super) fn calm_until(&self, node: NodeId) -> Option<Timestamp> {
        let mut health = self.history.health.iter();
        let avoided = health.find(|it| it.node == node).map(|it| it.timestamp);
        let sends = self.history.sends.iter().filter(|send| send.node == node);
        let dropped = sends.clone().filter_map(|send| send.cancelled).min();
        let barred = sends.clone().filter(|send| send.attempts.is_empty());
        let barred = barred.filter_map(|send| send.done.first());
        let barred =
            barred.filter_map(|(at, outcome)| matches!(outcome, Outcome::Failed(_)).then_some(*at));
        let barred = barred.min();
        // A broker or a hook refused: a route that is renewed a moment sooner or later has other queues.
        let ends = sends.flat_map(|send| send.attempts.iter().filter_map(|it| it.ended));
        let failed = ends.filter(|end| !matches!(end.stage, Stage::Accepted | Stage::Superseded));
        let failed = failed.map(|end| end.timestamp).min();
        let ends = avoided.into_iter().chain(dropped).chain(barred);
        ends.chain(failed).min()
    }

    /// The queues that were chosen for each producer and topic, in the order of the choices, each
    /// with the moment.
    pub(super) fn choices(&self) -> BTreeMap<(NodeId, &Name), Vec<Chosen<'_>>> {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for send in self.by_name().into_values() {
            if let Some(chosen) = send.chosen {
                all.entry((send.node, send.topic)).or_default().push(chosen);
            }
        }
        for choices in all.values_mut() {
            choices.sort_unstable_by_key(|chosen| chosen.at);
        }
        all
    }

    /// The queues that a choice was made of; none if its route is not in the trace.
    pub(super) fn queues(&self, chosen: &Chosen<'_>) -> Option<&[QueueRef]> {
        let route = &self.history.snapshots[chosen.route?];
        Some(route.queues.all())
    }
}

fn compared<'c>(send: &'c SendHistory<'_>) -> Compared<'c> {
    let first = send.attempts.first();
    let free = first.filter(|_| send.target_queue.is_none());
    let well = send
        .outcome()
        .map(|outcome| !matches!(outcome, Outcome::Failed(_)));
    let over = send.over().map_or(send.called.ms, |over| over.ms);
    Compared {
        node: send.node,
        topic: send.topic,
        called: send.called,
        chosen: free.map(|attempt| Chosen {
            at: attempt.started,
            queue: attempt.to,
            route: attempt.snapshot,
        }),
        well,
        took_ms: over - send.called.ms,
        refused: send
            .attempts
            .iter()
            .any(|it| it.ended.is_some_and(|end| end.stage == Stage::Refused)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use rmq_producer::event::Failure;

    use crate::invariant::scene::Scene;

    impl Scene {
        /// The send's attempt succeeds; its message carries the caller's name `s` and the number.
        pub(in crate::invariant) fn named_success(self, send: u64) -> Self {
            let name = |seen: &mut rmq_mock_broker::event::SendSeen| {
                seen.keys = Some(format!("s{send}").into());
            };
            let scene = self
                .seen_with(send, 1, name)
                .stored(send, 1)
                .answered(send, 1, 0);
            scene.reply(send, 1, 0).sent(send, 1)
        }
    }

    /// A send with a caller's name that succeeds at once.
    pub(in crate::invariant) fn named(scene: Scene, send: u64, to: &str) -> Scene {
        scene.call(send).attempt(send, 1, to).named_success(send)
    }

    /// A send with a caller's name that a broker reads and nobody answers.
    pub(in crate::invariant) fn unanswered(scene: Scene, send: u64, to: &str) -> Scene {
        let name = |seen: &mut rmq_mock_broker::event::SendSeen| {
            seen.keys = Some(format!("s{send}").into());
        };
        let scene = scene
            .call(send)
            .attempt(send, 1, to)
            .seen_with(send, 1, name);
        scene.failed(send, Failure::Deadline)
    }
}

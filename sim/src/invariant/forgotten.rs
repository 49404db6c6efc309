//! Topics that a client has forgotten, because no send needed them for as long as its policy keeps them.

use rmq_producer::event::{LookupEnd, LookupReason};
use rmq_remoting::observe::Name;

use super::CheckedRun;
use crate::trace::NodeId;
use crate::trace::history::Timestamp;

impl CheckedRun<'_> {
    /// Whether a client may have forgotten a topic by then: for as long as it keeps one, no send has gone by the
    /// topic's route or found it.
    pub(super) fn may_have_forgotten(&self, node: NodeId, topic: &Name, now: Timestamp) -> bool {
        let keeps = self.policy(node).map_or(0, |it| it.forget_ms);
        // Mostly a topic is kept for longer than the run lasts.
        let Some(since) = now.ms.checked_sub(keeps).filter(|_| keeps > 0) else {
            return false;
        };
        let lately = |at: Timestamp| at.ms > since && at < now;
        let mut lookups = self.history.lookups.iter();
        let looked_up = lookups.any(|it| {
            let here = it.node == node && it.topic == topic;
            let found = matches!(
                it.ended,
                Some((_, LookupEnd::Changed | LookupEnd::Unchanged))
            );
            here && found && it.reason == LookupReason::FirstSend && lately(it.started)
        });
        let mut attempts = self.attempts();
        let used = attempts.any(|(send, attempt)| {
            send.node == node && send.topic == topic && lately(attempt.started)
        });
        !looked_up && !used
    }
    /// Whether a route that cannot have been forgotten names an address.
    pub(super) fn still_routes(&self, node: NodeId, address: &Name, now: Timestamp) -> bool {
        let own = self.history.snapshots.iter().filter(|it| it.node == node);
        let mut named = own.filter(|it| it.addresses.iter().any(|(_, at)| at == address));
        named.any(|it| !self.may_have_forgotten(node, it.topic, now))
    }
}

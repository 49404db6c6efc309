//! Which queue the next attempt of a send goes to: the caller's, or one that the rotation and the
//! health table choose. What counts is decided in [`decide::select`](crate::decide::select).

use rmq_remoting::observe::Name;

use super::limits::millis;
use super::operation::SendOperation;
use super::rotation::Step;
use crate::client::routes::Snapshot;
use crate::event::QueueRef;

/// The queue of the next attempt: the caller's, or the next of the rotation.
pub(crate) fn choose(
    send: &SendOperation,
    snapshot: &Snapshot,
    failed: &[Name],
    step: Step,
) -> Option<QueueRef> {
    let core = &send.core;
    if let Some(queue) = &send.target_queue {
        return Some(queue.into());
    }
    let (policy, queues) = (&core.policy, &snapshot.queues);
    let table = core.health.lock();
    let now = millis(core.client.started.elapsed());
    let least_bad = table.least_bad(policy, queues.brokers().iter(), now);
    let grade = |broker: &Name| table.grade(policy, broker, least_bad, now);
    let (mode, topic) = (send.call.mode, send.call.message.topic_name());
    let rotations = &send.call.rotations;
    rotations.choose((step, mode), policy, topic, queues, failed, grade)
}

//! What a heartbeat says: the groups of the client's producers that run when it is made.

use rmq_remoting::observe::Name;

use super::is_crowded;
use crate::invariant::{CheckReport, CheckedRun};
use crate::trace::NodeId;
use crate::trace::history::{HeartbeatHistory, ProducerPhase, Timestamp};
use crate::truth::Condition;

/// The group of the producer that every Java client has within.
const INNER_GROUP: &str = "CLIENT_INNER_PRODUCER";
/// What a fault held back may arrive so much later.
const RECOVERY_MS: u64 = 10_000;

/// Checks every heartbeat that a broker read.
pub(super) fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for beat in &run.history.heartbeats {
        let Some(groups) = beat.groups else { continue };
        let Some((node, written)) = written(run, beat) else {
            continue;
        };
        let Some(policy) = run.policy(node) else {
            continue;
        };
        // It may have waited for its connection since it was made, but not longer than it had time.
        let made = written.ms.saturating_sub(policy.heartbeat_timeout_ms);
        let since = made.saturating_sub(RECOVERY_MS);
        let well = run.truth.worst(node, beat.broker, since, beat.timestamp.ms);
        if well != Condition::Healthy || run.truth.was_gone(node, 0, beat.timestamp.ms) {
            continue;
        }
        report.exercised();
        let (who, broker) = (run.name(node), run.name(beat.broker));
        if let Some(missing) = must_name(run, node, (made, written), groups) {
            let text = format!("{who} tells {broker} nothing of {missing}, which runs");
            report.wrong(beat.timestamp, text);
        } else if let Some(named) = must_not_name(run, (node, beat), made, groups) {
            let text = format!("{who} tells {broker} that {named} is there, and it is not");
            report.wrong(beat.timestamp, text);
        }
    }
}

/// The node whose client made a heartbeat, and when it was written.
fn written(run: &CheckedRun<'_>, beat: &HeartbeatHistory<'_>) -> Option<(NodeId, Timestamp)> {
    let index = run.history.connection_from(beat.peer)?;
    let connection = &run.history.connections[index];
    if is_crowded(run, connection) {
        return None;
    }
    let mut written = connection.written.iter().rev();
    let (_, at) = written.find(|(opaque, at)| *opaque == beat.opaque && *at < beat.timestamp)?;
    Some((connection.node, *at))
}

/// A group that a heartbeat leaves out and whose producer runs all the time in which it may have been made.
fn must_name<'t>(
    run: &CheckedRun<'t>,
    node: NodeId,
    (made, written): (u64, Timestamp),
    groups: &[Name],
) -> Option<&'t Name> {
    let starts = run.history.lives.iter();
    let mut running = starts.filter(|life| {
        let ends = run.history.lives.iter().filter(|it| {
            let is_its = it.group.is_none() || it.group == life.group;
            is_its && it.node == node && it.phase != ProducerPhase::Started
        });
        let ended = ends.filter(|it| it.timestamp > life.timestamp);
        let runs = ended.map(|it| it.timestamp).min();
        life.node == node
            && life.phase == ProducerPhase::Started
            && life.timestamp.ms < made
            && runs.is_none_or(|end| end > written)
    });
    let missing = running.find(|life| life.group.is_some_and(|it| !groups.contains(it)))?;
    missing.group
}

/// A group that a heartbeat names, and whose last producer had ended before it can have been made; or that no
/// producer of the client ever had.
fn must_not_name<'g>(
    run: &CheckedRun<'_>,
    (node, beat): (NodeId, &HeartbeatHistory<'_>),
    made: u64,
    groups: &'g [Name],
) -> Option<&'g Name> {
    let named = groups.iter().filter(|group| ***group != *INNER_GROUP);
    let mut gone = named.filter(|group| {
        let own = run.lives((node, Some(*group)));
        let last = own.filter(|it| it.timestamp < beat.timestamp).last();
        last.is_none_or(|life| match life.phase {
            ProducerPhase::Started | ProducerPhase::Stopping => false,
            ProducerPhase::Stopped | ProducerPhase::Dropped => life.timestamp.ms < made,
        })
    });
    gone.next()
}

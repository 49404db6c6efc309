//! The table of pending requests holds what is open, and nothing else.
//!
//! Whenever the tables are measured there are no more entries than open attempts and other open
//! requests; when a producer has been quiet for a while there is none. An entry that stays is a
//! leak that grows until the process dies.

use rmq_producer::event::Event;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::Timestamp;
use crate::trace::{NodeEvent, NodeId};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-35",
    title: "Table drains",
    source: Source::Both,
    rate_per_mille: 500,
    checker: Checker::Run(check),
    sides: &[side(
        "keeps … pending requests, … are open",
        &[
            "a hedged attempt is open",
            "a heartbeat waits for its answer",
            "nothing is pending when all is quiet",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// A heartbeat and a goodbye may wait behind an attempt that a full connection keeps.
const UNWRITTEN: usize = 2;

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for (at, record) in run.trace.records.iter().enumerate() {
        let NodeEvent::Producer(Event::Gauges { pending, .. }) = &record.what else {
            continue;
        };
        report.exercised();
        let timestamp = Timestamp { at, ms: record.ms };
        let open = open_attempts(run, record.node, timestamp) + others(run, record.node, timestamp);
        let pending = usize::try_from(*pending).unwrap_or(usize::MAX);
        if pending > open {
            let who = run.name(record.node);
            let text = format!("{who} keeps {pending} pending requests, {open} are open");
            report.wrong(timestamp, text);
        }
    }
}

fn open_attempts(run: &CheckedRun<'_>, node: NodeId, timestamp: Timestamp) -> usize {
    run.attempts()
        .filter(|(send, attempt)| send.node == node && attempt.open_at(timestamp, send.over()))
        .count()
}

/// Heartbeats, lookups and the like that may still wait for an answer: written on an open
/// connection within the longest time limit there is, and not answered. What is written a moment
/// later may be in the table already.
fn others(run: &CheckedRun<'_>, node: NodeId, timestamp: Timestamp) -> usize {
    let Some(policy) = run.policy(node) else {
        return 0;
    };
    let limit = policy.name_server_timeout_ms.max(policy.timeout_ms);
    let soon = run.due(node, timestamp.ms, 0);
    // A frozen producer gives up late.
    let may_wait = |at: &Timestamp| run.due(node, at.ms, limit) >= timestamp.ms;
    let connections = run
        .history
        .connections
        .iter()
        .filter(|it| it.node == node && it.closed.is_none_or(|(closed, _)| closed > timestamp));
    connections
        .map(|connection| {
            let recent = connection
                .written
                .iter()
                .rev()
                .take_while(|(_, at)| may_wait(at));
            // What waits for room in the connection leaves no record of its own, unless it is an attempt's.
            let mut given = connection.given.iter();
            let blocked =
                given.any(|(opaque, ..)| connection.written.iter().all(|it| it.0 != *opaque));
            let unwritten = if blocked { UNWRITTEN } else { 0 };
            unwritten
                + recent
                    .filter(|(opaque, at)| {
                        let of_attempt = connection.given.iter().any(|given| given.0 == *opaque);
                        let mut answers = connection.answers.iter();
                        let answered =
                            answers.any(|(it, read, _)| it == opaque && *read < timestamp);
                        at.ms <= soon && !of_attempt && !answered
                    })
                    .count()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::Stage;
    use rmq_remoting::event::Event as Transport;

    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a hedged attempt is open", || {
            gauges(two_open().at(1500), 2)
        }),
        accepts("a heartbeat waits for its answer", || {
            gauges(heartbeat(Scene::new().at(100)), 1)
        }),
        accepts("nothing is pending when all is quiet", || {
            gauges(Scene::new().at(0).whole(1, "a/0").at(20_000), 0)
        }),
        rejects("an answered request stays", || {
            gauges(Scene::new().at(0).whole(1, "a/0").at(20_000), 1).wrong()
        }),
        rejects("a superseded attempt stays when its send is done", || {
            let scene = two_open()
                .succeeds(1, 2)
                .ended(1, 1, Stage::Superseded, None);
            gauges(scene, 1).wrong()
        }),
        rejects("a heartbeat is never given up", || {
            gauges(heartbeat(Scene::new().at(100)).at(3200), 1).wrong()
        }),
    ];

    fn gauges(scene: Scene, pending: u32) -> Scene {
        scene.say(Event::Gauges {
            pending,
            open_sends: 0,
            topics: 1,
            connections: 3,
        })
    }

    fn heartbeat(scene: Scene) -> Scene {
        scene.say(Event::Transport(Transport::Written {
            connection: 1.into(),
            opaque: 500,
        }))
    }

    fn two_open() -> Scene {
        let scene = Scene::new()
            .at(0)
            .call(1)
            .attempt(1, 1, "a/0")
            .at(2)
            .seen(1, 1);
        scene.at(1000).hedged(1, 1).attempt(1, 2, "b/0")
    }
}

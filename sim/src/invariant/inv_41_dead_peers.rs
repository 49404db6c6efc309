//! A connection whose peer is gone is given up.
//!
//! A machine that lost its power sends no FIN, and TCP repeats what was written for a quarter of an
//! hour. A producer that waits for the kernel loses a send in every few until then. So, where the
//! policy says how much silence is too much: no attempt is put on a connection on which that many
//! were put since it last heard an answer, the first of them that long ago.

use rmq_producer::event::Mode;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{ConnectionHistory, Timestamp};
use crate::trace::record::PatienceFacts;
use crate::trace::{NodeId, work};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-41",
    title: "Dead peers",
    source: Source::ClientEvents,
    rate_per_mille: 1,
    checker: Checker::Run(check),
    sides: &[side(
        "puts an attempt on a connection to … that is dead",
        &[
            "a fourth attempt after nine silent seconds",
            "a late answer is a sign of life",
            "a new connection takes the place of a dead one",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let connections = &run.history.connections;
    for (index, connection) in connections.iter().enumerate() {
        let Some(talk) = Talk::of(run, connection) else {
            continue;
        };
        for timestamp in &talk.asked {
            if talk.is_dead(run, *timestamp) {
                report.exercised();
                let (who, to) = (run.name(connection.node), connection.to);
                let text = format!("{who} puts an attempt on a connection to {to} that is dead");
                report.wrong(*timestamp, text);
            }
        }
        // One that was given up and replaced shows that the rule was kept.
        let same = run
            .history
            .index
            .connections(connection.node, connection.to);
        let later = &same[same.partition_point(|it| *it <= index)..];
        let mut later = later.iter().map(|it| &connections[*it]);
        let replaced = later.find(|next| next.opened.is_some());
        if replaced.is_some_and(|next| talk.is_dead(run, next.dialled)) {
            report.exercised();
        }
    }
}

/// A request is not silent before its answer may take so long, in milliseconds.
const LEAST_SILENCE_MS: u64 = 100;

/// What was asked and heard on a connection of a producer that loses its patience.
struct Talk<'t> {
    node: NodeId,
    patience: &'t PatienceFacts,
    opened: Timestamp,
    /// When attempts that wait for an answer were put on it, in order.
    asked: Vec<Timestamp>,
    /// When answers came, in order.
    heard: Vec<Timestamp>,
}

impl<'t> Talk<'t> {
    fn of(run: &CheckedRun<'t>, connection: &ConnectionHistory<'_>) -> Option<Self> {
        let patience = run.policy(connection.node)?.patience.as_ref()?;
        let (opened, _) = connection.opened?;
        let given = connection.given.iter();
        let mut asked: Vec<Timestamp> = given
            .filter_map(|(_, send, attempt, wire)| {
                let send = &run.history.sends[*send];
                let wire = send.attempts[*attempt].wires.get(*wire)?;
                (send.mode != Mode::Oneway).then_some(wire.timestamp)
            })
            .collect();
        let mut heard: Vec<Timestamp> = connection.answers.iter().map(|(_, at, _)| *at).collect();
        work::done(asked.len() + heard.len());
        asked.sort_unstable();
        heard.sort_unstable();
        Some(Self {
            node: connection.node,
            patience,
            opened,
            asked,
            heard,
        })
    }

    /// Whether, just before `timestamp`, the connection had been silent for too long.
    fn is_dead(&self, run: &CheckedRun<'_>, timestamp: Timestamp) -> bool {
        work::done(1);
        let heard = self.heard.partition_point(|at| *at <= timestamp);
        let heard = heard
            .checked_sub(1)
            .map_or(self.opened, |at| self.heard[at]);
        let first = self.asked.partition_point(|at| *at <= heard);
        let silent = |at: &Timestamp| at.ms.saturating_add(LEAST_SILENCE_MS) <= timestamp.ms;
        let end = self.asked.partition_point(silent);
        let count = end.saturating_sub(first);
        let enough = u32::try_from(count).is_ok_and(|count| count >= self.patience.requests);
        let long_ago = |first: &Timestamp| {
            timestamp.ms > run.due(self.node, first.ms, self.patience.silence_ms)
        };
        enough && count > 0 && self.asked.get(first).is_some_and(long_ago)
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::Stage;

    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};
    use crate::trace::PatienceFacts;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a fourth attempt after nine silent seconds", || {
            three().at(9_000).call(4).attempt(4, 1, "a/3")
        }),
        accepts("a late answer is a sign of life", || {
            let scene = three().at(8_000).late(1, 1);
            scene.at(11_000).call(4).attempt(4, 1, "a/3")
        }),
        accepts("a new connection takes the place of a dead one", || {
            let scene = three().at(11_000).open(4, "broker-a").call(4);
            scene.attempt_by(4, 1, queue("a/3"), 1).request(4, 1, 4)
        }),
        rejects(
            "the fourth attempt goes to a peer that was silent for eleven seconds",
            || {
                let mut scene = three().at(11_000).call(4).attempt(4, 1, "a/3");
                // It is put on the connection, and then written.
                scene.marked = Some(scene.trace.records.len() - 2);
                scene
            },
        ),
    ];

    /// Three attempts get no answer from broker-a.
    fn three() -> Scene {
        let scene = Scene::new().facts(|header| {
            for policy in &mut header.policies {
                policy.patience = Some(PatienceFacts {
                    requests: 3,
                    silence_ms: 10_000,
                });
            }
        });
        let sends = [(1, "a/0"), (2, "a/1"), (3, "a/2")];
        sends.into_iter().fold(scene.at(100), |scene, (send, to)| {
            let scene = scene.call(send).attempt(send, 1, to);
            scene.ended(send, 1, Stage::Silent, None)
        })
    }
}

//! A connection whose peer is gone is given up.
//!
//! A machine that lost its power sends no FIN, and TCP repeats what was written for a quarter of an
//! hour. A producer that waits for the kernel loses a send in every few until then. So, where the
//! policy says how much silence is too much: no attempt is put on a connection on which that many
//! were put since it last heard an answer, the first of them that long ago.

use rmq_producer::event::Mode;

use super::{Case, Invariant, Judge, Judged, Source};
use crate::trace::record::PatienceFacts;
use crate::trace::story::{ConnectionStory, Moment};
use crate::trace::{NodeId, work};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-41",
    title: "Dead peers",
    source: Source::Testimony,
    rate_per_mille: 1,
    judge: Judge::Run(judge),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn judge(case: &Case<'_>, judged: &mut Judged) {
    let connections = &case.story.connections;
    for (index, connection) in connections.iter().enumerate() {
        let Some(talk) = Talk::of(case, connection) else {
            continue;
        };
        for moment in &talk.asked {
            if talk.is_dead(case, *moment) {
                judged.case();
                let (who, to) = (case.name(connection.node), connection.to);
                let text = format!("{who} puts an attempt on a connection to {to} that is dead");
                judged.wrong(*moment, text);
            }
        }
        // One that was given up and replaced shows that the rule was kept.
        let same = case.story.index.connections(connection.node, connection.to);
        let later = &same[same.partition_point(|it| *it <= index)..];
        let mut later = later.iter().map(|it| &connections[*it]);
        let replaced = later.find(|next| next.opened.is_some());
        if replaced.is_some_and(|next| talk.is_dead(case, next.dialled)) {
            judged.case();
        }
    }
}

/// What was asked and heard on a connection of a producer that loses its patience.
struct Talk<'t> {
    node: NodeId,
    patience: &'t PatienceFacts,
    opened: Moment,
    /// When attempts that wait for an answer were put on it, in order.
    asked: Vec<Moment>,
    /// When answers came, in order.
    heard: Vec<Moment>,
}

impl<'t> Talk<'t> {
    fn of(case: &Case<'t>, connection: &ConnectionStory<'_>) -> Option<Self> {
        let patience = case.policy(connection.node)?.patience.as_ref()?;
        let (opened, _) = connection.opened?;
        let given = connection.given.iter();
        let mut asked: Vec<Moment> = given
            .filter_map(|(_, send, attempt, wire)| {
                let send = &case.story.sends[*send];
                let wire = send.attempts[*attempt].wires.get(*wire)?;
                (send.mode != Mode::Oneway).then_some(wire.moment)
            })
            .collect();
        let mut heard: Vec<Moment> = connection.answers.iter().map(|(_, at, _)| *at).collect();
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

    /// Whether, just before `moment`, the connection had been silent for too long.
    fn is_dead(&self, case: &Case<'_>, moment: Moment) -> bool {
        work::done(1);
        let heard = self.heard.partition_point(|at| *at <= moment);
        let heard = heard
            .checked_sub(1)
            .map_or(self.opened, |at| self.heard[at]);
        let first = self.asked.partition_point(|at| *at <= heard);
        let end = self.asked.partition_point(|at| *at < moment);
        let count = end.saturating_sub(first);
        let enough = u32::try_from(count).is_ok_and(|count| count >= self.patience.requests);
        let long_ago =
            |first: &Moment| moment.ms > case.due(self.node, first.ms, self.patience.silence_ms);
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

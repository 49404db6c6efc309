//! A connection whose peer is gone is given up.
//!
//! A machine that lost its power sends no FIN, and TCP repeats what was written for a quarter of an
//! hour. A producer that waits for the kernel loses a send in every few until then. So, where the
//! policy says how much silence is too much: no attempt is put on a connection on which that many
//! were put since it last heard an answer, the first of them that long ago.

use rmq_producer::event::Mode;

use super::{Case, Invariant, Judge, Judged, Source};
use crate::trace::story::{ConnectionStory, Moment};

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
    for (index, connection) in case.story.connections.iter().enumerate() {
        for moment in attempts_on(case, connection) {
            if is_dead(case, connection, moment) {
                judged.case();
                let (who, to) = (case.name(connection.node), connection.to);
                let text = format!("{who} puts an attempt on a connection to {to} that is dead");
                judged.wrong(moment, text);
            }
        }
        // One that was given up and replaced shows that the rule was kept.
        let replaced = case.story.connections[index + 1..].iter().find(|next| {
            next.node == connection.node && next.to == connection.to && next.opened.is_some()
        });
        if replaced.is_some_and(|next| is_dead(case, connection, next.dialled)) {
            judged.case();
        }
    }
}

/// When an attempt that waits for an answer was put on the connection.
fn attempts_on<'c>(
    case: &'c Case<'_>,
    connection: &'c ConnectionStory<'_>,
) -> impl Iterator<Item = Moment> + 'c {
    let given = connection.given.iter();
    given.filter_map(|(_, send, attempt, wire)| {
        let send = &case.story.sends[*send];
        let wire = send.attempts[*attempt].wires.get(*wire)?;
        (send.mode != Mode::Oneway).then_some(wire.moment)
    })
}

/// Whether, just before `moment`, the connection had been silent for too long.
fn is_dead(case: &Case<'_>, connection: &ConnectionStory<'_>, moment: Moment) -> bool {
    let policy = case.policy(connection.node);
    let Some((patience, (opened, _))) = policy
        .and_then(|policy| policy.patience.as_ref())
        .zip(connection.opened)
    else {
        return false;
    };
    let answers = connection.answers.iter().map(|(_, at, _)| *at);
    let heard = answers.filter(|at| *at <= moment).max().unwrap_or(opened);
    let mut asked: Vec<Moment> = attempts_on(case, connection)
        .filter(|at| *at > heard && *at < moment)
        .collect();
    asked.sort_unstable();
    let enough = u32::try_from(asked.len()).is_ok_and(|count| count >= patience.requests);
    let long_ago =
        |first: &Moment| moment.ms > case.due(connection.node, first.ms, patience.silence_ms);
    enough && asked.first().is_some_and(long_ago)
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

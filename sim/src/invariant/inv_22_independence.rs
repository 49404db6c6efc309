//! One producer's choices do not depend on what another one sends.
//!
//! A rotation that all producers of a process share, or one counter for all topics, looks even as
//! long as one of them sends; with two in step, each always gets the same half of the queues. Checked
//! by two runs: beside a producer, another one of the same client idles, or sends to every topic. The
//! queues chosen for the first one's sends, topic by topic, are the same, until in one of the runs
//! the producer avoids a broker that was slow or failed there.

use super::pair::Sends;
use super::{CheckReport, Checker, Invariant, Source, side};
use crate::trace::Trace;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-22",
    title: "Independence",
    source: Source::PairedRuns,
    rate_per_mille: 25,
    checker: Checker::PairedRuns(check),
    sides: &[side(
        "is …, and … beside another producer's traffic",
        &[
            "the same queues in turn",
            "a send came too late for its permit in one of them",
            "another's traffic makes the topic on a second broker",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(one: &Trace, other: &Trace, report: &mut CheckReport) {
    let (alone, beside) = (Sends::of(one), Sends::of(other));
    let choices_beside = beside.choices();
    for ((node, topic), choices) in alone.choices() {
        report.exercised();
        let (calm_alone, calm_beside) = (alone.calm_until(node), beside.calm_until(node));
        let others = choices_beside.get(&(node, topic));
        let others = others.map_or(&[][..], |others| others);
        for (nth, chosen) in choices.iter().enumerate() {
            let other = others.get(nth);
            let is_calm = calm_alone.is_none_or(|end| chosen.at < end)
                && calm_beside.is_none_or(|end| other.is_some_and(|other| other.at < end));
            // A route that grows by other messages grows sooner beside them.
            let same_route = other.is_none_or(|it| alone.queues(chosen) == beside.queues(it));
            if !is_calm || !same_route {
                break;
            }
            let (queue, other) = (chosen.queue, other.map(|other| other.queue));
            if other != Some(queue) {
                let (who, choice) = (one.header.name(node), nth + 1);
                let to = format!("{}/{}", queue.broker, queue.queue);
                let instead = other.map_or("none".to_owned(), |other| {
                    format!("{}/{}", other.broker, other.queue)
                });
                let text = format!(
                    "{who}'s choice {choice} for {topic} is {to}, and {instead} beside another \
                     producer's traffic"
                );
                report.wrong(chosen.at, text);
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::Failure;

    use crate::invariant::pair::tests::named;
    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("the same queues in turn", || {
            let other = named(named(Scene::new().at(4), 1, "a/0"), 3, "b/0");
            let scene = named(Scene::new().at(4), 1, "a/0");
            named(scene, 2, "b/0").paired(other)
        }),
        accepts("a send came too late for its permit in one of them", || {
            let other = named(named(Scene::new().at(4), 1, "a/0"), 2, "c/0");
            let scene = named(Scene::new().at(4), 1, "a/0").call(3);
            let scene = scene.failed(3, Failure::BackPressure);
            named(scene, 2, "b/0").paired(other)
        }),
        accepts(
            "another's traffic makes the topic on a second broker",
            || {
                let other = named(Scene::new().at(4), 1, "a/0").found(1, 2, &["c/0", "a/0"]);
                let other = other.call(2).attempt_by(2, 1, queue("c/0"), 2);
                let other = other.request(2, 1, 3).named_success(2);
                let scene = named(Scene::new().at(4), 1, "a/0");
                named(scene, 2, "b/0").paired(other)
            },
        ),
        rejects("another's traffic takes a turn", || {
            let other = named(named(Scene::new().at(4), 1, "a/0"), 2, "c/0");
            let scene = named(Scene::new().at(4), 1, "a/0");
            let before = scene.trace.records.len();
            let mut scene = named(scene, 2, "b/0").paired(other);
            // A call makes two records before the attempt.
            scene.marked = Some(before + 2);
            scene
        }),
    ];
}

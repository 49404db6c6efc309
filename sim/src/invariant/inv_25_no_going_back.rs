//! A route never gives way to an older one.
//!
//! Two lookups may be answered in the other order than they were made. The route in force always
//! comes from a lookup that started no earlier than that of the route before it.

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-25",
    title: "No going back",
    source: Source::ClientEvents,
    rate_per_mille: 20,
    checker: Checker::Run(check),
    sides: &[side(
        "replaces route … of … by …, asked for earlier",
        &["a later lookup brings the next route"],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let snapshots = &run.history.snapshots;
    for (index, next) in snapshots.iter().enumerate() {
        let last = snapshots[..index]
            .iter()
            .rfind(|last| last.node == next.node && last.topic == next.topic);
        let started = |lookup: Option<usize>| Some(run.history.lookups[lookup?].started);
        let Some(last) = last else { continue };
        let (Some(before), Some(now)) = (started(last.lookup), started(next.lookup)) else {
            continue;
        };
        report.exercised();
        if now < before {
            let (who, topic) = (run.name(next.node), next.topic);
            let (old, new) = (last.number, next.number);
            let text = format!("{who} replaces route {old} of {topic} by {new}, asked for earlier");
            report.wrong(next.timestamp, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::LookupReason;

    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a later lookup brings the next route", || {
            two().found(3, 3, &["b/0"])
        }),
        rejects("an earlier lookup's answer comes last", || {
            let scene = two().found(3, 3, &["b/0"]);
            scene.at(30_020).found(2, 4, &["a/0"]).wrong()
        }),
    ];

    fn two() -> Scene {
        let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
        scene.at(30_010).lookup(3, LookupReason::FailedAttempt)
    }
}

//! A published route is a value: whole, without duplicates, from one answer.
//!
//! A route put together from two answers, or published under a number that is in use, makes every
//! later choice unexplainable. (That a choice is in the route it names is INV-14.)

use rmq_producer::event::LookupEnd;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source};
use crate::trace::history::SnapshotHistory;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-15",
    title: "Snapshots are values",
    source: Source::ClientEvents,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let snapshots = &run.history.snapshots;
    for (index, snapshot) in snapshots.iter().enumerate() {
        report.exercised();
        if let Some(text) = defect(run, snapshot, &snapshots[..index]) {
            let (who, number) = (run.name(snapshot.node), snapshot.number);
            report.wrong(
                snapshot.timestamp,
                format!("route {number} of {who} {text}"),
            );
        }
    }
}

fn defect(
    run: &CheckedRun<'_>,
    snapshot: &SnapshotHistory<'_>,
    earlier: &[SnapshotHistory<'_>],
) -> Option<String> {
    let mut queues: Vec<_> = snapshot.queues.all().iter().collect();
    queues.sort_unstable();
    if let Some(twice) = queues.windows(2).find(|pair| pair[0] == pair[1]) {
        return Some(format!("has {}/{} twice", twice[0].broker, twice[0].queue));
    }
    if earlier
        .iter()
        .any(|it| (it.node, it.number) == (snapshot.node, snapshot.number))
    {
        return Some("has a number that is in use".to_owned());
    }
    let Some(lookup) = snapshot.lookup.map(|index| &run.history.lookups[index]) else {
        return Some("comes from no lookup".to_owned());
    };
    match lookup.ended {
        Some((_, LookupEnd::Changed)) | None => None,
        Some((_, end)) => Some(format!("comes from a lookup that ended {end:?}")),
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, LookupReason};

    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::NodeEvent;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a poll brings another route", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            scene.found(2, 2, &["a/0", "b/0"])
        }),
        rejects("a queue is there twice", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            scene.found(2, 2, &["a/0", "a/0"]).wrong()
        }),
        rejects("a number is used again", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            scene.found(2, 1, &["a/0"]).wrong()
        }),
        rejects("a route without a lookup", || {
            Scene::new().found(9, 2, &["a/0"]).wrong()
        }),
        rejects("a failed lookup brings a route", || {
            let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
            let scene = scene.say(Event::LookupEnded {
                lookup: 2.into(),
                end: LookupEnd::NotExist,
            });
            let scene = scene.found(1, 2, &["a/0"]).change(|what| {
                if let NodeEvent::Producer(Event::Snapshot { lookup, .. }) = what {
                    *lookup = 2.into();
                }
            });
            scene.wrong()
        }),
    ];
}

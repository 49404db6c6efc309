//! The same binary, scenario and seed give the same trace.
//!
//! Everything else rests on it: a failure that cannot be repeated cannot be shrunk, explained or
//! kept as a test. Checked by two runs that differ in nothing.

use super::{CheckReport, Checker, Invariant, Source, side};
use crate::trace::Trace;
use crate::trace::diverge::first_difference;
use crate::trace::history::Timestamp;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-55",
    title: "Replay",
    source: Source::PairedRuns,
    rate_per_mille: 40,
    checker: Checker::PairedRuns(check),
    sides: &[side("differs: … against …", &["two equal runs"])],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(one: &Trace, other: &Trace, report: &mut CheckReport) {
    report.exercised();
    if let Some(difference) = first_difference(one, other) {
        let ms = difference
            .left
            .last()
            .or(difference.right.last())
            .map_or(0, |record| record.ms);
        let timestamp = Timestamp {
            at: difference.at,
            ms,
        };
        report.wrong(timestamp, difference.headline(&one.header));
    }
}

#[cfg(test)]
mod tests {
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("two equal runs", || run().paired(run())),
        rejects("one event comes a millisecond later", || {
            let scene = Scene::new().at(1).call(1).wrong().attempt(1, 1, "a/0");
            // `call` makes two records: the first of them differs.
            let scene = scene.wrong_call(1);
            scene.paired(Scene::new().at(2).call(1))
        }),
        rejects("one run goes on", || {
            let other = run().at(99).call(2);
            let mut scene = run().paired(other);
            scene.marked = Some(scene.trace.records.len());
            scene
        }),
    ];

    fn run() -> Scene {
        Scene::new().at(1).whole(1, "a/0")
    }
}

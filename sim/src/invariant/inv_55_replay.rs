//! The same binary, scenario and seed give the same trace.
//!
//! Everything else rests on it: a failure that cannot be repeated cannot be shrunk, explained or
//! kept as a test. Judged by two runs that differ in nothing.

use super::{Invariant, Judge, Judged, Source};
use crate::trace::Trace;
use crate::trace::diverge::first_difference;
use crate::trace::story::Moment;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-55",
    title: "Replay",
    source: Source::Twins,
    rate_per_mille: 5,
    judge: Judge::Twins(judge),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn judge(one: &Trace, other: &Trace, judged: &mut Judged) {
    judged.case();
    if let Some(difference) = first_difference(one, other) {
        let ms = difference
            .left
            .last()
            .or(difference.right.last())
            .map_or(0, |record| record.ms);
        let moment = Moment {
            at: difference.at,
            ms,
        };
        judged.wrong(moment, difference.headline(&one.header));
    }
}

#[cfg(test)]
mod tests {
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("two equal runs", || run().twin(run())),
        rejects("one event comes a millisecond later", || {
            let scene = Scene::new().at(1).call(1).wrong().attempt(1, 1, "a/0");
            // `call` makes two records: the first of them differs.
            let scene = scene.wrong_call(1);
            scene.twin(Scene::new().at(2).call(1))
        }),
        rejects("one run goes on", || {
            let other = run().at(99).call(2);
            let mut scene = run().twin(other);
            scene.marked = Some(scene.trace.records.len());
            scene
        }),
    ];

    fn run() -> Scene {
        Scene::new().at(1).whole(1, "a/0")
    }
}

//! When one producer stops, the others of its process go on.
//!
//! Producers of one program share connections, routes and heartbeats. The one that stops first must
//! not take them along: closed connections, forgotten routes and a client that is said to be gone
//! are found by its siblings, at the worst time of a deployment. Checked by two runs: beside a
//! producer, another one of the same client idles, or stops half-way. Every send of the first one
//! goes to the same queue and ends alike, and takes as long, give or take the slack and what a
//! connection that is already open saves.

use super::pair::Sends;
use super::{CheckReport, Checker, Invariant, Source, side};
use crate::trace::Trace;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-46",
    title: "Siblings",
    source: Source::PairedRuns,
    rate_per_mille: 25,
    checker: Checker::PairedRuns(check),
    sides: &[
        side(
            "reaches no broker when a sibling stops",
            &["both runs are alike"],
        ),
        side(
            "ends otherwise when a sibling stops",
            &["both runs are alike"],
        ),
        side(
            "goes elsewhere when a sibling stops",
            &["both runs are alike"],
        ),
        side(
            "takes … ms, and … ms when a sibling stops",
            &["both runs are alike"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// Round trips that a send may take more or less: a dial and a lookup.
const ROUND_TRIPS: u64 = 2;

fn check(one: &Trace, other: &Trace, report: &mut CheckReport) {
    let (idle, stopped) = (Sends::of(one), Sends::of(other));
    let stopped = stopped.by_name();
    let slack = one.header.slack_ms + ROUND_TRIPS * one.header.round_trip_ms;
    for (name, send) in idle.by_name() {
        report.exercised();
        let who = one.header.name(send.node);
        let Some(other) = stopped.get(name) else {
            let text = format!("{who} {name} reaches no broker when a sibling stops");
            report.wrong(send.called, text);
            continue;
        };
        let text = if send.well != other.well {
            format!("{who} {name} ends otherwise when a sibling stops")
        } else if send.target() != other.target() {
            format!("{who} {name} goes elsewhere when a sibling stops")
        } else if send.took_ms.abs_diff(other.took_ms) > slack {
            let (idle, stopped) = (send.took_ms, other.took_ms);
            format!("{who} {name} takes {idle} ms, and {stopped} ms when a sibling stops")
        } else {
            continue;
        };
        report.wrong(send.called, text);
    }
}

#[cfg(test)]
mod tests {
    use crate::invariant::pair::tests::{named, unanswered};
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("both runs are alike", || two().paired(two())),
        rejects("a send fails", || {
            let other = unanswered(named(Scene::new(), 1, "a/0"), 2, "b/0");
            two().wrong_call(2).paired(other)
        }),
        rejects("a send goes elsewhere", || {
            let other = named(named(Scene::new(), 1, "a/0"), 2, "c/0");
            two().wrong_call(2).paired(other)
        }),
        rejects("a send takes a second longer", || {
            let other = named(Scene::new(), 1, "a/0").call(2).attempt(2, 1, "b/0");
            two().wrong_call(2).paired(other.at(1_500).named_success(2))
        }),
        rejects("a send is not made", || {
            two().wrong_call(2).paired(named(Scene::new(), 1, "a/0"))
        }),
    ];

    fn two() -> Scene {
        named(named(Scene::new(), 1, "a/0"), 2, "b/0")
    }
}

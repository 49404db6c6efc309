//! Permits out are sends that are not completed.
//!
//! Whenever it is measured, a producer counts no more open sends than were called and are not over.
//! A permit that is not given back narrows the producer until it stands still.

use rmq_producer::event::Event;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source};
use crate::trace::NodeEvent;
use crate::trace::history::Timestamp;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-36",
    title: "Permits add up",
    source: Source::ClientEvents,
    rate_per_mille: 500,
    checker: Checker::Run(check),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for (at, record) in run.trace.records.iter().enumerate() {
        let NodeEvent::Producer(Event::Gauges { open_sends, .. }) = &record.what else {
            continue;
        };
        report.exercised();
        let now = Timestamp { at, ms: record.ms };
        let open = run.history.sends.iter().filter(|send| {
            // A callback that has not returned keeps its permit.
            let over = send.callbacks.first().copied().max(send.over());
            let calling = send.mode == rmq_producer::event::Mode::Async
                && send.callbacks.is_empty()
                && send.cancelled.is_none();
            let open = calling || over.is_none_or(|over| over > now);
            send.node == record.node && send.called < now && open
        });
        let open = open.count();
        let counted = usize::try_from(*open_sends).unwrap_or(usize::MAX);
        if counted > open {
            let who = run.name(record.node);
            report.wrong(
                now,
                format!("{who} counts {counted} open sends, {open} are open"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("an open send has its permit", || {
            gauges(Scene::new().at(0).call(1).attempt(1, 1, "a/0"), 1)
        }),
        accepts("all is given back", || {
            gauges(Scene::new().at(0).whole(1, "a/0"), 0)
        }),
        rejects("a completed send keeps its permit", || {
            gauges(Scene::new().at(0).whole(1, "a/0"), 1).wrong()
        }),
        rejects("a dropped send keeps its permit", || {
            gauges(
                Scene::new()
                    .at(0)
                    .call(1)
                    .say(Event::Cancelled { send: 1.into() }),
                1,
            )
            .wrong()
        }),
    ];

    fn gauges(scene: Scene, open_sends: u32) -> Scene {
        scene.at(9000).say(Event::Gauges {
            pending: 0,
            open_sends,
            topics: 1,
            connections: 3,
        })
    }
}

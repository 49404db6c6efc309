//! One topic is looked up once at a time.
//!
//! A hundred first sends to one topic must not become a hundred lookups: the first one asks, the
//! others share its result. (Lookups of the default topic belong to different topics.)

use rmq_producer::event::LookupReason;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-27",
    title: "Single flight",
    source: Source::ClientEvents,
    rate_per_mille: 500,
    checker: Checker::Run(check),
    sides: &[side(
        "looks … up although it does so since … ms",
        &[
            "one lookup after the other",
            "two producers look the same topic up",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let lookups = &run.history.lookups;
    for (index, next) in lookups.iter().enumerate() {
        report.exercised();
        let open = lookups[..index].iter().find(|last| {
            let same = last.node == next.node && last.topic == next.topic;
            let default = LookupReason::DefaultTopic;
            let open = last.ended.is_none_or(|(ended, _)| ended > next.started);
            same && open && last.reason != default && next.reason != default
        });
        // A lookup whose process was killed has no end.
        let killed = |from: u64| run.truth.was_gone(next.node, from, next.started.ms);
        if let Some(open) = open.filter(|open| !killed(open.started.ms)) {
            let (who, topic) = (run.name(next.node), next.topic);
            let since = next.started.ms - open.started.ms;
            let text = format!("{who} looks {topic} up although it does so since {since} ms");
            report.wrong(next.started, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, LookupEnd};

    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("one lookup after the other", || {
            let end = LookupEnd::Unchanged;
            let scene = poll().say(Event::LookupEnded {
                lookup: 2.into(),
                end,
            });
            scene.lookup(3, LookupReason::FailedAttempt)
        }),
        accepts("two producers look the same topic up", || {
            poll().second_producer().lookup(2, LookupReason::Poll)
        }),
        rejects(
            "the first producer looks a topic up twice at a time, the second once",
            || {
                let scene = poll()
                    .second_producer()
                    .lookup(2, LookupReason::Poll)
                    .who("p1");
                let reason = LookupReason::FailedAttempt;
                scene
                    .say(Event::Lookup {
                        lookup: 3.into(),
                        topic: "orders".into(),
                        reason,
                    })
                    .wrong()
            },
        ),
        rejects("a second lookup while the first is open", || {
            let reason = LookupReason::FailedAttempt;
            poll()
                .say(Event::Lookup {
                    lookup: 3.into(),
                    topic: "orders".into(),
                    reason,
                })
                .wrong()
        }),
    ];

    fn poll() -> Scene {
        Scene::new().at(30_000).lookup(2, LookupReason::Poll)
    }
}

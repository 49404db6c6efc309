//! A message goes where its topic is, and nowhere else.
//!
//! A helper that is shared by a whole process, a table keyed by the wrong thing, a connection taken
//! for another one: messages then turn up in another topic, or on a broker that never had the topic,
//! perhaps in another cluster. So each send request that a broker reads belongs to a send of a
//! producer, names the send's topic, and is read by a broker that some route of that topic, known to
//! that producer by then, has named.

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{RequestHistory, SendHistory};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-47",
    title: "Confinement",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side(
            "reads a message for … that nobody has sent",
            &["messages arrive at brokers of their route"],
        ),
        side(
            "reads …, but no route of … names it",
            &["messages arrive at brokers of their route"],
        ),
        side(
            "reads … for …, not …",
            &["messages arrive at brokers of their route"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for request in &run.history.requests {
        report.exercised();
        let broker = run.name(request.broker);
        let topic = &request.seen.topic;
        let Some(send) = request.send.map(|send| &run.history.sends[send]) else {
            report.wrong(
                request.received,
                format!("{broker} reads a message for {topic} that nobody has sent"),
            );
            continue;
        };
        let (who, number) = (run.name(send.node), send.number);
        if topic != send.topic {
            let text = format!(
                "{broker} reads {who} s{number} for {topic}, not {}",
                send.topic
            );
            report.wrong(request.received, text);
        } else if !named(run, send, request) {
            let text = format!("{broker} reads {who} s{number}, but no route of {topic} names it");
            report.wrong(request.received, text);
        }
    }
}

/// Whether a route of the topic that the producer knew has the broker.
fn named(run: &CheckedRun<'_>, send: &SendHistory<'_>, request: &RequestHistory<'_>) -> bool {
    let broker = run.name(request.broker);
    run.history.snapshots.iter().any(|snapshot| {
        snapshot.node == send.node
            && snapshot.topic == send.topic
            && snapshot.timestamp < request.received
            && snapshot.addresses.iter().any(|(name, _)| **name == *broker)
    })
}

#[cfg(test)]
mod tests {
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::NodeEvent;
    use rmq_producer::event::Event;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("messages arrive at brokers of their route", || {
            let scene = Scene::new().at(0).whole(1, "a/0").second_producer();
            scene.whole(1, "b/0")
        }),
        rejects("a message arrives for another topic", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0");
            scene
                .seen_with(1, 1, |seen| seen.topic = "payments".into())
                .wrong()
        }),
        rejects("a message arrives at a broker of another cluster", || {
            let mut scene = Scene::new();
            for record in &mut scene.trace.records {
                if let NodeEvent::Producer(Event::Snapshot { addresses, .. }) = &mut record.what {
                    let known = addresses.iter().filter(|(name, _)| &**name != "broker-c");
                    *addresses = known.cloned().collect();
                }
            }
            let scene = scene.at(0).call(1).attempt(1, 1, "c/0");
            scene.seen(1, 1).wrong()
        }),
        rejects("a message arrives that nobody has sent", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0");
            scene
                .seen_with(1, 1, |seen| seen.unique_key = Some("another".into()))
                .wrong()
        }),
    ];
}

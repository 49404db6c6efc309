//! Every stored copy belongs to an attempt.
//!
//! A retry may store a message twice, and then both copies have its unique key; nothing else may
//! make copies. So a message has at most one copy more than it has retries, and no broker stores a
//! key that nobody sent.

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-50",
    title: "Copies are explained",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side(
            "stores a message under a key that nobody gave it",
            &["a one-way message is stored"],
        ),
        side(
            "has … copies by … requests",
            &[
                "a lost reply leaves two copies with one key",
                "a one-way message is stored",
            ],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for send in &run.history.sends {
        let copies = send
            .requests
            .iter()
            .filter_map(|index| run.history.requests[*index].stored);
        // A one-way attempt tells of no request.
        let requests = send
            .attempts
            .iter()
            .map(|attempt| attempt.wires.len().max(1));
        let written: usize = requests.sum();
        for (count, copy) in (1..).zip(copies) {
            report.exercised();
            if count > written {
                let (who, number) = (run.name(send.node), send.number);
                let text = format!("{who} s{number} has {count} copies by {written} requests");
                report.wrong(copy.timestamp, text);
            }
        }
    }
    for request in &run.history.requests {
        let Some(copy) = request.stored else { continue };
        let broker = run.name(request.broker);
        // Without any send in the trace the messages come from a client that tells nothing.
        let unknown = !run.history.sends.is_empty() && request.send.is_none();
        if unknown
            || request
                .seen
                .unique_key
                .as_ref()
                .is_some_and(|key| key != copy.unique_key)
        {
            let text = format!("{broker} stores a message under a key that nobody gave it");
            report.wrong(copy.timestamp, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use rmq_mock_broker::event::Event as BrokerEvent;
    use rmq_producer::event::{Mode, Stage};

    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};
    use crate::trace::NodeEvent;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a lost reply leaves two copies with one key", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").at(2);
            let scene = scene.seen(1, 1).stored(1, 1).at(1000).hedged(1, 1);
            scene
                .attempt(1, 2, "b/0")
                .succeeds(1, 2)
                .ended(1, 1, Stage::Superseded, None)
        }),
        accepts("a one-way message is stored", || {
            let scene = Scene::new().at(0).call_in(1, Mode::Oneway);
            scene
                .attempt_by(1, 1, queue("a/0"), 1)
                .seen(1, 1)
                .stored(1, 1)
        }),
        rejects("one attempt leaves two copies", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").at(2);
            scene
                .seen(1, 1)
                .stored(1, 1)
                .seen(1, 1)
                .stored(1, 1)
                .wrong()
        }),
        rejects("a copy has another key", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").at(2);
            let scene = scene.seen(1, 1).stored(1, 1).change(|what| {
                if let NodeEvent::Broker(BrokerEvent::Stored {
                    unique_key: key, ..
                }) = what
                {
                    *key = "made-by-the-broker".into();
                }
            });
            scene.wrong()
        }),
        rejects("a stored message was sent by nobody", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").at(2);
            let scene = scene.seen_with(1, 1, |seen| seen.unique_key = Some("stray".into()));
            let scene = scene.stored(1, 1).change(|what| {
                if let NodeEvent::Broker(BrokerEvent::Stored {
                    unique_key: key, ..
                }) = what
                {
                    *key = "stray".into();
                }
            });
            scene.wrong()
        }),
    ];
}

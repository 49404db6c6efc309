//! Every stored copy belongs to an attempt.
//!
//! A retry may store a message twice, and then both copies have its unique key; nothing else may
//! make copies. So a message has at most one copy more than it has retries, and no broker stores a
//! key that nobody sent. What makes copies of messages that were stored at the first attempt are hedges, so each
//! of them costs a token of the producer's budget, unless its broker is known to answer; what the producer says
//! it has left is what it can have.

use super::hedging::TOKEN;
use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::ProducerKey;

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
            "hedges, and has no token left",
            &[
                "hedges leave in the budget what they do not take",
                "a hedge to a broker that answers costs nothing",
            ],
        ),
        side(
            "says that it has … tenths of a token, and has … to …",
            &[
                "hedges leave in the budget what they do not take",
                "a hedge to a broker that answers costs nothing",
            ],
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
    for policy in &run.header().policies {
        budgeted(run, (policy.node, policy.group.as_ref()), report);
    }
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

/// Each hedge of the producer had its token, and the producer has left what it says.
fn budgeted(run: &CheckedRun<'_>, producer: ProducerKey<'_>, report: &mut CheckReport) {
    let Some(budget) = run.hedging_budget(producer) else {
        return;
    };
    let who = run.name(producer.0);
    for hedge in &budget.hedges {
        report.exercised();
        if hedge.costs && hedge.before.most < TOKEN {
            let text = format!("{who} hedges, and has no token left");
            report.wrong(hedge.at, text);
        }
        let (least, most, says) = (hedge.after.least, hedge.after.most, hedge.says);
        if !(least..=most).contains(&says) {
            let text = format!(
                "{who} says that it has {says} tenths of a token, and has {least} to {most}"
            );
            report.wrong(hedge.at, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use rmq_mock_broker::event::Event as BrokerEvent;
    use rmq_producer::event::{Event, Mode, Stage};

    use crate::invariant::scene::{Example, Scene, accepts, isolation, queue, rejects};
    use crate::trace::record::HedgingFacts;
    use crate::trace::{NodeEvent, TraceHeader};

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
        accepts("hedges leave in the budget what they do not take", || {
            hedges(&[190, 181, 172])
        }),
        accepts("a hedge to a broker that answers costs nothing", || {
            answers_promptly()
                .call(1)
                .attempt(1, 1, "a/0")
                .at(1_000)
                .hedged(1, 1)
                .change(says(200))
                .attempt(1, 2, "b/0")
        }),
        rejects("a hedge to a broker that answers takes a token", || {
            answers_promptly()
                .call(1)
                .attempt(1, 1, "a/0")
                .at(1_000)
                .hedged(1, 1)
                .wrong()
                .attempt(1, 2, "b/0")
        }),
        rejects("a hedge takes no token", || hedges(&[200])),
        rejects("what messages bring is not put back", || {
            hedges(&[190, 180])
        }),
        rejects("a producer hedges without a token", || {
            let one = |header: &mut TraceHeader| {
                for policy in &mut header.policies {
                    policy.hedging = policy.hedging.map(|it| HedgingFacts { tokens: 1, ..it });
                }
            };
            let scene = Scene::new().facts(one).at(0).call(1).attempt(1, 1, "a/0");
            let scene = scene.call(2).attempt(2, 1, "a/1").at(1_000);
            let scene = scene.hedged(1, 1).change(says(0)).attempt(1, 2, "b/0");
            scene
                .hedged(2, 1)
                .change(says(0))
                .wrong()
                .attempt(2, 2, "b/1")
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

    fn says(tenths: u32) -> impl FnOnce(&mut NodeEvent) {
        move |what| {
            if let NodeEvent::Producer(Event::Hedged { tokens_left, .. }) = what {
                *tokens_left = tenths;
            }
        }
    }

    /// One send after the other is hedged to a broker that never answers; the last one is the wrong one.
    fn hedges(left: &[u32]) -> Scene {
        let mut scene = Scene::new();
        for (send, left) in (1..).zip(left) {
            scene = scene.at(send * 5_000).call(send).attempt(send, 1, "a/0");
            scene = scene
                .at(send * 5_000 + 1_000)
                .hedged(send, 1)
                .change(says(*left))
                .wrong();
            scene = scene.attempt(send, 2, "b/0");
        }
        scene
    }

    fn answers_promptly() -> Scene {
        let remembers = |header: &mut TraceHeader| {
            for policy in &mut header.policies {
                policy.isolation = Some(isolation());
            }
        };
        let scene = Scene::new().facts(remembers).at(0);
        (10..13)
            .fold(scene, |scene, send| scene.whole(send, "b/0"))
            .at(5)
    }
}

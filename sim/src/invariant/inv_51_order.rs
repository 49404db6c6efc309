//! What is acknowledged first is stored first.
//!
//! A caller that waits for each acknowledgement before the next send relies on it: consumers of a
//! queue read the messages in the order of their offsets. So where one producer's send was
//! acknowledged before another was called, and both are in one queue, the first one has the smaller
//! offset. (Copies that nobody acknowledged may come later; that each is explained by an attempt is
//! INV-50, that a send to a target queue stays in its queue INV-13.)

use std::collections::BTreeMap;

use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::WorkResult;
use crate::trace::history::{ProducerKey, Timestamp, WorkHistory};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-51",
    title: "Order",
    source: Source::Evidence,
    rate_per_mille: 500,
    checker: Checker::Run(check),
    sides: &[side(
        "is at … of …'s queue, behind a message acknowledged before at …",
        &[
            "one after the other",
            "two at once, in any order",
            "two producers of a client, which name topics otherwise",
            "the broker lost its data",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// A message that its caller knows to be stored.
struct Acknowledged<'c, 't> {
    work: &'c WorkHistory<'t>,
    returned: Timestamp,
    offset: i64,
}

/// A producer and a queue: topic, broker, id.
type Queue<'t> = (ProducerKey<'t>, &'t Name, &'t Name, i32);

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let mut queues: BTreeMap<Queue<'_>, Vec<Acknowledged<'_, '_>>> = BTreeMap::new();
    for work in &run.history.work {
        let Some((returned, result)) = work.returned.first() else {
            continue;
        };
        if let WorkResult::Sent {
            unique_key,
            broker,
            queue,
            offset,
            ..
        } = result
            && !run.was_told_no_place(unique_key)
        {
            let queue = queues
                .entry((work.producer(), work.topic, broker, *queue))
                .or_default();
            queue.push(Acknowledged {
                work,
                returned: *returned,
                offset: *offset,
            });
        }
    }
    for ((_, _, broker, _), queue) in queues {
        in_order(run, broker, queue, report);
    }
}

fn in_order(
    run: &CheckedRun<'_>,
    broker: &Name,
    mut by_call: Vec<Acknowledged<'_, '_>>,
    report: &mut CheckReport,
) {
    by_call.sort_unstable_by_key(|it| it.work.called);
    let mut by_return: Vec<&Acknowledged<'_, '_>> = by_call.iter().collect();
    by_return.sort_unstable_by_key(|it| it.returned);
    // What was acknowledged before a call with the highest offset.
    let mut before: Option<&Acknowledged<'_, '_>> = None;
    let mut returns = by_return.into_iter().peekable();
    for next in &by_call {
        while let Some(last) = returns.next_if(|it| it.returned < next.work.called) {
            if before.is_none_or(|before| last.offset > before.offset) {
                before = Some(last);
            }
        }
        let Some(Acknowledged { work, offset, .. }) = before else {
            continue;
        };
        report.exercised();
        // A broker that came back without its data counts from the beginning.
        let node = run.header().node(broker);
        let gone = |node| run.truth.was_gone(node, work.called.ms, next.returned.ms);
        if next.offset <= *offset && !node.is_some_and(gone) {
            let text = format!(
                "{} is at {} of {broker}'s queue, behind a message acknowledged before at {offset}",
                next.work.keys, next.offset
            );
            report.wrong(next.returned, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::Mode;

    use crate::fault::{Crash, FaultKind, Restart};
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::{WorkEvent, WorkResult};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("one after the other", || {
            acknowledged(acknowledged(Scene::new(), 1, 7), 2, 8)
        }),
        accepts("two at once, in any order", || {
            let scene = called(called(Scene::new().at(1), (1, None)), (2, None)).at(5);
            returned(returned(scene, 1, 8), 2, 7)
        }),
        accepts("the broker lost its data", || {
            let crash = FaultKind::Crash(Crash(Restart {
                keep_data: false,
                new_address: false,
            }));
            let scene = acknowledged(Scene::new(), 1, 7).fault(1, crash, "broker-a");
            acknowledged(scene.at(1_100).fault_ends(1, "broker-a"), 2, 0)
        }),
        accepts(
            "two producers of a client, which name topics otherwise",
            || {
                let scene = called(Scene::new().shared().at(1_000), (1, Some("group")));
                let scene = called(returned(scene.at(1_004), 1, 7), (2, Some("second")));
                returned(scene.at(1_008), 2, 7)
            },
        ),
        rejects("the second one is stored before the first", || {
            acknowledged(acknowledged(Scene::new(), 1, 8), 2, 7).wrong()
        }),
    ];

    fn acknowledged(scene: Scene, send: u64, offset: i64) -> Scene {
        returned(
            called(scene.at(1_000 * send), (send, None)).at(1_000 * send + 4),
            send,
            offset,
        )
    }

    fn called(scene: Scene, (send, group): (u64, Option<&str>)) -> Scene {
        scene.work(WorkEvent::Called {
            keys: format!("s{send}").into(),
            topic: "orders".into(),
            mode: Mode::Sync,
            by: None,
            body_crc: 0,
            body_len: 0,
            timeout_ms: None,
            application_crc: 0,
            own_id: None,
            queue_of: None,
            group: group.map(Into::into),
        })
    }

    fn returned(scene: Scene, send: u64, offset: i64) -> Scene {
        let (key, broker, queue) = ("K".into(), "broker-a".into(), 0);
        scene.work(WorkEvent::Returned {
            keys: format!("s{send}").into(),
            result: WorkResult::Sent {
                unique_key: key,
                broker,
                queue,
                offset,
                code: 0,
            },
        })
    }
}

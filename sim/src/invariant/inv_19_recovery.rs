//! A broker that is well again gets its part of the work again.
//!
//! What is slow once and avoided for ever, or left out of the rotation because nobody puts it back,
//! is an outage that outlives its cause: the cluster runs on with one broker less until somebody
//! restarts the clients. So over twenty or more first attempts in a row that were chosen from one
//! route, while no isolation can be in force any more, a broker whose faults are over gets its fair
//! part, within a fifth. An isolation counts no longer than the policy's longest one.

use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::NodeId;
use crate::trace::history::{AttemptHistory, ProducerKey, Timestamp};
use crate::trace::record::Form;
use crate::truth::{Condition, Scope};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-19",
    title: "Recovery",
    source: Source::Truth,
    rate_per_mille: 10,
    checker: Checker::Run(check),
    sides: &[side(
        "gives …, which is well again, … of … first attempts",
        &[
            "all get their part when the fault is over",
            "it is still avoided",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// Fewer first attempts say nothing about a share.
const ENOUGH: usize = 20;

/// First attempts in a row, chosen from one route.
struct Window<'c, 't> {
    route: usize,
    producer: ProducerKey<'t>,
    attempts: Vec<&'c AttemptHistory<'t>>,
}

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    if run.truth.intervals().is_empty() {
        return;
    }
    let mut windows: Vec<Window<'_, '_>> = Vec::new();
    for (producer, attempt, route) in first_attempts(run) {
        let same = |it: &mut Window<'_, '_>| (it.producer, it.route) == (producer, route);
        let window = match windows.iter_mut().position(same) {
            Some(index) => &mut windows[index],
            None => {
                windows.push(Window {
                    route,
                    producer,
                    attempts: Vec::new(),
                });
                let last = windows.len() - 1;
                &mut windows[last]
            }
        };
        let facts = run
            .policy_of(producer)
            .and_then(|policy| policy.isolation.as_ref());
        let longest = facts.map_or(0, |facts| facts.longest_ms);
        if isolated(run, producer, longest, attempt.started) {
            window.attempts.clear();
            continue;
        }
        window.attempts.push(attempt);
        let queues = run.history.snapshots[route].queues.len().max(1);
        let rounds = ENOUGH.div_ceil(queues);
        if window.attempts.len() == rounds * queues {
            shares(run, window, rounds, report);
            window.attempts.clear();
        }
    }
}

/// A first attempt, with its producer and its route.
type FirstAttempt<'c, 't> = (ProducerKey<'t>, &'c AttemptHistory<'t>, usize);

/// The first attempts of sends without a queue of the caller's choice, in the order they started,
/// each with its producer and its route.
fn first_attempts<'c, 't>(run: &'c CheckedRun<'t>) -> Vec<FirstAttempt<'c, 't>> {
    let free = run.history.sends.iter().filter(|send| {
        let policy = run.policy_of(send.producer());
        send.target_queue.is_none() && policy.is_some_and(|policy| policy.form == Form::Strict)
    });
    let first = free.filter_map(|send| {
        let attempt = send.attempts.first()?;
        Some((send.producer(), attempt, attempt.snapshot?))
    });
    let mut all: Vec<_> = first.collect();
    all.sort_unstable_by_key(|(_, attempt, _)| attempt.started);
    all
}

/// Whether the producer may avoid any broker now.
fn isolated(
    run: &CheckedRun<'_>,
    producer: ProducerKey<'_>,
    longest_ms: u64,
    now: Timestamp,
) -> bool {
    run.history.isolations(now).iter().any(|it| {
        let until = it.timestamp.ms.saturating_add(it.for_ms.min(longest_ms));
        it.producer() == producer && it.timestamp < now && now.ms < until
    })
}

fn shares(run: &CheckedRun<'_>, window: &Window<'_, '_>, rounds: usize, report: &mut CheckReport) {
    let (Some(first), Some(last)) = (window.attempts.first(), window.attempts.last()) else {
        return;
    };
    let snapshot = &run.history.snapshots[window.route];
    let brokers = snapshot.queues.brokers();
    if brokers.len() < 2 {
        return;
    }
    for (broker, queues) in brokers {
        let well = recovered(
            run,
            window.producer.0,
            broker,
            (first.started, last.started),
        );
        if !well {
            continue;
        }
        report.exercised();
        let fair = queues * rounds;
        let got = window
            .attempts
            .iter()
            .filter(|it| it.to.broker == **broker)
            .count();
        let off = got.abs_diff(fair);
        if off > 1 && off * 5 > fair {
            let (who, all) = (run.name(window.producer.0), window.attempts.len());
            let text = format!(
                "{who} gives {broker}, which is well again, {got} of {all} first attempts, \
                 not {fair}"
            );
            report.wrong(last.started, text);
        }
    }
}

/// Whether the broker was ill for the producer before, and is not any more.
fn recovered(
    run: &CheckedRun<'_>,
    node: NodeId,
    broker: &Name,
    (from, to): (Timestamp, Timestamp),
) -> bool {
    let Some(broker) = run.header().node(broker) else {
        return false;
    };
    let concerns = |scope: Scope| match scope {
        Scope::Node(ill) => ill == broker,
        Scope::Pair(a, b) => (a, b) == (node, broker) || (b, a) == (node, broker),
    };
    let intervals = run.truth.intervals().iter();
    let mut ill = intervals.filter(|it| concerns(it.scope) && it.to_ms < from.ms);
    ill.next().is_some() && run.truth.worst(node, broker, from.ms, to.ms) == Condition::Healthy
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, Stage};

    use crate::fault::FaultKind;
    use crate::invariant::scene::{Example, Scene, accepts, isolation, rejects};
    use crate::trace::NodeEvent;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("all get their part when the fault is over", || {
            let targets =
                ["a", "b", "c"].map(|broker| [0, 1, 2, 3].map(|it| format!("{broker}/{it}")));
            let round = targets.concat();
            sends(thawed(), &[round.clone(), round].concat(), 20_000)
        }),
        accepts("it is still avoided", || {
            let scene = avoided(thawed().at(19_000), 10_000);
            sends(scene, &others(), 20_000)
        }),
        rejects("it is left out for ever", || {
            mark(sends(thawed(), &others(), 20_000))
        }),
        rejects(
            "it is avoided for longer than the policy's longest isolation",
            || {
                let scene = avoided(thawed().at(19_000), 86_400_000);
                mark(sends(scene, &others(), 50_000))
            },
        ),
    ];

    fn thawed() -> Scene {
        let scene = Scene::new()
            .at(1_000)
            .fault(1, FaultKind::Freeze, "broker-a");
        scene.at(5_000).fault_ends(1, "broker-a")
    }

    fn avoided(scene: Scene, for_ms: u64) -> Scene {
        let scene = scene.facts(|it| it.policies[0].isolation = Some(isolation()));
        scene.say(Event::Health {
            broker: "broker-a".into(),
            for_ms,
            reason: Stage::Lost,
        })
    }

    /// Two rounds over the queues of the others.
    fn others() -> Vec<String> {
        let round = ["b/0", "b/1", "b/2", "b/3", "c/0", "c/1", "c/2", "c/3"];
        round.repeat(3).into_iter().map(str::to_owned).collect()
    }

    fn sends(scene: Scene, targets: &[String], from_ms: u64) -> Scene {
        (1..).zip(targets).fold(scene, |scene, (send, to)| {
            scene.at(from_ms + 100 * send).whole(send, to)
        })
    }

    fn mark(mut scene: Scene) -> Scene {
        scene.marked =
            scene.trace.records.iter().rposition(|record| {
                matches!(record.what, NodeEvent::Producer(Event::Attempt { .. }))
            });
        scene
    }
}

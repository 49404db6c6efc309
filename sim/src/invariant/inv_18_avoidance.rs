//! A broker that fails is left alone for a while, and no other is.
//!
//! With fault tolerance on, a result that isolates a broker keeps later sends away from it as long as
//! there is a better one: a switch that does nothing costs every send an attempt timeout. But a
//! broker that only refused one message, or that nobody has heard of yet, has done nothing wrong: a
//! single bad message must not take a healthy broker out of use. Checked where the policy remembers
//! results: no first attempt goes to a broker within the isolation that an attempt's end demands,
//! each isolation follows from such an end and lasts as long as the table says, and each end by which
//! the table demands one is followed by it.

use std::collections::BTreeMap;

use rmq_producer::event::{Mode, Stage};
use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::IsolationFacts;
use crate::trace::history::{
    AttemptHistory, EndedAttempt, HealthHistory, ProducerKey, SendHistory, Timestamp,
};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-18",
    title: "Avoidance",
    source: Source::Both,
    rate_per_mille: 10,
    checker: Checker::Run(check),
    sides: &[
        side(
            "does not avoid … for … ms after … was … in … ms",
            &[
                "a broker that is silent for an attempt timeout is avoided",
                "a slow broker is avoided for as long as the table says",
            ],
        ),
        side(
            "begins at …, which failed a moment ago",
            &[
                "a broker that was lost is left alone for ten seconds",
                "nothing is remembered by this policy",
                "a detector has forgotten a broker that no route named",
                "another process of the node remembers nothing",
            ],
        ),
        side(
            "begins at …, which could not be reached; … could",
            &["all are isolated, so any is right"],
        ),
        side(
            "avoids … as …, but no attempt there ended so",
            &["a broker that is silent for an attempt timeout is avoided"],
        ),
        side(
            "avoids … for … ms",
            &["a slow broker is avoided for as long as the table says"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// A broker that must not be a first choice.
struct Avoided<'t> {
    producer: ProducerKey<'t>,
    broker: &'t Name,
    since: Timestamp,
    until_ms: u64,
}

/// The avoided brokers of each producer, in the order of the sends.
type ByBroker<'t> = BTreeMap<ProducerKey<'t>, BTreeMap<&'t str, Vec<Avoided<'t>>>>;

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let mut avoided = ByBroker::new();
    for (send, attempt) in run.attempts() {
        let facts = facts(run, send.producer());
        let failed = facts.and_then(|it| Some((it, failed(run, it, send, attempt)?)));
        if let Some((facts, since)) = failed {
            let of = avoided.entry(send.producer()).or_default();
            of.entry(&attempt.to.broker).or_default().push(Avoided {
                producer: send.producer(),
                broker: &attempt.to.broker,
                since,
                until_ms: since.ms.saturating_add(facts.failed_ms),
            });
        }
    }
    for (send, attempt) in run.attempts() {
        if attempt.number == 1 && send.target_queue.is_none() && !avoided.is_empty() {
            keeps_away(run, send, attempt, &avoided, report);
        }
    }
    for (send, attempt) in run.attempts() {
        demanded(run, send, attempt, report);
    }
    for isolated in run.history.health.iter().filter(|it| it.for_ms > 0) {
        explained(run, isolated, facts(run, isolated.producer()), report);
    }
}

/// What the producer's policy remembers.
fn facts<'t>(run: &CheckedRun<'t>, producer: ProducerKey<'_>) -> Option<&'t IsolationFacts> {
    run.policy_of(producer)?.isolation.as_ref()
}

/// When an attempt showed that its broker does not serve, by the policy's rules. One that was not
/// answered in its timeout counts as silent, whether it could be hedged or not.
fn failed(
    run: &CheckedRun<'_>,
    facts: &IsolationFacts,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
) -> Option<Timestamp> {
    if send.target_queue.is_some() && send.mode == Mode::Sync && !facts.counts_target_queue_sync {
        return None;
    }
    let silent = facts.failures.contains(&Stage::Silent);
    let unheard = silent.then(|| unheard(run, send, attempt)).flatten();
    let counts = |end: &EndedAttempt| facts.failures.contains(&end.stage);
    unheard.or(attempt.ended.filter(counts).map(|end| end.timestamp))
}

/// The end of the millisecond in which an attempt's timeout was over, if it was not answered before
/// and attempts can be hedged.
fn unheard(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
) -> Option<Timestamp> {
    let hedges = run
        .policy_of(send.producer())
        .is_some_and(|it| it.hedged_accepted);
    if send.mode == Mode::Oneway || !hedges {
        return None;
    }
    // A frozen producer notices it when it runs again.
    let share_end = attempt.started.ms.saturating_add(attempt.timeout_ms);
    let slack = run.header().slack_ms;
    let ms = run
        .due(send.node, share_end, 0)
        .saturating_sub(slack)
        .max(share_end);
    let over = attempt
        .ended
        .map(|end| end.timestamp)
        .into_iter()
        .chain(send.over());
    let at = run.trace.records.partition_point(|record| record.ms <= ms);
    let open = over.min().is_none_or(|over| over.at >= at);
    open.then_some(Timestamp { at, ms })
}

/// An end after which the table avoids the broker is followed at once by an isolation as long, unless a
/// longer one is in force.
fn demanded(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    report: &mut CheckReport,
) {
    let (Some(facts), Some(end)) = (facts(run, send.producer()), attempt.ended) else {
        return;
    };
    let pinned_sync = send.target_queue.is_some() && send.mode == Mode::Sync;
    // What ends with its send, or after it, teaches nothing any more; what was silent for its time has
    // taught that when the time was over.
    let over = send.over().is_some_and(|over| over < end.timestamp);
    let took_ms = end.timestamp.ms.saturating_sub(attempt.started.ms);
    let was_silent = attempt.hedged.is_some() || took_ms >= attempt.timeout_ms;
    let skips = pinned_sync && !facts.counts_target_queue_sync;
    if facts.overwrites || over || was_silent || skips {
        return;
    }
    let for_ms = facts.for_ms(end.stage, took_ms);
    if for_ms == 0 {
        return;
    }
    report.exercised();
    let until = end.timestamp.ms.saturating_add(for_ms);
    let own = run.history.isolations(run.after(end.timestamp.ms)).iter();
    let mut in_force =
        own.filter(|it| it.producer() == send.producer() && *it.broker == attempt.to.broker);
    let is_kept = in_force.any(|it| it.timestamp.ms.saturating_add(it.for_ms) >= until);
    if !is_kept {
        let (who, number, k) = (run.name(send.node), send.number, attempt.number);
        let (broker, stage) = (&attempt.to.broker, end.stage);
        let text = format!(
            "{who} does not avoid {broker} for {for_ms} ms after s{number} #{k} was {stage:?} in \
             {took_ms} ms"
        );
        report.wrong(end.timestamp, text);
    }
}

fn keeps_away(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    avoided: &ByBroker<'_>,
    report: &mut CheckReport,
) {
    let now = attempt.started;
    let failed = |broker: &Name| {
        let own = avoided.get(&send.producer())?.get(&**broker)?;
        let mut latest = own.iter().rev();
        let one = |since| run.is_one_process(send.node, since, now);
        latest.find(|it| it.since < now && now.ms < it.until_ms && one(it.since))
    };
    // A success in the meantime counts for the broker again where later results replace earlier ones, as
    // in 4.9.
    let replaces = facts(run, send.producer()).is_some_and(|it| it.overwrites);
    let forgets = facts(run, send.producer()).is_some_and(|it| it.forgets_absent);
    let isolated = |broker: &Name| {
        failed(broker).is_some_and(|it| {
            let replaced = replaces && well_since(run, it, now);
            !(replaced || forgets && absent_since(run, it, now))
        })
    };
    let good =
        |broker: &Name| failed(broker).is_none() && !said_ill(run, send.producer(), broker, now);
    let Some(route) = attempt.snapshot else {
        return;
    };
    let queues = &run.history.snapshots[route].queues;
    // Nobody is better, or there is nothing to avoid.
    if !queues.names().any(good) || !queues.names().any(isolated) {
        among_the_avoided(run, send, attempt, report);
        return;
    }
    report.exercised();
    // A slow producer notes an end some steps after it.
    let slow = |ms| run.truth.slow_since(send.node, ms).is_some();
    let was_slow = failed(&attempt.to.broker).is_some_and(|it| slow(it.since.ms));
    if isolated(&attempt.to.broker) && !slow(now.ms) && !was_slow {
        let (who, number, broker) = (run.name(send.node), send.number, &attempt.to.broker);
        let text = format!("{who} s{number} begins at {broker}, which failed a moment ago");
        report.wrong(now, text);
    }
}

/// Where every broker is avoided, one that could be reached is better than one that could not.
fn among_the_avoided(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    report: &mut CheckReport,
) {
    let (Some(route), Some(facts)) = (attempt.snapshot, facts(run, send.producer())) else {
        return;
    };
    let now = attempt.started;
    let queues = &run.history.snapshots[route].queues;
    let last = |broker: &Name| {
        let ended = run.attempts().filter_map(|(other, it)| {
            // One that was not answered in its time has taught that it was silent, and no more.
            let end = it.ended.filter(|end| end.timestamp < now)?;
            let took_ms = end.timestamp.ms.saturating_sub(it.started.ms);
            if it.hedged.is_some() || took_ms >= it.timeout_ms {
                return None;
            }
            let ours = other.producer() == send.producer() && it.to.broker == *broker;
            let teaches = end.stage == Stage::Accepted || facts.failures.contains(&end.stage);
            (ours && teaches).then_some((end.timestamp, end.stage))
        });
        // What was silent for its time has taught that, and is open.
        let noted = run.history.health.iter().filter(|it| {
            it.producer() == send.producer() && it.broker == broker && it.timestamp < now
        });
        let noted = noted.map(|it| (it.timestamp, it.reason));
        let known = ended.chain(noted);
        let known = known.filter(|(at, _)| run.is_one_process(send.node, *at, now));
        known.max_by_key(|(at, _)| *at)
    };
    let all_avoided = queues
        .names()
        .all(|it| said_ill(run, send.producer(), it, now));
    // What has no time for a dial and an answer says nothing of its broker, to either side.
    let hasty = attempt.timeout_ms <= run.header().round_trip_ms;
    if !all_avoided || !facts.prefers_reachable || hasty {
        return;
    }
    // What is open there may have taught something else by then.
    let at = (send.node, &*attempt.to.broker);
    let mut there = run.history.attempts_at(at, (now.ms, now.ms));
    if there.any(|(other, it)| it.open_at(now, other.over())) {
        return;
    }
    // What came of a dial that outlasted its attempt may have been learnt or not.
    let refused_since = |broker: &Name, since: Timestamp| {
        run.attempts().any(|(other, it)| {
            let ours = other.producer() == send.producer() && it.to.broker == *broker;
            let end = it.ended.filter(|end| ours && end.stage == Stage::Dial);
            end.is_some_and(|end| since < end.timestamp && end.timestamp < now)
        })
    };
    let reachable = |broker: &&Name| {
        let known = last(broker).filter(|(_, stage)| *stage != Stage::Dial);
        known.is_some_and(|(since, _)| !refused_since(broker, since))
    };
    let mut better = queues.names().filter(reachable);
    report.exercised();
    let failed = last(&attempt.to.broker).filter(|(_, stage)| *stage == Stage::Dial);
    // A dial that outlived the attempts that waited for it has reached the broker after all.
    let opened = |since: Timestamp| {
        let mut connections = run.history.connections.iter();
        connections.any(|it| {
            let own = it.node == send.node && Some(it.to) == attempt.address;
            own && it.opened.is_some_and(|(at, _)| at > since && at < now)
        })
    };
    if let Some((since, _)) = failed
        && !opened(since)
        && let Some(better) = better.next()
    {
        let (who, number, broker) = (run.name(send.node), send.number, &attempt.to.broker);
        let text = format!(
            "{who} s{number} begins at {broker}, which could not be reached; {better} could"
        );
        report.wrong(now, text);
    }
}

/// Whether the producer says that it avoids the broker, for whatever reason.
fn said_ill(
    run: &CheckedRun<'_>,
    producer: ProducerKey<'_>,
    broker: &Name,
    now: Timestamp,
) -> bool {
    run.history.isolations(now).iter().any(|it| {
        let until = it.timestamp.ms.saturating_add(it.for_ms);
        let felt = it.timestamp < now && now.ms < until;
        let known = felt && run.is_one_process(it.node, it.timestamp, now);
        it.producer() == producer && it.broker == broker && known
    })
}

/// Whether the broker took a message of the producer after it failed.
fn well_since(run: &CheckedRun<'_>, avoided: &Avoided<'_>, now: Timestamp) -> bool {
    let (at, window) = (
        (avoided.producer.0, &**avoided.broker),
        (avoided.since.ms, now.ms),
    );
    let mut own = run.history.attempts_at(at, window);
    own.any(|(send, attempt)| {
        send.producer() == avoided.producer
            && attempt.ended.is_some_and(|end| {
                end.stage == Stage::Accepted && end.timestamp > avoided.since && end.timestamp < now
            })
    })
}

/// Whether a route without the broker was published after its failure.
fn absent_since(run: &CheckedRun<'_>, avoided: &Avoided<'_>, now: Timestamp) -> bool {
    let mut own = run
        .history
        .snapshots
        .iter()
        .filter(|it| it.node == avoided.producer.0);
    own.any(|it| {
        let since = avoided.since < it.timestamp && it.timestamp < now;
        since && !it.queues.names().any(|name| name == avoided.broker)
    })
}

fn explained(
    run: &CheckedRun<'_>,
    isolated: &HealthHistory<'_>,
    facts: Option<&IsolationFacts>,
    report: &mut CheckReport,
) {
    let (now, broker) = (isolated.timestamp, isolated.broker);
    let follows = |(send, attempt): (&SendHistory<'_>, &AttemptHistory<'_>)| {
        let just = |timestamp: Timestamp| timestamp < now && timestamp.ms == now.ms;
        let slow = attempt.ended.filter(|end| {
            let took = end.timestamp.ms.saturating_sub(attempt.started.ms);
            end.stage == Stage::Accepted && facts.is_some_and(|facts| took >= facts.slow_ms)
        });
        let failed = facts.and_then(|facts| failed(run, facts, send, attempt));
        let share_end = attempt.started.ms.saturating_add(attempt.timeout_ms);
        let last = run.due(send.node, share_end, 0);
        let silent = isolated.reason == Stage::Silent && attempt.open_at(now, send.over());
        failed.is_some_and(just)
            || slow.is_some_and(|end| just(end.timestamp))
            || silent && (share_end..=last).contains(&now.ms)
    };
    // A success is as slow as it was; any failure of that kind costs the same.
    let as_table = |facts: &IsolationFacts| match isolated.reason {
        Stage::Accepted => facts.table.iter().any(|(_, it)| *it == isolated.for_ms),
        _ => isolated.for_ms == facts.failed_ms,
    };
    let too_long = !facts.is_some_and(as_table);
    let (who, reason) = (run.name(isolated.node), isolated.reason);
    let (at, window) = ((isolated.node, &**broker), (now.ms, now.ms));
    if !run.history.attempts_at(at, window).any(follows) {
        let text = format!("{who} avoids {broker} as {reason:?}, but no attempt there ended so");
        report.wrong(now, text);
    } else if too_long {
        let text = format!("{who} avoids {broker} for {} ms", isolated.for_ms);
        report.wrong(now, text);
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, Failure};

    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, isolation, queue, rejects};
    use crate::trace::WorkEvent;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts(
            "a broker that was lost is left alone for ten seconds",
            || {
                let scene = lost().at(2_000).whole(2, "b/0").at(9_000).whole(3, "c/0");
                scene.at(10_060).whole(4, "a/1")
            },
        ),
        accepts("all are isolated, so any is right", || {
            let scene = lost().found(1, 2, &["a/0"]).at(2_000).call(2);
            scene.attempt_by(2, 1, queue("a/0"), 2)
        }),
        accepts("another process of the node remembers nothing", || {
            let scene = lost().at(1_500).work(WorkEvent::ProcessEnded);
            scene.at(2_000).whole(2, "a/1")
        }),
        accepts("nothing is remembered by this policy", || {
            let scene = lost().facts(|it| it.policies[0].isolation = None);
            let mut scene = scene.at(2_000).whole(2, "a/1");
            scene.trace.records.retain(|record| {
                !matches!(
                    &record.what,
                    crate::trace::NodeEvent::Producer(Event::Health { .. })
                )
            });
            scene
        }),
        accepts(
            "a detector has forgotten a broker that no route named",
            || came_back(true),
        ),
        rejects(
            "a broker that no route named comes back, and nobody forgets it",
            || came_back(false),
        ),
        rejects("the next send begins at the broker that was lost", || {
            lost().at(2_000).call(2).attempt_marked(2, 1, "a/1")
        }),
        accepts(
            "a broker that is silent for an attempt timeout is avoided",
            || {
                let scene = remembers().at(5).call(1).attempt(1, 1, "a/0").at(1_005);
                let scene = isolates(scene, "broker-a", 10_000, Stage::Silent);
                scene.at(1_100).whole(2, "b/0")
            },
        ),
        rejects(
            "a silent broker is gone to again, though nothing was hedged",
            || {
                let scene = remembers().at(5).call(1).attempt(1, 1, "a/0").at(1_200);
                scene.call(2).attempt_marked(2, 1, "a/1")
            },
        ),
        rejects(
            "a broker is avoided as silent before its attempt's timeout is over",
            || {
                let scene = remembers().at(5).call(1).attempt(1, 1, "a/0").at(900);
                isolates(scene, "broker-a", 10_000, Stage::Silent).wrong()
            },
        ),
        rejects("a refusal isolates the broker", || {
            let scene = remembers()
                .at(5)
                .call(1)
                .attempt(1, 1, "a/0")
                .refused(1, 1, 13);
            isolates(scene, "broker-a", 10_000, Stage::Refused).wrong()
        }),
        rejects("a request that is only written isolates the broker", || {
            let scene = remembers().at(5).call(1).attempt(1, 1, "a/0");
            isolates(scene, "broker-a", 2_000, Stage::Accepted).wrong()
        }),
        rejects(
            "a broker is begun at that could not be reached, and another one could",
            || {
                let scene = remembers().found(1, 2, &["a/0", "b/0"]).at(5).call(1);
                let scene = scene.attempt_by(1, 1, queue("a/0"), 2).request(1, 1, 1);
                let scene = isolates(
                    scene.ended(1, 1, Stage::Lost, None),
                    "broker-a",
                    10_000,
                    Stage::Lost,
                );
                let scene = scene.at(9).attempt_by(1, 2, queue("b/0"), 2);
                let scene = isolates(
                    scene.ended(1, 2, Stage::Dial, None),
                    "broker-b",
                    10_000,
                    Stage::Dial,
                );
                let scene = scene
                    .failed(1, Failure::Attempts(Stage::Dial))
                    .at(100)
                    .call(2);
                scene.attempt_by(2, 1, queue("b/0"), 2).wrong()
            },
        ),
        rejects("a broker that was lost is not avoided", || {
            let scene = remembers().at(5).call(1).attempt(1, 1, "a/0").at(50);
            scene.ended(1, 1, Stage::Lost, None).wrong()
        }),
        rejects("a slow broker is not avoided", || {
            let scene = remembers().at(5).call(1).attempt(1, 1, "a/0").at(805);
            scene.ended(1, 1, Stage::Accepted, 0).wrong()
        }),
        accepts(
            "a slow broker is avoided for as long as the table says",
            || {
                let scene = remembers().at(5).call(1).attempt(1, 1, "a/0").at(805);
                let scene = scene.ended(1, 1, Stage::Accepted, 0);
                isolates(scene, "broker-a", 2_000, Stage::Accepted)
            },
        ),
        rejects("a broker that was lost is avoided for a moment", || {
            let scene = remembers().at(5).call(1).attempt(1, 1, "a/0").at(50);
            let scene = scene.ended(1, 1, Stage::Lost, None).wrong();
            isolates(scene, "broker-a", 10, Stage::Lost)
        }),
        rejects("a broker is avoided for ever", || {
            let scene = remembers().at(5).call(1).attempt(1, 1, "a/0").at(50);
            let scene = scene.ended(1, 1, Stage::Lost, None);
            isolates(scene, "broker-a", 86_400_000, Stage::Lost).wrong()
        }),
    ];

    fn remembers() -> Scene {
        Scene::new().facts(|it| it.policies[0].isolation = Some(isolation()))
    }

    fn isolates(scene: Scene, broker: &str, for_ms: u64, reason: Stage) -> Scene {
        scene.say(Event::Health {
            broker: broker.into(),
            for_ms,
            reason,
        })
    }

    /// The broker that was lost leaves the route and is in it again, and the second send begins at it.
    fn came_back(forgets_absent: bool) -> Scene {
        let mut scene = lost();
        for policy in &mut scene.trace.header.policies {
            if let Some(facts) = &mut policy.isolation {
                facts.forgets_absent = forgets_absent;
            }
        }
        let scene = scene.at(1_000).found(1, 2, &["b/0"]).at(1_500);
        let mut scene = scene.found(1, 3, &["a/1", "b/0"]).at(2_000).call(2);
        scene.marked = Some(scene.trace.records.len());
        scene.attempt_by(2, 1, queue("a/1"), 3)
    }

    fn lost() -> Scene {
        let scene = remembers().at(5).call(1).attempt(1, 1, "a/0").at(50);
        let scene = scene.ended(1, 1, Stage::Lost, None);
        let scene = isolates(scene, "broker-a", 10_000, Stage::Lost);
        scene.failed(1, Failure::Attempts(Stage::Lost))
    }
}

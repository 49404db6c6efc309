//! A retry that is due happens, and a cluster with a healthy broker takes the message.
//!
//! When the newest attempt ended in a way that the policy retries, or was hedged, and attempts
//! and time are left, the next one starts at once; or, at a broker that has just refused a connection
//! of the same send while there is no other, not before its part of the time, if the policy spaces
//! such attempts. And, for a producer of the strict form: while
//! some broker of the route was healthy all the time and the attempts suffice to reach it past all
//! others, the send succeeds.

use rmq_producer::event::{Failure, Mode, Outcome, Stage};
use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{AttemptHistory, SendHistory, Timestamp};
use crate::trace::record::Form;
use crate::trace::{NodeId, PolicyFacts};
use crate::truth::Condition;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-08",
    title: "Liveness",
    source: Source::Truth,
    rate_per_mille: 100,
    checker: Checker::Run(check),
    sides: &[
        side(
            "is due and never starts",
            &[
                "a retry follows at once",
                "a refusal that is final ends the send",
                "another broker is told of while a retry waits",
            ],
        ),
        side(
            "is not hedged for … ms after its time, and there was a token after … ms",
            &[
                "an attempt is hedged once there is a token",
                "the last token goes while the timeout runs",
                "an attempt has no token to be hedged with",
            ],
        ),
        side(
            "starts … ms after a refused connection, not …",
            &["a retry at the broker that refused has its part of the time"],
        ),
        side(
            "starts … ms late",
            &["a retry at one that refused waits, as all have failed"],
        ),
        side(
            "starts … ms after another broker came into the route",
            &["another broker is told of while a retry waits"],
        ),
        side(
            "fails, although … of its brokers were healthy",
            &[
                "all brokers refuse",
                "the healthy broker is told of when attempts are gone",
            ],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// How long a broker must have been healthy before it counts as healthy: what a fault held back
/// may arrive this much later.
const RECOVERY_MS: u64 = 10_000;

/// A shorter pause than this says nothing: another attempt may end in it.
const LEAST_PAUSE_MS: u64 = 50;
/// A real clock may round a time down.
const GRAIN_MS: u64 = 1;

/// An attempt that waits looks for another broker so often.
const LOOK_AGAIN_MS: u64 = 100;

/// A healthy broker answers within this time.
const ANSWER_MS: u64 = 100;

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for send in &run.history.sends {
        let Some(policy) = run.policy_of(send.producer()) else {
            continue;
        };
        if let Some(attempt) = send.attempts.last() {
            next_starts(run, send, attempt, policy, report);
        }
        if policy.form == Form::Strict && policy.avoids_all_failed {
            reaches_the_healthy(run, send, policy, report);
        }
    }
    for (send, attempt) in run.attempts() {
        hedges_in_time(run, send, attempt, report);
        if let Some(next) = send
            .attempts
            .iter()
            .find(|it| it.number == attempt.number + 1)
            && let Some(ready) = ready(run, send, attempt)
        {
            report.exercised();
            let again = no_other(run, send, (attempt, Some(next)), ready);
            let pause = if again {
                pause(run, send, attempt, ready)
            } else {
                0
            };
            // Nobody listened there, and there is no other broker: again at once would be in vain.
            let refused = attempt.ended.is_some_and(|end| end.stage == Stage::Dial);
            let same = next.to.broker == attempt.to.broker && next.snapshot == attempt.snapshot;
            let alone = attempt
                .snapshot
                .is_some_and(|route| run.history.snapshots[route].queues.brokers().len() == 1);
            let early = next.started.ms.saturating_add(GRAIN_MS) < ready.ms.saturating_add(pause);
            // One that is hedged is not waited for.
            let waits = attempt.hedged.is_none() && send.target_queue.is_none();
            if refused && same && alone && early && waits && pause >= LEAST_PAUSE_MS {
                let (who, number, k) = (run.name(send.node), send.number, next.number);
                let after = next.started.ms - ready.ms;
                let text = format!(
                    "{who} s{number} #{k} starts {after} ms after a refused connection, not {pause}"
                );
                report.wrong(next.started, text);
            }
            let came = another_came(run, send, attempt, ready).filter(|_| again);
            if let Some(came) = came
                && policy_looks(run, send)
                && next.started.ms > run.due(send.node, came.ms, LOOK_AGAIN_MS)
            {
                let (who, number, k) = (run.name(send.node), send.number, next.number);
                let after = next.started.ms - came.ms;
                let text = format!(
                    "{who} s{number} #{k} starts {after} ms after another broker came into the route"
                );
                report.wrong(next.started, text);
            } else if next.started.ms > run.due(send.node, ready.ms, pause) {
                let (who, number, k) = (run.name(send.node), send.number, next.number);
                let late = next.started.ms - ready.ms;
                report.wrong(
                    next.started,
                    format!("{who} s{number} #{k} starts {late} ms late"),
                );
            }
        }
    }
}

/// When the next attempt was due.
fn ready(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
) -> Option<Timestamp> {
    let policy = run.policy_of(send.producer())?;
    let ended = attempt
        .ended
        .filter(|end| retryable(policy, send.mode, end.stage, end.code));
    match (attempt.hedged, ended) {
        (Some(hedged), _) => Some(hedged),
        (None, ended) => ended.map(|end| end.timestamp),
    }
}

/// Whether every broker has failed in this send when this attempt ended, and the attempts at one came to
/// no connection, or lost it, so that the next one may wait if it goes there. One loss alone may be that
/// of an old one.
fn no_other(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    (attempt, next): (&AttemptHistory<'_>, Option<&AttemptHistory<'_>>),
    ready: Timestamp,
) -> bool {
    let gave_way = |broker: &Name| {
        let tried = send
            .attempts
            .iter()
            .filter(|it| it.number <= attempt.number);
        let there = tried.filter(|it| it.to.broker == *broker);
        let ends = there.filter_map(|it| it.ended);
        let of = |stages: &[Stage]| {
            ends.clone()
                .filter(|end| stages.contains(&end.stage))
                .count()
        };
        of(&[Stage::Dial]) > 0 || of(&[Stage::Lost, Stage::Write]) > 1
    };
    let route = run.history.in_force(send.node, send.topic, ready);
    let all = route
        .filter(|_| send.target_queue.is_none())
        .into_iter()
        .flat_map(|route| run.history.snapshots[route].queues.names());
    let tried = |broker: &Name| {
        let mut tried = send.attempts.iter();
        tried.any(|it| it.number <= attempt.number && it.to.broker == *broker)
    };
    let all: Vec<&Name> = all.collect();
    // A route with another broker may come while the next one waits; it goes there then.
    let nobody_else = gave_way(&attempt.to.broker) && all.iter().all(|it| gave_way(it));
    let goes_there = next.is_some_and(|next| gave_way(&next.to.broker));
    let left = goes_there || gave_way(&attempt.to.broker);
    // A policy that avoids the last broker alone comes back before it has tried all.
    // So does any other one that has tried them all.
    let avoids_all = run
        .policy_of(send.producer())
        .is_some_and(|it| it.avoids_all_failed);
    let tried_all = all.iter().all(|it| tried(it));
    let comes_back = (!avoids_all || tried_all) && all.iter().any(|it| gave_way(it));
    nobody_else || comes_back || (left && tried_all)
}

/// Whether the policy goes to a broker that has not failed in the send before it comes back to one that has.
fn policy_looks(run: &CheckedRun<'_>, send: &SendHistory<'_>) -> bool {
    let policy = run.policy_of(send.producer());
    policy.is_some_and(|it| it.avoids_all_failed && it.form == Form::Strict)
}

/// When a route came, after an attempt was over, with a broker that the send has not tried.
fn another_came(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    ready: Timestamp,
) -> Option<Timestamp> {
    if send.target_queue.is_some() {
        return None;
    }
    let tried = |broker: &Name| {
        let mut tried = send.attempts.iter();
        tried.any(|it| it.number <= attempt.number && it.to.broker == *broker)
    };
    let routes = run.history.index.routes(send.node, send.topic).iter();
    let routes = routes.map(|index| &run.history.snapshots[*index]);
    let mut later = routes.filter(|it| it.timestamp > ready);
    let came = later.find(|it| it.queues.names().any(|broker| !tried(broker)))?;
    Some(came.timestamp)
}

/// How long the attempt after this one may wait for its part of the send's time.
fn pause(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    ready: Timestamp,
) -> u64 {
    let Some(policy) = run.policy_of(send.producer()) else {
        return 0;
    };
    let all = u64::from(policy.attempts(send.mode, send.target_queue.is_some())).max(1);
    let part = send.deadline_ms().saturating_sub(send.called.ms) / all;
    let left = all.saturating_sub(u64::from(attempt.number));
    let begins = send.deadline_ms().saturating_sub(part * left);
    begins
        .saturating_sub(ready.ms)
        .min(policy.refused_spacing_ms)
}

/// Whether the policy tries again after an attempt that ended so.
pub(super) fn retryable(policy: &PolicyFacts, mode: Mode, stage: Stage, code: Option<i32>) -> bool {
    let codes = match mode {
        Mode::Sync => &policy.retry_codes_sync,
        Mode::Async => &policy.retry_codes_async,
        Mode::Oneway => return false,
    };
    match stage {
        Stage::Refused => code.is_some_and(|code| codes.contains(&code)),
        Stage::Vetoed => policy.retry_vetoed.contains(&mode),
        // What was silent has had its time, and is hedged rather than tried again.
        Stage::Silent => false,
        Stage::Address
        | Stage::Dial
        | Stage::Write
        | Stage::Lost
        | Stage::Decode
        | Stage::Accepted
        | Stage::Superseded
        | Stage::Hook
        | Stage::Denied => policy.retry_stages.contains(&stage),
    }
}

fn next_starts(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    policy: &PolicyFacts,
    report: &mut CheckReport,
) {
    let Some(ready) = ready(run, send, attempt) else {
        return;
    };
    let again = no_other(run, send, (attempt, None), ready);
    let pause = if again {
        pause(run, send, attempt, ready)
    } else {
        0
    };
    let due = run.due(send.node, ready.ms, pause);
    let left = send.deadline_ms() > due;
    let over = send
        .over()
        .is_some_and(|over| over.ms <= due && !gave_up(send));
    let ended = run.trace.end_ms <= due;
    let gone = run.truth.was_gone(send.node, ready.ms, due);
    if attempt.number >= policy.attempts(send.mode, send.target_queue.is_some())
        || !left
        || over
        || ended
        || gone
    {
        return;
    }
    report.exercised();
    let (who, number, k) = (run.name(send.node), send.number, attempt.number + 1);
    report.wrong(
        ready,
        format!("{who} s{number} #{k} is due and never starts"),
    );
}

/// Whether the send ended as if its attempts were used up.
fn gave_up(send: &SendHistory<'_>) -> bool {
    matches!(send.outcome(), Some(Outcome::Failed(Failure::Attempts(_) | Failure::Deadline)))
        && send.cancelled.is_none()
        // Another attempt's final refusal ends the send, too.
        && !send.attempts.iter().rev().skip(1).any(|it| {
            it.ended.is_some_and(|end| is_an_answer(end.stage))
        })
}

/// Whether an attempt that ended so was answered, if not as it should be.
pub(super) fn is_an_answer(stage: Stage) -> bool {
    matches!(stage, Stage::Refused | Stage::Decode | Stage::Denied)
}

fn reaches_the_healthy(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    policy: &PolicyFacts,
    report: &mut CheckReport,
) {
    let route = run.history.in_force(send.node, send.topic, send.called);
    let (Some(route), None) = (route, send.target_queue) else {
        return;
    };
    if run.header().round_trip_ms > ANSWER_MS {
        return;
    }
    let Some((done, outcome)) = send.done.first() else {
        return;
    };
    // A broker that was restarted since the route was published may be at another address.
    let since = send.called.ms.min(run.as_of(route));
    let since = since.saturating_sub(RECOVERY_MS);
    let stuck = matches!(
        outcome,
        Outcome::Failed(Failure::Attempts(_) | Failure::Deadline)
    );
    let mut brokers = named(run, send, route);
    // Nearly every send: nobody was ill, and it did not fail for want of an answer.
    let known = |broker: &&Name| run.header().node(broker).is_some();
    let calm = run.truth.calm(since, send.deadline_ms());
    if !stuck && calm && !run.truth.anyone_gone(send.called.ms) && brokers.iter().all(known) {
        return;
    }
    let healthy = |broker: &&Name| {
        let node = run.header().node(broker);
        node.is_some_and(|node| {
            let worst = run.worst_for(send, node, (since, send.deadline_ms()));
            worst == Condition::Healthy && !outlived_its_peer(run, send, (route, broker), node)
        })
    };
    let all = brokers.len();
    brokers.retain(healthy);
    let ill = all - brokers.len();
    // What a refresh in the middle of the send took out of the route is out of reach.
    let last = send.attempts.last().and_then(|attempt| attempt.snapshot);
    let last = last.map(|index| &run.history.snapshots[index].queues);
    brokers.retain(|broker| last.is_none_or(|queues| queues.has_broker(broker)));
    let well = brokers.len();
    let attempts =
        usize::try_from(policy.attempts(send.mode, send.target_queue.is_some())).unwrap_or(0);
    if well == 0 || ill + repeated(run, send) >= attempts || (ill == 0 && !stuck) {
        return;
    }
    report.exercised();
    let excused = |attempt: &AttemptHistory<'_>| {
        let left = send.deadline_ms().saturating_sub(attempt.started.ms);
        // It has all the time from the start, or goes on after its timeout for want of a token.
        let end = attempt.ended.map_or(done.ms, |end| end.timestamp.ms);
        let outlived = end > attempt.started.ms + attempt.timeout_ms;
        let due = run.due(send.node, attempt.started.ms, attempt.timeout_ms);
        let prompt = attempt.hedged.is_some_and(|at| at.ms <= due);
        let waits = !prompt && (attempt.timeout_ms >= left || outlived);
        let early = usize::try_from(attempt.number).is_ok_and(|k| k <= ill);
        let refused = attempt.ended.is_some_and(|end| {
            is_an_answer(end.stage) && !retryable(policy, send.mode, end.stage, end.code)
        });
        // An answer that the policy does not retry is final; an attempt that could not be
        // hedged for want of a token takes all the time.
        refused || (waits && early && bucket_was_low(run, send, attempt))
    };
    if stuck
        && !send.attempts.iter().any(excused)
        && !run.no_such_queue(send)
        && !run.waited_for_others(send)
        && !run.asks_for_a_delay(send)
    {
        let (who, number) = (run.name(send.node), send.number);
        let text = format!("{who} s{number} fails, although {well} of its brokers were healthy");
        report.wrong(*done, text);
    }
}

/// How many attempts went to a broker again because their route had no other: a name server may tell
/// of the others only when a refresh in the middle of the send asks.
fn repeated(run: &CheckedRun<'_>, send: &SendHistory<'_>) -> usize {
    let again = |attempt: &&AttemptHistory<'_>| {
        let Some(route) = attempt.snapshot.map(|index| &run.history.snapshots[index]) else {
            return false;
        };
        let tried = |broker: &Name| {
            let mut before = send.attempts.iter();
            before.any(|it| it.number < attempt.number && it.to.broker == *broker)
        };
        route.queues.names().all(tried)
    };
    send.attempts.iter().filter(again).count()
}

/// Whether the producer holds a connection to a broker that is older than the broker's last start.
/// After a loss of power nobody told it, and what is written there first is lost.
pub(super) fn outlived_its_peer(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    (route, broker): (usize, &str),
    node: NodeId,
) -> bool {
    let called = send.called;
    let snapshot = &run.history.snapshots[route];
    let addresses = snapshot.addresses.iter().filter(|(of, _)| **of == *broker);
    let mut mine = addresses.flat_map(|(_, to)| run.history.index.connections(send.node, to));
    mine.any(|index| {
        let connection = &run.history.connections[*index];
        let over = connection.closed.is_some_and(|(closed, _)| closed < called);
        let opened = connection.opened.filter(|(opened, _)| *opened < called);
        !over && opened.is_some_and(|(at, _)| run.truth.was_gone(node, at.ms, called.ms))
    })
}

/// The brokers that a send may have gone to, each once: of its route, and of what a refresh brought
/// in the middle of it, which may be tried before what was there.
fn named<'t>(run: &CheckedRun<'t>, send: &SendHistory<'_>, route: usize) -> Vec<&'t Name> {
    let mut routes: Vec<usize> = send.attempts.iter().filter_map(|it| it.snapshot).collect();
    routes.push(route);
    routes.sort_unstable();
    routes.dedup();
    let snapshots = &run.history.snapshots;
    let names = routes
        .iter()
        .flat_map(|index| snapshots[*index].queues.names());
    let mut brokers: Vec<&Name> = names.collect();
    brokers.sort_unstable();
    brokers.dedup();
    brokers
}

/// Whether the budget may have held no token when one was needed: at the attempt's start, or when its timeout
/// was over.
fn bucket_was_low(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
) -> bool {
    let left = send.deadline_ms().saturating_sub(attempt.started.ms);
    let needed = match attempt.timeout_ms {
        timeout if timeout < left => attempt.started.ms.saturating_add(timeout),
        _ => attempt.started.ms,
    };
    let budget = run.hedging_budget(send.producer());
    budget.is_none_or(|budget| budget.was_low(needed))
}

/// An attempt that is not answered in its time is hedged as soon as there is a token for it.
fn hedges_in_time(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    report: &mut CheckReport,
) {
    let Some(policy) = run
        .policy_of(send.producer())
        .filter(|it| it.hedging.is_some())
    else {
        return;
    };
    let silent = attempt.started.ms.saturating_add(attempt.timeout_ms);
    let more = attempt.number < policy.attempts(send.mode, send.target_queue.is_some());
    let ends = [
        attempt.hedged,
        attempt.ended.map(|end| end.timestamp),
        send.over(),
    ];
    let until = ends
        .into_iter()
        .flatten()
        .min()
        .unwrap_or_else(|| run.end());
    // Without a token it asks again after a tenth of its time.
    let again = (attempt.timeout_ms / 10).max(1);
    if !more || send.mode == Mode::Oneway || until.ms <= run.due(send.node, silent, again) {
        return;
    }
    let Some(budget) = run.hedging_budget(send.producer()) else {
        return;
    };
    report.exercised();
    let from = budget.low_until(silent, until);
    if until.ms > run.due(send.node, from, again) {
        let (who, number, k) = (run.name(send.node), send.number, attempt.number);
        let (late, has) = (until.ms - silent, from - silent);
        let text = format!(
            "{who} s{number} #{k} is not hedged for {late} ms after its time, and there was a token after {has} ms"
        );
        report.wrong(until, text);
    }
}

#[cfg(test)]
mod tests;

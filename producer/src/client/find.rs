//! How routes are found and kept fresh: for a send, by the poll, after a failed attempt.
//!
//! The task of a lookup belongs to the client, so a caller that gives up abandons nobody who waits
//! for the same route.

use std::sync::Arc;

use bytes::Bytes;
use rmq_remoting::observe::Name;
use tokio::time::{Duration, Instant, timeout_at};

use super::lookup;
use super::pass::LookupAnswer;
use super::routes::{Fit, Found, LookupInFlight, RouteAnswer, Snapshot};
use super::state::ClientCore;
use crate::decide::route::Unfit;
use crate::decide::{name_server, route};
use crate::error::LookupError;
use crate::event::{Event, LookupEnd, LookupNumber, LookupReason};
use crate::policy::Periods;

/// Completes a lookup even if its task panics or is cancelled: those who wait are told.
struct CompleteOnDrop {
    core: Arc<ClientCore>,
    topic: Name,
    lookup: Arc<LookupInFlight>,
}

impl Drop for CompleteOnDrop {
    fn drop(&mut self) {
        let topic = Name::clone(&self.topic);
        let error = if std::thread::panicking() {
            LookupError::BrokenOff(topic)
        } else {
            LookupError::Closed(topic)
        };
        let broken = Err(Arc::new(error));
        self.core.routes.complete(&self.topic, &self.lookup, broken);
    }
}

/// The route of a topic for a send: the one in force, or the result of a lookup. Without a
/// deadline of the send a lookup has its own time only.
pub(crate) async fn find(core: &Arc<ClientCore>, topic: &Name, until: Option<Instant>) -> Found {
    // Two lookups: of the topic, and of the one that new topics are made after.
    let own = 2 * Duration::from_millis(name_server::lookup_time(&core.policy));
    let deadline = until.unwrap_or(Instant::now() + own);
    let too_late = || {
        Arc::new(LookupError::TooLate {
            topic: Name::clone(topic),
            servers: core.name_servers.servers().join(", "),
        })
    };
    loop {
        if let Some(snapshot) = core.routes.snapshot(topic) {
            return Ok(snapshot);
        }
        let reason = LookupReason::FirstSend;
        let (lookup, fresh) = core.routes.join(topic, reason);
        if fresh {
            start(core, topic, &lookup, until);
        }
        let Ok(found) = timeout_at(deadline, lookup.wait()).await else {
            return Err(too_late());
        };
        match &found {
            Err(error) if !fresh && !is_last_word(&lookup, error) => {}
            _ => return found,
        }
    }
}

/// Whether a lookup that somebody else started says all there is to say. A poll does not ask for
/// the default topic, and another caller may have had less time.
fn is_last_word(lookup: &LookupInFlight, error: &LookupError) -> bool {
    let answered = matches!(
        error,
        LookupError::NotExist { .. } | LookupError::Unusable { .. } | LookupError::Refused { .. }
    );
    answered && lookup.reason == LookupReason::FirstSend
}

/// Looks a topic up again because an attempt failed, unless that was done a moment ago.
pub(crate) fn refresh(core: &Arc<ClientCore>, topic: &Name) {
    let spacing = Duration::from_millis(core.policy.periods.refresh_spacing);
    if core.routes.is_due(topic, spacing) {
        let (lookup, fresh) = core.routes.join(topic, LookupReason::FailedAttempt);
        if fresh {
            start(core, topic, &lookup, None);
        }
    }
}

/// The route of a topic after a lookup, because `known` lacks what a send needs. Without a lookup
/// if that was done a moment ago.
pub(crate) async fn renewed(
    core: &Arc<ClientCore>,
    topic: &Name,
    known: Arc<Snapshot>,
    deadline: Instant,
) -> Arc<Snapshot> {
    refresh(core, topic);
    if let Some(lookup) = core.routes.under_way(topic) {
        // Whether it brought a route or not, what counts is the one that is in force then.
        let _ = timeout_at(deadline, lookup.wait()).await;
    }
    core.routes.snapshot(topic).unwrap_or(known)
}

/// Keeps every route fresh that sends need. All topics are asked for at once, so that a slow
/// answer delays no other topic.
pub(crate) async fn poll(core: Arc<ClientCore>) {
    let periods = core.policy.periods;
    let first = core.started + Duration::from_millis(periods.first_poll);
    let mut ticks = tokio::time::interval_at(first, Duration::from_millis(periods.poll));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    if let (topic, true) = route::default_route(&core.policy) {
        core.routes.know(&topic.into());
    }
    // A send just after the start has asked already when the first poll is due.
    let mut spacing = Duration::from_millis(periods.refresh_spacing);
    let kept = rounds_kept(&periods);
    loop {
        ticks.tick().await;
        core.routes.begin_round(kept);
        let mut under_way = Vec::new();
        for topic in core.routes.idle(spacing) {
            let (lookup, fresh) = core.routes.join(&topic, LookupReason::Poll);
            if fresh {
                start(&core, &topic, &lookup, None);
            } else {
                under_way.push((topic, lookup));
            }
        }
        for (topic, mut lookup) in under_way {
            // What the other one found is the topic's affair; it is over, that is what counts here.
            // Failing sends must not starve the poll: whoever is quicker is waited for again.
            loop {
                let _ = lookup.wait().await;
                let (next, fresh) = core.routes.join(&topic, LookupReason::Poll);
                lookup = next;
                if fresh {
                    start(&core, &topic, &lookup, None);
                    break;
                }
            }
        }
        spacing = Duration::ZERO;
    }
}

fn start(
    core: &Arc<ClientCore>,
    topic: &Name,
    lookup: &Arc<LookupInFlight>,
    until: Option<Instant>,
) {
    let completion = CompleteOnDrop {
        core: Arc::clone(core),
        topic: Name::clone(topic),
        lookup: Arc::clone(lookup),
    };
    let run = async move {
        let CompleteOnDrop {
            core,
            topic,
            lookup,
        } = &completion;
        let found = run(core, topic, lookup.reason, until).await;
        core.routes.complete(topic, lookup, found);
    };
    core.lookups.spawn(&core.host, "lookup", Box::pin(run));
}

/// The lookup's deadline for a caller whose own one is `until`.
fn deadline(core: &ClientCore, until: Option<Instant>) -> Instant {
    let most = Instant::now() + Duration::from_millis(name_server::lookup_time(&core.policy));
    until.map_or(most, |until| until.min(most))
}

/// Asks for the topic, and on the way of a send also for the default topic.
async fn run(
    core: &Arc<ClientCore>,
    topic: &Name,
    reason: LookupReason,
    until: Option<Instant>,
) -> Found {
    let own = |body: &Bytes| read(core, topic, body, false);
    let (lookup, answer) = lookup::ask(core, topic, reason, deadline(core, until), &own).await;
    let not_exist = matches!(answer, LookupAnswer::NotExist { .. });
    let found = conclude(core, topic, lookup, answer, false);
    if !not_exist || !asks_for_default(reason) {
        return found;
    }
    let default: Name = route::default_route(&core.policy).0.into();
    let until = deadline(core, until);
    let its = |body: &Bytes| read(core, topic, body, true);
    let reason = LookupReason::DefaultTopic;
    let (lookup, answer) = lookup::ask(core, &default, reason, until, &its).await;
    conclude(core, topic, lookup, answer, true)
}

/// What an answer is good for. An answer equal to the last one is not read again, and none is read
/// under the lock of the routes, so that a large one delays no send to another topic.
fn read(core: &ClientCore, topic: &Name, body: &Bytes, default: bool) -> Result<Fit, Unfit> {
    if let Some(snapshot) = core.routes.unchanged(topic, body, default) {
        return Ok(Fit::Unchanged(snapshot));
    }
    route::read(&core.policy, body, default).map(Fit::New)
}

/// Applies an answer and emits how the lookup ended.
fn conclude(
    core: &ClientCore,
    topic: &Name,
    lookup: LookupNumber,
    answer: LookupAnswer,
    default: bool,
) -> Found {
    let (end, found) = match answer.end() {
        Some(end) => (end, Err(Arc::new(explain(core, topic, answer)))),
        None => match answer {
            LookupAnswer::Route { body, fit } => {
                let number = || core.next_snapshot();
                let answer = RouteAnswer {
                    body: &body,
                    fit,
                    default,
                };
                let (end, snapshot) = core.routes.apply(&core.policy, topic, answer, number);
                (end, Ok(snapshot))
            }
            _ => return Err(Arc::new(LookupError::BrokenOff(Name::clone(topic)))),
        },
    };
    let changed = end == LookupEnd::Changed;
    core.emit(Event::LookupEnded { lookup, end });
    if let (true, Ok(snapshot)) = (changed, &found) {
        core.emit(Event::Snapshot {
            snapshot: snapshot.number,
            topic: Name::clone(topic),
            lookup,
            queues: Arc::clone(snapshot.queues.list()),
            addresses: Arc::clone(&snapshot.masters),
        });
    }
    // Whatever this lookup came to, a route that works is still a route.
    found.or_else(|error| core.routes.in_force(topic).ok_or(error))
}

/// Whether a topic that does not exist leads to the default topic. After a failed attempt it does,
/// too: a topic that no name server knows would otherwise never learn a broker's new address.
fn asks_for_default(reason: LookupReason) -> bool {
    match reason {
        LookupReason::FirstSend | LookupReason::FailedAttempt => true,
        LookupReason::Poll | LookupReason::DefaultTopic => false,
    }
}

fn explain(core: &ClientCore, topic: &Name, answer: LookupAnswer) -> LookupError {
    let topic = Name::clone(topic);
    match answer {
        LookupAnswer::Route { .. } => LookupError::BrokenOff(topic),
        LookupAnswer::NotExist { answers } => LookupError::NotExist {
            topic,
            default_topic: route::default_route(&core.policy).0.into(),
            answers,
        },
        LookupAnswer::Unusable { reason, answers } => LookupError::Unusable {
            topic,
            reason,
            answers,
        },
        LookupAnswer::Refused {
            server,
            code,
            remark,
            answers,
        } => LookupError::Refused {
            topic,
            server,
            code,
            remark,
            answers,
        },
        LookupAnswer::Unreachable(failures) => LookupError::Unreachable { failures },
    }
}

/// After how many rounds of the poll without a send a topic is forgotten; never without a number.
fn rounds_kept(periods: &Periods) -> Option<u64> {
    (periods.forget > 0).then(|| periods.forget.div_ceil(periods.poll.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rounds_that_a_topic_is_kept_cover_the_time_that_the_policy_says() {
        let mut periods = crate::Policy::strict().periods;
        (periods.forget, periods.poll) = (61, 30);
        assert_eq!(rounds_kept(&periods), Some(3));
        periods.forget = 0;
        assert_eq!(rounds_kept(&periods), None);
    }
}

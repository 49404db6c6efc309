//! The routes a client knows, and how they are found and kept fresh.
//!
//! * A topic's route is looked up by at most one task at a time; all who need it share the result.
//!   The task belongs to the client, so a caller that gives up abandons nobody.
//! * A route that worked stays in force until another usable one comes.
//! * What is published is a [`Snapshot`], a value that never changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use rmq_remoting::observe::Name;
use tokio::time::{Duration, Instant, timeout_at};

use crate::client::ClientCore;
use crate::decide::auto_create::{self, Creation};
use crate::decide::queues::Queues;
use crate::decide::route::{Published, Unfit};
use crate::decide::{name_server, route};
use crate::event::{Event, LookupEnd, LookupNumber, LookupReason, SnapshotNumber};
use crate::lookup::{self, Answer, Fit, LookupError};
use crate::policy::Periods;
use crate::single_flight::{self, Gate};

/// Where a topic's messages can go, as one route answer said it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) number: SnapshotNumber,
    pub(crate) queues: Queues,
    masters: Arc<[(Name, Name)]>,
    addresses: Vec<Name>,
    ordered: bool,
    /// Whether the topic is being made, so that the brokers that are tried count.
    creates: bool,
}

impl Snapshot {
    fn published(&self) -> Published {
        Published {
            queues: self.queues.to_vec(),
            masters: self.masters.to_vec(),
            addresses: self.addresses.clone(),
            ordered: self.ordered,
        }
    }

    /// The address of a broker's master.
    pub(crate) fn master(&self, broker: &Name) -> Option<&Name> {
        let at = self.masters.binary_search_by(|(name, _)| name.cmp(broker));
        at.ok().map(|at| &self.masters[at].1)
    }
}

/// What a lookup came to.
pub(crate) type Found = Result<Arc<Snapshot>, Arc<LookupError>>;

/// A lookup under way, shared by all who wait for it.
type Flight = single_flight::Flight<LookupReason, Found>;

/// What is known of a topic.
#[derive(Debug, Default)]
struct Topic {
    snapshot: Option<Arc<Snapshot>>,
    /// The answer behind the snapshot, and whether it was the default topic's.
    answer: Option<(Bytes, bool)>,
    /// The topic is being made on the brokers of the default topic.
    creation: Option<Creation>,
    gate: Gate<LookupReason, Found>,
    /// When the last lookup started.
    asked: Option<Instant>,
    /// In which round of the poll a send last needed it.
    used: u64,
    /// Whether it is never forgotten.
    kept: bool,
}

/// The topics of a client.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    topics: Mutex<BTreeMap<Name, Topic>>,
    /// Counts the rounds of the poll.
    rounds: AtomicU64,
}

impl Routes {
    /// The route in force, for a send.
    pub(crate) fn snapshot(&self, topic: &str) -> Option<Arc<Snapshot>> {
        let mut topics = self.topics.lock();
        let entry = topics.get_mut(topic)?;
        entry.used = self.rounds.load(Ordering::Relaxed);
        entry.snapshot.clone()
    }

    /// The route in force, for a lookup: that is no use of it.
    fn in_force(&self, topic: &Name) -> Option<Arc<Snapshot>> {
        self.topics.lock().get(topic)?.snapshot.clone()
    }

    /// The route in force, if this is the answer behind it.
    fn unchanged(&self, topic: &Name, body: &Bytes, default: bool) -> Option<Arc<Snapshot>> {
        let (snapshot, known) = {
            let topics = self.topics.lock();
            let entry = topics.get(topic)?;
            let (known, of_default) = entry.answer.as_ref()?;
            if *of_default != default || entry.creation.is_some() {
                return None; // the brokers that were tried since make another route of it
            }
            (Arc::clone(entry.snapshot.as_ref()?), known.clone())
        };
        (known == *body).then_some(snapshot)
    }

    /// A round of the poll begins: topics that no send needed for `most` rounds are forgotten, so
    /// that a program that names ever new topics does not ask for all of them for ever.
    fn begin_round(&self, most: Option<u64>) {
        let round = self
            .rounds
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        let Some(most) = most else {
            return;
        };
        self.topics.lock().retain(|_, topic| {
            let unused = round.saturating_sub(topic.used);
            topic.kept || topic.gate.under_way().is_some() || unused <= most
        });
    }

    /// A topic that has a route, and the address of a broker's master in any route.
    pub(crate) fn any_topic_and_master_of(&self, broker: &Name) -> Option<(Name, Name)> {
        let topics = self.topics.lock();
        let known = topics.iter();
        let mut known = known.filter_map(|(name, it)| Some((name, it.snapshot.as_ref()?)));
        let topic = Name::clone(known.clone().next()?.0);
        let master = known.find_map(|(_, snapshot)| snapshot.master(broker))?;
        Some((topic, Name::clone(master)))
    }

    /// How many topics are known.
    pub(crate) fn len(&self) -> usize {
        self.topics.lock().len()
    }

    /// The addresses of all masters, or of all brokers, in all routes.
    pub(crate) fn addresses(&self, masters_only: bool) -> BTreeSet<Name> {
        let topics = self.topics.lock();
        let snapshots = topics.values().filter_map(|topic| topic.snapshot.as_ref());
        let mut addresses = BTreeSet::new();
        for snapshot in snapshots {
            if masters_only {
                addresses.extend(
                    snapshot
                        .masters
                        .iter()
                        .map(|(_, master)| Name::clone(master)),
                );
            } else {
                addresses.extend(snapshot.addresses.iter().cloned());
            }
        }
        addresses
    }

    /// An attempt goes to this broker by this route.
    pub(crate) fn tried(&self, topic: &str, route: &Snapshot, broker: &Name) {
        if !route.creates {
            return;
        }
        let mut topics = self.topics.lock();
        let creation = topics.get_mut(topic).and_then(|it| it.creation.as_mut());
        if let Some(creation) = creation {
            creation.tried(broker);
        }
    }

    /// Keeps the route of a topic fresh from now on, whether it is needed or not.
    fn know(&self, topic: &Name) {
        let mut topics = self.topics.lock();
        topics.entry(Name::clone(topic)).or_default().kept = true;
    }

    /// The flight to join, and whether it is new and must be started.
    fn board(&self, topic: &Name, reason: LookupReason) -> (Arc<Flight>, bool) {
        let mut topics = self.topics.lock();
        let entry = topics.entry(Name::clone(topic)).or_default();
        if reason == LookupReason::FirstSend {
            entry.used = self.rounds.load(Ordering::Relaxed);
        }
        let (flight, fresh) = entry.gate.board(reason);
        if fresh {
            entry.asked = Some(Instant::now());
        }
        (flight, fresh)
    }

    /// The lookup is over: the topic is free for the next one, and all who wait are told.
    fn land(&self, topic: &Name, flight: &Arc<Flight>, found: Found) {
        if let Some(entry) = self.topics.lock().get_mut(topic) {
            entry.gate.leave(flight);
        }
        flight.land(found);
    }

    /// The topics that were not asked for within `spacing`.
    fn idle(&self, spacing: Duration) -> Vec<Name> {
        let topics = self.topics.lock();
        let long_ago = |topic: &Topic| topic.asked.is_none_or(|asked| asked.elapsed() >= spacing);
        let idle = topics.iter().filter(|(_, topic)| long_ago(topic));
        idle.map(|(name, _)| Name::clone(name)).collect()
    }
}

fn is_due(topic: &Topic, spacing: Duration) -> bool {
    topic.gate.under_way().is_none() && topic.asked.is_none_or(|asked| asked.elapsed() >= spacing)
}

/// Tells those who wait, even if the lookup's task panics or is cancelled.
struct Landing {
    core: Arc<ClientCore>,
    topic: Name,
    flight: Arc<Flight>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let broken = Err(Arc::new(LookupError::BrokenOff(Name::clone(&self.topic))));
        self.core.routes.land(&self.topic, &self.flight, broken);
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
        let (flight, fresh) = core.routes.board(topic, reason);
        if fresh {
            start(core, topic, &flight, until);
        }
        let Ok(found) = timeout_at(deadline, flight.wait()).await else {
            return Err(too_late());
        };
        match &found {
            Err(error) if !fresh && !is_last_word(&flight, error) => {}
            _ => return found,
        }
    }
}

/// Whether a lookup that somebody else started says all there is to say. A poll does not ask for
/// the default topic, and another caller may have had less time.
fn is_last_word(flight: &Flight, error: &LookupError) -> bool {
    let answered = matches!(
        error,
        LookupError::NotExist { .. } | LookupError::Unusable { .. } | LookupError::Refused { .. }
    );
    answered && flight.reason == LookupReason::FirstSend
}

/// Looks a topic up again because an attempt failed, unless that was done a moment ago.
pub(crate) fn refresh(core: &Arc<ClientCore>, topic: &Name) {
    let spacing = Duration::from_millis(core.policy.periods.refresh_spacing);
    let due = {
        let topics = core.routes.topics.lock();
        topics
            .get(topic)
            .is_some_and(|entry| is_due(entry, spacing))
    };
    if due {
        let (flight, fresh) = core.routes.board(topic, LookupReason::FailedAttempt);
        if fresh {
            start(core, topic, &flight, None);
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
    let flight = {
        let topics = core.routes.topics.lock();
        topics
            .get(topic)
            .and_then(|entry| entry.gate.under_way().cloned())
    };
    if let Some(flight) = flight {
        // Whether it brought a route or not, what counts is the one that is in force then.
        let _ = timeout_at(deadline, flight.wait()).await;
    }
    core.routes.snapshot(topic).unwrap_or(known)
}

/// After how many rounds of the poll without a send a topic is forgotten; never without a number.
fn rounds_kept(periods: &Periods) -> Option<u64> {
    (periods.forget > 0).then(|| periods.forget.div_ceil(periods.poll.max(1)))
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
            let (flight, fresh) = core.routes.board(&topic, LookupReason::Poll);
            if fresh {
                start(&core, &topic, &flight, None);
            } else {
                under_way.push((topic, flight));
            }
        }
        for (topic, mut flight) in under_way {
            // What the other one found is the topic's affair; it is over, that is what counts here.
            // Failing sends must not starve the poll: whoever is quicker is waited for again.
            loop {
                let _ = flight.wait().await;
                let (next, fresh) = core.routes.board(&topic, LookupReason::Poll);
                flight = next;
                if fresh {
                    start(&core, &topic, &flight, None);
                    break;
                }
            }
        }
        spacing = Duration::ZERO;
    }
}

fn start(core: &Arc<ClientCore>, topic: &Name, flight: &Arc<Flight>, until: Option<Instant>) {
    let landing = Landing {
        core: Arc::clone(core),
        topic: Name::clone(topic),
        flight: Arc::clone(flight),
    };
    let run = async move {
        let Landing {
            core,
            topic,
            flight,
        } = &landing;
        let found = run(core, topic, flight.reason, until).await;
        core.routes.land(topic, flight, found);
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
    let own = |body: &Bytes| judge(core, topic, body, false);
    let (lookup, answer) = lookup::ask(core, topic, reason, deadline(core, until), &own).await;
    let not_exist = matches!(answer, Answer::NotExist { .. });
    let found = conclude(core, topic, lookup, answer, false);
    if !not_exist || !asks_for_default(reason) {
        return found;
    }
    let default: Name = route::default_route(&core.policy).0.into();
    let until = deadline(core, until);
    let its = |body: &Bytes| judge(core, topic, body, true);
    let reason = LookupReason::DefaultTopic;
    let (lookup, answer) = lookup::ask(core, &default, reason, until, &its).await;
    conclude(core, topic, lookup, answer, true)
}

/// What an answer is good for. An answer equal to the last one is not read again, and none is read
/// under the lock of the routes, so that a large one delays no send to another topic.
fn judge(core: &ClientCore, topic: &Name, body: &Bytes, default: bool) -> Result<Fit, Unfit> {
    if let Some(snapshot) = core.routes.unchanged(topic, body, default) {
        return Ok(Fit::Unchanged(snapshot));
    }
    route::judge(&core.policy, body, default).map(Fit::New)
}

/// Applies an answer and emits how the lookup ended.
fn conclude(
    core: &ClientCore,
    topic: &Name,
    lookup: LookupNumber,
    answer: Answer,
    default: bool,
) -> Found {
    let (end, found) = match answer.end() {
        Some(end) => (end, Err(Arc::new(explain(core, topic, answer)))),
        None => match answer {
            Answer::Route { body, fit } => apply(core, topic, &body, fit, default),
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

fn explain(core: &ClientCore, topic: &Name, answer: Answer) -> LookupError {
    let topic = Name::clone(topic);
    match answer {
        Answer::Route { .. } => LookupError::BrokenOff(topic),
        Answer::NotExist { answers } => LookupError::NotExist {
            topic,
            default_topic: route::default_route(&core.policy).0.into(),
            answers,
        },
        Answer::Unusable { reason, answers } => LookupError::Unusable {
            topic,
            reason,
            answers,
        },
        Answer::Refused {
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
        Answer::Unreachable(failures) => LookupError::Unreachable { failures },
    }
}

/// Puts a route in force, if it differs from the one that is.
fn apply(
    core: &ClientCore,
    topic: &Name,
    body: &Bytes,
    fit: Fit,
    default: bool,
) -> (LookupEnd, Found) {
    let published = match fit {
        Fit::Unchanged(snapshot) => return (LookupEnd::Unchanged, Ok(snapshot)),
        Fit::New(published) => published,
    };
    let mut topics = core.routes.topics.lock();
    let entry = topics.entry(Name::clone(topic)).or_default();
    let had_its_own = matches!(entry.answer, Some((_, false)));
    match &entry.snapshot {
        Some(own) if default && had_its_own => {
            // The topic was known once. It keeps its queues, wherever its brokers are now, and an
            // answer of its own counts again, whatever it says.
            let moved = route::readdress(&own.published(), &published);
            let (end, found) = entry.publish(core, moved);
            if end == LookupEnd::Changed {
                entry.answer = Some((Bytes::new(), false));
            }
            (end, found)
        }
        _ => {
            entry.answer = Some((body.clone(), default));
            let whole = if default {
                entry.creates(core, &published);
                None
            } else {
                entry.creation.as_ref().and_then(|it| it.beside(&published))
            };
            if !default && whole.is_none() {
                entry.creation = None;
            }
            entry.publish(core, whole.unwrap_or(published))
        }
    }
}

impl Topic {
    /// The topic does not exist; what it is made after was found.
    fn creates(&mut self, core: &ClientCore, default: &Published) {
        match &mut self.creation {
            Some(creation) => creation.renew(default.clone()),
            None if auto_create::everywhere(&core.policy) => {
                self.creation = Some(Creation::new(default.clone()));
            }
            None => {}
        }
    }

    /// Puts what was found in force, if it differs from what is.
    fn publish(&mut self, core: &ClientCore, published: Published) -> (LookupEnd, Found) {
        if let Some(snapshot) = &self.snapshot
            && snapshot.published() == published
        {
            if snapshot.creates == self.creation.is_some() {
                return (LookupEnd::Unchanged, Ok(Arc::clone(snapshot)));
            }
            let snapshot = self.put(snapshot.number, published);
            return (LookupEnd::Unchanged, Ok(snapshot));
        }
        (
            LookupEnd::Changed,
            Ok(self.put(core.next_snapshot(), published)),
        )
    }

    fn put(&mut self, number: SnapshotNumber, published: Published) -> Arc<Snapshot> {
        let snapshot = Arc::new(Snapshot {
            number,
            queues: Queues::new(published.queues.into()),
            masters: published.masters.into(),
            addresses: published.addresses,
            ordered: published.ordered,
            creates: self.creation.is_some(),
        });
        self.snapshot = Some(Arc::clone(&snapshot));
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(routes: &Routes) -> Vec<String> {
        let topics = routes.topics.lock();
        topics.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn a_topic_that_no_send_needed_for_so_many_rounds_is_forgotten_and_others_are_not() {
        let routes = Routes::default();
        routes.know(&"kept".into());
        for topic in ["used", "unused", "under-way"] {
            let (flight, _) = routes.board(&topic.into(), LookupReason::FirstSend);
            if topic != "under-way" {
                let nothing = Err(Arc::new(LookupError::BrokenOff(topic.into())));
                routes.land(&topic.into(), &flight, nothing);
            }
        }
        for _ in 0..3 {
            routes.begin_round(Some(2));
            let _ = routes.snapshot("used");
            let _ = routes.in_force(&"unused".into());
        }
        assert_eq!(known(&routes), ["kept", "under-way", "used"]);
        for _ in 0..3 {
            routes.begin_round(None);
        }
        assert_eq!(known(&routes).len(), 3, "never means never");
    }

    #[test]
    fn the_rounds_that_a_topic_is_kept_cover_the_time_that_the_policy_says() {
        let mut periods = crate::Policy::strict().periods;
        (periods.forget, periods.poll) = (61, 30);
        assert_eq!(rounds_kept(&periods), Some(3));
        periods.forget = 0;
        assert_eq!(rounds_kept(&periods), None);
    }
}

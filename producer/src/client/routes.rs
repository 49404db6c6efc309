//! The routes a client knows, as data: which one is in force, and which one wins.
//!
//! * A route that worked stays in force until another usable one comes.
//! * What is published is a [`Snapshot`], a value that never changes.
//! * A topic is looked up by at most one task at a time; all who need its route share the result.
//!
//! Nothing here asks anybody or waits: see [`find`](super::find).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use rmq_remoting::observe::Name;
use tokio::time::{Duration, Instant};

use super::single_flight::{InFlight, SingleFlight};
use crate::decide::auto_create::{self, Creation};
use crate::decide::queues::Queues;
use crate::decide::route::{self, Published};
use crate::error::LookupError;
use crate::event::{LookupEnd, LookupReason, SnapshotNumber};
use crate::policy::Policy;

/// Where a topic's messages can go, as one route answer said it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) number: SnapshotNumber,
    pub(crate) queues: Queues,
    pub(crate) masters: Arc<[(Name, Name)]>,
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
pub(crate) type LookupInFlight = InFlight<LookupReason, Found>;

/// What an answer of a name server is good for.
#[derive(Debug)]
pub(crate) enum Fit {
    /// It is the answer behind the route in force.
    Unchanged(Arc<Snapshot>),
    /// It is news: this route is to be published.
    New(Published),
}

/// What is known of a topic.
#[derive(Debug, Default)]
struct Topic {
    snapshot: Option<Arc<Snapshot>>,
    /// The answer behind the snapshot, and whether it was the default topic's.
    answer: Option<(Bytes, bool)>,
    /// The topic is being made on the brokers of the default topic.
    creation: Option<Creation>,
    lookup: SingleFlight<LookupReason, Found>,
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
    pub(crate) fn in_force(&self, topic: &Name) -> Option<Arc<Snapshot>> {
        self.topics.lock().get(topic)?.snapshot.clone()
    }

    /// The route in force, if this is the answer behind it.
    pub(crate) fn unchanged(
        &self,
        topic: &Name,
        body: &Bytes,
        default: bool,
    ) -> Option<Arc<Snapshot>> {
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
    pub(crate) fn begin_round(&self, most: Option<u64>) {
        let round = self
            .rounds
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        let Some(most) = most else {
            return;
        };
        self.topics.lock().retain(|_, topic| {
            let unused = round.saturating_sub(topic.used);
            topic.kept || topic.lookup.under_way().is_some() || unused <= most
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
    pub(crate) fn know(&self, topic: &Name) {
        let mut topics = self.topics.lock();
        topics.entry(Name::clone(topic)).or_default().kept = true;
    }

    /// The lookup of a topic to wait for, and whether it is new and must be started.
    pub(crate) fn join(&self, topic: &Name, reason: LookupReason) -> (Arc<LookupInFlight>, bool) {
        let mut topics = self.topics.lock();
        let entry = topics.entry(Name::clone(topic)).or_default();
        if reason == LookupReason::FirstSend {
            entry.used = self.rounds.load(Ordering::Relaxed);
        }
        let (lookup, fresh) = entry.lookup.join(reason);
        if fresh {
            entry.asked = Some(Instant::now());
        }
        (lookup, fresh)
    }

    /// The lookup is over: the topic is free for the next one, and all who wait are told.
    pub(crate) fn complete(&self, topic: &Name, lookup: &Arc<LookupInFlight>, found: Found) {
        if let Some(entry) = self.topics.lock().get_mut(topic) {
            entry.lookup.leave(lookup);
        }
        lookup.complete(found);
    }

    /// The lookup of a topic that is under way.
    pub(crate) fn under_way(&self, topic: &Name) -> Option<Arc<LookupInFlight>> {
        self.topics.lock().get(topic)?.lookup.under_way().cloned()
    }

    /// Whether a topic is known, is not being looked up, and was not asked for within `spacing`.
    pub(crate) fn is_due(&self, topic: &Name, spacing: Duration) -> bool {
        let topics = self.topics.lock();
        topics.get(topic).is_some_and(|entry| {
            let long_ago = |asked: Instant| asked.elapsed() >= spacing;
            entry.lookup.under_way().is_none() && entry.asked.is_none_or(long_ago)
        })
    }

    /// The topics that were not asked for within `spacing`.
    pub(crate) fn idle(&self, spacing: Duration) -> Vec<Name> {
        let topics = self.topics.lock();
        let long_ago = |topic: &Topic| topic.asked.is_none_or(|asked| asked.elapsed() >= spacing);
        let idle = topics.iter().filter(|(_, topic)| long_ago(topic));
        idle.map(|(name, _)| Name::clone(name)).collect()
    }

    /// Puts what an answer is good for in force, if it differs from what is; with how the lookup
    /// ended. `number` gives a new snapshot its number.
    pub(crate) fn apply(
        &self,
        policy: &Policy,
        topic: &Name,
        answer: RouteAnswer<'_>,
        number: impl FnOnce() -> SnapshotNumber,
    ) -> (LookupEnd, Arc<Snapshot>) {
        let published = match answer.fit {
            Fit::Unchanged(snapshot) => return (LookupEnd::Unchanged, snapshot),
            Fit::New(published) => published,
        };
        let mut topics = self.topics.lock();
        let entry = topics.entry(Name::clone(topic)).or_default();
        let won = entry.winner(policy, answer.body, published, answer.default);
        entry.publish(won, number)
    }
}

/// An answer of a name server that has a route.
#[derive(Debug)]
pub(crate) struct RouteAnswer<'a> {
    /// The answer as it came.
    pub(crate) body: &'a Bytes,
    pub(crate) fit: Fit,
    /// Whether it is the answer for the default topic, after which a new topic is made.
    pub(crate) default: bool,
}

/// The route that has won over the one in force, and what stands behind it.
struct Winner {
    published: Published,
    /// The answer that a later one is compared with, if the route changes; none leaves it.
    answer: Option<(Bytes, bool)>,
}

impl Topic {
    /// Which route wins when an answer came: the topic's own over the default topic's, a new one over
    /// the one in force.
    fn winner(
        &mut self,
        policy: &Policy,
        body: &Bytes,
        published: Published,
        default: bool,
    ) -> Winner {
        let had_its_own = matches!(self.answer, Some((_, false)));
        if let Some(own) = &self.snapshot
            && default
            && had_its_own
        {
            // The topic was known once. It keeps its queues, wherever its brokers are now, and an
            // answer of its own counts again, whatever it says.
            return Winner {
                published: route::readdress(&own.published(), &published),
                answer: Some((Bytes::new(), false)),
            };
        }
        self.answer = Some((body.clone(), default));
        let published = if default {
            self.creates(policy, &published);
            published
        } else {
            self.with_untried(published)
        };
        Winner {
            published,
            answer: None,
        }
    }

    /// The topic's own route with the brokers that it may still be made on. The creation is over when
    /// there is none.
    fn with_untried(&mut self, own: Published) -> Published {
        let creation = self.creation.as_ref();
        let whole = creation.and_then(|creation| creation.beside(&own));
        if whole.is_none() {
            self.creation = None;
        }
        whole.unwrap_or(own)
    }

    /// The topic does not exist; what it is made after was found.
    fn creates(&mut self, policy: &Policy, default: &Published) {
        match &mut self.creation {
            Some(creation) => creation.renew(default.clone()),
            None if auto_create::everywhere(policy) => {
                self.creation = Some(Creation::new(default.clone()));
            }
            None => {}
        }
    }

    /// Puts the route that has won in force, if it differs from the one that is.
    fn publish(
        &mut self,
        won: Winner,
        number: impl FnOnce() -> SnapshotNumber,
    ) -> (LookupEnd, Arc<Snapshot>) {
        if let Some(snapshot) = &self.snapshot
            && snapshot.published() == won.published
        {
            if snapshot.creates == self.creation.is_some() {
                return (LookupEnd::Unchanged, Arc::clone(snapshot));
            }
            let snapshot = self.put(snapshot.number, won.published);
            return (LookupEnd::Unchanged, snapshot);
        }
        if won.answer.is_some() {
            self.answer = won.answer;
        }
        (LookupEnd::Changed, self.put(number(), won.published))
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
mod tests;

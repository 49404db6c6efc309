//! A broker registers: who gets an id, and which topics are taken over.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use rmq_remoting::observe::Name;
use rmq_remoting::request::{RegisteredTopic, RegisteredTopics};
use rmq_remoting::route::{BrokerData, MASTER_ID, QueueData};
use rmq_remoting::topic::perm;
use tokio::time::Instant;

use super::held::cost;
use super::{Added, Changes, Channel, Live, Tables};

/// What a broker says when it registers.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The name of the cluster that the broker belongs to.
    pub cluster: Name,
    /// The name of the broker, as routes show it.
    pub broker: Name,
    /// The address clients shall use.
    pub address: Name,
    /// The id; 0 is the master.
    pub id: i64,
    /// The address its slaves replicate from.
    pub ha_address: Name,
    /// How long it may be silent, if it states that.
    pub timeout: Option<Duration>,
    /// Whether a slave may stand in for it; absent from brokers before 5.0.
    pub acting_master: Option<bool>,
    /// The zone that the broker says it is in, if any.
    pub zone: Option<Name>,
    /// The connection it registers on.
    pub channel: Channel,
    /// Its topics, all or only those that are new; nothing from a broker without a body.
    pub body: Arc<RegisteredTopics>,
}

/// What came of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// It counts. Slaves are told where their master is.
    Accepted {
        /// The master's address and its replication address, for a slave with a live master.
        master: Option<(Name, Name)>,
        /// What the registration changed in the tables.
        changes: Changes,
    },
    /// Another address holds the id in a later epoch. The newcomer is not told.
    Ignored,
    /// A first registration with exactly one topic.
    Refused,
    /// It would make the tables hold more than one connection may. Nothing was changed.
    TooMuch,
}

impl Tables {
    /// Takes a registration: its broker, its topics, and when it was heard.
    pub fn register(&mut self, registration: &Registration, now: Instant) -> Registered {
        let Registration {
            broker,
            address,
            id,
            ..
        } = registration;
        let cost = self.cost(registration);
        if !self.held.has_room(registration.channel, cost) {
            return Registered::TooMuch;
        }
        self.held.add(registration.channel, cost);
        let mut first = self.join(registration);
        let key = self.live_key(&registration.cluster, address);
        let Some(group) = self.groups.get_mut(broker) else {
            return Registered::Ignored;
        };
        // This is how a slave becomes master: the same address under another id.
        group
            .broker_addrs
            .retain(|other, known| known != address || other == id);
        let holder = group.broker_addrs.get(id).cloned();
        if let Some(holder) = holder.as_ref()
            && holder != address
            && self.profile.is_5()
            && self.is_newer(holder, registration)
        {
            self.live.remove(&key);
            return Registered::Ignored;
        }
        if self.profile.is_5() && holder.is_none() && registration.body.topics.len() == 1 {
            return Registered::Refused;
        }
        let mut changes = Changes::default();
        if holder.as_ref() != Some(address) {
            changes.added = Some(Added {
                broker: Name::clone(broker),
                id: *id,
                address: Name::clone(address),
            });
        }
        first |= holder.is_none();
        if let Some(group) = self.groups.get_mut(broker) {
            group.broker_addrs.insert(*id, Name::clone(address));
        }
        self.take_topics(registration, first, &mut changes);
        if changes.added.is_some() {
            changes.topics.extend(self.topics_of(broker));
        }
        self.live.insert(
            key,
            Live {
                seen: now,
                timeout: registration.timeout.unwrap_or(self.broker_timeout),
                version: registration.body.data_version,
                channel: registration.channel,
                ha_address: Name::clone(&registration.ha_address),
            },
        );
        Registered::Accepted {
            master: self.master_for(registration),
            changes,
        }
    }

    /// What the tables would hold in addition.
    fn cost(&self, registration: &Registration) -> usize {
        let Registration {
            cluster,
            broker,
            address,
            ha_address,
            zone,
            ..
        } = registration;
        let live = self.live.contains_key(&self.live_key(cluster, address));
        let known = live && self.groups.contains_key(broker);
        let broker_cost = if known {
            0
        } else {
            let zone = zone.as_deref().unwrap_or_default();
            cost([&**cluster, broker, address, ha_address, zone])
        };
        let new = |topic: &&Name| {
            let brokers = self.topics.get(*topic);
            !brokers.is_some_and(|brokers| brokers.contains_key(broker))
        };
        let topics = registration.body.topics.keys().filter(new);
        topics.fold(broker_cost, |sum, topic| {
            sum.saturating_add(cost([&**topic]))
        })
    }

    /// Puts the broker into its cluster and its group; tells whether the group is new.
    fn join(&mut self, registration: &Registration) -> bool {
        let broker = Name::clone(&registration.broker);
        let cluster = Name::clone(&registration.cluster);
        self.clusters
            .entry(cluster)
            .or_default()
            .insert(Name::clone(&broker));
        let acting_master = registration.acting_master.unwrap_or(false);
        match self.groups.entry(broker) {
            Entry::Occupied(mut known) => {
                let group = known.get_mut();
                group.enable_acting_master = acting_master;
                group.zone_name.clone_from(&registration.zone);
                false
            }
            Entry::Vacant(unknown) => {
                unknown.insert(BrokerData {
                    broker_addrs: BTreeMap::new(),
                    broker_name: Name::clone(&registration.broker),
                    cluster: Name::clone(&registration.cluster),
                    enable_acting_master: acting_master,
                    zone_name: registration.zone.clone(),
                });
                true
            }
        }
    }

    /// Whether the holder of an id has a later epoch than the newcomer.
    fn is_newer(&self, holder: &Name, newcomer: &Registration) -> bool {
        let live = self.live.get(&self.live_key(&newcomer.cluster, holder));
        live.is_some_and(|live| {
            live.version.state_version > newcomer.body.data_version.state_version
        })
    }

    /// Takes over the topics of a master, or of the slave that would stand in for it.
    fn take_topics(&mut self, registration: &Registration, first: bool, changes: &mut Changes) {
        let Some(group) = self.groups.get(&registration.broker) else {
            return;
        };
        let smallest = group.broker_addrs.keys().next() == Some(&registration.id);
        let prime_slave = self.profile.is_5()
            && registration.acting_master.is_some()
            && registration.id != MASTER_ID
            && smallest;
        if registration.id != MASTER_ID && !prime_slave {
            return;
        }
        let read_only = prime_slave && group.enable_acting_master;
        let key = self.live_key(&registration.cluster, &registration.address);
        let known = self.live.get(&key).map(|live| live.version);
        let moved = first || known != Some(registration.body.data_version);
        for (topic, config) in &registration.body.topics {
            let mut queues = queues_of(&registration.broker, config);
            if read_only {
                queues.perm &= !perm::WRITE;
            }
            let brokers = self.topics.entry(Name::clone(topic)).or_default();
            let stored = brokers.get(&registration.broker);
            if (moved || stored.is_none()) && stored != Some(&queues) {
                brokers.insert(Name::clone(&registration.broker), queues);
                changes.topics.insert(Name::clone(topic));
            }
        }
    }

    /// The topics that have queues on a broker.
    fn topics_of(&self, broker: &Name) -> impl Iterator<Item = Name> {
        self.topics
            .iter()
            .filter(|(_, brokers)| brokers.contains_key(broker))
            .map(|(topic, _)| Name::clone(topic))
    }

    /// Where a slave finds its master, if that is alive.
    fn master_for(&self, registration: &Registration) -> Option<(Name, Name)> {
        if registration.id == MASTER_ID {
            return None;
        }
        let master = self.groups.get(&registration.broker)?.master()?;
        let live = self
            .live
            .get(&self.live_key(&registration.cluster, master))?;
        Some((Name::clone(master), Name::clone(&live.ha_address)))
    }
}

/// A topic as routes show it.
fn queues_of(broker: &Name, topic: &RegisteredTopic) -> QueueData {
    QueueData {
        broker_name: Name::clone(broker),
        perm: topic.perm,
        read_queue_nums: topic.read_queue_nums,
        topic_sys_flag: topic.topic_sys_flag,
        write_queue_nums: topic.write_queue_nums,
    }
}

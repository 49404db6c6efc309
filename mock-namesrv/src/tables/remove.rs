//! Brokers leave: by their own word, with their connection, or by silence.

use rmq_remoting::observe::Name;
use rmq_remoting::route::MASTER_ID;
use rmq_remoting::topic::{DataVersion, perm};
use tokio::time::Instant;

use super::{Changes, Channel, Removed, Tables};
use crate::event::RemovalCause;

/// What a search for silent brokers found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expired {
    /// What the removal changed in the tables.
    pub changes: Changes,
    /// The connections of the brokers that were removed; they are to be closed.
    pub channels: Vec<Channel>,
}

impl Tables {
    /// Removes a broker's address. Its id is not compared; unknown ones change nothing.
    pub fn unregister(
        &mut self,
        cluster: &Name,
        broker: &Name,
        address: &Name,
        cause: RemovalCause,
    ) -> Changes {
        let mut changes = Changes::default();
        self.live.remove(&self.live_key(cluster, address));
        let Some(group) = self.groups.get_mut(broker) else {
            return changes;
        };
        let before = group.broker_addrs.len();
        group.broker_addrs.retain(|_, known| known != address);
        if group.broker_addrs.len() < before {
            let (broker, address) = (Name::clone(broker), Name::clone(address));
            changes.removed.push(Removed {
                broker,
                address,
                cause,
            });
        }
        if group.broker_addrs.is_empty() {
            self.remove_group(cluster, broker, &mut changes);
        } else {
            let leaderless =
                group.enable_acting_master && !group.broker_addrs.contains_key(&MASTER_ID);
            self.masters_left(broker, leaderless, &mut changes);
        }
        changes
    }

    /// A connection closed: *one* broker that registered on it goes. Others on the same connection
    /// stay until they have been silent too long, as in a real name server.
    pub fn channel_closed(&mut self, channel: Channel) -> Changes {
        self.held.forget(channel);
        let found = self.live.iter().find(|(_, live)| live.channel == channel);
        let Some((cluster, address)) = found.map(|(key, _)| key.clone()) else {
            return Changes::default();
        };
        self.live
            .remove(&(Name::clone(&cluster), Name::clone(&address)));
        self.remove_address(&address, RemovalCause::ConnectionClosed)
    }

    /// Removes the brokers that have been silent for longer than they may.
    pub fn scan(&mut self, now: Instant) -> Expired {
        let silent: Vec<_> = self
            .live
            .iter()
            .filter(|(_, live)| live.seen + live.timeout < now)
            .map(|(key, live)| (key.clone(), live.channel))
            .collect();
        let mut expired = Expired::default();
        for (key, channel) in silent {
            self.live.remove(&key);
            expired.channels.push(channel);
            let changes = self.remove_address(&key.1, RemovalCause::TimedOut);
            expired.changes.removed.extend(changes.removed);
            expired.changes.topics.extend(changes.topics);
        }
        expired
    }

    /// A sign of life that is no registration: it never brings a broker back.
    pub fn heartbeat(&mut self, cluster: &Name, address: &Name, now: Instant) {
        let key = self.live_key(cluster, address);
        if let Some(live) = self.live.get_mut(&key) {
            live.seen = now;
        }
    }

    /// The version of a live broker's topics.
    pub fn version(&self, cluster: &Name, address: &Name) -> Option<DataVersion> {
        self.live
            .get(&self.live_key(cluster, address))
            .map(|live| live.version)
    }

    /// Removes an address of which only the live entry is known.
    fn remove_address(&mut self, address: &Name, cause: RemovalCause) -> Changes {
        let holder = self.groups.iter().find_map(|(broker, group)| {
            let holds = group.broker_addrs.values().any(|known| known == address);
            holds.then(|| (Name::clone(&group.cluster), Name::clone(broker)))
        });
        match holder {
            Some((cluster, broker)) => self.unregister(&cluster, &broker, address, cause),
            None => Changes::default(),
        }
    }

    /// The last address of a broker has gone.
    fn remove_group(&mut self, cluster: &Name, broker: &Name, changes: &mut Changes) {
        self.groups.remove(broker);
        if let Some(brokers) = self.clusters.get_mut(cluster) {
            brokers.remove(broker);
            if brokers.is_empty() {
                self.clusters.remove(cluster);
            }
        }
        self.topics.retain(|topic, brokers| {
            if brokers.remove(broker).is_some() {
                changes.topics.insert(Name::clone(topic));
            }
            !brokers.is_empty()
        });
    }

    /// An address of a broker has gone, others remain: its topics stay, without the right to write
    /// if a slave now stands in for the master.
    fn masters_left(&mut self, broker: &Name, leaderless: bool, changes: &mut Changes) {
        for (topic, brokers) in &mut self.topics {
            if let Some(queues) = brokers.get_mut(broker) {
                if leaderless {
                    queues.perm &= !perm::WRITE;
                }
                changes.topics.insert(Name::clone(topic));
            }
        }
    }
}

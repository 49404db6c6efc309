//! Questions and changes by administrators: permissions, lists, deletions.

use std::collections::{BTreeMap, BTreeSet};

use rmq_remoting::observe::Name;
use rmq_remoting::route::{BrokerData, QueueData};
use rmq_remoting::topic::perm;

use super::held::cost;
use super::{Changes, Channel, Tables};

impl Tables {
    /// Takes the right to write from every topic of a broker; returns their number.
    pub fn wipe_write_perm(&mut self, broker: &str) -> (usize, Changes) {
        self.each_queue_of(broker, |queues| queues.perm &= !perm::WRITE)
    }

    /// Gives every topic of a broker read and write, and nothing else; returns their number.
    pub fn add_write_perm(&mut self, broker: &str) -> (usize, Changes) {
        self.each_queue_of(broker, |queues| queues.perm = perm::READ | perm::WRITE)
    }

    /// Removes a topic, from all brokers or from those of one cluster.
    pub fn delete_topic(&mut self, topic: &str, cluster: Option<&str>) -> Changes {
        let mut changes = Changes::default();
        let members =
            cluster.map(|cluster| self.clusters.get(cluster).cloned().unwrap_or_default());
        let Some(brokers) = self.topics.get_mut(topic) else {
            return changes;
        };
        brokers.retain(|broker, _| {
            members
                .as_ref()
                .is_some_and(|names| !names.contains(broker))
        });
        if brokers.is_empty() {
            self.topics.remove(topic);
        }
        changes.topics.insert(topic.into());
        changes
    }

    /// Adds a topic to brokers that are known; the first unknown one ends it. `None`, and nothing
    /// added, if the connection that asks for it may add no more.
    pub fn register_topic(
        &mut self,
        channel: Channel,
        topic: &Name,
        queues: &[QueueData],
    ) -> Option<Changes> {
        let mut changes = Changes::default();
        let known = |queues: &&QueueData| self.groups.contains_key(&queues.broker_name);
        let count = queues.iter().take_while(known).count();
        let cost = count.saturating_mul(cost([&**topic]));
        if !self.held.has_room(channel, cost) {
            return None;
        }
        self.held.add(channel, cost);
        for queues in queues.iter().take(count) {
            let brokers = self.topics.entry(Name::clone(topic)).or_default();
            brokers.insert(Name::clone(&queues.broker_name), queues.clone());
            changes.topics.insert(Name::clone(topic));
        }
        Some(changes)
    }

    /// The names of all topics that brokers registered.
    pub fn topics(&self) -> impl Iterator<Item = &Name> {
        self.topics.keys()
    }

    /// The topics that have queues in a cluster.
    pub fn topics_of_cluster(&self, cluster: &str) -> impl Iterator<Item = &Name> {
        let members = self.clusters.get(cluster);
        self.topics_where(move |broker, _| members.is_some_and(|names| names.contains(broker)))
    }

    /// The topics with a queue whose flags are such.
    pub fn topics_with_flags(&self, fits: impl Fn(i32) -> bool) -> impl Iterator<Item = &Name> {
        self.topics_where(move |_, queues| fits(queues.topic_sys_flag))
    }

    /// All broker groups by name.
    pub fn groups(&self) -> &BTreeMap<Name, BrokerData> {
        &self.groups
    }

    /// The broker names of each cluster.
    pub fn clusters(&self) -> &BTreeMap<Name, BTreeSet<Name>> {
        &self.clusters
    }

    fn topics_where(
        &self,
        fits: impl Fn(&Name, &QueueData) -> bool,
    ) -> impl Iterator<Item = &Name> {
        self.topics
            .iter()
            .filter(move |(_, brokers)| brokers.iter().any(|(broker, queues)| fits(broker, queues)))
            .map(|(topic, _)| topic)
    }

    fn each_queue_of(&mut self, broker: &str, change: impl Fn(&mut QueueData)) -> (usize, Changes) {
        let mut count = 0;
        let mut changes = Changes::default();
        for (topic, brokers) in &mut self.topics {
            if let Some(queues) = brokers.get_mut(broker) {
                count += 1;
                let before = queues.perm;
                change(queues);
                if queues.perm != before {
                    changes.topics.insert(Name::clone(topic));
                }
            }
        }
        (count, changes)
    }
}

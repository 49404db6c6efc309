//! On which brokers a topic that does not exist yet is made.
//!
//! The first message of such a topic goes by the default topic's route, and the broker that it
//! reaches makes the topic and registers it. From then on the topic has a route of its own, with that
//! one broker: all messages go there, however many brokers the cluster has, and when it stops every
//! send fails beside healthy ones. So the brokers of the default route stay in the topic's route until
//! each was tried once. A broker that was tried has made the topic and is in the next answer, or it
//! does not make topics and costs no second attempt.

use std::collections::BTreeSet;

use rmq_remoting::observe::Name;

use crate::policy::{AutoCreate, Policy};

use super::route::Published;

/// Whether every broker of the default route is to make the topic.
#[must_use]
pub fn everywhere(policy: &Policy) -> bool {
    policy.auto_create == AutoCreate::EveryBroker
}

/// A topic that is being made after the default topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    default: Published,
    tried: BTreeSet<Name>,
}

impl Creation {
    /// The topic does not exist; its messages go by the default topic's route.
    #[must_use]
    pub fn new(default: Published) -> Self {
        Self {
            default,
            tried: BTreeSet::new(),
        }
    }

    /// The default topic's route was found again.
    pub fn renew(&mut self, default: Published) {
        self.default = default;
    }

    /// An attempt goes to this broker.
    pub fn tried(&mut self, broker: &Name) {
        if !self.tried.contains(broker) {
            self.tried.insert(Name::clone(broker));
        }
    }

    /// The topic's own route with the queues of the brokers that were not tried yet; nothing if
    /// there is none, so that the own route is the whole one. The order of an ordered route is its
    /// owner's affair, so nothing is added to it; nor are queues of a broker that the own route names,
    /// for that one has the topic already.
    #[must_use]
    pub fn beside(&self, own: &Published) -> Option<Published> {
        if own.ordered {
            return None;
        }
        let has = |broker: &Name| {
            own.masters
                .binary_search_by(|(it, _)| it.cmp(broker))
                .is_ok()
        };
        let left = |broker: &Name| !self.tried.contains(broker) && !has(broker);
        let queues = self.default.queues.iter().filter(|it| left(&it.broker));
        let masters = self.default.masters.iter().filter(|(it, _)| left(it));
        let mut whole = own.clone();
        whole.queues.extend(queues.cloned());
        if whole.queues.len() == own.queues.len() {
            return None;
        }
        whole
            .queues
            .sort_by(|a, b| (&a.broker, a.queue).cmp(&(&b.broker, b.queue)));
        whole
            .addresses
            .extend(masters.clone().map(|(_, at)| Name::clone(at)));
        whole.addresses.sort();
        whole.addresses.dedup();
        whole.masters.extend(masters.cloned());
        whole.masters.sort();
        Some(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::QueueRef;

    /// A route with so many queues on each broker.
    fn route(brokers: &[(&str, i32)]) -> Published {
        let queues = brokers.iter().flat_map(|(broker, queues)| {
            (0..*queues).map(|queue| QueueRef {
                broker: (*broker).into(),
                queue,
            })
        });
        let masters = brokers.iter().map(|(broker, _)| {
            let at = format!("{broker}:10911");
            (Name::from(*broker), Name::from(at.as_str()))
        });
        let masters: Vec<_> = masters.collect();
        Published {
            queues: queues.collect(),
            addresses: masters.iter().map(|(_, at)| Name::clone(at)).collect(),
            masters,
            ordered: false,
        }
    }

    fn creation(tried: &[&str]) -> Creation {
        let mut creation = Creation::new(route(&[("a", 2), ("b", 2), ("c", 2)]));
        for broker in tried {
            creation.tried(&(*broker).into());
        }
        creation
    }

    #[test]
    fn brokers_of_the_default_route_stay_beside_the_own_route_until_each_was_tried() {
        let own = route(&[("b", 4)]);
        let whole = route(&[("a", 2), ("b", 4), ("c", 2)]);
        assert_eq!(creation(&["b"]).beside(&own), Some(whole));
        let without_c = route(&[("a", 2), ("b", 4)]);
        assert_eq!(creation(&["b", "c"]).beside(&own), Some(without_c));
        assert_eq!(creation(&["b", "c", "a"]).beside(&own), None);
    }

    #[test]
    fn a_broker_that_the_own_route_names_has_the_queues_that_it_says() {
        let mut own = route(&[("a", 4), ("b", 4), ("c", 4)]);
        own.queues.retain(|queue| *queue.broker != *"b"); // read only
        assert_eq!(creation(&["a"]).beside(&own), None);
    }

    #[test]
    fn nothing_is_added_to_an_ordered_route() {
        let mut own = route(&[("b", 4)]);
        own.ordered = true;
        assert_eq!(creation(&["b"]).beside(&own), None);
    }

    #[test]
    fn only_the_policy_that_says_every_broker_makes_topics_everywhere() {
        let everywhere = |name| everywhere(&Policy::preset(name).unwrap());
        assert!(everywhere("strict"));
        assert!(!everywhere("java_5_3") && !everywhere("java_4_9") && !everywhere("go_2_1"));
    }
}

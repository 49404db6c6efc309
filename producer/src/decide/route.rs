//! What a route answer means for the producer.
//!
//! A route that works is never thrown away for one that does not: an empty or unusable answer is
//! noted and the old route stays in force.

use rmq_remoting::observe::Name;
use rmq_remoting::route::{QueueData, TopicRouteData};
use rmq_remoting::topic::perm;

use crate::event::{QueueRef, Stage};
use crate::policy::{Policy, Presence};

use super::retry::Ended;

/// The topic that brokers make new ones after.
const DEFAULT_TOPIC: &str = "TBW102";

/// More queues than this on one broker are a mistake of the answer, not a topic.
const QUEUES_MAX: i32 = 65_536;

/// Where a topic's messages can go: what is published to the producers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published {
    /// The writable queues: grouped by broker, brokers and ids ascending, unless the route is
    /// ordered.
    pub queues: Vec<QueueRef>,
    /// The masters' addresses by broker name, ascending.
    pub masters: Vec<(Name, Name)>,
    /// Every address of the route, masters and slaves, ascending, without doubles.
    pub addresses: Vec<Name>,
}

/// The topic whose route and queue count serve a topic that does not exist yet.
#[must_use]
pub fn default_topic(policy: &Policy) -> &str {
    &policy.default_topic
}

/// The topic whose route serves a topic that does not exist yet, and whether it is looked up from
/// the start on.
#[must_use]
pub fn default_route(policy: &Policy) -> (&str, bool) {
    let rule = policy.default_route;
    let own = if rule.own {
        default_topic(policy)
    } else {
        DEFAULT_TOPIC
    };
    (own, rule.polled)
}

/// Whether the order that a route prescribes is followed.
#[must_use]
pub fn order(policy: &Policy) -> bool {
    policy.order_conf
}

/// What brokers are told of producers.
#[must_use]
pub fn presence(policy: &Policy) -> Presence {
    policy.presence
}

/// How many queues a topic made on the first send gets, of what the default topic has.
#[must_use]
pub fn default_queues(policy: &Policy, remote: i32) -> i32 {
    policy.default_queues.min(remote)
}

/// Whether the end of an attempt says that the route may be old.
#[must_use]
pub fn refreshes(policy: &Policy, ended: Ended) -> bool {
    let old_route = match ended.stage {
        Stage::Address | Stage::Dial | Stage::Lost | Stage::Silent => true,
        // Topic not exist, no permission, no such queue: the broker has others than the route says.
        Stage::Refused => matches!(ended.code, Some(17 | 16 | 29)),
        Stage::Write
        | Stage::Decode
        | Stage::Accepted
        | Stage::Superseded
        | Stage::Vetoed
        | Stage::Hook => false,
    };
    policy.refresh_on_failure && old_route
}

/// Why a static topic is not sent to.
const STATIC: &str = "it is a static topic, whose logical queues are mapped to those of brokers; \
                      this producer sends to plain topics only";

/// Turns a topic's own route into what is published.
///
/// # Errors
/// The answer contradicts itself, or the topic is a static one; the text says so.
pub fn apply(policy: &Policy, data: &TopicRouteData) -> Result<Published, String> {
    let mapping = data.topic_queue_mapping_by_broker.as_ref();
    if data.order_topic_conf.is_none() && mapping.is_some_and(|mapping| !mapping.is_empty()) {
        // Its brokers would refuse a send that names one of their own queues.
        return Err(STATIC.to_owned());
    }
    let order = data.order_topic_conf.as_deref();
    let order = order.filter(|_| self::order(policy)).unwrap_or_default();
    let mut queues = Vec::new();
    if order.is_empty() {
        for queue in writable(data) {
            push(&mut queues, &queue.broker_name, queue.write_queue_nums)?;
        }
    } else {
        for item in order.split(';').filter(|item| !item.is_empty()) {
            let (broker, count) = ordered(item)?;
            push(&mut queues, &Name::from(broker), count)?;
        }
    }
    Ok(publish(data, queues))
}

/// Turns the default topic's route into what is published for a topic that does not exist yet.
///
/// # Errors
/// The answer contradicts itself; the text says how.
pub fn apply_default(policy: &Policy, data: &TopicRouteData) -> Result<Published, String> {
    let mut queues = Vec::new();
    for queue in writable(data) {
        let count = default_queues(policy, queue.read_queue_nums);
        push(&mut queues, &queue.broker_name, count)?;
    }
    Ok(publish(data, queues))
}

/// A topic's route with newer addresses: those that another topic's route gives the same brokers.
/// The queues are the topic's own, whatever the other topic has.
#[must_use]
pub fn readdress(known: &Published, newer: &Published) -> Published {
    let mut moved = known.clone();
    for (broker, address) in &mut moved.masters {
        let newer = newer.masters.iter().find(|(name, _)| name == broker);
        let Some((_, at)) = newer.filter(|(_, at)| at != address) else {
            continue;
        };
        moved.addresses.retain(|it| it != address);
        moved.addresses.push(Name::clone(at));
        *address = Name::clone(at);
    }
    moved.addresses.sort();
    moved.addresses.dedup();
    moved
}

/// The queue entries that can be written to: their broker has a master. By broker name.
fn writable(data: &TopicRouteData) -> Vec<&QueueData> {
    let has_master = |queue: &&QueueData| {
        let mut brokers = data.broker_datas.iter();
        brokers.any(|broker| broker.broker_name == queue.broker_name && broker.master().is_some())
    };
    let mut queues: Vec<_> = data
        .queue_datas
        .iter()
        .filter(|queue| queue.perm & perm::WRITE != 0)
        .filter(has_master)
        .collect();
    queues.sort_by(|a, b| a.broker_name.cmp(&b.broker_name));
    queues.dedup_by(|a, b| a.broker_name == b.broker_name);
    queues
}

fn ordered(item: &str) -> Result<(&str, i32), String> {
    let parts = item.split_once(':');
    let count = parts.and_then(|(_, count)| count.trim().parse().ok());
    match (parts, count) {
        (Some((broker, _)), Some(count)) if !broker.is_empty() => Ok((broker, count)),
        _ => Err(format!("orderTopicConf item `{item}` is no broker:count")),
    }
}

fn push(queues: &mut Vec<QueueRef>, broker: &Name, count: i32) -> Result<(), String> {
    if count > QUEUES_MAX {
        return Err(format!("{broker} claims {count} queues"));
    }
    queues.extend((0..count).map(|queue| QueueRef {
        broker: Name::clone(broker),
        queue,
    }));
    Ok(())
}

fn publish(data: &TopicRouteData, queues: Vec<QueueRef>) -> Published {
    let mut masters = Vec::new();
    let mut addresses = Vec::new();
    for broker in &data.broker_datas {
        let pair = |master: &Name| (Name::clone(&broker.broker_name), Name::clone(master));
        masters.extend(broker.master().map(pair));
        addresses.extend(broker.broker_addrs.values().map(Name::clone));
    }
    masters.sort();
    masters.dedup_by(|a, b| a.0 == b.0);
    addresses.sort();
    addresses.dedup();
    Published {
        queues,
        masters,
        addresses,
    }
}

#[cfg(test)]
mod tests {
    use rmq_remoting::route::BrokerData;

    use super::*;

    fn broker(name: &str, ids: &[i64]) -> BrokerData {
        let address = |&id: &i64| (id, Name::from(format!("{name}:{}", 10_911 + id)));
        BrokerData {
            broker_name: name.into(),
            broker_addrs: ids.iter().map(address).collect(),
            ..BrokerData::default()
        }
    }

    fn queue(name: &str, read: i32, write: i32, perm: i32) -> QueueData {
        QueueData {
            broker_name: name.into(),
            read_queue_nums: read,
            write_queue_nums: write,
            perm,
            ..QueueData::default()
        }
    }

    fn queues(published: &Published) -> String {
        let each = published.queues.iter();
        let names: Vec<_> = each.map(|q| format!("{}{}", q.broker, q.queue)).collect();
        names.join(" ")
    }

    fn applied(data: &TopicRouteData) -> String {
        queues(&apply(&Policy::strict(), data).unwrap())
    }

    fn two_brokers() -> TopicRouteData {
        TopicRouteData {
            queue_datas: vec![queue("b", 8, 2, 6), queue("a", 8, 2, 6)],
            broker_datas: vec![broker("b", &[0]), broker("a", &[0, 1])],
            ..TopicRouteData::default()
        }
    }

    #[test]
    fn queues_are_grouped_by_broker_and_sorted() {
        let published = apply(&Policy::strict(), &two_brokers()).unwrap();
        assert_eq!(queues(&published), "a0 a1 b0 b1");
        let masters = [("a", "a:10911"), ("b", "b:10911")];
        assert_eq!(
            published.masters,
            masters.map(|(name, at)| (name.into(), at.into()))
        );
        assert_eq!(published.addresses.len(), 3);
    }

    #[test]
    fn a_broker_without_a_master_or_without_write_permission_has_no_queue() {
        let mut data = two_brokers();
        data.broker_datas[0] = broker("b", &[1]);
        assert_eq!(applied(&data), "a0 a1");
        data.queue_datas[1].perm = perm::READ;
        assert_eq!(applied(&data), "");
    }

    #[test]
    fn a_broker_listed_twice_has_its_queues_once() {
        let mut data = two_brokers();
        data.queue_datas.push(queue("a", 8, 2, 6));
        assert_eq!(applied(&data), "a0 a1 b0 b1");
    }

    #[test]
    fn an_ordered_topic_keeps_its_order() {
        let mut data = two_brokers();
        data.order_topic_conf = Some("b:2;a:1".to_owned());
        assert_eq!(applied(&data), "b0 b1 a0");
        let published = apply(&Policy::go_2_1(), &data).unwrap();
        assert_eq!(queues(&published), "a0 a1 b0 b1", "Go does not read it");
        data.order_topic_conf = Some(String::new());
        assert_eq!(applied(&data), "a0 a1 b0 b1");
    }

    #[test]
    fn a_static_topic_is_refused_unless_its_order_is_prescribed() {
        let mut data = two_brokers();
        data.topic_queue_mapping_by_broker = Some(std::collections::BTreeMap::new());
        assert_eq!(applied(&data), "a0 a1 b0 b1");
        let mapping = [("a".to_owned(), serde_json::json!({"totalQueues": 2}))];
        data.topic_queue_mapping_by_broker = Some(mapping.into());
        for preset in crate::policy::PRESETS {
            let refused = apply(&Policy::preset(preset).unwrap(), &data).unwrap_err();
            assert!(refused.starts_with("it is a static topic"), "{refused}");
        }
        data.order_topic_conf = Some("b:1".to_owned());
        assert_eq!(applied(&data), "b0");
    }

    #[test]
    fn a_malformed_order_is_an_error_and_no_panic() {
        let mut data = two_brokers();
        for bad in ["b", "b:x", ":2", "b:2147483647"] {
            data.order_topic_conf = Some(bad.to_owned());
            assert!(apply(&Policy::strict(), &data).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_new_topic_gets_the_smaller_of_the_clients_and_the_default_topics_queue_counts() {
        let mut data = two_brokers();
        let published = apply_default(&Policy::strict(), &data).unwrap();
        assert_eq!(queues(&published), "a0 a1 a2 a3 b0 b1 b2 b3");
        data.queue_datas[0].read_queue_nums = 1;
        let published = apply_default(&Policy::strict(), &data).unwrap();
        assert_eq!(queues(&published), "a0 a1 a2 a3 b0");
    }

    #[test]
    fn a_broker_that_moved_keeps_its_queues_at_its_new_address() {
        let known = apply(&Policy::strict(), &two_brokers()).unwrap();
        let mut data = two_brokers();
        data.queue_datas.push(queue("c", 8, 8, 6));
        data.broker_datas[0].broker_addrs = [(0, Name::from("b:1"))].into_iter().collect();
        data.broker_datas.push(broker("c", &[0]));
        let moved = readdress(&known, &apply(&Policy::strict(), &data).unwrap());
        assert_eq!(moved.queues, known.queues);
        let masters = [("a", "a:10911"), ("b", "b:1")];
        assert_eq!(
            moved.masters,
            masters.map(|(name, at)| (name.into(), at.into()))
        );
        let addresses = ["a:10911", "a:10912", "b:1"];
        assert_eq!(moved.addresses, addresses.map(Name::from));
    }

    #[test]
    fn negative_counts_are_no_queues() {
        let mut data = two_brokers();
        data.queue_datas[0].write_queue_nums = i32::MIN;
        assert_eq!(applied(&data), "a0 a1");
    }

    #[test]
    fn a_lost_broker_and_a_missing_topic_say_that_the_route_is_old() {
        let strict = Policy::strict();
        let ended = |stage, code| Ended { stage, code };
        for old in [ended(Stage::Dial, None), ended(Stage::Refused, Some(17))] {
            assert!(refreshes(&strict, old));
            assert!(!refreshes(&Policy::java_5_3(), old));
        }
        for current in [
            ended(Stage::Accepted, Some(0)),
            ended(Stage::Refused, Some(2)),
        ] {
            assert!(!refreshes(&strict, current));
        }
    }
}

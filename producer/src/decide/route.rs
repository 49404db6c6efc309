//! What a route answer means for the producer.
//!
//! A route that works is never thrown away for one that does not: an empty or unusable answer is
//! noted and the old route stays in force.

use std::collections::BTreeSet;

use rmq_remoting::observe::Name;
use rmq_remoting::route::{QueueData, RouteLimits, TopicRouteData};
use rmq_remoting::text::{self, printable};
use rmq_remoting::topic::perm;

use crate::event::{QueueRef, Stage};
use crate::policy::{Policy, Presence, RouteBounds};

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
    /// Whether the route prescribes the order of its queues (`orderTopicConf`).
    pub ordered: bool,
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

/// How much a route may be.
#[must_use]
pub fn limits(policy: &Policy) -> RouteBounds {
    policy.route_limits
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
        | Stage::Hook
        | Stage::Denied => false,
    };
    policy.refresh_on_failure && old_route
}

/// Why no send can go by a name server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// It cannot be read, or says nothing of the topic: as good as no answer.
    Nothing(String),
    /// The topic exists, but no send can go to it.
    Unusable(String),
}

impl Unfit {
    /// What is wrong with it.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Nothing(reason) | Self::Unusable(reason) => reason,
        }
    }
}

/// What a name server's answer publishes. `default`: it is the default topic's, for a topic that
/// does not exist yet. The time is in proportion to the answer's length, and what it takes in memory
/// is within the policy's limits, whatever it says.
///
/// # Errors
/// No send can go by it.
pub fn read(policy: &Policy, body: &[u8], default: bool) -> Result<Published, Unfit> {
    let RouteBounds { bytes, brokers, .. } = limits(policy);
    let size = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
    let bounds = RouteLimits {
        bytes: size(bytes),
        brokers: size(brokers),
    };
    let data = TopicRouteData::decode_within(body, &bounds)
        .map_err(|error| Unfit::Nothing(format!("the route cannot be read: {error}")))?;
    let published = if default {
        apply_default(policy, &data)
    } else {
        apply(policy, &data)
    };
    let published = published.map_err(Unfit::Unusable)?;
    if !published.queues.is_empty() {
        return Ok(published);
    }
    if data.queue_datas.is_empty() && data.broker_datas.is_empty() {
        return Err(Unfit::Nothing("the route is empty".to_owned()));
    }
    let none = "no broker has a writable queue and a master";
    Err(Unfit::Unusable(none.to_owned()))
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
    let mut queues = QueueList::new(policy);
    if order.is_empty() {
        for queue in writable(data) {
            queues.push(&queue.broker_name, queue.write_queue_nums)?;
        }
    } else {
        for item in order.split(';').filter(|item| !item.is_empty()) {
            let (broker, count) = ordered(item)?;
            queues.push(&Name::from(broker), count)?;
        }
    }
    let ordered = !order.is_empty();
    Ok(publish(data, queues.list, ordered))
}

/// Turns the default topic's route into what is published for a topic that does not exist yet.
///
/// # Errors
/// The answer contradicts itself; the text says how.
pub fn apply_default(policy: &Policy, data: &TopicRouteData) -> Result<Published, String> {
    let mut queues = QueueList::new(policy);
    for queue in writable(data) {
        let count = default_queues(policy, queue.read_queue_nums);
        queues.push(&queue.broker_name, count)?;
    }
    Ok(publish(data, queues.list, false))
}

/// A topic's route with newer addresses: those that another topic's route gives the same brokers.
/// The queues are the topic's own, whatever the other topic has.
#[must_use]
pub fn readdress(known: &Published, newer: &Published) -> Published {
    let mut moved = known.clone();
    let mut left = BTreeSet::new();
    let mut came = Vec::new();
    for (broker, address) in &mut moved.masters {
        let found = newer.masters.binary_search_by(|(name, _)| name.cmp(broker));
        let newer = found.ok().and_then(|at| newer.masters.get(at));
        let Some((_, at)) = newer.filter(|(_, at)| at != address) else {
            continue;
        };
        came.push(Name::clone(at));
        left.insert(std::mem::replace(address, Name::clone(at)));
    }
    moved.addresses.retain(|it| !left.contains(it));
    moved.addresses.extend(came);
    moved.addresses.sort();
    moved.addresses.dedup();
    moved
}

/// The queue entries that can be written to: their broker has a master. By broker name.
fn writable(data: &TopicRouteData) -> Vec<&QueueData> {
    let brokers = data.broker_datas.iter();
    let with_master = brokers.filter(|broker| broker.master().is_some());
    let masters: BTreeSet<&Name> = with_master.map(|broker| &broker.broker_name).collect();
    let mut queues: Vec<_> = data
        .queue_datas
        .iter()
        .filter(|queue| queue.perm & perm::WRITE != 0)
        .filter(|queue| masters.contains(&queue.broker_name))
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
        _ => Err(format!(
            "orderTopicConf item `{}` is no broker:count",
            printable(item, 64)
        )),
    }
}

/// The queues of a route, as many as the policy lets it have.
struct QueueList {
    list: Vec<QueueRef>,
    most: u32,
}

impl QueueList {
    fn new(policy: &Policy) -> Self {
        Self {
            list: Vec::new(),
            most: limits(policy).queues,
        }
    }

    /// Adds the queues of a broker. Nothing is added if they are too many.
    fn push(&mut self, broker: &Name, count: i32) -> Result<(), String> {
        if count > QUEUES_MAX {
            let broker = text::name(broker);
            return Err(format!("{broker} claims {count} queues"));
        }
        let (added, most) = (usize::try_from(count).unwrap_or(0), self.most);
        let whole = self.list.len().saturating_add(added);
        if u32::try_from(whole).is_ok_and(|whole| whole <= most) {
            self.list.extend((0..count).map(|queue| QueueRef {
                broker: Name::clone(broker),
                queue,
            }));
            return Ok(());
        }
        Err(format!(
            "it has more than {most} queues, which is the limit (route-limits.queues of the policy)"
        ))
    }
}

fn publish(data: &TopicRouteData, queues: Vec<QueueRef>, ordered: bool) -> Published {
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
        ordered,
    }
}

#[cfg(test)]
mod tests {
    use rmq_remoting::route::{BrokerData, QueueMapping};

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
        let mapping = [(Name::from("a"), QueueMapping::default())];
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
    fn a_short_answer_that_describes_millions_of_queues_is_refused_before_they_are_made() {
        let strict = Policy::strict();
        let mut ordered = two_brokers();
        ordered.order_topic_conf = Some("b:65536;".repeat(400));
        let mut wide = TopicRouteData::default();
        for name in (0..200).map(|number| format!("broker-{number}")) {
            wide.broker_datas.push(broker(&name, &[0]));
            wide.queue_datas.push(queue(&name, 65_536, 65_536, 6));
        }
        for data in [&ordered, &wide] {
            let refused = apply(&strict, data).unwrap_err();
            assert!(refused.contains("more than 262144 queues"), "{refused}");
        }
        let mut wider = Policy::strict();
        wider.route_limits.queues = 400 * 65_536;
        assert_eq!(apply(&wider, &wide).unwrap().queues.len(), 200 * 65_536);
    }

    #[test]
    fn an_answer_without_brokers_says_nothing_and_one_without_a_master_says_that_the_topic_exists()
    {
        let strict = Policy::strict();
        let refused = |text: &str| read(&strict, text.as_bytes(), false).unwrap_err();
        for text in [
            "",
            "{bad",
            "{}",
            "null",
            "[]",
            r#"{"queueDatas":[{"perm":"x"}]}"#,
        ] {
            assert!(matches!(refused(text), Unfit::Nothing(_)), "{text}");
        }
        let named = refused(r#"{"queueDatas":[{"perm":6},{"perm":"x"}]}"#);
        assert!(named.reason().contains("queueDatas[1].perm"), "{named:?}");
        let mut slave_only = two_brokers();
        for data in &mut slave_only.broker_datas {
            data.broker_addrs.remove(&0);
        }
        let text = slave_only.encode(rmq_remoting::route::RouteForm::Standard);
        let refused = read(&strict, &text, false).unwrap_err();
        assert!(matches!(refused, Unfit::Unusable(_)), "{refused:?}");
    }

    #[test]
    fn a_route_beyond_its_limits_of_bytes_or_brokers_is_not_read() {
        let mut strict = Policy::strict();
        let text = two_brokers().encode(rmq_remoting::route::RouteForm::Standard);
        assert!(read(&strict, &text, false).is_ok());
        strict.route_limits.brokers = 1;
        let brokers = read(&strict, &text, false).unwrap_err();
        assert!(
            brokers
                .reason()
                .contains("more brokers than the limit of 1"),
            "{brokers:?}"
        );
        strict.route_limits.bytes = 100;
        let bytes = read(&strict, &text, false).unwrap_err();
        assert!(
            bytes.reason().contains("more than the limit of 100"),
            "{bytes:?}"
        );
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

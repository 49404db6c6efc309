//! Routes in forms that a client must read all the same, and some that say more than where brokers are.
//!
//! The reference client reads JSON leniently, so servers in the field (old ones, other people's, one
//! whose group waits for its election) write what a strict reader refuses.

use bytes::Bytes;
use rmq_remoting::observe::Name;
use rmq_remoting::route::{
    BrokerData, MASTER_ID, QueueData, QueueMapping, RouteForm, TopicRouteData,
};
use rmq_remoting::topic::perm;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A form of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OddRoute {
    /// Broker ids without quotes, and a replica with the id -1 beside each master: its group waits for
    /// an election.
    BareIds,
    /// Every number is written as text, in quotes.
    TextNumbers,
    /// Null for whatever a producer does not need, and members that nobody knows.
    Nulls,
    /// An object with nothing in it, and the code of success.
    Empty,
    /// The topic is an ordered one: an operator has written its queues down, half as many at each broker.
    Ordered,
    /// The topic is a static one: its queues are logical ones, which are mapped to those of brokers.
    Static,
}

impl OddRoute {
    /// How many queues of a broker the [`Ordered`](Self::Ordered) form names, of so many.
    #[must_use]
    pub fn ordered(queues: i32) -> i32 {
        (queues / 2).max(1)
    }

    /// Writes a route in this form. What a producer needs of it is the same in every form but the
    /// last three.
    #[must_use]
    pub fn encode(self, route: &TopicRouteData) -> Bytes {
        match self {
            Self::BareIds => {
                let mut route = route.clone();
                for broker in &mut route.broker_datas {
                    if let Some(master) = broker.broker_addrs.get(&MASTER_ID).cloned() {
                        broker.broker_addrs.insert(MASTER_ID - 1, master);
                    }
                }
                route.encode(RouteForm::Legacy)
            }
            Self::TextNumbers => written(route, &text_numbers),
            Self::Nulls => written(route, &nulls),
            Self::Empty => Bytes::from_static(b"{}"),
            Self::Ordered => {
                let has_master = |it: &&QueueData| {
                    let mut brokers = route.broker_datas.iter();
                    let broker = brokers.find(|broker| broker.broker_name == it.broker_name);
                    broker.is_some_and(|broker| broker.broker_addrs.contains_key(&MASTER_ID))
                };
                let queues = route.queue_datas.iter().filter(has_master);
                let writable = |it: &&QueueData| it.perm & perm::WRITE != 0;
                let queues = queues.filter(|it| writable(it) && it.write_queue_nums > 0);
                let item = |it: &QueueData| {
                    let count = Self::ordered(it.write_queue_nums);
                    format!("{}:{count}", it.broker_name)
                };
                let order = queues.map(item).collect::<Vec<_>>().join(";");
                let order_topic_conf = Some(order).filter(|order| !order.is_empty());
                let route = TopicRouteData {
                    order_topic_conf,
                    ..route.clone()
                };
                route.encode(RouteForm::Standard)
            }
            Self::Static => {
                let brokers = route.broker_datas.iter();
                let mapping = |it: &BrokerData| {
                    let bname = Name::clone(&it.broker_name);
                    let mapping = QueueMapping {
                        bname: Name::clone(&bname),
                        total_queues: 1,
                        ..QueueMapping::default()
                    };
                    (bname, mapping)
                };
                let route = TopicRouteData {
                    topic_queue_mapping_by_broker: Some(brokers.map(mapping).collect()),
                    ..route.clone()
                };
                route.encode(RouteForm::Standard)
            }
        }
    }
}

/// Writes a route after a change of its JSON.
fn written(route: &TopicRouteData, change: &dyn Fn(&mut Value)) -> Bytes {
    let standard = route.encode(RouteForm::Standard);
    let Ok(mut value) = serde_json::from_slice(&standard) else {
        return standard;
    };
    change(&mut value);
    value.to_string().into()
}

fn text_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => *value = Value::String(number.to_string()),
        Value::Array(list) => list.iter_mut().for_each(text_numbers),
        Value::Object(members) => members.values_mut().for_each(text_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn nulls(route: &mut Value) {
    let unknown = |members: &mut Map<String, Value>| {
        let value = json!({ "since": [9, null, { "of": -1.5e3 }] });
        members.insert("memberOfALaterRelease".to_owned(), value);
    };
    let Value::Object(members) = route else {
        return;
    };
    for unneeded in [
        "filterServerTable",
        "orderTopicConf",
        "topicQueueMappingByBroker",
    ] {
        members.insert(unneeded.to_owned(), Value::Null);
    }
    unknown(members);
    let entries = ["brokerDatas", "queueDatas"].into_iter();
    for (list, unneeded) in entries.zip([
        ["cluster", "enableActingMaster", "zoneName"],
        ["readQueueNums", "topicSysFlag", "topicSynFlag"],
    ]) {
        let Some(Value::Array(list)) = members.get_mut(list) else {
            continue;
        };
        for entry in list.iter_mut().filter_map(Value::as_object_mut) {
            for name in unneeded {
                entry.insert(name.to_owned(), Value::Null);
            }
            unknown(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn text(form: OddRoute) -> String {
        let route = TopicRouteData {
            broker_datas: vec![BrokerData {
                broker_addrs: BTreeMap::from([(0, "10.0.0.1:10911".into())]),
                broker_name: "broker-a".into(),
                ..BrokerData::default()
            }],
            queue_datas: vec![QueueData {
                broker_name: "broker-a".into(),
                perm: 6,
                write_queue_nums: 4,
                ..QueueData::default()
            }],
            ..TopicRouteData::default()
        };
        String::from_utf8(form.encode(&route).to_vec()).unwrap()
    }

    #[test]
    fn each_form_is_odd_in_its_own_way() {
        let bare = text(OddRoute::BareIds);
        assert!(
            bare.contains(r#"{-1:"10.0.0.1:10911",0:"10.0.0.1:10911"}"#),
            "{bare}"
        );
        let numbers = text(OddRoute::TextNumbers);
        assert!(numbers.contains(r#""writeQueueNums":"4""#), "{numbers}");
        assert!(numbers.contains(r#""perm":"6""#), "{numbers}");
        let nulls = text(OddRoute::Nulls);
        assert!(nulls.contains(r#""readQueueNums":null"#), "{nulls}");
        assert!(nulls.contains(r#""writeQueueNums":4"#), "{nulls}");
        assert!(nulls.contains("memberOfALaterRelease"), "{nulls}");
        assert_eq!(text(OddRoute::Empty), "{}");
        let ordered = text(OddRoute::Ordered);
        assert!(
            ordered.contains(r#""orderTopicConf":"broker-a:2""#),
            "{ordered}"
        );
        let mapped = text(OddRoute::Static);
        assert!(
            mapped.contains(r#""topicQueueMappingByBroker":{"broker-a":"#),
            "{mapped}"
        );
    }
}

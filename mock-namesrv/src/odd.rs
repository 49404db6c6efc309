//! Routes in forms that a client must read all the same, and one that it cannot use.
//!
//! The reference client reads JSON leniently, so servers in the field (old ones, other people's, one
//! whose group waits for its election) write what a strict reader refuses.

use bytes::Bytes;
use rmq_remoting::route::{MASTER_ID, RouteForm, TopicRouteData};
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
}

impl OddRoute {
    /// Writes a route in this form. What a producer needs of it is the same in every form that has
    /// anything in it.
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

    use rmq_remoting::route::{BrokerData, QueueData};

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
    }
}

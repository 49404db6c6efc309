//! The script of a case: what the servers do to which request, and what they saw.
//!
//! The rules count over all servers (the n-th attempt of a message, the n-th message of all), so
//! there is one script, and each mock asks it through a [`Control`](rmq_mock_broker::control) of
//! its own.

use std::collections::BTreeMap;
use std::io::Read;

use rmq_mock_broker::control::Action;
use rmq_remoting::command::{Command, HeaderForm};
use serde_json::{Map, Value};

use crate::log::{SendSeen, Sighting, What};

/// The long names of the fields that travel with one letter.
const LONG: [(&str, &str); 9] = [
    ("b", "topic"),
    ("c", "defaultTopic"),
    ("d", "defaultTopicQueueNums"),
    ("e", "queueId"),
    ("f", "sysFlag"),
    ("i", "properties"),
    ("j", "reconsumeTimes"),
    ("m", "batch"),
    ("n", "bname"),
];

/// The codes whose fields travel with one letter.
const SHORT_CODES: [i32; 3] = [310, 320, 325];

/// Every code that carries a message.
pub(crate) const SEND_CODES: [i32; 5] = [10, 310, 320, 324, 325];

/// What has been counted and seen so far.
#[derive(Debug, Default)]
pub(crate) struct Script {
    rules: Vec<Value>,
    overall: u64,
    by_broker: BTreeMap<String, u64>,
    first_contacts: Vec<String>,
    attempts: BTreeMap<Option<u64>, u64>,
    lookups: u64,
    lookups_of: BTreeMap<String, u64>,
    /// Whether the measured part has begun.
    pub(crate) measured: bool,
    pub(crate) log: Vec<Sighting>,
}

/// What a broker does to a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// What the mock knows.
    Mock(Action),
    /// After so many milliseconds the connection is reset.
    Reset(u64),
}

impl Script {
    pub(crate) fn new(case: &Value, measured: bool) -> Self {
        Self {
            rules: case["rules"].as_array().cloned().unwrap_or_default(),
            measured,
            ..Self::default()
        }
    }

    pub(crate) fn overall(&self) -> u64 {
        self.overall
    }

    pub(crate) fn lookups(&self) -> u64 {
        self.lookups
    }

    pub(crate) fn note(&mut self, epoch: i64, server: &str, what: What) {
        self.log.push(Sighting {
            epoch,
            server: server.to_owned(),
            measured: self.measured,
            what,
        });
    }

    /// A lookup came in; returns the action of the first rule that fits.
    pub(crate) fn lookup(&mut self, epoch: i64, server: &str, topic: &str, rules: &Value) -> Value {
        self.note(epoch, server, What::Route(topic.to_owned()));
        self.lookups += 1;
        let of_topic = self.lookups_of.entry(topic.to_owned()).or_default();
        *of_topic += 1;
        let (all, of_topic) = (self.lookups, *of_topic);
        let fits = |rule: &&Value| {
            let about = rule["topic"].as_str().is_none_or(|wanted| wanted == topic);
            let count = if rule["per"] == "topic" {
                of_topic
            } else {
                all
            };
            about && counts(rule, count) && (self.measured || rule["warm"] == true)
        };
        let rule = rules.as_array().into_iter().flatten().find(fits);
        rule.map_or(Value::Null, |rule| rule["action"].clone())
    }

    /// A message came in.
    pub(crate) fn message(
        &mut self,
        epoch: i64,
        broker: &str,
        request: &Command,
    ) -> Option<Effect> {
        let mut seen = read(request);
        let mark = mark(&seen.body);
        if matches!(mark, Some(('W', _))) {
            self.note(epoch, broker, What::WarmUp);
            return None;
        }
        seen.number = mark.map(|(_, number)| number);
        self.overall += 1;
        let n = self.by_broker.entry(broker.to_owned()).or_default();
        *n += 1;
        let n = *n;
        let attempt = self.attempts.entry(seen.number).or_default();
        *attempt += 1;
        let attempt = *attempt;
        if !self.first_contacts.iter().any(|known| known == broker) {
            self.first_contacts.push(broker.to_owned());
        }
        let place = self.first_contacts.iter().position(|known| known == broker);
        let rel = place.map_or(0, |place| place as u64 + 1);
        let fits = |rule: &&Value| {
            is_about(rule, broker)
                && counts(rule, n)
                && is_one_of(&rule["rel"], rel)
                && is_one_of(&rule["overall"], self.overall)
                && is_one_of(&rule["attempt"], attempt)
                && (rule["msg"].is_null()
                    || seen
                        .number
                        .is_some_and(|number| is_one_of(&rule["msg"], number)))
                && is_one_of(
                    &rule["queue"],
                    u64::try_from(seen.queue).unwrap_or(u64::MAX),
                )
        };
        let ordinary = serde_json::json!({ "type": "ok" });
        let rule = self.rules.iter().find(fits);
        let action = rule.map_or(&ordinary, |rule| &rule["action"]).clone();
        seen.action = name(&action);
        let empty = seen.body.is_empty();
        self.note(epoch, broker, What::Send(Box::new(seen)));
        // The recorded brokers took an empty body, which real ones, and so the mock, do not.
        let taken = empty.then_some(Effect::Mock(Action::Answer {
            code: 0,
            remark: None,
        }));
        effect(&action, 0).or(taken)
    }
}

/// What of a message a server sees.
fn read(request: &Command) -> SendSeen {
    let short = SHORT_CODES.contains(&request.code);
    let field = |name: &str| {
        let letter = LONG.iter().find(|(_, long)| *long == name);
        let name = if short {
            letter.map_or(name, |(letter, _)| letter)
        } else {
            name
        };
        request.ext.get(name).map(str::to_owned)
    };
    let number = |name: &str| field(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    let properties = field("properties").unwrap_or_default();
    let key = properties
        .split('\u{2}')
        .find_map(|item| item.strip_prefix("UNIQ_KEY\u{1}"));
    let sys_flag: i64 = number("sysFlag");
    SendSeen {
        number: None,
        code: request.code,
        binary: request.form == HeaderForm::Rocketmq,
        oneway: request.is_oneway(),
        queue: number("queueId"),
        broker_name: field("bname"),
        default: (field("defaultTopic"), field("defaultTopicQueueNums")),
        reconsume_times: field("reconsumeTimes"),
        sys_flag,
        key: key.unwrap_or_default().to_owned(),
        body: unpacked(&request.body, sys_flag),
        action: String::new(),
    }
}

fn unpacked(body: &[u8], sys_flag: i64) -> Vec<u8> {
    let mut plain = Vec::new();
    if sys_flag & 1 == 1
        && flate2::read::ZlibDecoder::new(body)
            .read_to_end(&mut plain)
            .is_ok()
    {
        plain
    } else {
        body.to_vec()
    }
}

/// The mark that a body begins with: `M0007|` for the seventh message, `W…|` for a warm-up one.
fn mark(body: &[u8]) -> Option<(char, u64)> {
    let text = std::str::from_utf8(body.get(..6)?).ok()?;
    let kind = text
        .chars()
        .next()
        .filter(|kind| matches!(kind, 'M' | 'W'))?;
    let number = text.get(1..5)?.parse().ok()?;
    text.ends_with('|').then_some((kind, number))
}

fn is_about(rule: &Value, broker: &str) -> bool {
    let wanted = match &rule["broker"] {
        Value::Null => true,
        Value::Array(list) => list.iter().any(|one| one == broker),
        one => one == "*" || one == broker,
    };
    wanted && rule["not_broker"].as_str().is_none_or(|not| not != broker)
}

fn is_one_of(wanted: &Value, number: u64) -> bool {
    match wanted {
        Value::Null => true,
        Value::Array(list) => list.iter().any(|one| one.as_u64() == Some(number)),
        one => one.as_u64() == Some(number),
    }
}

fn counts(rule: &Value, n: u64) -> bool {
    let limit = |name: &str| rule[name].as_u64();
    is_one_of(&rule["n"], n)
        && limit("from").is_none_or(|from| n >= from)
        && limit("to").is_none_or(|to| n <= to)
        && limit("every").is_none_or(|every| every > 0 && n.is_multiple_of(every))
}

/// The name of an action, as traces have it.
pub(crate) fn name(action: &Value) -> String {
    match action["type"].as_str().unwrap_or("ok") {
        "code" => format!("code{}", action["code"]),
        "delay" => {
            let then = if action["then"].is_null() {
                "ok".to_owned()
            } else {
                name(&action["then"])
            };
            format!("delay{}+{then}", action["ms"])
        }
        other => other.to_owned(),
    }
}

/// What the mock does; nothing is ordinary service.
fn effect(action: &Value, after: u64) -> Option<Effect> {
    let code = || i32::try_from(action["code"].as_i64().unwrap_or(1)).unwrap_or(1);
    let remark = || {
        let remark = action["remark"].as_str().map(str::to_owned);
        Some(
            remark
                .unwrap_or_else(|| format!("scripted-{}", code()))
                .as_str()
                .into(),
        )
    };
    let mock = match action["type"].as_str().unwrap_or("ok") {
        "delay" => {
            let ms = action["ms"].as_u64().unwrap_or(0);
            return match effect(&action["then"], after + ms) {
                Some(Effect::Mock(then)) => Some(Effect::Mock(Action::Delay {
                    ms,
                    then: Box::new(then),
                })),
                Some(reset) => Some(reset),
                None => Some(Effect::Mock(Action::delay(ms))),
            };
        }
        "code" if [10, 11, 12].contains(&code()) => Action::StoreThenAnswer {
            code: code(),
            remark: remark(),
        },
        "code" => Action::Answer {
            code: code(),
            remark: remark(),
        },
        "silent" => Action::DropRequest,
        "close_before" => Action::CloseBefore,
        "close_after" => Action::CloseAfter,
        "rst" => return Some(Effect::Reset(after)),
        "half" => Action::HalfFrameClose,
        "half_stall" => Action::HalfFrame,
        "bad_opaque" => Action::UnknownOpaque,
        "garbage" => Action::Garbage,
        "dup" => Action::ReplyTwice,
        "no_ext" => Action::Answer {
            code: 0,
            remark: None,
        },
        "ok_close" => Action::AnswerThenClose,
        "ok" => return None,
        other => unreachable!("a case names the action {other:?}, which no mock can do"),
    };
    Some(Effect::Mock(mock))
}

/// The route of a topic, as the name servers of a case have it; nothing if they do not know it.
pub(crate) fn route(
    case: &Value,
    topics: &Map<String, Value>,
    topic: &str,
    address: impl Fn(&str) -> String,
) -> Option<String> {
    let brokers = topics.get(topic)?.as_object()?;
    let (mut queues, mut addresses) = (Vec::new(), Vec::new());
    for (broker, data) in brokers {
        if data.is_null() {
            continue;
        }
        let write = data["w"].as_i64().unwrap_or(4);
        if data["noQueueData"] != true {
            queues.push(serde_json::json!({
                "brokerName": broker,
                "perm": data["perm"].as_i64().unwrap_or(6),
                "readQueueNums": data["r"].as_i64().unwrap_or(write),
                "topicSysFlag": 0,
                "writeQueueNums": write,
            }));
        }
        if data["noBrokerData"] != true {
            let of_id = |id: i64| (id.to_string(), Value::from(address(&server(broker, id))));
            let of_broker: Map<_, _> = ids(case, broker).into_iter().map(of_id).collect();
            addresses.push(serde_json::json!({
                "brokerAddrs": of_broker,
                "brokerName": broker,
                "cluster": "DefaultCluster",
                "enableActingMaster": false,
            }));
        }
    }
    let mut body = serde_json::json!({
        "brokerDatas": addresses,
        "filterServerTable": {},
        "queueDatas": queues,
    });
    let order = &case["topology"]["orderTopicConf"][topic];
    if order.is_string() {
        body["orderTopicConf"] = order.clone();
    }
    Some(body.to_string())
}

/// The ids of a broker's machines.
pub(crate) fn ids(case: &Value, broker: &str) -> Vec<i64> {
    let ids = case["topology"]["brokers"][broker]["ids"].as_array();
    let read = |ids: &Vec<Value>| ids.iter().filter_map(Value::as_i64).collect();
    ids.map_or_else(|| vec![0], read)
}

/// The name of a broker's machine.
pub(crate) fn server(broker: &str, id: i64) -> String {
    if id == 0 {
        broker.to_owned()
    } else {
        format!("{broker}/{id}")
    }
}

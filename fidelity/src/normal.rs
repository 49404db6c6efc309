//! Makes a trace of what servers and client saw: what is left when names, times and texts are
//! taken out that differ between two runs of one client.
//!
//! The rules are those of the recording kit, so that a trace can be compared with a recorded one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::log::{SendSeen, Servers, Sighting, What};
use crate::words::text;

/// One run of a case.
#[derive(Debug)]
pub struct Run<'a> {
    /// The case that was played, as its file has it.
    pub case: &'a Value,
    /// The names, addresses and kinds of the servers.
    pub servers: &'a Servers,
    /// What the servers saw, in order.
    pub log: &'a [Sighting],
    /// What the client told.
    pub told: &'a [Map<String, Value>],
    /// Whether the warm-up ended on the pinned queue.
    pub pinned: bool,
}

/// How brokers are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Absolute,
    /// B1, B2 … by first contact.
    Relative,
    None,
}

struct Namer<'a> {
    names: Names,
    servers: &'a Servers,
    order: Vec<String>,
}

impl Namer<'_> {
    fn name(&mut self, server: &str) -> String {
        if self.names == Names::Absolute || !self.servers.brokers.contains(server) {
            return server.to_owned();
        }
        if self.names == Names::None {
            return "B".to_owned();
        }
        let known = self.order.iter().position(|one| one == server);
        let place = known.unwrap_or_else(|| {
            self.order.push(server.to_owned());
            self.order.len() - 1
        });
        format!("B{}", place + 1)
    }

    /// A text without addresses, times, ids and, unless they are absolute, brokers' names.
    fn scrub(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (address, server) in &self.servers.addresses.clone() {
            let name = self.name(server);
            text = text.replace(address, &format!("<{name}>"));
        }
        text = text::without_numbers(&text);
        if self.names != Names::Absolute {
            let mut brokers: Vec<_> = self.servers.brokers.iter().cloned().collect();
            brokers.sort_by_key(|name| std::cmp::Reverse(name.len()));
            for broker in brokers {
                let name = self.name(&broker);
                text = text.replace(&broker, &name);
            }
        }
        text
    }
}

/// One message while its trace is made.
#[derive(Debug, Default)]
struct Message {
    attempts: Vec<Map<String, Value>>,
    outcomes: Vec<Value>,
    began: i64,
    ended: i64,
    id: Option<String>,
    keys: Vec<String>,
    bodies: BTreeSet<Vec<u8>>,
}

/// The trace of a run.
#[must_use]
pub fn trace(run: &Run<'_>) -> Value {
    let rules = &run.case["normalize"];
    let pinned = run.case["client"]["pin"].is_object();
    let names = match rules["broker"].as_str() {
        Some("abs") => Names::Absolute,
        Some("rel") => Names::Relative,
        Some(_) => Names::None,
        None if pinned => Names::Absolute,
        None => Names::Relative,
    };
    let queues = rules["queue"].as_str().map_or(pinned, |mode| mode == "abs");
    let mut namer = Namer {
        names,
        servers: run.servers,
        order: order(run),
    };
    let mut messages = outcomes(run, &mut namer, queues);
    attempts(run, &mut namer, queues, &mut messages);
    let mut trace = json!({ "case": run.case["name"], "routes": routes(run) });
    let sends = messages
        .into_iter()
        .map(|(number, message)| message.value(number, rules));
    let mut sends: Vec<Value> = sends.collect();
    if let Some(list) = rules["rotation"].as_array() {
        trace["rotation"] = rotation(run, list);
        sends = vec![folded(&sends)];
    }
    more(run, rules, &mut namer, &sends, &mut trace);
    if rules["compare"] == "multiset" {
        for send in &mut sends {
            if let Some(fields) = send.as_object_mut() {
                fields.remove("i");
            }
        }
        sends.sort_by_key(Value::to_string);
    }
    trace["sends"] = Value::Array(sends);
    trace
}

/// The brokers in the order of first contact.
fn order(run: &Run<'_>) -> Vec<String> {
    let broker = |seen: &&Sighting| run.servers.brokers.contains(&seen.server);
    let contact = |seen: &&Sighting| match seen.what {
        What::Send(_) => true,
        What::Syn(_) => seen.measured,
        _ => false,
    };
    let contacts = run.log.iter().filter(broker).filter(contact);
    let mut contacts: Vec<_> = contacts
        .map(|seen| (seen.epoch, seen.server.clone()))
        .collect();
    contacts.sort();
    let mut order: Vec<String> = Vec::new();
    for (_, server) in contacts {
        if !order.contains(&server) {
            order.push(server);
        }
    }
    for line in results(run) {
        let text = text_of(line, "msg");
        let list = text
            .split_once("BrokersSent: [")
            .and_then(|(_, rest)| rest.split_once(']'));
        for broker in list.map_or("", |(list, _)| list).split(", ") {
            let new = run.servers.brokers.contains(broker) && !order.iter().any(|b| b == broker);
            if new {
                order.push(broker.to_owned());
            }
        }
    }
    order
}

fn results<'a>(run: &'a Run<'_>) -> impl Iterator<Item = &'a Map<String, Value>> {
    run.told
        .iter()
        .filter(|line| text_of(line, "event") == "result")
}

fn text_of<'a>(line: &'a Map<String, Value>, name: &str) -> &'a str {
    line.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The class of a time.
fn class(ms: i64, case: &Value) -> String {
    if let Some(limits) = case["elapsedBuckets"].as_array() {
        let limits: Vec<i64> = limits.iter().filter_map(Value::as_i64).collect();
        for pair in limits.windows(2) {
            if (pair[0]..pair[1]).contains(&ms) {
                return format!("{}-{}", pair[0], pair[1]);
            }
        }
        return format!(">={}", limits.last().copied().unwrap_or(0));
    }
    let unit = case["elapsedUnitMs"].as_i64().unwrap_or(1000);
    format!("~{}", (ms + 60).div_euclid(unit) * unit)
}

fn outcomes(run: &Run<'_>, namer: &mut Namer<'_>, queues: bool) -> BTreeMap<u64, Message> {
    let mut messages: BTreeMap<u64, Message> = BTreeMap::new();
    for line in results(run) {
        let field = |name: &str| line.get(name).cloned().unwrap_or(Value::Null);
        let (began, took) = (field("t0"), field("elapsedMs").as_i64().unwrap_or(0));
        let message = messages
            .entry(field("i").as_u64().unwrap_or(0))
            .or_default();
        message.began = began.as_i64().unwrap_or(0);
        message.ended = message.began + took;
        message.id = line.get("msgId").and_then(Value::as_str).map(str::to_owned);
        let mut outcome = Map::new();
        if line.contains_key("exc") {
            outcome.insert("exc".into(), field("exc"));
            let text = field("msg");
            outcome.insert(
                "msg".into(),
                json!(namer.scrub(text.as_str().unwrap_or_default())),
            );
            for name in ["code", "cause"] {
                if let Some(value) = line.get(name) {
                    outcome.insert(name.into(), value.clone());
                }
            }
            if let Some(text) = line.get("causeMsg").and_then(Value::as_str) {
                outcome.insert("causeMsg".into(), json!(namer.scrub(text)));
            }
            if line.get("thrown") == Some(&Value::Bool(true)) {
                outcome.insert("thrown".into(), json!(true));
            }
        } else {
            outcome.insert("status".into(), field("status"));
            if let Some(broker) = line.get("broker").and_then(Value::as_str) {
                outcome.insert("broker".into(), json!(namer.name(broker)));
                if queues {
                    outcome.insert("queue".into(), field("queue"));
                }
            }
        }
        outcome.insert("el".into(), json!(class(took, run.case)));
        message.outcomes.push(Value::Object(outcome));
    }
    messages
}

fn attempts(
    run: &Run<'_>,
    namer: &mut Namer<'_>,
    queues: bool,
    messages: &mut BTreeMap<u64, Message>,
) {
    for seen in run.log {
        match &seen.what {
            What::Syn(mode) if seen.measured && run.servers.brokers.contains(&seen.server) => {
                let under_way = messages.values_mut().filter(|message| {
                    message.began <= seen.epoch + 1 && seen.epoch <= message.ended + 30
                });
                // The youngest that is under way; of several, the first.
                let Some(message) = under_way.reduce(|a, b| if b.began > a.began { b } else { a })
                else {
                    continue;
                };
                let at = class((seen.epoch - message.began).max(0), run.case);
                let mut attempt = Map::new();
                attempt.insert("b".into(), json!(namer.name(&seen.server)));
                attempt.insert("act".into(), json!(mode));
                attempt.insert("at".into(), json!(at));
                message.attempts.push(attempt);
            }
            What::Send(send) => {
                let number = send.number.unwrap_or_else(|| {
                    let begun = messages
                        .iter()
                        .filter(|(_, one)| one.began <= seen.epoch + 1);
                    begun
                        .max_by_key(|(_, one)| one.began)
                        .map_or(0, |(number, _)| *number)
                });
                let message = messages.entry(number).or_insert_with(|| Message {
                    began: seen.epoch,
                    ended: seen.epoch,
                    ..Message::default()
                });
                let at = class((seen.epoch - message.began).max(0), run.case);
                let attempt = attempt(seen, send, namer, queues, &at);
                message.attempts.push(attempt);
                message.keys.push(send.key.clone());
                message.bodies.insert(send.body.clone());
            }
            _ => {}
        }
    }
}

fn attempt(
    seen: &Sighting,
    send: &SendSeen,
    namer: &mut Namer<'_>,
    queues: bool,
    at: &str,
) -> Map<String, Value> {
    let mut attempt = Map::new();
    attempt.insert("b".into(), json!(namer.name(&seen.server)));
    attempt.insert("act".into(), json!(send.action));
    attempt.insert("at".into(), json!(at));
    if queues {
        attempt.insert("q".into(), json!(send.queue));
    }
    if let Some(broker) = send
        .broker_name
        .as_ref()
        .filter(|name| **name != seen.server)
    {
        attempt.insert("hdrBname".into(), json!(namer.name(broker)));
    }
    if send.oneway {
        attempt.insert("oneway".into(), json!(true));
    }
    if let Some(times) = send.reconsume_times.as_ref().filter(|times| *times != "0") {
        attempt.insert("reconsume".into(), json!(times));
    }
    if send.sys_flag != 0 {
        attempt.insert("sysFlag".into(), json!(send.sys_flag));
    }
    attempt
}

impl Message {
    fn value(mut self, number: u64, rules: &Value) -> Value {
        if rules["drop_queue_of_retries"] == true {
            for attempt in self.attempts.iter_mut().skip(1) {
                attempt.remove("q");
            }
        }
        if rules["strip_times"] == true {
            for attempt in &mut self.attempts {
                attempt.remove("at");
            }
            for outcome in self.outcomes.iter_mut().filter_map(Value::as_object_mut) {
                outcome.remove("el");
            }
        }
        let mut value = json!({
            "i": number,
            "n": self.attempts.len(),
            "attempts": self.attempts,
            "out": self.outcomes,
        });
        let keys: BTreeSet<&String> = self.keys.iter().collect();
        let foreign = |id: &String| !id.contains(',') && !self.keys.contains(id);
        for (flag, name) in [
            (keys.len() > 1, "uniqKeyChanged"),
            (self.bodies.len() > 1, "bodyChanged"),
            (
                !keys.is_empty() && self.id.as_ref().is_some_and(foreign),
                "msgIdNotUniqKey",
            ),
        ] {
            if flag {
                value[name] = json!(true);
            }
        }
        value
    }
}

fn routes(run: &Run<'_>) -> Value {
    let mut routes: BTreeMap<&str, u64> = BTreeMap::new();
    for seen in run.log.iter().filter(|seen| seen.measured) {
        if let What::Route(topic) = &seen.what {
            *routes.entry(topic).or_default() += 1;
        }
    }
    json!(routes)
}

fn sends<'a>(run: &'a Run<'_>) -> impl Iterator<Item = (&'a Sighting, &'a SendSeen)> {
    run.log.iter().filter_map(|seen| match &seen.what {
        What::Send(send) => Some((seen, &**send)),
        _ => None,
    })
}

/// A healthy rotation: the pattern of its steps, free of where it starts.
fn rotation(run: &Run<'_>, list: &[Value]) -> Value {
    let mut hits: Vec<_> = sends(run).collect();
    hits.sort_by_key(|(_, send)| send.number);
    let mut places = Vec::new();
    let mut unexpected = Vec::new();
    for (seen, send) in hits {
        let hit = json!([seen.server, send.queue]);
        match list.iter().position(|queue| *queue == hit) {
            Some(place) => places.push(place),
            None => unexpected.push(hit),
        }
    }
    if !unexpected.is_empty() {
        unexpected.truncate(4);
        return json!({ "unexpected": unexpected });
    }
    let count = list.len();
    let step = |pair: &[usize]| (pair[1] + count - pair[0]) % count;
    let steps: BTreeSet<usize> = places.windows(2).map(step).collect();
    let distinct: BTreeSet<&usize> = places.iter().collect();
    json!({
        "listLen": count,
        "steps": steps,
        "distinct": distinct.len(),
        "sends": places.len(),
    })
}

fn folded(sends: &[Value]) -> Value {
    let outcomes = sends
        .iter()
        .flat_map(|send| send["out"].as_array().into_iter().flatten());
    let well = |outcome: &Value| {
        let status = outcome["status"].as_str();
        matches!(status, Some("SEND_OK" | "ONEWAY_RETURNED"))
    };
    let counts: BTreeSet<u64> = sends.iter().filter_map(|send| send["n"].as_u64()).collect();
    json!({
        "n": sends.len(),
        "allOk": outcomes.into_iter().all(well),
        "attemptsPerSend": counts,
    })
}

/// What only some cases compare.
fn more(run: &Run<'_>, rules: &Value, namer: &mut Namer<'_>, made: &[Value], trace: &mut Value) {
    if rules["accepts"] == true {
        let mut accepts: BTreeMap<String, u64> = BTreeMap::new();
        let brokers = &run.servers.brokers;
        for seen in run.log.iter().filter(|seen| brokers.contains(&seen.server)) {
            if matches!(seen.what, What::Accept) {
                *accepts.entry(namer.name(&seen.server)).or_default() += 1;
            }
        }
        trace["accepts"] = json!(accepts);
    }
    if rules["forms"] == true {
        let form = |(_, send): (&Sighting, &SendSeen)| {
            let form = if send.binary { "rocketmq" } else { "json" };
            let way = if send.oneway { "one-way" } else { "2-way" };
            format!("{}/{form}/{way}", send.code)
        };
        let forms: BTreeSet<String> = sends(run).map(form).collect();
        trace["forms"] = json!(forms);
    }
    if rules["default"] == true {
        let defaults: BTreeSet<_> = sends(run).map(|(_, send)| send.default.clone()).collect();
        trace["default"] = json!(defaults);
    }
    if rules["distribution"] == true {
        let mut distribution: BTreeMap<&str, u64> = BTreeMap::new();
        let attempts = made.iter().flat_map(|send| send["attempts"].as_array());
        for attempt in attempts.flatten() {
            let broker = attempt["b"].as_str().unwrap_or_default();
            *distribution.entry(broker).or_default() += 1;
        }
        trace["distribution"] = json!(distribution);
    }
    let told = |event: &'static str| {
        run.told
            .iter()
            .filter(move |line| text_of(line, "event") == event)
    };
    if let Some(line) = told("start_failed").next() {
        let text = namer.scrub(text_of(line, "msg"));
        trace["start_failed"] = json!({ "exc": text_of(line, "exc"), "msg": text });
    }
    let unsupported: Vec<&str> = told("unsupported")
        .map(|line| text_of(line, "feature"))
        .collect();
    if !unsupported.is_empty() {
        trace["unsupported"] = json!(unsupported);
    }
    let client = &run.case["client"];
    if client["shutdown"] == true || client["transaction"] == true {
        let mut others: BTreeMap<String, u64> = BTreeMap::new();
        for seen in run.log {
            if let What::Unregister(group) = &seen.what {
                let name = namer.name(&seen.server);
                *others
                    .entry(format!("unregister:{group}@{name}"))
                    .or_default() += 1;
            }
        }
        trace["other"] = json!(others);
    }
    if client["pin"].is_object() && !run.pinned {
        trace["pin"] = json!("FAILED");
    }
}

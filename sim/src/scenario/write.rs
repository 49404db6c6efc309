//! A scenario as the file that a person would have written.
//!
//! A generated or shrunk scenario is worth keeping only as a file that can be read, edited and
//! committed. Reading what is written here gives the same scenario again. Every structure is taken
//! apart field by field, so a new knob that the file cannot say does not compile.

use std::fmt::Write as _;

use rmq_remoting::observe::Name;

use super::file::FORMAT;
use super::{
    Bound, Callback, ClusterPlan, Expect, Hooks, Limits, Namespace, NetworkPlan, Order,
    PolicySource, ProducerPlan, Scenario, SendMode, Target, Workload,
};
use crate::fault::{Fault, Place, Rule};

mod fault;

/// The widest comment line.
const WIDTH: usize = 98;

impl Scenario {
    /// The scenario as a file, under a comment that counts what is in it.
    ///
    /// The file's name is not in it; a policy from a file of its own is named, not copied.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::io::ErrorKind;
    /// # use std::sync::Arc;
    /// # use rmq_sim::fault::EngineKind;
    /// # use rmq_sim::run;
    /// # use rmq_sim::scenario::Scenario;
    /// # let text = "format = 2\nseconds = 5\n[cluster]\nbrokers = [\"broker-a\"]\n[producer.p1]\n\
    /// #     [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 3\n";
    /// # let scenario = Arc::new(Scenario::parse("three.toml", text, &|_| Err(ErrorKind::NotFound.into()))?);
    /// let file = scenario.to_toml();
    /// assert!(file.starts_with("# three.toml: "));
    /// assert!(file.contains("sends    = 3"), "{file}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_toml(&self) -> String {
        self.to_toml_under(&format!("{}: {}.", self.name, self.in_words()))
    }

    /// The scenario as a file under another comment; each of its lines is wrapped.
    pub fn to_toml_under(&self, comment: &str) -> String {
        let Scenario {
            name: _,
            seconds,
            cluster,
            network,
            producers,
            workloads,
            faults,
            liveness_ms,
            expect,
        } = self;
        let mut text = String::new();
        comment
            .lines()
            .for_each(|line| push_comment(&mut text, line));
        let mut top = Table::default();
        top.push("format", FORMAT);
        top.push("seconds", seconds);
        top.maybe("liveness", liveness_ms.map(duration));
        top.end("", &mut text);
        self::cluster(cluster, &mut text);
        self::network(*network, &mut text);
        for plan in producers {
            producer(plan, &mut text);
        }
        for workload in workloads {
            self::workload(workload, &mut text);
        }
        let names = cluster.name_server_names();
        self::faults(faults, &names, &mut text);
        self::expect(expect, &mut text);
        text
    }

    /// Its faults alone, as they stand in a file.
    pub(crate) fn faults_in_toml(&self) -> String {
        let mut text = String::new();
        let names = self.cluster.name_server_names();
        faults(&self.faults, &names, &mut text);
        text
    }

    /// What is in it: `2 name servers, 3 brokers, 1 producer, 58 sends, 1 fault, 60 s`.
    pub fn in_words(&self) -> String {
        let many = |count: u64, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        let of = |length: usize| length as u64;
        let parts = [
            many(u64::from(self.cluster.name_servers), "name server"),
            many(of(self.cluster.brokers.len()), "broker"),
            many(of(self.producers.len()), "producer"),
            many(self.workloads.iter().map(|it| it.sends).sum(), "send"),
            many(of(self.faults.len()), "fault"),
            format!("{} s", self.seconds),
        ];
        parts.join(", ")
    }
}

fn push_comment(text: &mut String, line: &str) {
    let mut width = 1;
    text.push('#');
    for word in line.split(' ') {
        let length = word.chars().count();
        if width + 1 + length > WIDTH && width > 1 {
            text.push_str("\n#");
            width = 1;
        }
        text.push(' ');
        text.push_str(word);
        width += 1 + length;
    }
    while text.ends_with(' ') {
        text.pop();
    }
    text.push('\n');
}

/// The keys of one table, written with their equals signs in one column.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Table(Vec<(&'static str, String)>);

impl Table {
    /// Adds a key with its value as TOML has it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the values are made in the call"
    )]
    pub(crate) fn push(&mut self, key: &'static str, value: impl ToString) {
        self.0.push((key, value.to_string()));
    }

    /// Adds a key with a string.
    pub(crate) fn quoted(&mut self, key: &'static str, value: &str) {
        self.push(key, quote(value));
    }

    /// Adds a key with a duration: `"3s"`, `"250ms"`.
    pub(crate) fn duration(&mut self, key: &'static str, ms: u64) {
        self.push(key, duration(ms));
    }

    /// Adds a key with a duration that may be negative.
    pub(crate) fn jump(&mut self, key: &'static str, ms: i64) {
        let sign = if ms < 0 { "-" } else { "" };
        let size = duration(ms.unsigned_abs());
        self.push(key, size.replacen('"', &format!("\"{sign}"), 1));
    }

    /// Adds a key with a latency and its jitter.
    pub(crate) fn latency(&mut self, key: &'static str, ms: u64, jitter: u64) {
        self.push(key, latency(ms, jitter));
    }

    /// Adds a key with the name of a response code, or its number if it has none.
    pub(crate) fn response_code(&mut self, key: &'static str, code: i32) {
        self.push(key, fault::named(code, rmq_remoting::code::response_name));
    }

    fn maybe(&mut self, key: &'static str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.push(key, value);
        }
    }

    /// Writes the table; without a title it is the top of the file.
    fn end(self, title: &str, text: &mut String) {
        if !title.is_empty() {
            text.push('\n');
            text.push_str(title);
            text.push('\n');
        }
        let width = self.0.iter().map(|(key, _)| key.len()).fold(0, usize::max);
        for (key, value) in self.0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key:width$} = {value}");
        }
    }
}

/// A string as TOML has it.
fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A key: bare where that is allowed.
fn key(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        quote(text)
    }
}

/// A duration as the file has it: `"3s"`, `"250ms"`.
fn duration(ms: u64) -> String {
    if ms > 0 && ms.is_multiple_of(1_000) {
        format!("\"{}s\"", ms / 1_000)
    } else {
        format!("\"{ms}ms\"")
    }
}

fn latency(ms: u64, jitter: u64) -> String {
    match jitter {
        0 => format!("{{ ms = {ms} }}"),
        _ => format!("{{ ms = {ms}, jitter = {jitter} }}"),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn cluster(plan: &ClusterPlan, text: &mut String) {
    let ClusterPlan {
        name_servers,
        brokers,
        profile,
        topics,
        only_on,
        without_master,
    } = plan;
    let mut table = Table::default();
    table.push("name-servers", name_servers);
    table.push("brokers", list(brokers.iter().map(|name| quote(name))));
    table.quoted("profile", profile.release());
    if !topics.is_empty() {
        let topics: Vec<String> = topics
            .iter()
            .map(|(topic, queues)| format!("{} = {queues}", key(topic)))
            .collect();
        table.push("topics", format!("{{ {} }}", topics.join(", ")));
    }
    if !only_on.is_empty() {
        let only: Vec<String> = only_on
            .iter()
            .map(|(topic, on)| {
                let on = list(on.iter().map(|name| quote(name)));
                format!("{} = {on}", key(topic))
            })
            .collect();
        table.push("only-on", format!("{{ {} }}", only.join(", ")));
    }
    if !without_master.is_empty() {
        let names = without_master.iter().map(|name| quote(name));
        table.push("without-master", list(names));
    }
    table.end("[cluster]", text);
}

fn network(plan: NetworkPlan, text: &mut String) {
    let NetworkPlan {
        latency_ms,
        jitter_ms,
        ready_order,
    } = plan;
    let mut table = Table::default();
    table.push("latency", latency(latency_ms, jitter_ms));
    table.quoted(
        "ready-order",
        match ready_order {
            Order::Fifo => "fifo",
            Order::Seeded => "seeded",
            Order::Drawn => "drawn",
        },
    );
    table.end("[network]", text);
}

fn producer(plan: &ProducerPlan, text: &mut String) {
    let ProducerPlan {
        name,
        client,
        group,
        policy,
        timeout_ms,
        retries,
        first_queue,
        first_name_server,
        id_constant,
        first_opaque,
        first_message,
        fault_tolerance,
        stop_ms,
        dropped,
        changes,
        limits,
        namespace,
        hooks,
    } = plan;
    let mut table = Table::default();
    match (client, policy) {
        // Its policy is that one's.
        (Some(owner), _) => table.quoted("client", owner),
        (None, PolicySource::Preset(name)) => table.quoted("policy", name),
        (None, PolicySource::Text { file, .. }) => table.quoted("policy", file),
    }
    if *group != format!("group-{name}") {
        table.quoted("group", group);
    }
    table.maybe("timeout", timeout_ms.map(duration));
    table.maybe("retries", *retries);
    table.maybe("first-queue", *first_queue);
    table.maybe("first-name-server", *first_name_server);
    table.maybe("id-constant", *id_constant);
    table.maybe("first-opaque", *first_opaque);
    table.maybe("first-message", *first_message);
    table.maybe("fault-tolerance", *fault_tolerance);
    table.maybe("stop", stop_ms.map(duration));
    table.maybe("dropped", dropped.then_some(true));
    table.maybe("changes", changes.as_deref().filter(|_| client.is_none()));
    let Limits {
        sends,
        bytes,
        refuses,
    } = limits;
    table.maybe("max-open-sends", *sends);
    table.maybe("max-open-bytes", *bytes);
    if *refuses {
        table.quoted("when-full", "refuse");
    }
    match namespace {
        None => {}
        Some(Namespace::V1(name)) => table.quoted("namespace", name),
        Some(Namespace::V2(name)) => table.quoted("namespace-v2", name),
    }
    match hooks {
        Hooks::None => {}
        Hooks::Panic => table.quoted("hooks", "panic"),
        Hooks::Watch => table.quoted("hooks", "watch"),
        Hooks::Forbid(broker) => table.quoted("forbids", broker),
    }
    table.end(&format!("[producer.{}]", key(name)), text);
}

fn workload(plan: &Workload, text: &mut String) {
    let Workload {
        producer,
        topic,
        mode,
        sends,
        every_ms,
        start_ms,
        body_bytes,
        target,
        callers,
        drop_after_ms,
        callback,
        timeout_ms,
        tag,
        delay_level,
        flag,
        property,
        waits_stored,
        own_ids,
    } = plan;
    let mut table = Table::default();
    table.quoted("producer", producer);
    table.quoted("topic", topic);
    table.quoted(
        "mode",
        match mode {
            SendMode::Sync => "sync",
            SendMode::Async => "async",
            SendMode::Oneway => "oneway",
        },
    );
    table.push("sends", sends);
    table.push("every", duration(*every_ms));
    table.push("start", duration(*start_ms));
    table.push("body", body_bytes);
    match target {
        Target::Any => {}
        Target::Queue {
            broker,
            queue,
            topic,
        } => {
            let topic = topic.as_ref().map(|it| format!(", topic = {}", quote(it)));
            let topic = topic.unwrap_or_default();
            let broker = quote(broker);
            table.push(
                "queue",
                format!("{{ broker = {broker}, id = {queue}{topic} }}"),
            );
        }
        Target::Keys(keys) => table.push("keys", keys),
        Target::Random => table.quoted("select", "random"),
        Target::Last => table.quoted("select", "last"),
        Target::Nothing => table.quoted("select", "nothing"),
    }
    table.maybe("callers", (*callers != 1).then_some(callers));
    table.maybe("drop-after", drop_after_ms.map(duration));
    match callback {
        Callback::Plain => {}
        Callback::Panics => table.quoted("callback", "panics"),
        Callback::SendsAgain => table.quoted("callback", "sends-again"),
    }
    table.maybe("timeout", timeout_ms.map(duration));
    table.maybe("tag", tag.as_deref().map(quote));
    table.maybe("delay-level", *delay_level);
    table.maybe("flag", (*flag != 0).then_some(flag));
    table.maybe("property", property.as_deref().map(quote));
    table.maybe("waits-stored", (!waits_stored).then_some(false));
    table.maybe("own-ids", own_ids.then_some(true));
    table.end("[[workload]]", text);
}

/// Faults; neighbours that differ in their place alone become one table.
fn faults(faults: &[Fault], name_servers: &[Name], text: &mut String) {
    let mut tables: Vec<(Vec<&Place>, Table)> = Vec::new();
    for fault in faults {
        let is_broker = matches!(&fault.place, Place::Node(node) if !name_servers.contains(node));
        let table = fault::table(fault, Rule::default_codes(is_broker));
        match tables.last_mut() {
            Some((places, last)) if *last == table => places.push(&fault.place),
            _ => tables.push((vec![&fault.place], table)),
        }
    }
    for (places, mut table) in tables {
        let mut places = places.iter().map(|place| quote(&place.to_string()));
        let on = match (places.next(), places.len()) {
            (Some(only), 0) => only,
            (first, _) => list(first.into_iter().chain(places)),
        };
        table.0.insert(1, ("on", on));
        table.end("[[fault]]", text);
    }
}

fn bound(bound: Bound) -> String {
    match (bound.min, bound.max) {
        (min, max) if min == max => min.to_string(),
        (0, u64::MAX) => "{ min = 0 }".to_owned(),
        (0, max) => format!("{{ max = {max} }}"),
        (min, u64::MAX) => format!("{{ min = {min} }}"),
        (min, max) => format!("{{ min = {min}, max = {max} }}"),
    }
}

fn expect(plan: &Expect, text: &mut String) {
    let Expect {
        ok,
        failed,
        attempts,
        max_attempts,
        max_send_ms,
        copies,
        stored,
        hedged,
    } = *plan;
    let figures = [
        ("ok", ok),
        ("failed", failed),
        ("attempts", attempts),
        ("max-attempts", max_attempts),
        ("max-send-ms", max_send_ms),
        ("stored", stored),
        ("copies", copies),
        ("hedged", hedged),
    ];
    let mut table = Table::default();
    for (key, figure) in figures {
        table.maybe(key, figure.map(bound));
    }
    if !table.0.is_empty() {
        table.end("[expect]", text);
    }
}

#[cfg(test)]
mod tests;

//! From records to lines: which records are worth one, and what it says.

use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_mock_namesrv::event::Event as NameServerEvent;
use rmq_producer::event::{Event, LookupNumber, SnapshotNumber, Stage};
use rmq_remoting::event::Event as Transport;

use super::fold::{Folds, uneventful};
use super::names::Names;
use super::{Columns, Row, words};
use crate::fault::{Fault, FaultEvent, FaultKind, Millis, Place};
use crate::trace::history::{AttemptHistory, History, SendHistory, Timestamp};
use crate::trace::record::{NodeEvent, NodeId, Trace, TraceRecord, WorkEvent};
use crate::truth::Truth;

struct Scribe<'a, 't> {
    trace: &'t Trace,
    history: &'a History<'t>,
    truth: Truth,
    names: &'a Names<'t>,
    columns: &'a Columns,
    rows: Vec<Row>,
    folds: Folds,
    /// The last row holds events of servers only, and may take more of its millisecond.
    servers_only: bool,
}

pub(super) fn rows<'t>(
    trace: &'t Trace,
    history: &History<'t>,
    names: &Names<'t>,
    columns: &Columns,
) -> Vec<Row> {
    let truth = Truth::of(trace);
    let (rows, folds) = (Vec::new(), Folds::default());
    let mut scribe = Scribe {
        trace,
        history,
        truth,
        names,
        columns,
        rows,
        folds,
        servers_only: false,
    };
    for (at, record) in trace.records.iter().enumerate() {
        let timestamp = Timestamp { at, ms: record.ms };
        match &record.what {
            NodeEvent::Producer(event) => scribe.producer(record, timestamp, event),
            NodeEvent::Broker(event) => scribe.broker(record, event),
            NodeEvent::NameServer(event) => scribe.name_server(record, event),
            NodeEvent::Fault(event) => scribe.fault(record.ms, event),
            NodeEvent::Work(WorkEvent::Healed) => {
                scribe.row(Row::new(record.ms, "! healed: all faults end".to_owned()));
            }
            NodeEvent::Work(WorkEvent::ProcessEnded) => {
                scribe.say(record, "x the process is gone", None);
            }
            NodeEvent::Work(_) | NodeEvent::Engine(_) => {}
        }
    }
    scribe.folds.flush(&mut scribe.rows, names);
    scribe.rows
}

impl Scribe<'_, '_> {
    fn row(&mut self, row: Row) {
        self.folds.flush(&mut self.rows, self.names);
        self.rows.push(row);
        self.servers_only = false;
    }

    /// A line of a producer.
    fn say(&mut self, record: &TraceRecord, text: &str, cell: Option<(Option<usize>, &str)>) {
        let row = Row::new(record.ms, format!("{}{text}", self.names.who(record.node)));
        let (column, glyphs) = cell.unwrap_or((None, ""));
        self.row(row.cell(column, glyphs));
    }

    fn column(&self, broker: &str) -> Option<usize> {
        self.columns.find(self.trace.header.node(broker)?)
    }

    fn producer(&mut self, record: &TraceRecord, timestamp: Timestamp, event: &Event) {
        match event {
            Event::Attempt { send, .. }
            | Event::Hedged { send, .. }
            | Event::AttemptEnded { send, .. }
            | Event::Resend { send, .. }
            | Event::Done { send, .. }
            | Event::Cancelled { send } => {
                let history = self.history;
                let found = history.sends.iter().rposition(|it| {
                    (it.node, it.number) == (record.node, *send) && it.called <= timestamp
                });
                if let Some(index) = found {
                    self.send(record, event, &history.sends[index]);
                }
            }
            Event::Snapshot { snapshot, .. } => self.route(record, *snapshot, timestamp),
            Event::LookupEnded { lookup, end } => {
                if let Some(text) = words::lookup_end(end) {
                    self.lookup_failed(record, *lookup, &text);
                }
            }
            Event::Health {
                broker,
                for_ms,
                reason,
            } if *for_ms > 0 => {
                let (name, time) = (self.names.broker(broker), Millis(*for_ms));
                let why = words::stage(*reason, None);
                self.say(record, &format!("{name} avoided for {time} ({why})"), None);
            }
            Event::Drain { broker } => {
                let (name, node) = self.names.at(broker);
                let (text, column) = (format!("{name} drains"), node);
                let column = column.and_then(|node| self.columns.find(node));
                self.say(record, &text, Some((column, "!")));
            }
            Event::Stopping { .. } => self.say(record, "stopping", None),
            Event::Stopped { .. } => self.say(record, "stopped", None),
            Event::TaskPanicked { task } => {
                self.say(
                    record,
                    &format!("task {task} PANICKED, started again"),
                    None,
                );
            }
            Event::Transport(event) => self.transport(record, event),
            _ => {}
        }
    }

    fn send(&mut self, record: &TraceRecord, event: &Event, send: &SendHistory<'_>) {
        if uneventful(send, self.history) {
            if matches!(event, Event::Done { .. }) {
                self.servers_only = false;
                let with = (self.names, self.columns);
                self.folds.add(send, record.ms, self.history, with);
            }
            return;
        }
        let number = send.number;
        let attempt = |number: &u32| send.attempts.iter().find(|it| it.number == *number);
        match event {
            Event::Attempt {
                number: k,
                to,
                timeout_ms,
                ..
            } => {
                let Some(attempt) = attempt(k) else { return };
                let (broker, queue) = (self.names.broker(&to.broker), to.queue);
                let text = format!("s{number} #{k} -> {broker}/{queue}  {timeout_ms}ms");
                let (column, glyphs) = self.evidence(attempt, &to.broker);
                self.say(record, &text, Some((column, &glyphs)));
            }
            Event::Hedged { number: k, .. } => {
                let Some(attempt) = attempt(k) else { return };
                let after = record.ms - attempt.started.ms;
                let text = format!("s{number} #{k} hedged after {after}ms");
                self.say(record, &text, None);
            }
            Event::AttemptEnded {
                number: k,
                stage,
                code,
                ..
            } => {
                let Some(attempt) = attempt(k) else { return };
                if !matches!(stage, Stage::Accepted | Stage::Superseded) {
                    let text = words::attempt_end(send, attempt, &words::stage(*stage, *code));
                    self.say(record, &text, None);
                }
            }
            Event::Resend { number: k, .. } => {
                self.say(
                    record,
                    &format!("s{number} #{k} repeated on a new connection"),
                    None,
                );
            }
            Event::Done { outcome, .. } => {
                let text = words::done(send, outcome, record.ms, self.names);
                self.say(record, &text, None);
            }
            Event::Cancelled { .. } => {
                self.say(record, &format!("s{number} dropped by its caller"), None);
            }
            _ => {}
        }
    }

    /// What the servers saw of an attempt.
    fn evidence(&self, attempt: &AttemptHistory<'_>, broker: &str) -> (Option<usize>, String) {
        let Some(index) = attempt.seen() else {
            return (self.column(broker), String::new());
        };
        let request = &self.history.requests[index];
        let mut glyphs = "*".to_owned();
        if request.stored.is_some() {
            glyphs.push('=');
        }
        if request.ruled.is_some() {
            glyphs.push('!');
        }
        (self.columns.find(request.broker), glyphs)
    }

    /// `orders <- ns-2: a4 b4 c4 (route 1)`.
    fn route(&mut self, record: &TraceRecord, snapshot: SnapshotNumber, timestamp: Timestamp) {
        let found = self
            .history
            .snapshots
            .iter()
            .find(|it| it.timestamp == timestamp);
        let Some(route) = found else { return };
        let lookup = route.lookup.map(|index| &self.history.lookups[index]);
        let server = lookup
            .and_then(|it| it.servers.last())
            .map(|(_, server)| &***server);
        let (server, node) = server.map_or(("?", None), |address| self.names.at(address));
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for queue in route.queues.all() {
            match counts
                .iter_mut()
                .find(|(broker, _)| *broker == &*queue.broker)
            {
                Some((_, count)) => *count += 1,
                None => counts.push((&queue.broker, 1)),
            }
        }
        let (topic, widths) = (route.topic, self.names.widths(&counts));
        let text = format!("{topic} <- {server}: {widths} (route {snapshot})");
        let column = node.and_then(|node| self.columns.find(node));
        self.say(record, &text, Some((column, "105")));
    }

    fn lookup_failed(&mut self, record: &TraceRecord, lookup: LookupNumber, text: &str) {
        let mut lookups = self.history.lookups.iter();
        let found = lookups.find(|it| it.node == record.node && it.number == lookup);
        let Some(lookup) = found else { return };
        let topic = lookup.topic;
        let text = match lookup.servers.last() {
            Some((_, server)) => format!("{topic} <- {}: {text}", self.names.at(server).0),
            None => format!("{topic}: {text}"),
        };
        self.say(record, &text, None);
    }

    fn transport(&mut self, record: &TraceRecord, event: &Transport) {
        match event {
            Transport::Late { connection, opaque } => {
                let found = self
                    .history
                    .connections
                    .iter()
                    .rev()
                    .find(|it| (it.node, it.number) == (record.node, *connection));
                let mut given = found.into_iter().flat_map(|it| it.given.iter().rev());
                let Some((_, send, attempt, _)) = given.find(|it| it.0 == *opaque) else {
                    return;
                };
                let send = &self.history.sends[*send];
                let attempt = &send.attempts[*attempt];
                let text = format!("s{} #{} . late answer", send.number, attempt.number);
                let column = self.column(&attempt.to.broker);
                self.say(record, &text, Some((column, ".")));
            }
            Transport::Closed { to, cause, .. } => {
                let Some(text) = words::broken(*cause) else {
                    return;
                };
                let (name, node) = self.names.at(to);
                // That a killed server's connections break needs no line of its own.
                let since = record.ms.saturating_sub(1000);
                let gone = node.is_some_and(|node| self.truth.was_gone(node, since, record.ms));
                if !gone {
                    let text = format!("connection to {name} {text}");
                    let column = node.and_then(|node| self.columns.find(node));
                    self.say(record, &text, Some((column, "x")));
                }
            }
            _ => {}
        }
    }

    fn broker(&mut self, record: &TraceRecord, event: &BrokerEvent) {
        if let BrokerEvent::TopicCreated {
            topic,
            write_queues,
            automatic: true,
        } = event
        {
            let text = format!("{topic} created with {write_queues} queues");
            let column = self.columns.find(record.node);
            self.row(Row::new(record.ms, text).cell(column, "+"));
        }
    }

    fn name_server(&mut self, record: &TraceRecord, event: &NameServerEvent) {
        let (sign, broker) = match event {
            NameServerEvent::BrokerAdded { broker, .. } => ('+', broker),
            NameServerEvent::BrokerRemoved { broker, .. } => ('-', broker),
            _ => return,
        };
        let column = self.columns.find(record.node);
        let glyphs = format!("{sign}{}", self.names.broker(broker));
        match self.rows.last_mut() {
            Some(last) if self.servers_only && last.ms == record.ms => {
                *last = last.clone().cell(column, &glyphs);
            }
            _ => {
                self.row(Row::new(record.ms, String::new()).cell(column, &glyphs));
                self.servers_only = true;
            }
        }
    }

    fn fault(&mut self, ms: u64, event: &FaultEvent) {
        match event {
            FaultEvent::On { data, .. } => {
                let mut row = Row::new(ms, format!("! {data}"));
                for node in self.concerned(data) {
                    let glyphs = if self.breaks(data, node, ms) {
                        "!x"
                    } else {
                        "!"
                    };
                    row = row.cell(self.columns.find(node), glyphs);
                }
                self.row(row);
            }
            FaultEvent::Off { fault, .. } => {
                let data = self
                    .trace
                    .records
                    .iter()
                    .find_map(|record| match &record.what {
                        NodeEvent::Fault(FaultEvent::On {
                            fault: number,
                            data,
                        }) if number == fault => Some(data),
                        _ => None,
                    });
                let Some(data) = data else { return };
                let mut row = Row::new(ms, ends(data));
                for node in self.concerned(data) {
                    row = row.cell(self.columns.find(node), "!");
                }
                self.row(row);
            }
        }
    }

    fn concerned(&self, fault: &Fault) -> Vec<NodeId> {
        let names = match &fault.place {
            Place::Node(name) => vec![name],
            Place::Link { from: a, to: b } | Place::Pair { a, b } => vec![a, b],
        };
        names
            .into_iter()
            .filter_map(|name| self.trace.header.node(name))
            .collect()
    }

    /// Whether the fault takes a process with open connections of a producer away.
    fn breaks(&self, fault: &Fault, node: NodeId, ms: u64) -> bool {
        let kills = matches!(fault.kind, FaultKind::Crash(_) | FaultKind::Stop(_));
        let open = self.history.connections.iter().any(|it| {
            let opened = it.opened.is_some_and(|(timestamp, _)| timestamp.ms <= ms);
            let closed = it.closed.is_some_and(|(timestamp, _)| timestamp.ms < ms);
            opened && !closed && self.names.at(it.to).1 == Some(node)
        });
        kills && open
    }
}

fn ends(fault: &Fault) -> String {
    match fault.kind.behaviour().restart() {
        Some(_) => format!("! {} back", fault.place),
        None => format!("! {} {} ends", fault.kind.name(), fault.place),
    }
}

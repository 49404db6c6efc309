//! Hand-written traces for the checkers' own tests.
//!
//! A [`Scene`] starts with a healthy cluster (`p1`, two name servers, three brokers with four
//! queues each for the topic `orders`), a published route and open connections, and goes on as its
//! methods say, one line per thing that happens. `wrong()` marks the last record as the one that a
//! rejecting checker must name.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_mock_namesrv::event::Event as NameServerEvent;
use rmq_producer::event::{Event, LookupEnd, LookupReason, Mode, QueueRef, SendNumber, Stage};
use rmq_producer::policy::OnLost;
use rmq_remoting::event::{CloseCause, ConnectionNumber, Event as Transport};
use rmq_remoting::observe::Name;
use rmq_remoting::profile::Profile;

use crate::fault::{Fault, FaultEvent, FaultKind, Place, Position};
use crate::trace::record::Form;
use crate::trace::{
    HedgingFacts, IsolationFacts, NodeEvent, NodeId, NodeInfo, NodeKind, PolicyFacts, Trace,
    TraceEnd, TraceHeader, TraceRecord, WorkEvent,
};

mod send;

/// A trace and what a checker must say of it.
#[derive(Debug)]
pub(crate) struct Example {
    /// What happens in it.
    pub(crate) says: &'static str,
    /// Whether the checker must find nothing wrong.
    pub(crate) accepted: bool,
    /// Builds the trace that is checked.
    pub(crate) scene: fn() -> Scene,
}

pub(crate) const fn accepts(says: &'static str, scene: fn() -> Scene) -> Example {
    Example {
        says,
        accepted: true,
        scene,
    }
}

pub(crate) const fn rejects(says: &'static str, scene: fn() -> Scene) -> Example {
    Example {
        says,
        accepted: false,
        scene,
    }
}

/// The topic of every scene.
pub(crate) const TOPIC: &str = "orders";
/// The timeout of every send, unless it says otherwise.
pub(crate) const TIMEOUT: u64 = 3000;

/// What an attempt put on the wire.
#[derive(Debug, Clone)]
struct OnWire {
    connection: ConnectionNumber,
    opaque: i32,
    to: QueueRef,
    request: Option<u64>,
    offset: Option<i64>,
}

/// A trace in the making.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) trace: Trace,
    /// The record a finding must name.
    pub(crate) marked: Option<usize>,
    /// The other run, for checkers of two.
    pub(crate) paired: Option<Box<Scene>>,
    now: u64,
    pub(crate) who: NodeId,
    /// The group of the producer that was called last.
    pub(crate) group: Name,
    next_opaque: i32,
    next_request: u64,
    next_offset: BTreeMap<(Name, i32), i64>,
    wires: BTreeMap<(NodeId, SendNumber, u32), OnWire>,
}

/// `a/0` means queue 0 of `broker-a`.
pub(crate) fn queue(short: &str) -> QueueRef {
    let (broker, queue) = short.split_once('/').expect("broker/queue");
    QueueRef {
        broker: format!("broker-{broker}").into(),
        queue: queue.parse().expect("queue"),
    }
}

/// The connection of every scene to a queue's broker.
fn connection_to(to: &QueueRef) -> u64 {
    match &*to.broker {
        "broker-a" => 1,
        "broker-b" => 2,
        _ => 3,
    }
}

/// The unique key of a send.
pub(crate) fn key(who: NodeId, send: u64) -> Name {
    format!("KEY-{}-{send}", who.0).into()
}

/// What the wall clocks say at the start of a scene.
pub(crate) const WALL_CLOCK_MS: i64 = 1_767_225_600_000;

/// What every body's checksum is.
pub(crate) const BODY_CRC: u32 = 0xB0D7;

fn policy(node: NodeId) -> PolicyFacts {
    PolicyFacts {
        node,
        form: Form::Strict,
        attempts_sync: 3,
        attempts_async: 3,
        attempts_target_queue_sync: 3,
        attempts_target_queue_async: 3,
        attempt_timeout_ms: 1000,
        timeout_ms: TIMEOUT,
        hedged_accepted: true,
        second_connections: true,
        least_silence_ms: 100,
        longest_redial_pause_ms: 500,
        refused_spacing_ms: 2000,
        scan_ms: 0,
        deadline_covers_all: true,
        deadline_of_attempt: false,
        retry_stages: vec![
            Stage::Address,
            Stage::Dial,
            Stage::Write,
            Stage::Lost,
            Stage::Silent,
        ],
        retry_vetoed: vec![Mode::Sync, Mode::Async],
        retry_codes_sync: vec![1, 2, 11, 14, 16, 17, 204],
        retry_codes_async: vec![1, 2, 11, 14, 16, 17, 204],
        retries_unsafe: false,
        avoids_last: true,
        avoids_all_failed: true,
        retargets_queue: true,
        on_lost: OnLost::Fail,
        isolation: None,
        refreshes_on_failure: true,
        refresh_spacing_ms: 1000,
        forget_ms: 3_600_000,
        poll_ms: 30_000,
        heartbeat_ms: 30_000,
        name_server_timeout_ms: 3000,
        asks_all_name_servers: true,
        idle_ms: 120_000,
        patience: None,
        hedging: Some(HedgingFacts {
            tokens: 20,
            refill_tenths: 1,
            known_after: 3,
        }),
        default_topic_queues: 4,
        creates_everywhere: true,
        stop_ms: 5000,
        compress_over: 4096,
        dial_ms: 3000,
        first_redial_pause_ms: 20,
        resends_drained: false,
        beats_on_open: false,
        unregisters: false,
        oneway_waits: true,
        oneway_flag: true,
        most_sends: None,
        most_bytes: None,
        refuses: false,
        of_scenario: true,
        group: None,
        client_outlives: false,
        namespace: None,
        heartbeat_timeout_ms: 3000,
    }
}

/// What a policy with the table of 5.x remembers.
pub(crate) fn isolation() -> IsolationFacts {
    IsolationFacts {
        failures: vec![Stage::Dial, Stage::Write, Stage::Lost, Stage::Silent],
        failed_ms: 10_000,
        longest_ms: 30_000,
        slow_ms: 550,
        counts_target_queue_sync: true,
        table: vec![(50, 0), (550, 2000), (5000, 10_000), (15_000, 30_000)],
        overwrites: false,
        prefers_reachable: true,
        forgets_absent: false,
    }
}

fn header() -> TraceHeader {
    let node = |name: &str, kind, address: Option<&str>| NodeInfo {
        name: name.into(),
        kind,
        address: address.map(Into::into),
        part_of: None,
    };
    TraceHeader {
        scenario: "scene".into(),
        seed: 1,
        engine: "event".into(),
        policy: "strict".into(),
        nodes: vec![
            node("p1", NodeKind::Producer, None),
            node("ns-1", NodeKind::NameServer, Some("10.0.1.1:9876")),
            node("ns-2", NodeKind::NameServer, Some("10.0.1.2:9876")),
            node("broker-a", NodeKind::Broker, Some("10.0.2.1:10911")),
            node("broker-b", NodeKind::Broker, Some("10.0.2.2:10911")),
            node("broker-c", NodeKind::Broker, Some("10.0.2.3:10911")),
        ],
        profile: Profile::default(),
        policies: vec![policy(NodeId(0))],
        forbidden: Vec::new(),
        slack_ms: 50,
        round_trip_ms: 4,
        horizon_ms: 60_000,
    }
}

impl Scene {
    /// A healthy cluster, a producer with a route and connections, and nothing sent yet.
    pub(crate) fn new() -> Self {
        let mut scene = Self::bare();
        for broker in ["broker-a", "broker-b", "broker-c"] {
            let event = BrokerEvent::TopicCreated {
                topic: TOPIC.into(),
                write_queues: 4,
                automatic: false,
            };
            scene.push(broker, NodeEvent::Broker(event));
        }
        scene.start_producer()
    }

    /// Nothing has happened yet.
    pub(crate) fn bare() -> Self {
        Scene {
            trace: Trace {
                header: header(),
                records: Vec::new(),
                end: TraceEnd::Finished,
                end_ms: 60_000,
            },
            marked: None,
            paired: None,
            now: 0,
            who: NodeId(0),
            group: "group".into(),
            next_opaque: 0,
            next_request: 0,
            next_offset: BTreeMap::new(),
            wires: BTreeMap::new(),
        }
    }

    fn start_producer(self) -> Self {
        let queues = [0, 1, 2, 3];
        let queues: Vec<String> = ["a", "b", "c"]
            .iter()
            .flat_map(|broker| queues.map(|queue| format!("{broker}/{queue}")))
            .collect();
        let mut scene = self
            .say(Event::Started {
                group: "group".into(),
            })
            .lookup(1, LookupReason::FirstSend)
            .found(1, 1, &queues.iter().map(String::as_str).collect::<Vec<_>>());
        for (connection, broker) in (1..).zip(["broker-a", "broker-b", "broker-c"]) {
            scene = scene.open(connection, broker);
        }
        scene
    }

    /// From now on the other producer acts; it gets a route and connections of its own.
    pub(crate) fn second_producer(mut self) -> Self {
        let nodes = &mut self.trace.header.nodes;
        self.who = NodeId(u16::try_from(nodes.len()).expect("few nodes"));
        nodes.push(NodeInfo {
            name: "p2".into(),
            kind: NodeKind::Producer,
            address: None,
            part_of: None,
        });
        self.trace.header.policies.push(policy(self.who));
        self.start_producer()
    }

    /// A second producer shares the client of the first; their groups are `group` and `second`.
    pub(crate) fn shared(mut self) -> Self {
        let policies = &mut self.trace.header.policies;
        policies[0].group = Some("group".into());
        let mut second = policies[0].clone();
        second.group = Some("second".into());
        policies.push(second);
        let group = "second".into();
        self.say(Event::Started { group })
    }

    /// The producer of this group stops, which takes no time.
    pub(crate) fn stop(self, group: &str) -> Self {
        let group = || Some(Name::from(group));
        self.work(WorkEvent::StopCalled { group: group() })
            .stopping()
            .stopped()
            .work(WorkEvent::StopReturned { group: group() })
    }

    /// The producer begins to stop.
    pub(crate) fn stopping(self) -> Self {
        let group = Name::clone(&self.group);
        self.say(Event::Stopping { group })
    }

    /// The producer has stopped.
    pub(crate) fn stopped(self) -> Self {
        let group = Name::clone(&self.group);
        self.say(Event::Stopped { group })
    }

    /// From now on this producer acts.
    pub(crate) fn who(mut self, name: &str) -> Self {
        self.who = self.node(name);
        self
    }

    /// Time goes on to this millisecond.
    pub(crate) fn at(mut self, ms: u64) -> Self {
        self.now = ms;
        self
    }

    /// Changes what the header says of the run: nodes, policies, slack, round trip.
    pub(crate) fn facts(mut self, change: impl FnOnce(&mut TraceHeader)) -> Self {
        change(&mut self.trace.header);
        self
    }

    /// Marks the last record as the one that is wrong.
    pub(crate) fn wrong(mut self) -> Self {
        self.marked = Some(self.trace.records.len() - 1);
        self
    }

    /// Marks the call of a send as the record that is wrong.
    pub(crate) fn wrong_call(mut self, number: u64) -> Self {
        let (who, number) = (self.who, number.into());
        self.marked = self.trace.records.iter().position(|record| {
            let call =
                matches!(&record.what, NodeEvent::Producer(Event::Call { send, .. }) if *send == number);
            call && record.node == who
        });
        self
    }

    /// How the run ends, and when.
    pub(crate) fn end(mut self, end: TraceEnd, ms: u64) -> Self {
        (self.trace.end, self.trace.end_ms) = (end, ms);
        self
    }

    /// Changes the last record.
    pub(crate) fn change(mut self, change: impl FnOnce(&mut NodeEvent)) -> Self {
        change(&mut self.trace.records.last_mut().expect("a record").what);
        self
    }

    /// The other run of a pair.
    pub(crate) fn paired(mut self, other: Scene) -> Self {
        self.paired = Some(Box::new(other));
        self
    }

    pub(crate) fn node(&self, name: &str) -> NodeId {
        self.trace.header.node(name).expect("a node of the scene")
    }

    fn push(&mut self, node: &str, what: NodeEvent) {
        let node = self.node(node);
        self.trace.records.push(TraceRecord {
            ms: self.now,
            node,
            what,
        });
    }

    /// The producer says something.
    pub(crate) fn say(mut self, event: Event) -> Self {
        let (ms, node) = (self.now, self.who);
        self.trace.records.push(TraceRecord {
            ms,
            node,
            what: NodeEvent::Producer(event),
        });
        self
    }

    /// A broker shows something.
    pub(crate) fn broker(mut self, name: &str, event: BrokerEvent) -> Self {
        self.push(name, NodeEvent::Broker(event));
        self
    }

    /// A name server shows something.
    pub(crate) fn name_server(mut self, name: &str, event: NameServerEvent) -> Self {
        self.push(name, NodeEvent::NameServer(event));
        self
    }

    /// The caller does or gets something.
    pub(crate) fn work(mut self, event: WorkEvent) -> Self {
        let (ms, node) = (self.now, self.who);
        if let WorkEvent::Called {
            group: Some(group), ..
        }
        | WorkEvent::StopCalled { group: Some(group) } = &event
        {
            self.group = Name::clone(group);
        }
        self.trace.records.push(TraceRecord {
            ms,
            node,
            what: NodeEvent::Work(event),
        });
        self
    }

    /// A fault of a node begins.
    pub(crate) fn fault(mut self, number: u32, kind: FaultKind, node: &str) -> Self {
        let place = Place::Node(node.into());
        let data = Fault {
            kind,
            place,
            at: Position::Time { ms: self.now },
            for_ms: None,
            may_miss: false,
        };
        let event = FaultEvent::On {
            fault: number,
            data: data.into(),
        };
        self.push(node, NodeEvent::Fault(event));
        self
    }

    /// The fault of this number ends on a node.
    pub(crate) fn fault_ends(mut self, number: u32, node: &str) -> Self {
        self.push(
            node,
            NodeEvent::Fault(FaultEvent::Off {
                fault: number,
                struck: None,
            }),
        );
        self
    }

    /// A lookup of the topic starts at the first name server.
    pub(crate) fn lookup(self, lookup: u64, reason: LookupReason) -> Self {
        let lookup = lookup.into();
        self.say(Event::Lookup {
            lookup,
            topic: TOPIC.into(),
            reason,
        })
        .say(Event::NameServerChosen {
            lookup,
            server: "10.0.1.1:9876".into(),
        })
    }

    /// A lookup ends with a new route, which is published.
    pub(crate) fn found(self, lookup: u64, snapshot: u64, queues: &[&str]) -> Self {
        let (lookup, snapshot) = (lookup.into(), snapshot.into());
        let queues: Vec<QueueRef> = queues.iter().map(|short| queue(short)).collect();
        let addresses: Vec<(Name, Name)> = self
            .trace
            .header
            .of_kind(NodeKind::Broker)
            .map(|node| &self.trace.header.nodes[node.index()])
            .filter(|info| queues.iter().any(|queue| queue.broker == info.name))
            .filter_map(|info| Some((Name::clone(&info.name), info.address.clone()?)))
            .collect();
        self.say(Event::LookupEnded {
            lookup,
            end: LookupEnd::Changed,
        })
        .say(Event::Snapshot {
            snapshot,
            topic: TOPIC.into(),
            lookup,
            queues: queues.into(),
            addresses: addresses.into(),
        })
    }

    /// The own end of a connection.
    pub(crate) fn local(&self, connection: impl Into<ConnectionNumber>) -> SocketAddr {
        let port = 40_000 + u16::try_from(connection.into().get()).expect("a small number");
        SocketAddr::from((
            [10, 0, 0, 1 + u8::try_from(self.who.0).expect("small")],
            port,
        ))
    }

    /// Where a server listens.
    pub(crate) fn address_of(&self, broker: &str) -> Name {
        let node = self.node(broker);
        self.trace.header.nodes[node.index()]
            .address
            .clone()
            .expect("a server")
    }

    /// A connection is dialled.
    pub(crate) fn dial(self, connection: u64, broker: &str) -> Self {
        let (connection, to) = (connection.into(), self.address_of(broker));
        self.say(Event::Transport(Transport::Dial { connection, to }))
    }

    /// A connection to a broker is dialled and opens.
    pub(crate) fn open(self, connection: u64, broker: &str) -> Self {
        self.dial(connection, broker).open_end(connection, broker)
    }

    /// A dial to a broker ends with a connection.
    pub(crate) fn open_end(self, connection: u64, broker: &str) -> Self {
        let to = self.address_of(broker);
        let (local, peer) = (self.local(connection), to.parse().expect("an address"));
        self.say(Event::Transport(Transport::Opened {
            connection: connection.into(),
            to,
            local,
            peer,
        }))
    }

    /// The current producer closes a connection of its own to a broker; nothing was pending on it.
    pub(crate) fn close(self, connection: u64, broker: &str, cause: CloseCause) -> Self {
        let to = self.address_of(broker);
        self.say(Event::Transport(Transport::Closed {
            connection: connection.into(),
            to,
            cause,
            pending: 0,
        }))
    }
}

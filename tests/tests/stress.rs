//! Thread races, which a simulation on one thread cannot have: four worker threads, real TCP on the
//! loop-back interface, many tasks that send in all modes, and a broker that is killed and started
//! again every half second.
//!
//! Time is real, so only those invariants are checked that do not depend on it: what must hold however
//! long anything takes. No time is asserted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rmq_host::{SharedHost, Task, TokioHost};
use rmq_mock_broker::control::NoControl;
use rmq_mock_broker::ledger::Entry;
use rmq_mock_broker::{Broker, Config, Disk};
use rmq_mock_namesrv::NameServer;
use rmq_producer::event::{Event, Mode};
use rmq_producer::{Message, Policy, Producer, SendError, Sent};
use rmq_remoting::event::{ConnectionNumber, Event as Transport};
use rmq_remoting::observe::Name;
use rmq_sim::fault::{Crash, Fault, FaultEvent, FaultKind, Place, Position};
use rmq_sim::internals::invariant::{self, CheckedRun, RunFindings};
use rmq_sim::run::facts_of;
use rmq_sim::trace::record::{ErrorSaid, NodeInfo, TraceRecord};
use rmq_sim::trace::{
    NodeEvent, NodeId, NodeKind, Recorder, Trace, TraceEnd, TraceHeader, WorkEvent, WorkResult,
};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

/// How often the broker is killed.
const KILLS: u32 = 8;

/// Tasks that send, in each mode.
const CALLERS: u64 = 8;

/// The invariants that do not depend on how long anything takes.
const TIMELESS: [&str; 9] = [
    "INV-01", "INV-03", "INV-34", "INV-35", "INV-36", "INV-45", "INV-48", "INV-49", "INV-57",
];

const PRODUCER: NodeId = NodeId(0);
const NAME_SERVER: NodeId = NodeId(1);
const BROKERS: [(&str, NodeId); 3] = [
    ("broker-a", NodeId(2)),
    ("broker-b", NodeId(3)),
    ("broker-c", NodeId(4)),
];

/// A broker that can be killed and started again at its address.
struct Machine {
    node: NodeId,
    config: Config,
    disk: Arc<Disk>,
    broker: Option<Broker>,
}

impl Machine {
    async fn start(
        host: &SharedHost,
        recorder: &Recorder,
        which: usize,
        name_server: &Name,
    ) -> Self {
        let (name, node) = BROKERS[which];
        let mut config = Config::new(name, any_port());
        config.name_servers = vec![Name::clone(name_server)];
        config.topics = vec![("orders".into(), 4)];
        let mut machine = Self {
            node,
            config,
            disk: Arc::new(Disk::new()),
            broker: None,
        };
        machine.boot(host, recorder).await;
        machine
    }

    async fn boot(&mut self, host: &SharedHost, recorder: &Recorder) {
        loop {
            let broker = Broker::start(
                Arc::clone(host),
                self.config.clone(),
                Arc::clone(&self.disk),
                Arc::new(NoControl),
                recorder.observer(self.node),
            );
            match broker.await {
                Ok(broker) => {
                    self.config.listen = broker.local_addr();
                    broker.registered().await;
                    self.broker = Some(broker);
                    return;
                }
                // The killed one's listener is dropped by its own thread, a moment later.
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        }
    }

    fn info(&self, name: &str) -> NodeInfo {
        NodeInfo {
            name: name.into(),
            kind: NodeKind::Broker,
            address: Some(self.config.listen.to_string().into()),
            part_of: None,
        }
    }
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Tasks that send until they are told to end.
#[derive(Clone)]
struct Callers {
    producer: Producer,
    recorder: Recorder,
    over: Arc<AtomicBool>,
    /// Calls without an outcome.
    owed: Arc<AtomicU64>,
}

impl Callers {
    fn start(&self, host: &SharedHost, mode: Mode, one: u64) -> Task {
        let callers = self.clone();
        let work = async move {
            let mut number = 0;
            while !callers.over.load(Ordering::Relaxed) {
                number += 1;
                callers
                    .send(mode, format!("{mode:?}-{one}-{number}").into())
                    .await;
                sleep(Duration::from_millis(10)).await;
            }
        };
        host.spawn("caller", Box::pin(work))
    }

    async fn send(&self, mode: Mode, keys: Name) {
        let body = format!("body of {keys}");
        self.owed.fetch_add(1, Ordering::SeqCst);
        self.tell(WorkEvent::Called {
            keys: Name::clone(&keys),
            topic: "orders".into(),
            mode,
            by: None,
            body_crc: crc32fast::hash(body.as_bytes()),
            body_len: u32::try_from(body.len()).unwrap_or(u32::MAX),
            timeout_ms: None,
            application_crc: 0,
            own_id: None,
            queue_of: None,
            group: None,
        });
        let message = Message::new("orders", body).with_key(&keys);
        match mode {
            Mode::Sync => {
                let outcome = self.producer.send(message).await;
                self.returned(keys, outcome.map(sent));
            }
            Mode::Async => {
                let callers = self.clone();
                self.producer.send_with_callback(message, move |outcome| {
                    callers.returned(keys, outcome.map(sent));
                });
            }
            Mode::Oneway => {
                let outcome = self.producer.send_oneway(message).await;
                self.returned(keys, outcome.map(|()| WorkResult::Written));
            }
        }
    }

    fn returned(&self, keys: Name, outcome: Result<WorkResult, SendError>) {
        let failed = |error: SendError| WorkResult::Failed(ErrorSaid::from(&error));
        let result = outcome.unwrap_or_else(failed);
        self.tell(WorkEvent::Returned { keys, result });
        self.owed.fetch_sub(1, Ordering::SeqCst);
    }

    fn tell(&self, event: WorkEvent) {
        self.recorder.push(PRODUCER, NodeEvent::Work(event));
    }
}

fn sent(sent: Sent) -> WorkResult {
    sent.into()
}

/// Kills a broker and starts it again, over and over.
async fn torment(host: &SharedHost, recorder: &Recorder, machine: &mut Machine) {
    for fault in 1..=KILLS {
        sleep(Duration::from_millis(300)).await;
        let data = Arc::new(Fault {
            kind: FaultKind::Crash(Crash::default()),
            place: Place::Node(Name::clone(&machine.config.name)),
            at: Position::Time {
                ms: recorder.now_ms(),
            },
            for_ms: None,
            may_miss: false,
        });
        recorder.push(
            machine.node,
            NodeEvent::Fault(FaultEvent::On { fault, data }),
        );
        machine.broker = None;
        sleep(Duration::from_millis(150)).await;
        machine.boot(host, recorder).await;
        recorder.push(
            machine.node,
            NodeEvent::Fault(FaultEvent::Off {
                fault,
                struck: None,
            }),
        );
    }
}

/// Where a message is stored: broker, queue, offset.
type Spot = (Name, i32, i64);

/// What a run leaves.
struct Left {
    trace: Trace,
    /// What the brokers have on their disks.
    stored: BTreeMap<Spot, Entry>,
    /// Sends, bytes and requests that the stopped producer still counts.
    counted: [u32; 4],
}

fn header(nodes: Vec<NodeInfo>, policy: &Policy, end_ms: u64) -> TraceHeader {
    TraceHeader {
        scenario: "stress".into(),
        seed: 0,
        engine: "tcp".into(),
        policy: Name::from(&*policy.name),
        profile: rmq_mock_broker::Profile::default(),
        nodes,
        policies: vec![facts_of(PRODUCER, policy)],
        forbidden: Vec::new(),
        slack_ms: 1_000,
        round_trip_ms: 10,
        horizon_ms: end_ms,
    }
}

/// Stops the producer, and tells what it still counts.
async fn stop(producer: Producer, recorder: &Recorder) -> [u32; 4] {
    producer.report_gauges();
    recorder.push(
        PRODUCER,
        NodeEvent::Work(WorkEvent::StopCalled { group: None }),
    );
    producer.stop().await;
    recorder.push(
        PRODUCER,
        NodeEvent::Work(WorkEvent::StopReturned { group: None }),
    );
    let gauges = producer.gauges();
    [
        gauges.pending,
        gauges.open_sends,
        gauges.limited_sends,
        gauges.limited_bytes,
    ]
}

async fn stress() -> Left {
    let host: SharedHost = Arc::new(TokioHost::new());
    let start = Instant::now();
    let recorder =
        Recorder::on_clock(move || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    let name_server = NameServer::start(
        Arc::clone(&host),
        rmq_mock_namesrv::Config::new(any_port()),
        Arc::new(NoControl),
        recorder.observer(NAME_SERVER),
    );
    let name_server = name_server.await.unwrap();
    let address = Name::from(name_server.local_addr().to_string());
    let mut machines = Vec::new();
    for which in 0..BROKERS.len() {
        machines.push(Machine::start(&host, &recorder, which, &address).await);
    }
    let nodes = nodes(&address, &machines);
    let policy = Policy::strict();
    let builder = Producer::builder("stress").name_servers(&*address);
    let builder = builder.policy(policy.clone()).max_open_sends(64);
    let builder = builder
        .host(Arc::clone(&host))
        .observer(recorder.observer(PRODUCER));
    let producer = builder.start().await.unwrap();
    let callers = Callers {
        producer: producer.clone(),
        recorder: recorder.clone(),
        over: Arc::default(),
        owed: Arc::default(),
    };
    let modes = [Mode::Sync, Mode::Async, Mode::Oneway];
    let tasks: Vec<Task> = (0..CALLERS)
        .flat_map(|one| modes.map(|mode| callers.start(&host, mode, one)))
        .collect();
    torment(&host, &recorder, &mut machines[0]).await;
    callers.over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await;
    }
    // Every call has its outcome by its deadline; a call without one would wait here for ever.
    while callers.owed.load(Ordering::SeqCst) > 0 {
        sleep(Duration::from_millis(5)).await;
    }
    let counted = stop(producer, &recorder).await;
    let stored = machines.iter().flat_map(stored_at).collect();
    let end_ms = recorder.now_ms();
    let trace = Trace {
        header: header(nodes, &policy, end_ms),
        records: joined(recorder.seal()),
        end: TraceEnd::Finished,
        end_ms,
    };
    for machine in machines {
        machine.broker.unwrap().stop().await;
    }
    name_server.stop().await;
    Left {
        trace,
        stored,
        counted,
    }
}

/// Two threads tell their parts of one exchange, and may do so in either order: the task that asked
/// says which request is its attempt's when the answer is there already. Judges join in order.
fn joined(records: Vec<TraceRecord>) -> Vec<TraceRecord> {
    let mut first: BTreeMap<(ConnectionNumber, i32), usize> = BTreeMap::new();
    let mut placed = Vec::with_capacity(records.len());
    for (at, record) in records.into_iter().enumerate() {
        let mut place = (at, 1);
        match &record.what {
            NodeEvent::Producer(Event::Transport(
                Transport::Written { connection, opaque }
                | Transport::Reply {
                    connection, opaque, ..
                },
            )) => {
                first.entry((*connection, *opaque)).or_insert(at);
            }
            NodeEvent::Producer(Event::Requested {
                connection, opaque, ..
            }) => {
                if let Some(told) = first.get(&(*connection, *opaque)) {
                    place = (*told, 0);
                }
            }
            _ => {}
        }
        placed.push((place, record));
    }
    placed.sort_by_key(|(place, _)| *place);
    let mut next_ms = u64::MAX;
    for (_, record) in placed.iter_mut().rev() {
        record.ms = record.ms.min(next_ms);
        next_ms = record.ms;
    }
    placed.into_iter().map(|(_, record)| record).collect()
}

fn nodes(name_server: &Name, machines: &[Machine]) -> Vec<NodeInfo> {
    let fixed = [
        ("p1", NodeKind::Producer, None),
        ("ns-1", NodeKind::NameServer, Some(Name::clone(name_server))),
    ];
    let fixed = fixed.map(|(name, kind, address)| NodeInfo {
        name: name.into(),
        kind,
        address,
        part_of: None,
    });
    let brokers = machines.iter().zip(BROKERS);
    let brokers = brokers.map(|(machine, (name, _))| machine.info(name));
    fixed.into_iter().chain(brokers).collect()
}

fn stored_at(machine: &Machine) -> Vec<(Spot, Entry)> {
    let entries = machine.disk.ledger().into_iter();
    let place = |entry: &Entry| (Name::clone(&machine.config.name), entry.queue, entry.offset);
    let orders = entries.filter(|entry| &*entry.topic == "orders");
    orders.map(|entry| (place(&entry), entry)).collect()
}

/// The outcomes that callers got: acknowledged with their place, written, failed.
fn outcomes(trace: &Trace) -> (Vec<(Name, Spot)>, usize, usize) {
    let (mut acknowledged, mut written, mut failed) = (Vec::new(), 0, 0);
    for record in &trace.records {
        let NodeEvent::Work(WorkEvent::Returned { result, .. }) = &record.what else {
            continue;
        };
        match result.clone() {
            WorkResult::Sent {
                unique_key: key,
                broker,
                queue,
                offset,
                ..
            } => acknowledged.push((key, (broker, queue, offset))),
            WorkResult::Written => written += 1,
            WorkResult::Failed(_) => failed += 1,
        }
    }
    (acknowledged, written, failed)
}

fn timeless(findings: &RunFindings) -> (Vec<String>, Vec<(&'static str, u64)>) {
    let found = findings.findings.iter();
    let found = found.filter(|finding| TIMELESS.contains(&finding.by));
    let checked = findings.preconditions.iter().copied();
    (
        found.map(ToString::to_string).collect(),
        checked.filter(|(id, _)| TIMELESS.contains(id)).collect(),
    )
}

#[test]
fn four_threads_and_a_broker_that_is_killed_again_and_again_break_no_timeless_invariant() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let left = runtime.block_on(stress());
    let tasks = runtime.block_on(async {
        // Servers' connection tasks end when they have read the end of their streams.
        let patience = Instant::now() + Duration::from_secs(60);
        while runtime.metrics().num_alive_tasks() > 0 && Instant::now() < patience {
            sleep(Duration::from_millis(5)).await;
        }
        runtime.metrics().num_alive_tasks()
    });
    let (acknowledged, written, failed) = outcomes(&left.trace);
    let (found, checked) = timeless(&invariant::check(&CheckedRun::of(&left.trace)));
    println!(
        "{} acknowledged, {written} written, {failed} failed; {} copies stored; {KILLS} kills; {} records",
        acknowledged.len(),
        left.stored.len(),
        left.trace.records.len(),
    );
    for (id, cases) in &checked {
        println!("{id} checked {cases} times");
    }
    println!(
        "{tasks} tasks left; pending, open, limited sends and bytes {:?}",
        left.counted
    );
    assert_eq!(found, [""; 0]);
    assert_eq!((tasks, left.counted), (0, [0; 4]));
    for (key, place) in &acknowledged {
        let stored = left.stored.get(place).map(|entry| &entry.key);
        assert_eq!(stored, Some(key), "at {place:?}");
    }
    // Otherwise nothing was put to the test.
    assert!(acknowledged.len() > 500 && written > 200);
    let idle = checked
        .iter()
        .find(|(id, cases)| *cases == 0 && *id != "INV-57");
    assert_eq!(idle, None);
}

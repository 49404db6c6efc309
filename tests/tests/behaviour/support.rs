//! One set-up for each check: a small cluster, one producer, what it is asked to do, and the evidence.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dst_engine::EngineEvent;
use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_mock_broker::ledger::Entry;
use rmq_mock_namesrv::event::Event as NameServerEvent;
use rmq_producer::event::Event;
use rmq_producer::{Message, Policy, Producer, SendError, Sent};
use rmq_remoting::client::{ClientSettings, RemotingClient};
use rmq_remoting::code::request;
use rmq_remoting::command::{Command, HeaderForm, Language};
use rmq_remoting::frame::Speaker;
use rmq_remoting::header::Request;
use rmq_remoting::observe::{Name, Silent};
use rmq_remoting::service::Unsupported;
use rmq_sim::fault::rule::{Answer, Delay, Since};
use rmq_sim::fault::{Fault, FaultKind, Place, Position, Rule, RuleAction};
use rmq_sim::run::Run;
use rmq_sim::simulation::{Cluster, Sim, Simulation};
use rmq_sim::trace::{NodeEvent, NodeKind, TraceRecord};
use tokio::sync::oneshot;
use tokio::time::Instant;

pub(crate) type Outcome = Result<Sent, SendError>;

/// A cluster and what goes wrong in it.
#[derive(Clone)]
pub(crate) struct Setup {
    brokers: u8,
    simulation: Simulation,
    /// Invariants that the caller breaks, who asks for what cannot be.
    caused: &'static [&'static str],
}

/// So many brokers with two queues of `orders` each, on a network with a latency of 1 ms.
pub(crate) fn brokers(brokers: u8) -> Setup {
    let cluster = Cluster::new().brokers(brokers).topic("orders", 2);
    Setup {
        brokers,
        simulation: Simulation::new(cluster),
        caused: &[],
    }
}

impl Setup {
    pub(crate) fn fault(mut self, fault: impl Into<Fault>) -> Self {
        self.simulation = self.simulation.fault(fault);
        self
    }

    /// The caller asks for what cannot be had although nothing is wrong, and the checker must see it.
    pub(crate) fn causes(mut self, invariant: &'static [&'static str]) -> Self {
        self.caused = invariant;
        self
    }
}

/// The default policy, and the one of the Java client 5.3.
pub(crate) fn strict_and_java() -> [Policy; 2] {
    [Policy::strict(), Policy::java_5_3()]
}

/// What is sent where nothing depends on it.
pub(crate) fn message() -> Message {
    Message::new("orders", "hello")
}

/// The server does this with every send.
pub(crate) fn sends(broker: &str, then: RuleAction) -> Fault {
    requests(broker, request::SEND_MESSAGE_V2, then)
}

/// The server does this with the first so many sends.
pub(crate) fn first_sends(broker: &str, times: u32, then: RuleAction) -> Fault {
    let mut fault = sends(broker, then);
    if let FaultKind::Rule(rule) = &mut fault.kind {
        rule.times = Some(times);
    }
    fault
}

/// The broker does this with the first so many sends to one of its queues.
pub(crate) fn first_sends_to(broker: &str, queue: i32, times: u32, then: RuleAction) -> Fault {
    let mut fault = first_sends(broker, times, then);
    if let FaultKind::Rule(rule) = &mut fault.kind {
        rule.queue = Some(queue);
    }
    fault
}

/// The server does this with every request of a code.
pub(crate) fn requests(server: &str, code: i32, then: RuleAction) -> Fault {
    Fault {
        kind: FaultKind::Rule(Rule {
            codes: vec![code],
            topic: None,
            queue: None,
            per_mille: None,
            times: None,
            then,
        }),
        place: Place::Node(server.into()),
        at: Position::Time { ms: 0 },
        for_ms: None,
        may_miss: false,
    }
}

/// The server does its work and answers so many milliseconds later.
pub(crate) fn delay(ms: u64) -> RuleAction {
    RuleAction::Delay(Delay {
        ms,
        jitter_ms: 0,
        since: Since::Received,
    })
}

/// The server refuses with this code.
pub(crate) fn answer(code: i32) -> RuleAction {
    RuleAction::Answer(Answer { code, remark: None })
}

/// The fault as of [`WARM`].
pub(crate) fn late(fault: impl Into<Fault>) -> Fault {
    let at = Position::Time { ms: WARM };
    Fault { at, ..fault.into() }
}

/// When what a warm producer does begins, in virtual milliseconds.
pub(crate) const WARM: u64 = 2_000;

/// Runs a producer that has a route, and a connection to every broker. It begins, and
/// so does the evidence, at [`WARM`].
pub(crate) fn play_warm<T>(
    setup: Setup,
    policy: &Policy,
    act: impl AsyncFnOnce(&Sim, &Producer) -> T,
) -> (T, Evidence) {
    let queues = 2 * u32::from(setup.brokers);
    let (told, mut seen) = play(setup, policy, async |sim, producer| {
        for _ in 0..queues {
            let sent = producer.send(Message::new("orders", "warm-up")).await;
            sent.expect("nothing is wrong yet");
        }
        sim.until_secs(WARM / 1_000).await;
        act(sim, producer).await
    });
    seen.0.trace.records.retain(|record| record.ms >= WARM);
    (told, seen)
}

/// Runs a set-up on one seed. Every checker of the laboratory must be content with it, but for what
/// its caller [`causes`](Setup::causes).
pub(crate) fn play<T>(
    setup: Setup,
    policy: &Policy,
    act: impl AsyncFnOnce(&Sim, &Producer) -> T,
) -> (T, Evidence) {
    let told = Cell::new(None);
    let keep = &told;
    let act = |sim, producer| {
        let acted = async move { keep.set(Some(act(&sim, &producer).await)) };
        Box::pin(acted) as Acting<'_>
    };
    let seen = run(setup, policy, Box::new(act));
    (told.take().expect("it came to its end"), seen)
}

/// What a caller does, as one type for all set-ups: the engine is compiled once.
type Act<'a> = Box<dyn FnOnce(Sim, Producer) -> Acting<'a> + 'a>;
type Acting<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

fn run(setup: Setup, policy: &Policy, act: Act<'_>) -> Evidence {
    let act = Cell::new(Some(act));
    let run = setup.simulation.run(7, async |sim| {
        let producer = sim
            .producer("p")
            .policy(policy.clone())
            .with(|builder| builder.rotation_start(0));
        let producer = producer.start().await?;
        let act = act.take().expect("a set-up runs once");
        act(sim, producer.clone()).await;
        producer.stop().await;
        Ok(())
    });
    let run = run.expect("the nodes start");
    let broken: BTreeSet<_> = run.verdict.findings.iter().map(|it| it.by).collect();
    let known: BTreeSet<_> = setup.caused.iter().copied().collect();
    assert_eq!(broken, known, "{}: {}", policy.name, run.verdict);
    Evidence(run)
}

/// Sends async and waits for the callback; with the time from the call to it, in milliseconds.
pub(crate) async fn send_async(producer: &Producer, message: Message) -> (Outcome, u128) {
    let began = Instant::now();
    let (told, outcome) = oneshot::channel();
    producer.send_with_callback(message, move |outcome| {
        // The receiver may be gone; then nobody asks.
        let _ = told.send((outcome, began.elapsed().as_millis()));
    });
    outcome.await.expect("it calls back")
}

/// Asks a server something that only administrators ask.
pub(crate) async fn administer(sim: &Sim, server: &str, ask: &dyn Request) -> Command {
    let speaker = Speaker {
        form: HeaderForm::Json,
        language: Language::Rust,
        version: 479,
    };
    let (host, settings) = (sim.host("admin"), ClientSettings::new(speaker));
    let client = RemotingClient::new(host, settings, Arc::new(Silent), Arc::new(Unsupported));
    let until = Instant::now() + Duration::from_secs(3);
    let answer = client.call(&server.into(), ask, until).await;
    client.stop().await;
    answer.expect("the server is well")
}

/// Sends and waits; with the time it took, in milliseconds.
pub(crate) async fn send_sync(producer: &Producer, message: Message) -> (Outcome, u128) {
    let began = Instant::now();
    let outcome = producer.send(message).await;
    (outcome, began.elapsed().as_millis())
}

/// A send as a broker read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) ms: u64,
    /// The broker that read it: the letter of its name.
    pub(crate) broker: String,
    pub(crate) queue: i32,
    /// The broker that its header names: the letter of its name.
    pub(crate) named: String,
    pub(crate) key: Name,
    pub(crate) opaque: i32,
    /// The producer's end of the connection.
    pub(crate) peer: SocketAddr,
    pub(crate) oneway: bool,
    pub(crate) sys_flag: i32,
}

/// What servers and wire saw until the producer was stopped.
pub(crate) struct Evidence(Run);

impl Evidence {
    fn records(&self) -> impl Iterator<Item = &TraceRecord> {
        let stopping = |record: &&TraceRecord| {
            !matches!(record.what, NodeEvent::Producer(Event::Stopping { .. }))
        };
        self.0.trace.records.iter().take_while(stopping)
    }

    /// The sends that brokers read, in order.
    pub(crate) fn sends(&self) -> Vec<Arrival> {
        let trace = &self.0.trace;
        let arrivals = self.records().filter_map(|record| {
            let NodeEvent::Broker(BrokerEvent::Received {
                opaque,
                peer,
                oneway,
                send: Some(send),
                ..
            }) = &record.what
            else {
                return None;
            };
            Some(Arrival {
                ms: record.ms,
                broker: letter(trace.header.name(record.node)),
                queue: send.queue,
                named: letter(send.broker_name.as_deref().unwrap_or_default()),
                key: send
                    .unique_key
                    .clone()
                    .expect("producers name their messages"),
                opaque: *opaque,
                peer: *peer,
                oneway: *oneway,
                sys_flag: send.sys_flag,
            })
        });
        arrivals.collect()
    }

    /// The brokers that read sends, in order: `"aba"`.
    pub(crate) fn path(&self) -> String {
        self.sends()
            .iter()
            .map(|send| send.broker.as_str())
            .collect()
    }

    /// When requests of a code arrived at a server, in milliseconds; the producer's unregistration
    /// included.
    pub(crate) fn requests(&self, server: &str, wanted: i32) -> Vec<u64> {
        let trace = &self.0.trace;
        let server = trace.header.node(server);
        let of_code = trace.records.iter().filter(|record| match &record.what {
            NodeEvent::Broker(BrokerEvent::Received { code, .. })
            | NodeEvent::NameServer(NameServerEvent::Received { code, .. }) => {
                *code == wanted && Some(record.node) == server
            }
            _ => false,
        });
        of_code.map(|record| record.ms).collect()
    }

    /// What the brokers have stored in the end, with the broker's letter.
    pub(crate) fn stored(&self) -> Vec<(String, &Entry)> {
        let ledger = self.0.ledger.iter();
        ledger
            .map(|(broker, entry)| (letter(broker), entry))
            .collect()
    }

    /// The topics that producers asked a name server for, in order.
    pub(crate) fn lookups(&self) -> Vec<Name> {
        let topics = self.records().filter_map(|record| match &record.what {
            NodeEvent::NameServer(NameServerEvent::Received { topic, code, .. })
                if *code == request::GET_ROUTEINFO_BY_TOPIC =>
            {
                topic.clone()
            }
            _ => None,
        });
        topics.collect()
    }

    /// The brokers that the producer dialled, in order: `"aba"`.
    pub(crate) fn dials(&self) -> String {
        let header = &self.0.trace.header;
        let producer = header.of_kind(NodeKind::Producer).next();
        let dialled = self.records().filter_map(|record| {
            let NodeEvent::Engine(EngineEvent::Dial { node, to, .. }) = &record.what else {
                return None;
            };
            let to = to.to_string();
            let server = header.nodes.iter();
            let server = server.filter(|info| info.kind == NodeKind::Broker);
            let mut server = server.filter(|info| info.address.as_deref() == Some(&*to));
            (Some(*node) == producer).then(|| server.next())?
        });
        dialled.map(|info| letter(&info.name)).collect()
    }

    /// How often a callback was called.
    pub(crate) fn callbacks(&self) -> usize {
        let called = |what: &NodeEvent| matches!(what, NodeEvent::Producer(Event::Callback { .. }));
        self.at("p", called).len()
    }

    /// When something happened at a node, in milliseconds.
    pub(crate) fn at(&self, node: &str, is: impl Fn(&NodeEvent) -> bool) -> Vec<u64> {
        let node = self.0.trace.header.node(node);
        let found = self
            .records()
            .filter(|record| Some(record.node) == node && is(&record.what));
        found.map(|record| record.ms).collect()
    }
}

fn letter(broker: &str) -> String {
    broker.trim_start_matches("broker-").to_owned()
}

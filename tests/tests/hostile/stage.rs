//! A healthy cluster, one hostile server in it, and a producer that sends.

use std::alloc::System;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use rmq_host::{BoxFuture, Connection, Host, Identity, Listener, SharedHost, Task};
use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_producer::{Message, Producer, SendError, Sent};
use rmq_remoting::client::{ClientSettings, RemotingClient};
use rmq_remoting::code::request;
use rmq_remoting::command::{HeaderForm, Language};
use rmq_remoting::frame::Speaker;
use rmq_remoting::header::WithBody;
use rmq_remoting::observe::{Name, Silent};
use rmq_remoting::request::{RegisterBroker, RegisterBrokerBody};
use rmq_remoting::service::Unsupported;
use rmq_remoting::topic::{TopicConfig, perm};
use rmq_sim::run::Run;
use rmq_sim::simulation::{CheckError, Cluster, Sim, Simulation};
use rmq_sim::trace::NodeEvent;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::time::{Duration, Instant, sleep};

use crate::peers::Peer;

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One allocator is counted for one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Waits until no other test of this program allocates.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock()
}

/// Bytes that are allocated and not yet given back.
pub(crate) fn live() -> usize {
    let stats = COUNTED.stats();
    stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated)
}

/// Bytes that were ever allocated.
fn allocated() -> usize {
    COUNTED.stats().bytes_allocated
}

/// No peer may make the process hold more than so many bytes. A frame has 16 MiB, and while it is
/// read its bytes are there more than once; the peer of these tests is in the same process.
pub(crate) const MOST_LIVE: usize = 96 << 20;
/// Sends of a run, and the time between two.
const SENDS: u64 = 100;
const EVERY: Duration = Duration::from_millis(10);
/// How long a whole send may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The grain of virtual time: an end in the millisecond of the deadline is in time.
const GRAIN: Duration = Duration::from_millis(1);

/// A machine whose clients nobody observes: the trace of a flood would be most of the memory.
#[derive(Debug)]
struct Unobserved(SharedHost);

impl Host for Unobserved {
    fn connect(&self, to: &str) -> BoxFuture<'static, io::Result<Connection>> {
        self.0.connect(to)
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        self.0.listen(at)
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        self.0.spawn(name, task)
    }

    fn unix_millis(&self) -> i64 {
        self.0.unix_millis()
    }

    fn draw(&self, site: &'static str, position: u64) -> u64 {
        self.0.draw(site, position)
    }

    fn identity(&self) -> Identity {
        self.0.identity()
    }
}

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Sends that failed, with their errors.
    pub(crate) failed: Vec<String>,
    /// Successes in a place that does not exist.
    pub(crate) nowhere: Vec<String>,
    /// How long the longest send took.
    pub(crate) longest: Duration,
    /// The most bytes that were held at a time, beyond those before the run.
    pub(crate) most_live: usize,
    /// Bytes that were allocated in sum, freed again or not.
    pub(crate) spent: usize,
    /// Connections to healthy brokers that ended while the producer ran.
    pub(crate) broken_beside: usize,
    /// How often the hostile server was dialled.
    pub(crate) dialled: usize,
}

impl Seen {
    /// What is promised beside any hostile server.
    #[track_caller]
    pub(crate) fn assert_harmless(&self) {
        assert_eq!(self.failed, Vec::<String>::new(), "sends failed");
        assert_eq!(self.nowhere, Vec::<String>::new(), "stored nowhere");
        assert!(
            self.longest <= TIMEOUT + GRAIN,
            "a send took {:?}",
            self.longest
        );
        assert!(
            self.most_live <= MOST_LIVE,
            "{} bytes were held",
            self.most_live
        );
        assert_eq!(self.broken_beside, 0, "other connections ended");
        assert!(self.dialled > 0, "nobody met the hostile server");
    }
}

/// Where the hostile server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It is registered as `broker-z`, beside two healthy ones.
    Broker,
    /// It is the first of two name servers, and asked first.
    NameServer,
}

/// Runs a producer that sends for a second, beside such a server.
pub(crate) fn beside(role: Role, peer: Peer) -> Seen {
    let _alone = alone();
    let before = allocated();
    let seen = Mutex::new(Seen::default());
    let cluster = Cluster::new().brokers(2).topic("orders", 2);
    let run = Simulation::new(cluster).run(7, async |sim| play(&sim, role, peer, &seen).await);
    let run = run.unwrap();
    let error = run.verdict.findings.iter().find(|it| it.by == "check");
    assert!(
        error.is_none(),
        "the run did not come to its end: {error:?}"
    );
    let mut seen = seen.into_inner();
    seen.broken_beside = broken(&run);
    seen.spent = allocated() - before;
    seen
}

async fn play(sim: &Sim, role: Role, peer: Peer, seen: &Mutex<Seen>) -> Result<(), CheckError> {
    let mallory = sim.host("mallory");
    let at = SocketAddr::new(mallory.identity().address, 10_911);
    let dialled = Arc::new(AtomicUsize::new(0));
    let listener = mallory.listen(at).await?;
    let _serving = serve(&mallory, listener, peer, &dialled);
    let mut servers = sim.name_servers();
    let registered = match role {
        Role::Broker => Some(register(sim, at).await),
        Role::NameServer => {
            servers = format!("{at};{servers}");
            None
        }
    };
    let (before, most) = (live(), Arc::new(AtomicUsize::new(0)));
    let _watching = watch(&mallory, &most);
    let host = Arc::new(Unobserved(sim.host("p")));
    let builder = Producer::builder("p").send_timeout(TIMEOUT).host(host);
    let builder = builder.name_servers(servers).first_name_server(0);
    let producer = builder.start().await?;
    send_all(&producer, seen).await;
    producer.stop().await;
    drop(registered);
    let mut seen = seen.lock();
    seen.most_live = most.load(Ordering::Relaxed).saturating_sub(before);
    seen.dialled = dialled.load(Ordering::Relaxed);
    Ok(())
}

/// Sends one after the other, and as many that overlap.
async fn send_all(producer: &Producer, seen: &Mutex<Seen>) {
    let one = |number: u64| async move {
        sleep(EVERY * u32::try_from(number).unwrap()).await;
        let began = Instant::now();
        let outcome = producer
            .send(Message::new("orders", format!("{number}")))
            .await;
        note(&mut seen.lock(), began, outcome);
    };
    futures_util::future::join_all((0..SENDS).map(one)).await;
}

fn note(seen: &mut Seen, began: Instant, outcome: Result<Sent, SendError>) {
    seen.longest = seen.longest.max(began.elapsed());
    match outcome {
        Ok(sent) if sent.queue.queue < 0 || sent.offset < 0 => {
            seen.nowhere
                .push(format!("{} at {}", sent.queue, sent.offset));
        }
        Ok(_) => {}
        Err(error) => seen.failed.push(error.to_string()),
    }
}

/// Accepts connections and does to each what the peer does.
fn serve(
    host: &SharedHost,
    mut listener: Box<dyn Listener>,
    peer: Peer,
    dialled: &Arc<AtomicUsize>,
) -> Task {
    let (own, dialled) = (Arc::clone(host), Arc::clone(dialled));
    let accept = async move {
        let mut tasks = Vec::new();
        while let Ok(connection) = listener.accept().await {
            dialled.fetch_add(1, Ordering::Relaxed);
            tasks.push(own.spawn("hostile", peer(connection)));
        }
    };
    host.spawn("accept", Box::pin(accept))
}

/// Looks in each millisecond how many bytes are held.
fn watch(host: &SharedHost, most: &Arc<AtomicUsize>) -> Task {
    let most = Arc::clone(most);
    let look = async move {
        loop {
            most.fetch_max(live(), Ordering::Relaxed);
            sleep(GRAIN).await;
        }
    };
    host.spawn("watch", Box::pin(look))
}

/// Registers the hostile server as a broker of the topic, for as long as the client lives that did it.
async fn register(sim: &Sim, at: SocketAddr) -> RemotingClient {
    let speaker = Speaker {
        form: HeaderForm::Json,
        language: Language::Java,
        version: 479,
    };
    let (host, settings) = (sim.host("mallory"), ClientSettings::new(speaker));
    let client = RemotingClient::new(host, settings, Arc::new(Silent), Arc::new(Unsupported));
    let mut body = RegisterBrokerBody::default();
    let wrapper = &mut body.topic_config_serialize_wrapper;
    wrapper.data_version.counter = 1;
    // A first registration with a single topic is refused: it would be one that was cut.
    for topic in ["orders", "others"] {
        let config = TopicConfig::new(topic.into(), 2, perm::READ | perm::WRITE);
        wrapper.topic_config_table.insert(topic.into(), config);
    }
    let (body, address) = (body.encode(), at.to_string());
    let header = RegisterBroker {
        broker_name: "broker-z",
        broker_addr: &address,
        cluster_name: "DefaultCluster",
        ha_server_addr: None,
        broker_id: 0,
        heartbeat_timeout_millis: None,
        enable_acting_master: None,
        compressed: false,
        body_crc32: None,
        zone_name: None,
    };
    for server in sim.name_servers().split(';') {
        let until = Instant::now() + Duration::from_secs(3);
        let body = &body;
        let ask = WithBody {
            header: header.clone(),
            body,
        };
        let answer = client.call(&Name::from(server), &ask, until).await;
        assert_eq!(answer.unwrap().code, 0, "the name server takes it");
    }
    client
}

/// Connections to healthy brokers that ended before the producer unregistered there.
fn broken(run: &Run) -> usize {
    let unregister = |what: &NodeEvent| {
        let code = request::UNREGISTER_CLIENT;
        matches!(what, NodeEvent::Broker(BrokerEvent::Received { code: it, .. }) if *it == code)
    };
    let records = run.trace.records.iter();
    let before = records.take_while(|record| !unregister(&record.what));
    let ended =
        |what: &NodeEvent| matches!(what, NodeEvent::Broker(BrokerEvent::Disconnected { .. }));
    before.filter(|record| ended(&record.what)).count()
}

//! The whole thing: a producer, two name servers, three brokers, with heartbeats and polls.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dst_engine::{EngineConfig, Ignore, Limits, RunEnd, RunReport};
use parking_lot::Mutex;
use rmq_host::{SharedHost, Task};
use rmq_mock_broker::{Broker, Config as BrokerConfig, Disk};
use rmq_mock_namesrv::{Config as NameServerConfig, NameServer};
use rmq_producer::{Message, Producer};
use rmq_remoting::observe::{Name, Silent};
use tokio::time::{Instant, sleep, sleep_until};

use super::{BenchError, Clock, Rate, Spent};
use crate::backend::{self, SharedBackend};
use crate::fault::EngineKind;

const NAME_SERVERS: u16 = 2;
const BROKERS: u16 = 3;
const TOPIC: &str = "orders";
const QUEUES: i32 = 4;

/// Sends a second on the event engine: one caller, each send after the one before it.
///
/// # Errors
///
/// The run did not come to its end, or a send failed.
pub fn sends(clock: Clock, count: u64) -> Result<Rate, BenchError> {
    let (report, spent) = play(clock, EngineKind::Event, count, None)?;
    let polls = report.stats.polls;
    Ok(Rate {
        count,
        spent,
        polls,
    })
}

/// Virtual seconds a second, on two engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compared {
    /// On the event engine.
    pub event: Rate,
    /// Virtual seconds on `turmoil`, and the time they took.
    pub turmoil: Rate,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (event, turmoil) = (self.event.per_core(), self.turmoil.per_core().max(1));
        write!(
            f,
            "virtual seconds a second of processor time: event {event}, turmoil {turmoil}, {} times (floor 60)\n  \
             settings: 1 producer, {NAME_SERVERS} name servers, {BROKERS} brokers, heartbeats and \
             polls, 10 sends a second of 100 bytes,\n  latency 1 ms one way; turmoil's tick 1 ms; \
             {} s of virtual time on event, {} s on turmoil",
            event / turmoil,
            self.event.count,
            self.turmoil.count,
        )
    }
}

/// Compares the event engine with `turmoil` at ten sends a second, over so many virtual seconds.
///
/// # Errors
///
/// A run did not come to its end, or a send failed.
pub(crate) fn compare(clock: Clock, event: u64, turmoil: u64) -> Result<Compared, BenchError> {
    let measure = |engine, seconds| {
        let every = Some(Duration::from_millis(100));
        let (report, spent) = play(clock, engine, seconds * 10, every)?;
        let polls = report.stats.polls;
        Ok(Rate {
            count: seconds,
            spent,
            polls,
        })
    };
    Ok(Compared {
        event: measure(EngineKind::Event, event)?,
        turmoil: measure(EngineKind::Turmoil, turmoil)?,
    })
}

fn play(
    clock: Clock,
    engine: EngineKind,
    count: u64,
    every: Option<Duration>,
) -> Result<(RunReport<u64>, Spent), BenchError> {
    let limits = Limits {
        horizon_ms: 100_000_000,
        events: u64::MAX,
        ..Limits::default()
    };
    let config = EngineConfig {
        limits,
        ..EngineConfig::default()
    };
    let ok = Arc::new(Mutex::new(0_u64));
    let counted = Arc::clone(&ok);
    let start = clock();
    let main = async move |backend| {
        let servers = cluster(&backend);
        // Brokers listen, register, and are known to both name servers.
        sleep(Duration::from_secs(1)).await;
        let node = backend.node("p1", backend.address_for(NAME_SERVERS + BROKERS));
        let own = backend.boot(node);
        let names = servers.name_servers.join(";");
        let producer = produce(Arc::clone(&own), names, count, every, Arc::clone(&counted));
        own.spawn("producer", Box::pin(producer)).await;
        *counted.lock()
    };
    let report = backend::run(engine, &config, Arc::new(Ignore), main, || {});
    let spent = clock() - start;
    let report = report.map_err(|error| BenchError::new("cluster", error))?;
    if report.end != RunEnd::Finished || *ok.lock() != count {
        let sent = *ok.lock();
        return Err(BenchError::new("cluster", (report.end, sent)));
    }
    Ok((report, spent))
}

async fn produce(
    host: SharedHost,
    name_servers: String,
    count: u64,
    every: Option<Duration>,
    ok: Arc<Mutex<u64>>,
) {
    let builder = Producer::builder("bench")
        .host(host)
        .name_servers(name_servers);
    let producer = match builder.start().await {
        Ok(producer) => producer,
        Err(error) => unreachable!("the producer of a benchmark does not start: {error}"),
    };
    let start = Instant::now();
    let body = bytes::Bytes::from_static(&[b'x'; 100]);
    for n in 0..count {
        if let Some(every) = every {
            let n = u32::try_from(n).unwrap_or(u32::MAX);
            sleep_until(start + every * n).await;
        }
        let sent = producer.send(Message::new(TOPIC, body.clone())).await;
        *ok.lock() += u64::from(sent.is_ok());
    }
}

/// The servers of a cluster that runs: the name servers' addresses, and the tasks.
struct Servers {
    name_servers: Vec<String>,
    _tasks: Vec<Task>,
}

fn cluster(backend: &SharedBackend) -> Servers {
    let at = |machine, port| SocketAddr::new(backend.address_for(machine), port);
    let mut tasks = Vec::new();
    let mut name_servers = Vec::new();
    for n in 0..NAME_SERVERS {
        let node = backend.node(&format!("ns-{n}"), backend.address_for(n));
        let (host, listen) = (backend.boot(node), at(n, 9876));
        name_servers.push(listen.to_string());
        let own = Arc::clone(&host);
        let serve = async move {
            let control = Arc::new(rmq_mock_namesrv::control::NoControl);
            let config = NameServerConfig::new(listen);
            let server = NameServer::start(own, config, control, Arc::new(Silent)).await;
            assert!(
                server.is_ok(),
                "a name server of a benchmark does not start"
            );
            std::future::pending::<()>().await;
        };
        tasks.push(host.spawn("name server", Box::pin(serve)));
    }
    for n in 0..BROKERS {
        let machine = NAME_SERVERS + n;
        let node = backend.node(&format!("broker-{n}"), backend.address_for(machine));
        let host = backend.boot(node);
        let mut config = BrokerConfig::new(format!("broker-{n}"), at(machine, 10_911));
        config.name_servers = name_servers
            .iter()
            .map(|name| Name::from(&**name))
            .collect();
        config.topics = vec![(TOPIC.into(), QUEUES)];
        let own = Arc::clone(&host);
        let serve = async move {
            let control = Arc::new(rmq_mock_broker::control::NoControl);
            let disk = Arc::new(Disk::new());
            let broker = Broker::start(own, config, disk, control, Arc::new(Silent)).await;
            assert!(broker.is_ok(), "a broker of a benchmark does not start");
            std::future::pending::<()>().await;
        };
        tasks.push(host.spawn("broker", Box::pin(serve)));
    }
    Servers {
        name_servers,
        _tasks: tasks,
    }
}

//! The rules of the engine, one test each.

mod faults;
mod foreign;
mod lives;
mod net;
mod network;
mod order;
mod programs;
mod replay;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rmq_host::{Connection, Listener, SharedHost};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::node::NodeId;
use crate::{
    Change, Direction, Engine, EngineConfig, EngineEvent, EngineHandle, EventSink, Limits,
    RunReport,
};

/// The address of the n-th machine.
fn ip(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, n))
}

fn at(n: u8, port: u16) -> SocketAddr {
    SocketAddr::new(ip(n), port)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn sleep(millis: u64) {
    tokio::time::sleep(ms(millis)).await;
}

fn run<T>(main: impl AsyncFnOnce(EngineHandle) -> T) -> RunReport<T> {
    run_with(&EngineConfig::default(), main)
}

fn run_with<T>(config: &EngineConfig, main: impl AsyncFnOnce(EngineHandle) -> T) -> RunReport<T> {
    Engine::with_config(config.clone()).run_with(main).unwrap()
}

/// A configuration with these limits.
fn limited(limits: Limits) -> EngineConfig {
    EngineConfig {
        limits,
        ..EngineConfig::default()
    }
}

/// As [`run_with`], and `kept` keeps what the engine tells.
fn run_seen<T>(
    config: &EngineConfig,
    kept: &Arc<Kept>,
    main: impl AsyncFnOnce(EngineHandle) -> T,
) -> RunReport<T> {
    let engine = Engine::with_config(config.clone()).events_to(Arc::clone(kept) as _);
    engine.run_with(main).unwrap()
}

/// Two nodes on two machines, with their hosts.
fn pair(sim: EngineHandle) -> ((NodeId, SharedHost), (NodeId, SharedHost)) {
    let a = sim.node("a", ip(1));
    let b = sim.node("b", ip(2));
    ((a, sim.boot(a)), (b, sim.boot(b)))
}

/// A listener at machine 2, port 9000, and a connection from `a` to it: (dialler's end, other end).
async fn connected(a: &SharedHost, b: &SharedHost) -> (Connection, Connection, Box<dyn Listener>) {
    let mut listener = b.listen(at(2, 9000)).await.unwrap();
    let dialled = a.connect("10.0.0.2:9000").await.unwrap();
    let accepted = listener.accept().await.unwrap();
    (dialled, accepted, listener)
}

/// Reads until `count` bytes are there.
async fn read_exactly(connection: &mut Connection, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    connection.stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn write(connection: &mut Connection, bytes: &[u8]) -> io::Result<()> {
    connection.stream.write_all(bytes).await
}

/// Starts a server on `host` that sends back what it gets.
fn echo(host: &SharedHost, port: u16) -> rmq_host::Task {
    let own = Arc::clone(host);
    host.spawn(
        "echo",
        Box::pin(async move {
            let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
            let mut listener = own.listen(at).await.unwrap();
            let mut tasks = Vec::new();
            while let Ok(mut connection) = listener.accept().await {
                let serve = async move {
                    let mut bytes = [0; 4096];
                    while let Ok(count @ 1..) = connection.stream.read(&mut bytes).await {
                        if connection.stream.write_all(&bytes[..count]).await.is_err() {
                            break;
                        }
                    }
                };
                tasks.push(own.spawn("serve", Box::pin(serve)));
            }
        }),
    )
}

/// Keeps what the engine tells.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<EngineEvent>>);

impl EventSink for Kept {
    fn on(&self, event: EngineEvent) {
        self.0.lock().push(event);
    }
}

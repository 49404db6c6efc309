//! Real TCP on the loop-back interface, in real time: the kernel's own answer to a scenario.
//!
//! Every node has an address of its own in 127.0.0.0/8, so that ports may be the same as in
//! simulation. All nodes share one process and one runtime; a crash drops a node's tasks, listeners
//! and connections, and the kernel tells the peers. Freezing stops the polls of a node's tasks while
//! the kernel goes on accepting and buffering for it, as after SIGSTOP. What a loop-back interface
//! never does is refused as [`NotModelled`](dst_engine::NotModelled).
//!
//! The order within an instant is the kernel's own, and time is real: a scenario that is compared
//! with another engine keeps 50 ms between any reply and a deadline.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dst_engine::chance::Chance;
use dst_engine::{
    Change, EngineConfig, EventSink, LinkBytes, NodeGauges, NodeId, RunEnd, RunReport, RunStats,
};
use rmq_host::{BoxFuture, Connection, Host, Identity, Listener, SharedHost, Task, TokioHost};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::time::{Instant, sleep_until};

use super::plan::Plan;
use super::process_table::{HostContext, ProcessTable};
use super::runtime_handle::RuntimeHandle;
use super::sink::poll_main;
use super::sockets::{ConnectionEnd, Dialling, Listening, NodeStream, ended, parse_address};
use super::{Action, Backend, Modelled, refused};
use crate::fault::EngineKind;

/// How many connections the kernel queues for a listener, as RocketMQ's servers ask for.
const BACKLOG: u32 = 1024;

/// The nodes of a run on real TCP. Cloning it shares it.
#[derive(Clone)]
pub(crate) struct TcpBackend(Arc<Shared>);

struct Shared {
    table: ProcessTable,
    plan: Plan,
    runtime: Arc<RuntimeHandle>,
    start: Instant,
    /// The run's own part of 127.0.0.0/8, so that runs beside each other do not meet.
    base: u32,
}

impl TcpBackend {
    /// Runs `main`, and every task that it starts on nodes, in real time. When it completes, or at
    /// the horizon, the run ends. Latency and jitter of the configuration are not applied.
    pub(crate) fn run<T>(
        config: &EngineConfig,
        events: Arc<dyn EventSink>,
        main: impl AsyncFnOnce(Self) -> T,
        at_end: impl FnOnce(),
    ) -> io::Result<RunReport<T>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let report = runtime.block_on(async {
            let backend = Self::new(config.seed, events);
            backend.0.runtime.open(&Handle::current());
            let (value, end) = {
                let main = pin!(main(backend.clone()));
                let ended = backend.drive(config.limits.horizon_ms, main).await;
                at_end();
                // What is dropped from here on is no part of the run.
                backend.0.table.sink.close();
                ended
            };
            backend.0.close();
            let stats = RunStats {
                virtual_ms: backend.now_ms(),
                dials: backend.0.table.sink.dials(),
                links: backend.link_bytes(),
                ..RunStats::default()
            };
            RunReport { value, end, stats }
        });
        Ok(report)
    }

    fn new(seed: u64, events: Arc<dyn EventSink>) -> Self {
        Self(Arc::new(Shared {
            table: ProcessTable::new(seed, events),
            plan: Plan::default(),
            runtime: Arc::default(),
            start: Instant::now(),
            base: own_addresses(),
        }))
    }

    async fn drive<F: Future>(
        &self,
        horizon_ms: u64,
        mut main: Pin<&mut F>,
    ) -> (Option<F::Output>, RunEnd) {
        let Shared { table, plan, .. } = &*self.0;
        loop {
            plan.run_due(self.now_ms());
            if self.now_ms() >= horizon_ms {
                let waiting = table.waiting();
                return (None, RunEnd::Horizon { waiting });
            }
            let next = plan.next_ms().unwrap_or(horizon_ms).min(horizon_ms);
            tokio::select! {
                biased;
                end = table.sink.panic() => return (None, end),
                ended = poll_fn(|cx| poll_main(main.as_mut(), cx)) => return ended,
                () = plan.changed() => {}
                () = sleep_until(self.0.start + Duration::from_millis(next)) => {}
            }
        }
    }

    fn host(&self, context: HostContext) -> SharedHost {
        Arc::new(TcpHost {
            backend: self.clone(),
            context,
        })
    }

    fn start(&self, node: NodeId, ip: Option<IpAddr>) -> SharedHost {
        let Shared { table, runtime, .. } = &*self.0;
        self.host(table.start(node, ip, |_| Arc::clone(runtime)))
    }

    fn wrap(&self, stream: TcpStream, end: ConnectionEnd) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        let (local, peer) = (end.local, end.peer);
        let delivered = self.0.table.traffic(peer.ip(), end.process.node);
        Ok(Connection {
            stream: Box::new(NodeStream::new(stream, end, delivered)),
            local,
            peer,
        })
    }
}

impl Shared {
    /// The run is over. Plans and tasks hold the backend, so they are taken from it.
    fn close(&self) {
        self.runtime.close();
        self.table.close();
        self.plan.clear();
    }
}

impl fmt::Debug for TcpBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpBackend({:?})", self.0.table)
    }
}

/// Addresses for one run: 127.x.y.1 and on, different for every process and every run in it.
fn own_addresses() -> u32 {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let drawn = Chance::new(u64::from(std::process::id())).draw("loop-back addresses", run);
    let [.., x, y] = drawn.to_be_bytes();
    u32::from_be_bytes([127, x.clamp(1, 254), y, 1])
}

const NEVER: &str = "the loop-back interface of a real machine never does that";

/// What this engine is called.
const TCP: &str = "tcp";

impl Backend for TcpBackend {
    fn engine(&self) -> EngineKind {
        EngineKind::Tcp
    }

    fn address_for(&self, machine: u16) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(self.0.base + u32::from(machine)))
    }

    fn node(&self, name: &str, ip: IpAddr) -> NodeId {
        self.0.table.add(name, ip)
    }

    fn address(&self, node: NodeId) -> Option<IpAddr> {
        Some(self.0.table.address(node))
    }

    fn is_running(&self, node: NodeId) -> bool {
        self.0.table.process(node).is_some()
    }

    fn boot(&self, node: NodeId) -> SharedHost {
        self.start(node, None)
    }

    fn boot_at(&self, node: NodeId, ip: IpAddr) -> SharedHost {
        self.start(node, Some(ip))
    }

    fn at(&self, ms: u64, action: Action) {
        self.0.plan.add(ms, action);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn gauges(&self, node: NodeId) -> NodeGauges {
        self.0.table.gauges(node)
    }

    fn link_bytes(&self) -> Vec<LinkBytes> {
        self.0.table.link_bytes()
    }

    fn apply(&self, change: Change) -> Modelled {
        let table = &self.0.table;
        match change {
            Change::Crash(node) => table.kill(node),
            Change::Freeze(node) => table.freeze(node),
            Change::Thaw(node) => table.thaw(node),
            Change::JumpWallClock { node, ms } => table.move_wall_clock(node, ms),
            Change::PowerOff(_) => {
                let reason = "a process cannot cut the power of the machine it runs on";
                return refused(TCP, change, reason);
            }
            Change::Slow { .. } => {
                return refused(TCP, change, "polls cannot be rationed in real time");
            }
            Change::Refuse(..)
            | Change::SwallowDials(..)
            | Change::StopReading(..)
            | Change::Cut(_)
            | Change::Heal(_)
            | Change::Loss { .. }
            | Change::Latency { .. }
            | Change::DefaultLatency(_)
            | Change::Bandwidth { .. }
            | Change::Slice { .. }
            | Change::Hold(..)
            | Change::HalfOpen { .. }
            | Change::BlackHole(..)
            | Change::Reset(..)
            | Change::Corrupt { .. }
            | Change::ResetAfter { .. } => return refused(TCP, change, NEVER),
        }
        Ok(())
    }
}

/// A process on real TCP.
#[derive(Debug)]
struct TcpHost {
    backend: TcpBackend,
    context: HostContext,
}

impl Host for TcpHost {
    fn connect(&self, to: &str) -> BoxFuture<'static, io::Result<Connection>> {
        let to = parse_address(to);
        let (backend, process) = (self.backend.clone(), Arc::clone(&self.context.process));
        Box::pin(async move {
            let to = to?;
            if process.is_dead() {
                return Err(ended());
            }
            // Without this the kernel would choose 127.0.0.1 and nobody could tell the nodes apart.
            let socket = socket_for(to)?;
            socket.bind(SocketAddr::new(process.ip, 0))?;
            let dialling = Dialling::start(&process, socket.local_addr()?, to);
            let stream = match socket.connect(to).await {
                Ok(stream) => stream,
                Err(error) => return Err(dialling.failed(&error)),
            };
            let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
            dialling.opened(local, peer);
            let end = ConnectionEnd {
                process,
                local,
                peer,
            };
            backend.wrap(stream, end)
        })
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let (backend, process) = (self.backend.clone(), Arc::clone(&self.context.process));
        Box::pin(async move {
            if process.is_dead() {
                return Err(ended());
            }
            let listener = bind(at).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen at {at}: {error}"))
            })?;
            let local = listener.local_addr()?;
            let port = Listening::new(listener, process, local);
            Ok(Box::new(TcpPort { backend, port }) as Box<dyn Listener>)
        })
    }

    fn is_running(&self) -> bool {
        !self.context.process.is_dead()
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        self.context.process.spawn(name, task)
    }

    fn unix_millis(&self) -> i64 {
        self.context
            .wall_clock(TokioHost::with_identity(self.context.identity()).unix_millis())
    }

    fn draw(&self, site: &'static str, position: u64) -> u64 {
        self.context.draw(site, position)
    }

    fn identity(&self) -> Identity {
        self.context.identity()
    }
}

fn socket_for(address: SocketAddr) -> io::Result<TcpSocket> {
    match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
}

fn bind(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket_for(at)?;
    // A restarted node takes its port back although old connections linger there.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}

struct TcpPort {
    backend: TcpBackend,
    port: Listening<TcpListener>,
}

impl Listener for TcpPort {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            let (stream, peer) = self.port.live()?.accept().await?;
            let local = stream.local_addr()?;
            self.port.accepted(local, peer);
            let end = ConnectionEnd {
                process: Arc::clone(self.port.process()),
                local,
                peer,
            };
            self.backend.wrap(stream, end)
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.port.local_addr()
    }
}

impl fmt::Debug for TcpPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpPort({})", self.port.local_addr())
    }
}

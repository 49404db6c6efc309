//! Real TCP on the loop-back interface, in real time: the kernel's own answer to a scenario.
//!
//! Every node has an address of its own in 127.0.0.0/8, so that ports may be the same as in
//! simulation. All nodes share one process and one runtime; a crash drops a node's tasks, listeners
//! and connections, and the kernel tells the peers. Freezing stops the polls of a node's tasks while
//! the kernel goes on accepting and buffering for it, as after SIGSTOP. What a loop-back interface
//! never does is refused as [`NotModelled`].
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

use rmq_remoting::host::{
    BoxFuture, Connection, Host, Identity, Listener, SharedHost, Task, TokioHost,
};
use rmq_remoting::observe::Observer;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::time::{Instant, sleep_until};

use super::fabric::{Action, Fabric, Modelled, NotModelled, Way};
use super::home::Home;
use super::plan::Plan;
use super::roster::{Roster, Seat};
use super::sockets::{Dialling, End, Listening, NodeStream, ended, parse_address};
use super::witness::poll_main;
use crate::chance::Chance;
use crate::engine::{
    EngineConfig, EngineEvent, LinkBytes, NodeGauges, RunEnd, RunReport, RunStats,
};
use crate::fault::Engine;
use crate::trace::record::NodeId;

/// How many connections the kernel queues for a listener, as RocketMQ's servers ask for.
const BACKLOG: u32 = 1024;

/// The nodes of a run on real TCP. Cloning it shares it.
#[derive(Clone)]
pub struct TcpWorld(Arc<Shared>);

struct Shared {
    roster: Roster,
    plan: Plan,
    home: Arc<Home>,
    start: Instant,
    /// The run's own part of 127.0.0.0/8, so that runs beside each other do not meet.
    base: u32,
}

impl TcpWorld {
    /// Runs `main`, and every task that it starts on nodes, in real time. When it completes, or at
    /// the horizon, the run ends. Latency and jitter of the configuration are not applied.
    pub fn run<T>(
        config: &EngineConfig,
        observer: Arc<dyn Observer<EngineEvent>>,
        main: impl AsyncFnOnce(Self) -> T,
        at_end: impl FnOnce(),
    ) -> io::Result<RunReport<T>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let report = runtime.block_on(async {
            let world = Self::new(config.seed, observer);
            world.0.home.open(&Handle::current());
            let (value, end) = {
                let main = pin!(main(world.clone()));
                let ended = world.drive(config.limits.horizon_ms, main).await;
                at_end();
                // What is dropped from here on is no part of the run.
                world.0.roster.witness.close();
                ended
            };
            world.0.close();
            let stats = RunStats {
                virtual_ms: world.now_ms(),
                dials: world.0.roster.witness.dials(),
                links: world.link_bytes(),
                ..RunStats::default()
            };
            RunReport { value, end, stats }
        });
        Ok(report)
    }

    fn new(seed: u64, observer: Arc<dyn Observer<EngineEvent>>) -> Self {
        Self(Arc::new(Shared {
            roster: Roster::new(seed, observer),
            plan: Plan::default(),
            home: Arc::default(),
            start: Instant::now(),
            base: own_addresses(),
        }))
    }

    async fn drive<F: Future>(
        &self,
        horizon_ms: u64,
        mut main: Pin<&mut F>,
    ) -> (Option<F::Output>, RunEnd) {
        let Shared { roster, plan, .. } = &*self.0;
        loop {
            plan.run_due(self.now_ms());
            if self.now_ms() >= horizon_ms {
                let waiting = roster.waiting();
                return (None, RunEnd::Horizon { waiting });
            }
            let next = plan.next_ms().unwrap_or(horizon_ms).min(horizon_ms);
            tokio::select! {
                biased;
                end = roster.witness.panic() => return (None, end),
                ended = poll_fn(|cx| poll_main(main.as_mut(), cx)) => return ended,
                () = plan.changed() => {}
                () = sleep_until(self.0.start + Duration::from_millis(next)) => {}
            }
        }
    }

    fn host(&self, seat: Seat) -> SharedHost {
        Arc::new(TcpHost {
            world: self.clone(),
            seat,
        })
    }

    fn start(&self, node: NodeId, ip: Option<IpAddr>) -> SharedHost {
        let Shared { roster, home, .. } = &*self.0;
        let seat = roster.start(node, ip, |_| Arc::clone(home));
        self.host(seat.unwrap_or_else(|| roster.nobody(IpAddr::V4(Ipv4Addr::LOCALHOST))))
    }

    fn wrap(&self, stream: TcpStream, end: End) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        let (local, peer) = (end.local, end.peer);
        let delivered = self.0.roster.traffic(peer.ip(), end.process.node);
        Ok(Connection {
            stream: Box::new(NodeStream::new(stream, end, delivered)),
            local,
            peer,
        })
    }
}

impl Shared {
    /// The run is over. Plans and tasks hold the world, so they are taken from it.
    fn close(&self) {
        self.home.close();
        self.roster.close();
        self.plan.clear();
    }
}

impl fmt::Debug for TcpWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpWorld({:?})", self.0.roster)
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

fn never(what: &'static str) -> Modelled {
    refused(what, NEVER)
}

fn refused(what: &'static str, reason: &'static str) -> Modelled {
    Err(NotModelled {
        engine: Engine::Tcp,
        what,
        reason,
    })
}

impl Fabric for TcpWorld {
    fn engine(&self) -> Engine {
        Engine::Tcp
    }

    fn address_for(&self, machine: u16) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(self.0.base + u32::from(machine)))
    }

    fn node(&self, name: &str, ip: IpAddr) -> NodeId {
        self.0.roster.add(name, ip)
    }

    fn address(&self, node: NodeId) -> Option<IpAddr> {
        self.0.roster.address(node)
    }

    fn is_running(&self, node: NodeId) -> bool {
        self.0.roster.process(node).is_some()
    }

    fn boot(&self, node: NodeId) -> SharedHost {
        self.start(node, None)
    }

    fn boot_at(&self, node: NodeId, ip: IpAddr) -> SharedHost {
        self.start(node, Some(ip))
    }

    fn crash(&self, node: NodeId) {
        self.0.roster.kill(node);
    }

    fn at(&self, ms: u64, action: Action) {
        self.0.plan.add(ms, action);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn gauges(&self, node: NodeId) -> NodeGauges {
        self.0.roster.gauges(node)
    }

    fn link_bytes(&self) -> Vec<LinkBytes> {
        self.0.roster.link_bytes()
    }

    fn power_off(&self, _node: NodeId) -> Modelled {
        let reason = "a process cannot cut the power of the machine it runs on";
        refused("power loss", reason)
    }

    fn freeze(&self, node: NodeId) -> Modelled {
        self.0.roster.freeze(node);
        Ok(())
    }

    fn thaw(&self, node: NodeId) -> Modelled {
        self.0.roster.thaw(node);
        Ok(())
    }

    fn slow(&self, _node: NodeId, _ms_per_poll: u64) -> Modelled {
        refused("a slow node", "polls cannot be rationed in real time")
    }

    fn jump_wall_clock(&self, node: NodeId, ms: i64) -> Modelled {
        self.0.roster.move_wall_clock(node, ms);
        Ok(())
    }

    fn cut(&self, _way: Way) -> Modelled {
        never("a partition")
    }

    fn heal(&self, _way: Way) -> Modelled {
        never("a partition")
    }

    fn loss(&self, _way: Way, _per_mille: u32) -> Modelled {
        never("loss")
    }

    fn latency(&self, _way: Way, _ms: u64, _jitter_ms: u64) -> Modelled {
        never("latency")
    }

    fn default_latency(&self, _way: Way) -> Modelled {
        never("latency")
    }

    fn refuse(&self, _node: NodeId, _on: bool) -> Modelled {
        never("refusal in front of a listener")
    }

    fn black_hole(&self, _a: NodeId, _b: NodeId) -> Modelled {
        never("a black hole")
    }

    fn corrupt(&self, _from: NodeId, _to: NodeId, _after: u64) -> Modelled {
        never("corruption")
    }
}

/// A process on real TCP.
#[derive(Debug)]
struct TcpHost {
    world: TcpWorld,
    seat: Seat,
}

impl Host for TcpHost {
    fn connect(&self, to: &str) -> BoxFuture<'static, io::Result<Connection>> {
        let to = parse_address(to);
        let (world, process) = (self.world.clone(), Arc::clone(&self.seat.process));
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
            let end = End {
                process,
                local,
                peer,
            };
            world.wrap(stream, end)
        })
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let (world, process) = (self.world.clone(), Arc::clone(&self.seat.process));
        Box::pin(async move {
            if process.is_dead() {
                return Err(ended());
            }
            let listener = bind(at).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen at {at}: {error}"))
            })?;
            let local = listener.local_addr()?;
            let port = Listening::new(listener, process, local);
            Ok(Box::new(TcpPort { world, port }) as Box<dyn Listener>)
        })
    }

    fn is_running(&self) -> bool {
        !self.seat.process.is_dead()
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        self.seat.process.spawn(name, task)
    }

    fn unix_millis(&self) -> i64 {
        self.seat
            .wall_clock(TokioHost::with_identity(self.seat.identity()).unix_millis())
    }

    fn draw(&self, site: &'static str, position: u64) -> u64 {
        self.seat.draw(site, position)
    }

    fn identity(&self) -> Identity {
        self.seat.identity()
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
    world: TcpWorld,
    port: Listening<TcpListener>,
}

impl Listener for TcpPort {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            let (stream, peer) = self.port.live()?.accept().await?;
            let local = stream.local_addr()?;
            self.port.accepted(local, peer);
            let end = End {
                process: Arc::clone(self.port.process()),
                local,
                peer,
            };
            self.world.wrap(stream, end)
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

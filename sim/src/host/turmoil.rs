//! The independent network model of `turmoil`: a second opinion on a scenario.
//!
//! Each machine is one `turmoil` host that runs as long as the run does; a process on it is a group
//! of tasks in that host's runtime. So a crash drops the process's tasks, listeners and connections
//! while the machine lives on and refuses dials (a crashed `turmoil` host would let them hang until
//! it is back). Freezing stops the polls of a process; its machine goes on receiving.
//!
//! What differs from the event engine, because `turmoil` is as it is:
//!
//! * A partition *holds* what is under way and releases it at its end: `turmoil`'s TCP never sends a
//!   lost segment again, so a real cut would kill every connection silently. For the same reason a
//!   cut of one direction and random loss are [`NotModelled`].
//! * A write arrives whole, and a writer blocks after 1,024 unread writes, whatever their size.
//! * A dial to a frozen process hangs until the thaw instead of completing in the kernel.
//! * Each machine runs through a whole millisecond before the next one does; the order within an
//!   instant is `turmoil`'s own. A scenario that is compared keeps 5 ms between any reply and a
//!   deadline.
//!
//! A node's code must run in its node's tasks: the runtimes of two machines have clocks of their
//! own, which agree in their milliseconds only. The main future has a third one.

use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, UNIX_EPOCH};

use rmq_remoting::host::SharedHost;
use rmq_remoting::observe::Observer;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::sleep;
use turmoil::Sim;

use super::fabric::{Action, Fabric, Modelled, NotModelled, Way, simulated_address};
use super::home::Home;
use super::plan::Plan;
use super::roster::Roster;
use super::witness::{panicked_outside, poll_main};
use crate::chance::Chance;
use crate::engine::{
    EngineConfig, EngineEvent, LinkBytes, NodeGauges, ReadyOrder, RunEnd, RunReport, RunStats,
};
use crate::fault::Engine;
use crate::trace::record::NodeId;

mod machine;
mod network;

use machine::TurmoilHost;
use network::Network;

/// One tick. `turmoil` breaks time below the millisecond of Tokio's timers.
const TICK: Duration = Duration::from_millis(1);

/// Unaccepted connections and unread writes a socket holds. At one more unaccepted connection
/// `turmoil` would panic; real backlogs are as long.
const CAPACITY: usize = 1024;

/// The nodes of a run on `turmoil`. Cloning it shares it.
#[derive(Clone)]
pub struct TurmoilWorld(Arc<Shared>);

struct Shared {
    roster: Roster,
    plan: Plan,
    network: Network,
    now_ms: AtomicU64,
    start_unix_millis: i64,
}

impl TurmoilWorld {
    /// Runs `main`, and every task that it starts on nodes, on `turmoil`'s clock. When it
    /// completes, or at the horizon, the run ends.
    ///
    /// Of the configuration it uses seed, horizon, latency, jitter, start of the wall clocks, and
    /// `ready_order`: `Seeded` shuffles the order of the machines in each millisecond.
    pub fn run<T>(
        config: &EngineConfig,
        observer: Arc<dyn Observer<EngineEvent>>,
        main: impl AsyncFnOnce(Self) -> T,
        at_end: impl FnOnce(),
    ) -> io::Result<RunReport<T>> {
        let clock = Clock::new()?;
        let world = Self::new(config, observer);
        let mut sim = simulation(config);
        let (value, end) = {
            let main = pin!(main(world.clone()));
            let ended = world.drive(&mut sim, &clock, config.limits.horizon_ms, main);
            at_end();
            // What is dropped from here on is no part of the run.
            world.0.roster.witness.close();
            ended
        };
        world.0.close();
        let virtual_ms = world.now_ms();
        let stats = RunStats {
            virtual_ms,
            jumps: virtual_ms,
            dials: world.0.roster.witness.dials(),
            links: world.link_bytes(),
            ..RunStats::default()
        };
        Ok(RunReport { value, end, stats })
    }

    fn new(config: &EngineConfig, observer: Arc<dyn Observer<EngineEvent>>) -> Self {
        Self(Arc::new(Shared {
            roster: Roster::new(config.seed, observer),
            plan: Plan::default(),
            network: Network::new(&config.network),
            now_ms: AtomicU64::new(0),
            start_unix_millis: config.start_unix_millis,
        }))
    }

    fn drive<F: Future>(
        &self,
        sim: &mut Sim<'_>,
        clock: &Clock,
        horizon_ms: u64,
        mut main: Pin<&mut F>,
    ) -> (Option<F::Output>, RunEnd) {
        let Shared {
            roster,
            plan,
            network,
            now_ms,
            ..
        } = &*self.0;
        for ms in 0..horizon_ms {
            now_ms.store(ms, Ordering::Relaxed);
            plan.run_due(ms);
            if let Some(ended) = clock.poll_for_a_tick(main.as_mut()) {
                return ended;
            }
            network.apply(sim);
            if let Err(end) = step(sim) {
                return (None, end);
            }
            if let Some(end) = roster.witness.end() {
                return (None, end);
            }
        }
        now_ms.store(horizon_ms, Ordering::Relaxed);
        let waiting = roster.waiting();
        (None, RunEnd::Horizon { waiting })
    }

    fn start(&self, node: NodeId, ip: Option<IpAddr>) -> SharedHost {
        let Shared {
            roster, network, ..
        } = &*self.0;
        let seat = roster.start(node, ip, |ip| network.power_on(ip));
        let seat = seat.unwrap_or_else(|| roster.nobody(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        Arc::new(TurmoilHost::new(self.clone(), seat))
    }

    /// The addresses of two nodes.
    fn pair(&self, a: NodeId, b: NodeId) -> Option<(IpAddr, IpAddr)> {
        Some((self.address(a)?, self.address(b)?))
    }

    /// Whether a dial from one machine can reach the other.
    fn is_reachable(&self, from: IpAddr, to: IpAddr) -> bool {
        self.0.network.is_open(from, to) && !self.0.roster.at(to).is_empty()
    }
}

impl Shared {
    /// The run is over. Plans and tasks hold the world, so they are taken from it; outside of
    /// `turmoil`'s step their drops have no effect on its network.
    fn close(&self) {
        self.network.close();
        self.roster.close();
        self.plan.clear();
    }
}

impl fmt::Debug for TurmoilWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurmoilWorld({:?})", self.0.roster)
    }
}

fn simulation<'a>(config: &EngineConfig) -> Sim<'a> {
    let network = &config.network;
    let latency = Duration::from_millis(network.latency_ms.max(1));
    let start = u64::try_from(config.start_unix_millis).unwrap_or(0);
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(Chance::new(config.seed).draw("turmoil", 0))
        .epoch(UNIX_EPOCH + Duration::from_millis(start))
        .simulation_duration(Duration::MAX)
        .tick_duration(TICK)
        .min_message_latency(latency)
        .max_message_latency(latency + Duration::from_millis(network.jitter_ms))
        // Its random failures are outages, which would also undo explicit partitions.
        .fail_rate(0.0)
        .tcp_capacity(CAPACITY);
    if config.ready_order == ReadyOrder::Seeded {
        builder.enable_random_order();
    }
    builder.build()
}

/// One tick of all machines. `turmoil` panics where its model ends; that ends the run, not more.
fn step(sim: &mut Sim<'_>) -> Result<(), RunEnd> {
    let message = match catch_unwind(AssertUnwindSafe(|| sim.step())) {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(payload) => return Err(panicked_outside("turmoil", payload.as_ref())),
    };
    Err(panicked_outside("turmoil", &message))
}

/// The clock of the main future, which is on no machine.
struct Clock(Runtime);

impl Clock {
    fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        // Whole milliseconds from here on.
        runtime.block_on(async { sleep(TICK).await });
        Ok(Self(runtime))
    }

    /// Lets the main future run for one tick.
    fn poll_for_a_tick<F: Future>(
        &self,
        mut main: Pin<&mut F>,
    ) -> Option<(Option<F::Output>, RunEnd)> {
        self.0.block_on(async {
            let mut tick = pin!(sleep(TICK));
            poll_fn(|cx| {
                // The tick first: what else is due then belongs to the next millisecond.
                if tick.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                poll_main(main.as_mut(), cx).map(Some)
            })
            .await
        })
    }
}

/// What a machine runs: it opens the way to its runtime and stays.
async fn machine(home: Arc<Home>) -> turmoil::Result {
    home.open(&Handle::current());
    pending().await
}

fn refused(what: &'static str, reason: &'static str) -> Modelled {
    Err(NotModelled {
        engine: Engine::Turmoil,
        what,
        reason,
    })
}

const NO_RETRANSMISSION: &str = "turmoil's TCP never sends a lost segment again";
const BOTH_WAYS: &str = "turmoil's latency belongs to both directions of a link";
const NO_SUCH_THING: &str = "turmoil's network model has no such thing";

impl Fabric for TurmoilWorld {
    fn engine(&self) -> Engine {
        Engine::Turmoil
    }

    fn address_for(&self, machine: u16) -> IpAddr {
        simulated_address(machine)
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
        self.0.now_ms.load(Ordering::Relaxed)
    }

    fn gauges(&self, node: NodeId) -> NodeGauges {
        self.0.roster.gauges(node)
    }

    fn link_bytes(&self) -> Vec<LinkBytes> {
        self.0.roster.link_bytes()
    }

    fn power_off(&self, node: NodeId) -> Modelled {
        if let Some(ip) = self.address(node) {
            // The links first, so that nothing that the processes drop gets out.
            self.0.network.power_off(ip);
            for tenant in self.0.roster.at(ip) {
                self.0.roster.kill(tenant);
            }
        }
        Ok(())
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
        refused("a slow node", NO_SUCH_THING)
    }

    fn jump_wall_clock(&self, node: NodeId, ms: i64) -> Modelled {
        self.0.roster.move_wall_clock(node, ms);
        Ok(())
    }

    fn cut(&self, way: Way) -> Modelled {
        self.set_cut(way, true)
    }

    fn heal(&self, way: Way) -> Modelled {
        self.set_cut(way, false)
    }

    /// A cut that is a hold: `turmoil` has no other.
    fn hold(&self, way: Way, on: bool) -> Modelled {
        self.set_cut(way, on)
    }

    fn loss(&self, _way: Way, _per_mille: u32) -> Modelled {
        refused("loss", NO_RETRANSMISSION)
    }

    fn latency(&self, way: Way, ms: u64, jitter_ms: u64) -> Modelled {
        self.set_latency(way, Some((ms.max(1), jitter_ms)))
    }

    fn default_latency(&self, way: Way) -> Modelled {
        self.set_latency(way, None)
    }

    fn refuse(&self, _node: NodeId, _on: bool) -> Modelled {
        refused("refusal in front of a listener", NO_SUCH_THING)
    }

    fn black_hole(&self, _a: NodeId, _b: NodeId) -> Modelled {
        refused("a black hole", NO_SUCH_THING)
    }

    fn corrupt(&self, _from: NodeId, _to: NodeId, _after: u64) -> Modelled {
        refused("corruption", NO_SUCH_THING)
    }
}

impl TurmoilWorld {
    fn set_cut(&self, way: Way, on: bool) -> Modelled {
        let Way::Both(a, b) = way else {
            return refused("a partition of one direction", NO_RETRANSMISSION);
        };
        if let Some((a, b)) = self.pair(a, b) {
            self.0.network.cut(a, b, on);
        }
        Ok(())
    }

    fn set_latency(&self, way: Way, latency: Option<(u64, u64)>) -> Modelled {
        let Way::Both(a, b) = way else {
            return refused("latency of one direction", BOTH_WAYS);
        };
        if let Some((a, b)) = self.pair(a, b) {
            self.0.network.latency(a, b, latency);
        }
        Ok(())
    }
}

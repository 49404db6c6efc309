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
//!   cut of one direction and random loss are [`NotModelled`](dst_engine::NotModelled).
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
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, UNIX_EPOCH};

use dst_engine::chance::Chance;
use dst_engine::{
    Change, Direction, EngineConfig, EventSink, LinkBytes, NodeGauges, NodeId, ReadyOrder, RunEnd,
    RunReport, RunStats,
};
use rmq_host::SharedHost;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::sleep;
use turmoil::Sim;

use super::plan::Plan;
use super::process_table::ProcessTable;
use super::runtime_handle::RuntimeHandle;
use super::sink::{panicked_outside, poll_main};
use super::{Action, Backend, Modelled, refused, simulated_address};
use crate::fault::EngineKind;

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
pub(crate) struct TurmoilBackend(Arc<Shared>);

struct Shared {
    table: ProcessTable,
    plan: Plan,
    network: Network,
    now_ms: AtomicU64,
    start_unix_millis: i64,
}

impl TurmoilBackend {
    /// Runs `main`, and every task that it starts on nodes, on `turmoil`'s clock. When it
    /// completes, or at the horizon, the run ends.
    ///
    /// Of the configuration it uses seed, horizon, latency, jitter, start of the wall clocks, and
    /// `ready_order`: `Seeded` shuffles the order of the machines in each millisecond.
    pub(crate) fn run<T>(
        config: &EngineConfig,
        events: Arc<dyn EventSink>,
        main: impl AsyncFnOnce(Self) -> T,
        at_end: impl FnOnce(),
    ) -> io::Result<RunReport<T>> {
        let clock = Clock::new()?;
        let backend = Self::new(config, events);
        let mut sim = simulation(config);
        let (value, end) = {
            let main = pin!(main(backend.clone()));
            let ended = backend.drive(&mut sim, &clock, config.limits.horizon_ms, main);
            at_end();
            // What is dropped from here on is no part of the run.
            backend.0.table.sink.close();
            ended
        };
        backend.0.close();
        let virtual_ms = backend.now_ms();
        let stats = RunStats {
            virtual_ms,
            jumps: virtual_ms,
            dials: backend.0.table.sink.dials(),
            links: backend.link_bytes(),
            ..RunStats::default()
        };
        Ok(RunReport { value, end, stats })
    }

    fn new(config: &EngineConfig, events: Arc<dyn EventSink>) -> Self {
        Self(Arc::new(Shared {
            table: ProcessTable::new(config.seed, events),
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
            table,
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
            if let Some(end) = table.sink.end() {
                return (None, end);
            }
        }
        now_ms.store(horizon_ms, Ordering::Relaxed);
        let waiting = table.waiting();
        (None, RunEnd::Horizon { waiting })
    }

    fn start(&self, node: NodeId, ip: Option<IpAddr>) -> SharedHost {
        let Shared { table, network, .. } = &*self.0;
        let context = table.start(node, ip, |ip| network.power_on(ip));
        Arc::new(TurmoilHost::new(self.clone(), context))
    }

    /// Whether a dial from one machine can reach the other.
    fn is_reachable(&self, from: IpAddr, to: IpAddr) -> bool {
        self.0.network.is_open(from, to) && !self.0.table.at(to).is_empty()
    }
}

impl Shared {
    /// The run is over. Plans and tasks hold the backend, so they are taken from it; outside of
    /// `turmoil`'s step their drops have no effect on its network.
    fn close(&self) {
        self.network.close();
        self.table.close();
        self.plan.clear();
    }
}

impl fmt::Debug for TurmoilBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurmoilBackend({:?})", self.0.table)
    }
}

fn simulation<'a>(config: &EngineConfig) -> Sim<'a> {
    let network = &config.network;
    let latency = Duration::from_millis(network.latency_ms.max(1));
    // No node reads this clock: a start before 1970 need not be told.
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
async fn machine(runtime: Arc<RuntimeHandle>) -> turmoil::Result {
    runtime.open(&Handle::current());
    pending().await
}

/// What this engine is called.
const TURMOIL: &str = "turmoil";

const NO_RETRANSMISSION: &str = "turmoil's TCP never sends a lost segment again";
const BOTH_WAYS: &str = "turmoil's latency belongs to both directions of a link";
const NO_SUCH_THING: &str = "turmoil's network model has no such thing";

impl Backend for TurmoilBackend {
    fn engine(&self) -> EngineKind {
        EngineKind::Turmoil
    }

    fn address_for(&self, machine: u16) -> IpAddr {
        simulated_address(machine)
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
        self.0.now_ms.load(Ordering::Relaxed)
    }

    fn gauges(&self, node: NodeId) -> NodeGauges {
        self.0.table.gauges(node)
    }

    fn link_bytes(&self) -> Vec<LinkBytes> {
        self.0.table.link_bytes()
    }

    fn apply(&self, change: Change) -> Modelled {
        match change {
            Change::Crash(node) => self.0.table.kill(node),
            Change::PowerOff(node) => self.power_off(node),
            Change::Freeze(node) => self.0.table.freeze(node),
            Change::Thaw(node) => self.0.table.thaw(node),
            Change::JumpWallClock { node, ms } => self.0.table.move_wall_clock(node, ms),
            // A cut that is a hold: `turmoil` has no other.
            Change::Cut(Direction::Both(a, b)) | Change::Hold(Direction::Both(a, b), true) => {
                self.set_cut(a, b, true);
            }
            Change::Heal(Direction::Both(a, b)) | Change::Hold(Direction::Both(a, b), false) => {
                self.set_cut(a, b, false);
            }
            Change::Latency {
                on: Direction::Both(a, b),
                ms,
                jitter_ms,
            } => self.set_latency(a, b, Some((ms.max(1), jitter_ms))),
            Change::DefaultLatency(Direction::Both(a, b)) => self.set_latency(a, b, None),
            Change::Cut(_) | Change::Heal(_) | Change::Hold(..) | Change::Loss { .. } => {
                return refused(TURMOIL, change, NO_RETRANSMISSION);
            }
            Change::Latency { .. } | Change::DefaultLatency(_) => {
                return refused(TURMOIL, change, BOTH_WAYS);
            }
            Change::Slow { .. }
            | Change::Refuse(..)
            | Change::SwallowDials(..)
            | Change::StopReading(..)
            | Change::Bandwidth { .. }
            | Change::Slice { .. }
            | Change::HalfOpen { .. }
            | Change::BlackHole(..)
            | Change::Reset(..)
            | Change::Corrupt { .. }
            | Change::ResetAfter { .. } => return refused(TURMOIL, change, NO_SUCH_THING),
        }
        Ok(())
    }
}

impl TurmoilBackend {
    fn power_off(&self, node: NodeId) {
        let Shared { table, network, .. } = &*self.0;
        let ip = table.address(node);
        // The links first, so that nothing that the processes drop gets out.
        network.power_off(ip);
        for tenant in table.at(ip) {
            table.kill(tenant);
        }
    }

    fn set_cut(&self, a: NodeId, b: NodeId, on: bool) {
        let Shared { table, network, .. } = &*self.0;
        network.cut(table.address(a), table.address(b), on);
    }

    fn set_latency(&self, a: NodeId, b: NodeId, latency: Option<(u64, u64)>) {
        let Shared { table, network, .. } = &*self.0;
        network.latency(table.address(a), table.address(b), latency);
    }
}

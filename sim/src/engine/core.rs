//! The state of the simulated world, kept in a thread-local while a run goes on.
//!
//! It is a thread-local so that a simulated stream can be a pair of numbers and everything that a
//! program holds stays `Send`. Access is short and never overlaps a wake, a drop or an observer:
//! wakers and events are collected inside [`enter`] and released after it.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use rmq_remoting::observe::{Name, Observer};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::config::{EngineConfig, NetworkConfig, RunStats};
use super::event::EngineEvent;
use super::link::Links;
use super::ops::Op;
use super::ready::Lists;
use super::strike::Strikes;
use super::tcp::{Conn, ConnId, Listening};
use super::world::NodeGauges;
use crate::chance::Chance;
use crate::trace::record::NodeId;

/// The world of the run that goes on. Streams must be `Send`, so they hold numbers into it.
mod local {
    use super::{Cell, Clock, Core, RefCell};

    thread_local! {
        pub(super) static WORLD: RefCell<Option<Core>> = const { RefCell::new(None) };
        pub(super) static CLOCK: Cell<Clock> = const { Cell::new(Clock::STOPPED) };
    }
}

/// The virtual time of this thread's run, for whoever asks while the world is in use.
#[derive(Clone, Copy)]
struct Clock {
    run: RunId,
    now: u64,
    /// When the run started, while the engine is not polled: what asks then is a task that the
    /// program gave to Tokio itself, and Tokio's clock may be ahead of the engine's.
    ahead_since: Option<Instant>,
}

impl Clock {
    const STOPPED: Self = Self {
        run: RunId(0),
        now: 0,
        ahead_since: None,
    };

    fn now(self) -> u64 {
        self.ahead_since.map_or(self.now, ms_since)
    }
}

/// Whole milliseconds of virtual time since `start`.
pub(super) fn ms_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Tells runs apart, so that what outlives one cannot touch the next. It decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunId(u64);

impl RunId {
    fn next() -> Self {
        static RUNS: AtomicU64 = AtomicU64::new(1);
        Self(RUNS.fetch_add(1, Ordering::Relaxed))
    }
}

/// A process's place: tasks and sockets belong to a machine; a node is one process on it.
pub(super) struct Node {
    pub(super) name: Name,
    pub(super) machine: usize,
    /// The incarnation that runs; 0: none.
    pub(super) incarnation: u32,
    /// The last incarnation that was started.
    pub(super) started: u32,
    /// The last incarnation that was handed out.
    pub(super) booted: u32,
    pub(super) refuses: bool,
    pub(super) swallows: bool,
    /// Its program reads nothing from connections it accepted.
    pub(super) deaf: bool,
    pub(super) wall_offset_ms: i64,
    pub(super) chance: Chance,
    pub(super) tasks: u32,
}

impl Node {
    pub(super) fn is_running(&self) -> bool {
        self.incarnation != 0
    }
}

/// An address with a kernel.
pub(super) struct Machine {
    pub(super) ip: IpAddr,
    pub(super) up: bool,
    pub(super) next_port: u16,
}

/// What a delivery is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A SYN reaches the machine that was dialled.
    Syn,
    /// The dialler's repetition timer.
    SynAgain,
    /// The SYN was answered with RST.
    Refused,
    /// The SYN was accepted.
    SynAck,
    /// The end of a handshake that the dialler had given up.
    HandshakeReset,
    /// Pieces of a pipe arrive.
    Arrival,
    /// The sender learns that there is room again.
    Room,
    /// A sender's retransmission timer.
    Again,
    /// RST that end `dir` sent arrives at the other one.
    Rst,
    /// RST arrives at end `dir`.
    RstIn,
    /// A slow node may poll again; the connection number is the node's.
    Tick,
}

/// One entry of the heap. Field order is the order of deliveries within a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    pub(super) at: u64,
    pub(super) conn: ConnId,
    pub(super) dir: u8,
    pub(super) seq: u64,
    pub(super) what: What,
}

type Action = Box<dyn FnOnce() + Send>;

/// What is released after the access that caused it.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) wake: SmallVec<[Waker; 2]>,
    pub(super) drop: SmallVec<[Waker; 2]>,
    pub(super) events: Vec<EngineEvent>,
}

impl Effects {
    fn is_empty(&self) -> bool {
        self.wake.is_empty() && self.drop.is_empty() && self.events.is_empty()
    }
}

/// The world.
pub(crate) struct Core {
    pub(super) run: RunId,
    pub(super) now: u64,
    pub(super) config: NetworkConfig,
    pub(super) start_unix_millis: i64,
    chance: Chance,
    pub(super) nodes: Vec<Node>,
    pub(super) machines: Vec<Machine>,
    pub(super) links: Links,
    /// What faults did so far.
    pub(super) strikes: Strikes,
    /// How many directions are held.
    pub(super) holds: u32,
    pub(super) conns: Vec<Option<Box<Conn>>>,
    pub(super) listeners: BTreeMap<SocketAddr, Listening>,
    pub(super) next_listener: u64,
    pub(crate) next_task: u64,
    pub(crate) ops: VecDeque<Op>,
    pub(super) effects: Effects,
    pub(super) stats: RunStats,
    /// Teardown: nothing is observed any more.
    pub(super) closing: bool,
    /// When the run started, and the way to the root future's waker.
    root: Option<(Instant, Arc<Lists>)>,
    /// The root future is being polled, or is not started or over.
    polling: bool,
    /// A task that the engine does not poll used the world since the root future's last poll.
    touched: bool,
    observer: Arc<dyn Observer<EngineEvent>>,
    heap: BinaryHeap<Reverse<Due>>,
    next_seq: u64,
    planned: BTreeMap<(u64, u64), Action>,
    next_plan: u64,
}

/// Accesses the world of `run`; `None` if that run does not go on on this thread.
///
/// Whoever does so while the root future is not polled (a task that the program gave to Tokio
/// itself) finds the world at Tokio's time, and the root future is woken to see what was asked.
pub(crate) fn enter<R>(run: RunId, access: impl FnOnce(&mut Core) -> R) -> Option<R> {
    let (result, effects, outside) = local::WORLD
        .try_with(|world| {
            let mut world = world.try_borrow_mut().ok()?;
            let core = world.as_mut().filter(|core| core.run == run)?;
            let outside = core.enter_from_outside();
            let result = access(core);
            let effects = (!core.effects.is_empty()).then(|| {
                let effects = std::mem::take(&mut core.effects);
                let told = !effects.events.is_empty();
                (effects, told.then(|| Arc::clone(&core.observer)))
            });
            Some((result, effects, outside))
        })
        .ok()??;
    if let Some((effects, observer)) = effects {
        if let Some(observer) = observer {
            for event in effects.events {
                observer.on(event);
            }
        }
        for waker in effects.wake {
            waker.wake();
        }
    }
    if let Some(root) = outside {
        root.wake_root();
    }
    Some(result)
}

/// The root future of `run` is polled; see [`Core::resume`]. It is no access from outside.
pub(super) fn resume(run: RunId, now: Option<u64>) -> bool {
    let touched = local::WORLD.try_with(|world| {
        let mut world = world.try_borrow_mut().ok()?;
        let core = world.as_mut().filter(|core| core.run == run)?;
        Some(core.resume(now))
    });
    touched.ok().flatten().unwrap_or(false)
}

/// The run that goes on on this thread while its root future is not being polled.
pub(super) fn unattended() -> Option<RunId> {
    let clock = local::CLOCK.try_with(Cell::get).ok()?;
    clock.ahead_since.map(|_| clock.run)
}

/// The virtual time of `run`; 0 if it does not go on on this thread.
pub(super) fn now(run: RunId) -> u64 {
    now_of(|clock| clock.run == run).unwrap_or(0)
}

/// The virtual time of the run that goes on on this thread, if there is one.
pub(crate) fn now_here() -> Option<u64> {
    now_of(|clock| clock.run != Clock::STOPPED.run)
}

fn now_of(meant: impl Fn(&Clock) -> bool) -> Option<u64> {
    let clock = local::CLOCK.try_with(Cell::get).ok()?;
    meant(&clock).then(|| clock.now())
}

/// The name of a node.
pub(super) fn name(run: RunId, node: NodeId) -> Option<Name> {
    enter(run, |core| {
        core.node(node).map(|node| Arc::clone(&node.name))
    })?
}

/// Puts a new world in place; `None` if this thread already has one.
pub(super) fn install(
    config: &EngineConfig,
    observer: Arc<dyn Observer<EngineEvent>>,
) -> Option<RunId> {
    let run = RunId::next();
    let core = Core::new(run, config, observer);
    local::WORLD.with(|world| {
        let mut world = world.try_borrow_mut().ok()?;
        if world.is_some() {
            return None;
        }
        *world = Some(core);
        local::CLOCK.set(Clock {
            run,
            ..Clock::STOPPED
        });
        Some(run)
    })
}

/// Takes the world of `run` away again.
pub(super) fn remove(run: RunId) -> Option<Core> {
    local::WORLD.with(|world| {
        let mut world = world.try_borrow_mut().ok()?;
        local::CLOCK.set(Clock::STOPPED);
        world.take_if(|core| core.run == run)
    })
}

impl Core {
    fn new(run: RunId, config: &EngineConfig, observer: Arc<dyn Observer<EngineEvent>>) -> Self {
        let chance = Chance::new(config.seed);
        Self {
            run,
            now: 0,
            links: Links::new(&config.network, &chance),
            strikes: Strikes::default(),
            holds: 0,
            config: config.network.clone(),
            start_unix_millis: config.start_unix_millis,
            chance,
            nodes: Vec::new(),
            machines: Vec::new(),
            conns: Vec::new(),
            listeners: BTreeMap::new(),
            next_listener: 1,
            next_task: 1,
            ops: VecDeque::new(),
            effects: Effects::default(),
            stats: RunStats::default(),
            closing: false,
            root: None,
            polling: true,
            touched: false,
            observer,
            heap: BinaryHeap::new(),
            next_seq: 0,
            planned: BTreeMap::new(),
            next_plan: 0,
        }
    }

    /// Makes the root future known, before its first poll.
    pub(super) fn attach(&mut self, start: Instant, lists: &Arc<Lists>) {
        self.root = Some((start, Arc::clone(lists)));
    }

    /// The root future is polled: starts an instant, unless time has run out (`None`). Whether the
    /// world was used from outside since its last poll.
    fn resume(&mut self, now: Option<u64>) -> bool {
        self.polling = true;
        self.set_now(now.unwrap_or(self.now));
        std::mem::take(&mut self.touched)
    }

    /// The root future is about to return.
    pub(super) fn pause(&mut self) {
        self.polling = false;
        local::CLOCK.set(Clock {
            run: self.run,
            now: self.now,
            ahead_since: self.root.as_ref().map(|(start, _)| *start),
        });
    }

    fn set_now(&mut self, now: u64) {
        self.now = now;
        local::CLOCK.set(Clock {
            run: self.run,
            now,
            ahead_since: None,
        });
    }

    /// If the root future is not being polled: brings the world to Tokio's time, and returns whom
    /// to wake. What was due before that time has happened, for the engine's sleep is armed for it.
    fn enter_from_outside(&mut self) -> Option<Arc<Lists>> {
        if self.polling {
            return None;
        }
        let (start, lists) = self.root.as_ref()?;
        self.now = ms_since(*start);
        self.touched = true;
        Some(Arc::clone(lists))
    }

    /// Tells the observer, after this access.
    pub(super) fn tell(&mut self, event: EngineEvent) {
        if !self.closing {
            self.effects.events.push(event);
        }
    }

    /// Wakes after this access.
    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        self.effects.wake.extend(waker);
    }

    pub(super) fn schedule(&mut self, at: u64, conn: ConnId, dir: usize, what: What) {
        let seq = self.next_seq;
        self.next_seq += 1;
        let dir = u8::from(dir != 0);
        self.heap.push(Reverse(Due {
            at,
            conn,
            dir,
            seq,
            what,
        }));
    }

    /// The next delivery that is due now.
    pub(super) fn next_due(&mut self) -> Option<Due> {
        let due = self
            .heap
            .peek()
            .filter(|Reverse(due)| due.at <= self.now)?
            .0;
        self.heap.pop();
        self.stats.deliveries += 1;
        Some(due)
    }

    /// The millisecond of the next delivery or planned action.
    pub(super) fn next_ms(&self) -> Option<u64> {
        let delivery = self.heap.peek().map(|Reverse(due)| due.at);
        let planned = self.planned.first_key_value().map(|((ms, _), _)| *ms);
        match (delivery, planned) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub(super) fn plan(&mut self, ms: u64, action: Action) {
        self.planned.insert((ms, self.next_plan), action);
        self.next_plan += 1;
    }

    /// The next planned action that is due now.
    pub(super) fn next_action(&mut self) -> Option<Action> {
        let entry = self.planned.first_entry()?;
        (entry.key().0 <= self.now).then(|| entry.remove())
    }

    /// What the node's wall clock says.
    pub(crate) fn unix_millis(&self, node: NodeId) -> i64 {
        let offset = self.node(node).map_or(0, |node| node.wall_offset_ms);
        let now = i64::try_from(self.now).unwrap_or(i64::MAX);
        self.start_unix_millis
            .saturating_add(now)
            .saturating_add(offset)
    }

    /// A number of the node's own, addressed by incarnation, site and position.
    pub(crate) fn draw(&self, node: NodeId, life: u32, site: &str, position: u64) -> Option<u64> {
        let life = self.node(node)?.chance.part("incarnation", life.into());
        Some(life.draw(site, position))
    }

    pub(crate) fn address(&self, node: NodeId) -> Option<IpAddr> {
        let machine = self.node(node)?.machine;
        self.machines.get(machine).map(|machine| machine.ip)
    }

    /// What the run cost, at its end.
    pub(super) fn take_stats(&mut self, polls: u64, jumps: u64) -> RunStats {
        let links = self.links.bytes();
        RunStats {
            virtual_ms: self.now,
            polls,
            jumps,
            links,
            ..std::mem::take(&mut self.stats)
        }
    }

    pub(super) fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(node.index())
    }

    pub(super) fn add_node(&mut self, name: &str, ip: IpAddr) -> NodeId {
        let Ok(number) = u16::try_from(self.nodes.len()) else {
            return NodeId::LAB;
        };
        let machine = self.machine_at(ip);
        let shared = Name::from(name);
        self.links.add_node(&shared);
        self.nodes.push(Node {
            name: shared,
            machine,
            incarnation: 0,
            started: 0,
            booted: 0,
            refuses: false,
            swallows: false,
            deaf: false,
            wall_offset_ms: 0,
            chance: self.chance.part(name, 0),
            tasks: 0,
        });
        NodeId(number)
    }

    /// The machine with this address, made if there is none. Machines start with power.
    pub(super) fn machine_at(&mut self, ip: IpAddr) -> usize {
        if let Some(at) = self.machines.iter().position(|machine| machine.ip == ip) {
            return at;
        }
        self.machines.push(Machine {
            ip,
            up: true,
            next_port: FIRST_PORT,
        });
        self.machines.len() - 1
    }

    pub(super) fn next_incarnation(&mut self, node: NodeId) -> u32 {
        match self.nodes.get_mut(node.index()) {
            Some(node) => {
                node.booted += 1;
                node.booted
            }
            None => 0,
        }
    }

    /// Whether this incarnation of the node runs; `None`: it is still to start.
    pub(super) fn lives(&self, node: NodeId, incarnation: u32) -> Option<bool> {
        let Some(node) = self.node(node) else {
            return Some(false);
        };
        if incarnation > node.started {
            return None;
        }
        Some(incarnation != 0 && node.incarnation == incarnation)
    }

    pub(super) fn gauges(&self, node: NodeId) -> NodeGauges {
        let connections = self
            .conns
            .iter()
            .flatten()
            .map(|conn| conn.held_by(node))
            .sum();
        let listeners = self
            .listeners
            .values()
            .filter(|listening| listening.node == node)
            .count();
        NodeGauges {
            tasks: self.node(node).map_or(0, |node| node.tasks),
            connections,
            listeners: u32::try_from(listeners).unwrap_or(u32::MAX),
        }
    }
}

/// The first ephemeral port of a machine; they count up and are not used twice in a run.
const FIRST_PORT: u16 = 32_768;

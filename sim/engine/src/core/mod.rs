//! The simulated machines of one run: nodes, kernels, links, and what is due when.
//!
//! Everything here is plain state that is changed by short calls. No task is polled, woken or dropped
//! from within: wakers and events are collected, and released when the call is over.
//!
//! * `lives`: processes and machines that start and end; what is due; changes
//! * `link`: latency, loss, cuts, bandwidth
//! * `names`: what a node's name means; `foreign`: whose the tasks are that Tokio polls
//! * `tcp`: connections, as a program on Linux sees them

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use rmq_host::{BoxFuture, SharedHost};
use smallvec::SmallVec;
use tokio::task;
use tokio::time::Instant;

use crate::chance::Chance;
use crate::command::Command;
use crate::config::{EngineConfig, LinkBytes, NetworkConfig, NodeGauges, RunStats};
use crate::event::{EngineEvent, EventSink};
use crate::node::NodeId;
use crate::ready::Lists;
use crate::strike::Strikes;

mod foreign;
mod link;
mod lives;
mod names;
mod tcp;

use link::Links;
pub(crate) use tcp::ConnId;
use tcp::{Conn, Listening};

/// Tells runs apart, so that what outlives one cannot touch the next. It decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunId(u64);

impl RunId {
    /// The number that belongs to no run.
    pub(super) const NONE: Self = Self(0);

    pub(super) fn next() -> Self {
        static RUNS: AtomicU64 = AtomicU64::new(1);
        Self(RUNS.fetch_add(1, Ordering::Relaxed))
    }
}

/// A process's place: tasks and sockets belong to a machine; a node is one process on it.
pub(super) struct Node {
    pub(super) name: Arc<str>,
    /// No process of its own, but a part of another node's.
    pub(super) is_component: bool,
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
    /// Its process stands still.
    pub(super) frozen: bool,
    /// Tasks of Tokio's own that wait until it does not.
    pub(super) thawed: Vec<Waker>,
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
pub(super) enum DeliveryKind {
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
    pub(super) what: DeliveryKind,
}

/// What a node runs: makes the future of a new process's program.
pub(super) type Program = Arc<dyn Fn(SharedHost) -> BoxFuture<'static, ()> + Send + Sync>;

type Action = Box<dyn FnOnce() + Send>;

/// What is released after the access that caused it.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) wake: SmallVec<[Waker; 2]>,
    pub(super) drop: SmallVec<[Waker; 2]>,
    pub(super) events: Vec<EngineEvent>,
}

impl Effects {
    pub(super) fn is_empty(&self) -> bool {
        self.wake.is_empty() && self.drop.is_empty() && self.events.is_empty()
    }
}

/// The simulated machines and the network of one run.
pub(crate) struct Core {
    pub(super) run: RunId,
    pub(super) now: u64,
    pub(super) config: NetworkConfig,
    pub(super) start_unix_millis: i64,
    chance: Chance,
    pub(super) nodes: Vec<Node>,
    pub(super) machines: Vec<Machine>,
    links: Links,
    /// What faults did so far.
    pub(super) strikes: Strikes,
    /// How many directions are held.
    pub(super) holds: u32,
    conns: Vec<Option<Box<Conn>>>,
    listeners: BTreeMap<SocketAddr, Listening>,
    pub(super) next_listener: u64,
    pub(crate) next_task: u64,
    pub(crate) commands: VecDeque<Command>,
    pub(super) effects: Effects,
    pub(super) stats: RunStats,
    /// Teardown: nothing is observed any more.
    pub(super) closing: bool,
    /// When the run started, and the way to the root future's waker.
    pub(super) root: Option<(Instant, Arc<Lists>)>,
    /// The root future is being polled, or is not started or over.
    pub(super) polling: bool,
    /// A task that the engine does not poll used the machines since the root future's last poll.
    pub(super) touched: bool,
    /// The tasks of Tokio's own that have used a socket, and the process whose socket it was first.
    foreign: Vec<(task::Id, NodeId, u32)>,
    pub(super) sink: Arc<dyn EventSink>,
    /// What nodes run when they are restarted.
    pub(super) programs: BTreeMap<NodeId, Program>,
    heap: BinaryHeap<Reverse<Due>>,
    next_seq: u64,
    planned: BTreeMap<(u64, u64), Action>,
    next_plan: u64,
}

impl Core {
    pub(super) fn new(run: RunId, config: &EngineConfig, sink: Arc<dyn EventSink>) -> Self {
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
            commands: VecDeque::new(),
            effects: Effects::default(),
            stats: RunStats::default(),
            closing: false,
            root: None,
            polling: true,
            touched: false,
            foreign: Vec::new(),
            sink,
            programs: BTreeMap::new(),
            heap: BinaryHeap::new(),
            next_seq: 0,
            planned: BTreeMap::new(),
            next_plan: 0,
        }
    }

    /// Tells the sink, after this access.
    pub(super) fn tell(&mut self, event: EngineEvent) {
        if !self.closing {
            self.effects.events.push(event);
        }
    }

    /// Wakes after this access.
    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        self.effects.wake.extend(waker);
    }

    pub(super) fn schedule(&mut self, at: u64, conn: ConnId, dir: usize, what: DeliveryKind) {
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
        let offset = self.known(node).wall_offset_ms;
        let now = i64::try_from(self.now).unwrap_or(i64::MAX);
        self.start_unix_millis
            .saturating_add(now)
            .saturating_add(offset)
    }

    /// A number of the node's own, addressed by incarnation, site and position.
    pub(crate) fn draw(&self, node: NodeId, life: u32, site: &str, position: u64) -> u64 {
        let life = self.known(node).chance.part("incarnation", life.into());
        life.draw(site, position)
    }

    pub(crate) fn address(&self, node: NodeId) -> Option<IpAddr> {
        let machine = self.node(node)?.machine;
        self.machines.get(machine).map(|machine| machine.ip)
    }

    /// What the run cost, at its end.
    pub(super) fn take_stats(&mut self, polls: u64, jumps: u64) -> RunStats {
        let links = self.link_bytes();
        RunStats {
            virtual_ms: self.now,
            polls,
            jumps,
            links,
            ..std::mem::take(&mut self.stats)
        }
    }

    /// Bytes delivered per link so far.
    pub(super) fn link_bytes(&self) -> Vec<LinkBytes> {
        self.links.bytes()
    }

    pub(super) fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(node.index())
    }

    pub(super) fn add_node(&mut self, name: &str, ip: IpAddr) -> NodeId {
        let id = u16::try_from(self.nodes.len()).map_or(NodeId::OUTSIDE, NodeId);
        assert!(id != NodeId::OUTSIDE, "a run has 65,535 nodes at most");
        let machine = self.machine_at(ip);
        let shared = Arc::<str>::from(name);
        self.links.add_node(&shared);
        self.nodes.push(Node {
            name: shared,
            is_component: false,
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
            frozen: false,
            thawed: Vec::new(),
        });
        id
    }

    /// A number and a name for a part of the process that runs on a node.
    pub(super) fn add_component(&mut self, node: NodeId, name: &str) -> NodeId {
        let machine = self.known(node).machine;
        let component = self.add_node(name, self.machines[machine].ip);
        self.known_mut(component).is_component = true;
        component
    }

    /// A node that whoever names it has been given.
    pub(super) fn known(&self, node: NodeId) -> &Node {
        let Some(found) = self.nodes.get(node.index()) else {
            unreachable!("the run has no node {node:?}")
        };
        found
    }

    /// As [`known`](Self::known), to be changed.
    pub(super) fn known_mut(&mut self, node: NodeId) -> &mut Node {
        let Some(found) = self.nodes.get_mut(node.index()) else {
            unreachable!("the run has no node {node:?}")
        };
        found
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
        let node = self.known_mut(node);
        node.booted += 1;
        node.booted
    }

    /// Whether this incarnation of the node runs; `None`: it is still to start.
    pub(crate) fn lives(&self, node: NodeId, incarnation: u32) -> Option<bool> {
        let node = self.known(node);
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
            tasks: self.known(node).tasks,
            connections,
            listeners: u32::try_from(listeners).unwrap_or(u32::MAX),
        }
    }
}

/// The first ephemeral port of a machine; they count up and are not used twice in a run.
const FIRST_PORT: u16 = 32_768;

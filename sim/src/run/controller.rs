//! Carries out the plan of a run: boots its nodes, and makes its faults happen when they are due.
//!
//! One controller belongs to one run. It decides nothing at random: a fault starts at its time, or
//! when an observer or a server's control reports the thing it waits for. Each start and end is a
//! record of the trace, written before anything changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dst_engine::chance::Chance;
use dst_engine::{Direction, NotModelled};
use parking_lot::Mutex;
use rmq_host::{SharedHost, Task};
use rmq_mock_broker::{Disk, Registration};
use rmq_mock_namesrv::Memory;
use rmq_producer::Client;
use rmq_remoting::observe::Name;
use tokio::sync::{Notify, oneshot};

use super::layout::Layout;
use super::nodes::AddedNode;
use super::sends::SendMatcher;
use crate::backend::{Modelled, SharedBackend};
use crate::fault::{Fault, FaultEvent, FaultKind, NameServerList, Place, Position, Struck};
use crate::scenario::Scenario;
use crate::trace::{NodeEvent, NodeId, Recorder, WorkEvent};

/// Where a fault is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not begun.
    Waiting,
    /// It is in force.
    On,
    /// It has ended, or the run was over before it began.
    Over,
}

/// What is known of a fault while the run goes on.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub(super) data: Arc<Fault>,
    pub(super) phase: Phase,
    /// Requests or stored messages counted so far, for a position that counts.
    pub(super) counted: u64,
    /// How often its rule applied, or the controller did what it is about.
    pub(super) applied: u32,
    /// Whether it ever began.
    pub(super) started: bool,
    /// It is on and names a node that is not there yet: it strikes as soon as the node is.
    pub(super) waits_for_node: bool,
    /// What the engine had counted of its kind and place when it began.
    pub(super) measured_at_start: Option<u64>,
    /// The same when it was over; none of one that goes on.
    pub(super) measured_at_end: Option<u64>,
    /// The line of the check that started it; none of a fault of the plan.
    pub(super) injected: Option<Name>,
}

impl Progress {
    /// A fault that has not begun.
    pub(super) fn new(fault: Fault) -> Self {
        Self {
            data: Arc::new(fault),
            phase: Phase::Waiting,
            counted: 0,
            applied: 0,
            started: false,
            waits_for_node: false,
            measured_at_start: None,
            measured_at_end: None,
            injected: None,
        }
    }
}

/// The process of a server that runs: its main task, and how it is reached.
#[derive(Debug)]
pub(super) struct Process {
    /// Holds the process: dropping it kills the main task.
    #[expect(dead_code, reason = "held, not read")]
    pub(super) main: Task,
    /// Asks for an orderly shutdown.
    pub(super) stop: Option<oneshot::Sender<()>>,
    /// Of a name server that is up: keeps what it knows, for stale answers.
    pub(super) memory: Option<Memory>,
    /// Of a broker that is up: what its operator changes is made known by it.
    pub(super) registration: Option<Registration>,
}

/// The servers of a run, the disks under them, and what operators have changed.
#[derive(Debug, Default)]
pub(super) struct Servers {
    pub(super) processes: BTreeMap<NodeId, Process>,
    pub(super) disks: BTreeMap<NodeId, Arc<Disk>>,
    /// The brokers that have registered once.
    pub(super) up: BTreeSet<NodeId>,
    /// The clients whose list of name servers faults change, each with its machine.
    pub(super) clients: BTreeMap<NodeId, (Client, SharedHost)>,
    /// The tasks that change a list.
    pub(super) changes: Vec<Task>,
    /// The changes of a producer's list of name servers that faults, by their numbers, have made.
    pub(super) lists: BTreeMap<u32, (NodeId, NameServerList)>,
    /// How many queues a topic had before a fault, by the fault's number, changed that.
    pub(super) resized: BTreeMap<u32, i32>,
    /// How often a node has moved to a new address.
    pub(super) moves: BTreeMap<NodeId, u16>,
}

/// What happened after which the run makes no sense.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// What a process could not do at its start: a port in use.
    pub(super) broken: Mutex<Option<String>>,
    /// What the engine could not do after all.
    pub(super) not_modelled: Mutex<Option<NotModelled>>,
    /// Which node's program ended with an error, and the error in words.
    pub(super) program: Mutex<Option<String>>,
    pub(super) came: Notify,
}

/// Carries out one run. See the module's documentation.
#[derive(Debug)]
pub(crate) struct RunController {
    pub(super) scenario: Arc<Scenario>,
    pub(super) layout: Layout,
    pub(super) backend: SharedBackend,
    pub(super) recorder: Recorder,
    pub(super) seed: u64,
    pub(super) chance: Chance,
    /// The servers and their disks.
    pub(super) servers: Mutex<Servers>,
    /// The faults in the order of the plan, then those that the check started itself.
    pub(super) faults: Mutex<Vec<Progress>>,
    /// Finds the workload and the send that a request belongs to.
    pub(super) sends: SendMatcher,
    pub(super) added_nodes: Mutex<Vec<AddedNode>>,
    pub(super) trouble: Trouble,
    /// A broker has registered for the first time.
    pub(super) came_up: Notify,
    /// A broker has stored a message.
    pub(super) arrivals: Arc<Notify>,
}

impl RunController {
    pub(super) fn new(
        scenario: Arc<Scenario>,
        layout: Layout,
        backend: SharedBackend,
        recorder: Recorder,
        seed: u64,
    ) -> Arc<Self> {
        let faults = scenario.faults.iter().cloned().map(Progress::new);
        let (faults, sends) = (faults.collect(), SendMatcher::new(&scenario));
        Arc::new(Self {
            scenario,
            layout,
            backend,
            recorder,
            seed,
            chance: Chance::new(seed).part("lab", 0),
            servers: Mutex::default(),
            faults: Mutex::new(faults),
            sends,
            added_nodes: Mutex::default(),
            trouble: Trouble::default(),
            came_up: Notify::new(),
            arrivals: Arc::default(),
        })
    }

    /// Waits until the run makes no sense any more: a node could not start, or the engine cannot do
    /// what it was asked for.
    pub(super) fn trouble(self: &Arc<Self>) -> impl Future<Output = ()> + Send + 'static {
        let controller = Arc::clone(self);
        async move { controller.trouble.came.notified().await }
    }

    /// Plans every fault that starts at a time.
    pub(super) fn plan(self: &Arc<Self>) {
        for (index, fault) in self.scenario.faults.iter().enumerate() {
            if let Position::Time { ms } = fault.at {
                self.start_at(ms, index);
            }
        }
    }

    /// Plans the start of a fault.
    pub(super) fn start_at(self: &Arc<Self>, ms: u64, index: usize) {
        let controller = Arc::clone(self);
        self.backend
            .at(ms, Box::new(move || controller.start(index)));
    }

    /// Starts a fault, once.
    pub(super) fn start(self: &Arc<Self>, index: usize) {
        let Some(data) = self.enter(index, Phase::Waiting, Phase::On) else {
            return;
        };
        let struck = self.find(&data.place);
        // A rule at the target is at every broker.
        let is_anywhere = data.place.has_target();
        self.progress(index, |fault| {
            fault.started = true;
            fault.waits_for_node = struck.is_none() && !is_anywhere;
        });
        let node = match struck {
            Some(Struck::Node(node)) => node,
            // A link has no node of its own, and one that is not there yet has no number.
            Some(Struck::Link(_)) | None => NodeId::OUTSIDE,
        };
        self.recorder.push(
            node,
            NodeEvent::Fault(FaultEvent::On {
                fault: number(index),
                data: Arc::clone(&data),
            }),
        );
        if let Some(struck) = struck {
            self.strike(index, &data, struck);
        }
        if data.kind.behaviour().is_over_at_once(&data.place) {
            self.end(index);
        }
        if let Some(for_ms) = data.for_ms {
            let controller = Arc::clone(self);
            let end = self.recorder.now_ms().saturating_add(for_ms);
            self.backend
                .at(end, Box::new(move || controller.end(index)));
        }
    }

    /// Makes a fault felt whose nodes are there.
    fn strike(self: &Arc<Self>, index: usize, data: &Fault, struck: Struck) {
        let measured = self.measured(&data.kind, struck);
        self.progress(index, |fault| fault.measured_at_start = measured);
        self.change(index, &data.kind, struck, true);
    }

    /// A node has been added: the faults that have waited for it strike.
    pub(super) fn node_added(self: &Arc<Self>) {
        let faults = self.faults.lock().clone();
        for (index, fault) in faults.into_iter().enumerate() {
            if fault.phase == Phase::On
                && fault.waits_for_node
                && let Some(struck) = self.find(&fault.data.place)
            {
                self.progress(index, |fault| fault.waits_for_node = false);
                self.strike(index, &fault.data, struck);
            }
        }
    }

    /// Changes what is known of a fault.
    fn progress(&self, index: usize, change: impl FnOnce(&mut Progress)) {
        change(&mut self.faults.lock()[index]);
    }

    /// Ends a fault, once.
    pub(super) fn end(self: &Arc<Self>, index: usize) {
        let Some(data) = self.enter(index, Phase::On, Phase::Over) else {
            return;
        };
        let waits = self.faults.lock()[index].waits_for_node;
        let struck = self.find(&data.place).filter(|_| !waits);
        // What strikes connections for good goes on.
        if !data.kind.is_at_once()
            && let Some(struck) = struck
        {
            let measured = self.measured(&data.kind, struck);
            self.progress(index, |fault| fault.measured_at_end = measured);
        }
        let node = match struck {
            Some(Struck::Node(node)) => node,
            Some(Struck::Link(_)) | None => NodeId::OUTSIDE,
        };
        let progress = self.faults.lock()[index].clone();
        let goes_on = data.kind.is_at_once() || matches!(data.kind, FaultKind::Rule(_));
        let counted = data.kind.behaviour().counted().is_some() && !goes_on;
        self.recorder.push(
            node,
            NodeEvent::Fault(FaultEvent::Off {
                fault: number(index),
                struck: if counted {
                    self.struck(&progress)
                } else {
                    None
                },
            }),
        );
        if let Some(struck) = struck {
            self.change(index, &data.kind, struck, false);
        }
    }

    /// Ends every fault, and none starts any more: the cluster is healed. What struck connections
    /// for good goes on.
    pub(super) fn heal(self: &Arc<Self>) {
        for (index, fault) in self.scenario.faults.iter().enumerate() {
            if fault.kind.is_at_once() {
                self.enter(index, Phase::Waiting, Phase::Over);
            } else if self.enter(index, Phase::Waiting, Phase::Over).is_none() {
                self.end(index);
            }
        }
        self.recorder
            .push(NodeId::OUTSIDE, NodeEvent::Work(WorkEvent::Healed));
    }

    /// Moves a fault on, if it is where it should be.
    pub(super) fn enter(&self, index: usize, from: Phase, to: Phase) -> Option<Arc<Fault>> {
        let mut faults = self.faults.lock();
        let fault = &mut faults[index];
        if fault.phase != from {
            return None;
        }
        fault.phase = to;
        Some(Arc::clone(&fault.data))
    }

    /// What a fault at `place` strikes; none while a node of it is not there.
    pub(super) fn find(&self, place: &Place) -> Option<Struck> {
        let added_nodes = self.added_nodes.lock();
        let node = |name: &Name| {
            let added = added_nodes.iter().find(|added| added.name == *name);
            added.map(|added| added.node).or(self.layout.find(name))
        };
        Some(match place {
            Place::Node(name) => Struck::Node(node(name)?),
            Place::Link { from, to } => Struck::Link(Direction::One(node(from)?, node(to)?)),
            Place::Pair { a, b } => Struck::Link(Direction::Both(node(a)?, node(b)?)),
        })
    }

    /// Ends the run if the engine cannot do what it was asked for.
    pub(super) fn modelled(&self, modelled: Modelled) {
        if let Err(not_modelled) = modelled {
            let mut first = self.trouble.not_modelled.lock();
            first.get_or_insert(not_modelled);
            self.trouble.came.notify_one();
        }
    }
}

/// A fault's number, from 1, of its index.
#[expect(
    clippy::expect_used,
    reason = "a plan of four thousand million faults fits in no memory"
)]
pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index + 1).expect("the faults of a plan can be numbered")
}

//! Carries out the plan of a run: boots its nodes, and makes its faults happen when they are due.
//!
//! One director belongs to one run. It decides nothing at random: a fault starts at its time, or
//! when an observer or a server's control reports the thing it waits for. Each start and end is a
//! record of the trace, written before anything changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dst_engine::NotModelled;
use dst_engine::chance::Chance;
use parking_lot::Mutex;
use rmq_host::{SharedHost, Task};
use rmq_mock_broker::{Disk, Registration};
use rmq_mock_namesrv::Memory;
use rmq_producer::event::SendNumber;
use rmq_producer::{Client, Policy};
use rmq_remoting::observe::Name;
use tokio::sync::{Notify, oneshot};

use super::layout::Layout;
use crate::backend::{Modelled, SharedBackend};
use crate::fault::{Fault, FaultEvent, FaultKind, Place, Position};
use crate::scenario::Scenario;
use crate::trace::{NodeId, Recorder, What, WorkEvent};

/// Where a fault is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not begun.
    Waiting,
    /// It is in force.
    On,
    /// It is over.
    Over,
}

/// What is known of a fault while the run goes on.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub(super) data: Arc<Fault>,
    pub(super) phase: Phase,
    /// Requests or stored messages counted so far, for a position that counts.
    pub(super) counted: u64,
    /// How often its rule applied, or the director did what it is about.
    pub(super) applied: u32,
    /// Whether it ever began.
    pub(super) started: bool,
    /// What the engine had counted of its kind and place when it began.
    pub(super) measured_at_start: Option<u64>,
    /// The same when it was over; none of one that goes on.
    pub(super) measured_at_end: Option<u64>,
}

/// A server's process.
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

/// A machine that a check's own code added, beside the scenario's nodes.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) name: Name,
    pub(super) node: NodeId,
    pub(super) host: SharedHost,
    /// What its producer does when.
    pub(super) policy: Option<Policy>,
}

/// What changes while the run goes on.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) faults: Vec<Progress>,
    pub(super) processes: BTreeMap<NodeId, Process>,
    pub(super) disks: BTreeMap<NodeId, Arc<Disk>>,
    /// The brokers that have registered once.
    pub(super) up: BTreeSet<NodeId>,
    /// The clients whose list of name servers faults change, each with its machine.
    pub(super) clients: BTreeMap<NodeId, (Client, SharedHost)>,
    /// The tasks that change a list.
    pub(super) changes: Vec<Task>,
    /// How many queues a topic had before a fault, by the fault's number, changed that.
    pub(super) resized: BTreeMap<u32, i32>,
    /// How often a node has moved to a new address.
    pub(super) moves: BTreeMap<NodeId, u16>,
    /// The workload's name for a producer's send.
    pub(super) sends: BTreeMap<(NodeId, SendNumber), (u32, u64)>,
    /// The workload send that is being called right now, until its `Call` event.
    pub(super) calling: Option<(u32, u64)>,
    /// How many requests of a send the servers have read, for sends that a fault waits for.
    pub(super) read: BTreeMap<Name, u32>,
    /// The unique keys of all messages built.
    pub(super) built: Vec<Name>,
    /// What a process could not do at its start: a port in use.
    pub(super) broken: Option<String>,
    /// What the engine could not do after all.
    pub(super) not_modelled: Option<NotModelled>,
}

/// Carries out one run. See the module's documentation.
#[derive(Debug)]
pub(crate) struct Director {
    pub(super) scenario: Arc<Scenario>,
    pub(super) layout: Layout,
    pub(super) fabric: SharedBackend,
    pub(super) recorder: Recorder,
    pub(super) chance: Chance,
    pub(super) state: Mutex<State>,
    pub(super) guests: Mutex<Vec<Guest>>,
    /// Something happened after which the run makes no sense.
    pub(super) trouble: Notify,
    /// A broker has registered for the first time.
    pub(super) came_up: Notify,
}

impl Director {
    pub(super) fn new(
        scenario: Arc<Scenario>,
        layout: Layout,
        fabric: SharedBackend,
        recorder: Recorder,
        seed: u64,
    ) -> Arc<Self> {
        let faults = scenario.faults.iter().map(|fault| Progress {
            data: Arc::new(fault.clone()),
            phase: Phase::Waiting,
            counted: 0,
            applied: 0,
            started: false,
            measured_at_start: None,
            measured_at_end: None,
        });
        let waits = scenario.faults.iter().filter_map(|fault| match fault.at {
            Position::Send { workload, send, .. } => Some((scenario.keys_of(workload, send), 0)),
            _ => None,
        });
        let state = State {
            faults: faults.collect(),
            read: waits.collect(),
            ..State::default()
        };
        Arc::new(Self {
            scenario,
            layout,
            fabric,
            recorder,
            chance: Chance::new(seed).part("lab", 0),
            state: Mutex::new(state),
            guests: Mutex::default(),
            trouble: Notify::new(),
            came_up: Notify::new(),
        })
    }

    /// Waits until the run makes no sense any more: a node could not start, or the engine cannot do
    /// what it was asked for.
    pub(super) fn trouble(self: &Arc<Self>) -> impl Future<Output = ()> + Send + 'static {
        let director = Arc::clone(self);
        async move { director.trouble.notified().await }
    }

    /// Plans every fault that starts at a time.
    pub(super) fn plan(self: &Arc<Self>) {
        for (index, fault) in self.scenario.faults.iter().enumerate() {
            if let Position::Time { ms } = fault.at {
                let director = Arc::clone(self);
                self.fabric.at(ms, Box::new(move || director.start(index)));
            }
        }
    }

    /// Starts a fault, once.
    pub(super) fn start(self: &Arc<Self>, index: usize) {
        let Some(data) = self.enter(index, Phase::Waiting, Phase::On) else {
            return;
        };
        let measured = self.measured(&data);
        if let Some(fault) = self.state.lock().faults.get_mut(index) {
            fault.started = true;
            fault.measured_at_start = measured;
        }
        let node = self.node_of(&data);
        self.recorder.push(
            node,
            What::Fault(FaultEvent::On {
                fault: number(index),
                data: Arc::clone(&data),
            }),
        );
        self.change(index, &data, true);
        if matches!(
            (&data.kind, &data.place),
            (FaultKind::Reset { .. }, Place::Pair { .. })
        ) {
            // It has struck.
            self.end(index);
        }
        if let Some(for_ms) = data.for_ms {
            let director = Arc::clone(self);
            let end = self.recorder.now_ms().saturating_add(for_ms);
            self.fabric.at(end, Box::new(move || director.end(index)));
        }
    }

    /// Ends a fault, once.
    pub(super) fn end(self: &Arc<Self>, index: usize) {
        let Some(data) = self.enter(index, Phase::On, Phase::Over) else {
            return;
        };
        // What strikes connections for good goes on.
        if !data.kind.is_at_once() {
            let measured = self.measured(&data);
            if let Some(fault) = self.state.lock().faults.get_mut(index) {
                fault.measured_at_end = measured;
            }
        }
        let node = self.node_of(&data);
        self.recorder.push(
            node,
            What::Fault(FaultEvent::Off {
                fault: number(index),
            }),
        );
        self.change(index, &data, false);
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
            .push(NodeId::OUTSIDE, What::Work(WorkEvent::Healed));
    }

    /// Moves a fault on, if it is where it should be.
    fn enter(&self, index: usize, from: Phase, to: Phase) -> Option<Arc<Fault>> {
        let mut state = self.state.lock();
        let fault = state.faults.get_mut(index)?;
        if fault.phase != from {
            return None;
        }
        fault.phase = to;
        Some(Arc::clone(&fault.data))
    }

    /// The node a fault's record belongs to: its own, or the laboratory for a link.
    fn node_of(&self, fault: &Fault) -> NodeId {
        match &fault.place {
            Place::Node(name) => self.node(name),
            Place::Link { .. } | Place::Pair { .. } => NodeId::OUTSIDE,
        }
    }

    /// The node called `name`, a guest's included.
    pub(super) fn node(&self, name: &str) -> NodeId {
        let guests = self.guests.lock();
        let guest = guests.iter().find(|guest| &*guest.name == name);
        guest.map_or_else(|| self.layout.node(name), |guest| guest.node)
    }

    /// Ends the run if the engine cannot do what it was asked for.
    pub(super) fn modelled(&self, modelled: Modelled) {
        if let Err(not_modelled) = modelled {
            self.state.lock().not_modelled.get_or_insert(not_modelled);
            self.trouble.notify_one();
        }
    }
}

/// A fault's number, from 1, of its index.
pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

//! What happens within a run, from the first boot to the sealed trace, on whichever engine.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use dst_engine::{EngineEvent, EventSink};
use parking_lot::Mutex;
use rmq_host::{SharedHost, Task, TaskEnd};
use rmq_mock_broker::ledger::Entry;
use rmq_producer::event::Event as ProducerEvent;
use rmq_remoting::observe::{Name, Observer};

use super::RunConfig;
use super::beside::Beside;
use super::controller::RunController;
use super::layout::Layout;
use super::nodes::Program;
use super::producers::RunningProducer;
use super::progress;
use super::seal::Left;
use super::sends::Sends;
use super::workload::Caller;
use crate::backend::SharedBackend;
use crate::fault::Fault;
use crate::scenario::Scenario;
use crate::trace::{NodeId, Recorder};
use crate::verdict::Finding;

/// How long a cluster may take to come up before a check's own code starts.
const START_UP: Duration = Duration::from_secs(1);

/// What a run shares with whoever looks at it afterwards, also if it did not end well.
#[derive(Debug, Default)]
pub(super) struct RunHandle {
    /// From the set-up of the cluster until the run is sealed.
    pub(super) controller: Mutex<Option<Arc<RunController>>>,
    /// What a run leaves behind, from the moment it is sealed.
    pub(super) left: Mutex<Option<Left>>,
    pub(super) engine_events: Arc<EngineEvents>,
}

/// Records what the engine sees, as soon as there is a recorder on the engine's clock.
#[derive(Debug, Default)]
pub(super) struct EngineEvents(Mutex<Option<Recorder>>);

impl EngineEvents {
    fn record(&self, recorder: Recorder) {
        *self.0.lock() = Some(recorder);
    }
}

impl EventSink for EngineEvents {
    fn on(&self, event: EngineEvent) {
        if let Some(recorder) = &*self.0.lock() {
            recorder.on(event);
        }
    }
}

/// A producer of the run and its machine.
#[derive(Debug, Clone)]
pub(crate) struct ProducerNode {
    pub(crate) node: NodeId,
    pub(crate) host: SharedHost,
}

/// A run that goes on.
#[derive(Debug, Clone)]
pub(crate) struct RunningCluster {
    pub(crate) controller: Arc<RunController>,
}

impl RunningCluster {
    /// Builds the nodes of a scenario on an engine, boots the servers and plans the faults.
    pub(super) fn set(
        scenario: &Arc<Scenario>,
        knobs: RunConfig,
        backend: SharedBackend,
        run: &RunHandle,
    ) -> Self {
        let layout = Layout::build(scenario, &*backend);
        let clock = Arc::clone(&backend);
        let recorder = Recorder::on_clock(move || clock.now_ms());
        run.engine_events.record(recorder.clone());
        let controller =
            RunController::new(Arc::clone(scenario), layout, backend, recorder, knobs.seed);
        *run.controller.lock() = Some(Arc::clone(&controller));
        controller.boot_servers();
        controller.plan();
        Self { controller }
    }

    /// Boots the machine of a producer.
    pub(crate) fn boot_producer(&self, name: &str) -> ProducerNode {
        let node = self.controller.layout.node(name);
        let host = self.controller.backend.boot(node);
        ProducerNode { node, host }
    }

    /// The machine called `name`: a node of the scenario, or one that is added now. It is booted
    /// once.
    pub(crate) fn machine(&self, name: &str) -> SharedHost {
        self.controller.machine(name)
    }

    /// Adds a node with a program, and starts it. False: the name is taken.
    pub(crate) fn start_node(&self, name: &str, program: Program) -> bool {
        self.controller.add_process(name, program)
    }

    /// Adds a fault to those of the plan, from a line of the check. Its index, or why it makes no sense.
    pub(crate) fn inject(&self, fault: Fault, from: &Location<'_>) -> Result<usize, String> {
        self.controller.inject(fault, from)
    }

    /// Ends a fault now, or keeps it from starting.
    pub(crate) fn heal(&self, index: usize) {
        self.controller.heal_one(index);
    }

    /// How often a fault has struck so far.
    pub(crate) fn struck(&self, index: usize) -> u64 {
        self.controller.struck_so_far(index)
    }

    /// Starts a node again that faults have taken away. False: none has.
    pub(crate) fn restart(&self, node: &str) -> bool {
        self.controller.restart_one(node)
    }

    /// Whether a node of the scenario is a name server.
    pub(crate) fn is_name_server(&self, name: &str) -> bool {
        self.controller.is_name_server(name)
    }

    /// The names of all nodes that there are by now.
    pub(crate) fn node_names(&self) -> Vec<Name> {
        self.controller.known_names()
    }

    /// The observer of a producer's events.
    pub(crate) fn observer(&self, node: NodeId) -> Arc<dyn Observer<ProducerEvent>> {
        Arc::new(self.controller.watch(node))
    }

    /// The seed of the run.
    pub(crate) fn seed(&self) -> u64 {
        self.controller.seed
    }

    /// The name servers' addresses.
    pub(crate) fn name_servers(&self) -> String {
        self.controller.layout.name_servers.join(";")
    }

    /// What all brokers have stored by now.
    pub(crate) fn stored(&self) -> Vec<(Name, Entry)> {
        self.controller.stored_entries()
    }

    /// What all producers were called for by now.
    pub(crate) fn sends(&self) -> Sends {
        self.controller.sends.all()
    }

    /// Waits until every broker has registered for the first time, but not for ever: a fault may
    /// be there from the beginning.
    pub(crate) async fn until_up(&self) {
        // Too late is no error: the caller goes on with the part of the cluster that is up.
        let _ = tokio::time::timeout(START_UP, self.controller.cluster_is_up()).await;
    }

    /// Milliseconds since the start.
    pub(crate) fn now_ms(&self) -> u64 {
        self.controller.backend.now_ms()
    }

    /// Waits until so many milliseconds after the start.
    pub(crate) async fn until(&self, ms: u64) {
        let left = ms.saturating_sub(self.now_ms());
        tokio::time::sleep(Duration::from_millis(left)).await;
    }
}

/// Plays a scenario's workloads to their end, and the liveness phase if there is one; what makes
/// no progress then. What happens beside them makes no finding.
pub(crate) async fn workloads(cluster: RunningCluster, beside: Beside) -> Vec<Finding> {
    let scenario = Arc::clone(&cluster.controller.scenario);
    let started = async {
        let producers = cluster.producers(&scenario).await?;
        let sibling = play_beside(&cluster, beside, &producers).await?;
        Ok((producers, sibling))
    };
    let (producers, sibling) = match started.await {
        Ok(started) => started,
        Err(error) => {
            let mut broken = cluster.controller.trouble.broken.lock();
            broken.get_or_insert(error);
            return Vec::new();
        }
    };
    let mut running = start_work(&cluster, &scenario, &producers);
    let (mut ends, mut kept) = (Vec::new(), Vec::new());
    for producer in producers {
        if producer.plan.dropped {
            let mine = running.extract_if(.., |(owner, _)| *owner == producer.plan.name);
            let mine = mine.map(|(_, task)| task).collect();
            ends.push(cluster.drop_after(producer, mine));
        } else if let Some(at_ms) = producer.plan.stop_ms {
            ends.push(cluster.stop(producer, Some(at_ms)));
        } else {
            kept.push(producer);
        }
    }
    for (_, task) in running {
        until_done(task).await;
    }
    cluster.until(scenario.seconds * 1_000).await;
    let mut stuck = Vec::new();
    if let Some(bound_ms) = scenario.liveness_ms {
        stuck = progress::demand(&cluster.controller, &kept, bound_ms).await;
    }
    drop(sibling);
    for producer in kept {
        cluster.stop(producer, None).await;
    }
    for end in ends {
        end.await;
    }
    stuck
}

/// Starts what happens beside the scenario; it goes on as long as the task is there.
async fn play_beside(
    cluster: &RunningCluster,
    beside: Beside,
    producers: &[RunningProducer],
) -> Result<Option<Task>, String> {
    match (beside, producers.first()) {
        (Beside::ClockJumps, _) => {
            let nodes = producers.iter().map(|it| it.machine.node);
            let nodes: BTreeSet<NodeId> = nodes.collect();
            cluster.jump_clocks(&nodes);
            Ok(None)
        }
        (Beside::Sibling(does), Some(first)) => {
            let sibling = cluster.sibling(&first.producer, &first.machine, does);
            sibling.await.map(Some)
        }
        (Beside::Nothing | Beside::Sibling(_), _) => Ok(None),
    }
}

/// Starts the callers of every workload, each with the name of its producer.
fn start_work(
    cluster: &RunningCluster,
    scenario: &Scenario,
    producers: &[RunningProducer],
) -> Vec<(Name, Task)> {
    let mut running = Vec::new();
    for (number, workload) in (1..).zip(&scenario.workloads) {
        let owner = producers
            .iter()
            .find(|it| it.plan.name == workload.producer);
        let Some(owner) = owner else {
            unreachable!("names are checked before a run: {}", workload.producer);
        };
        let caller = Caller {
            controller: Arc::clone(&cluster.controller),
            producer: owner.producer.clone(),
            node: owner.machine.node,
            group: owner.group.clone(),
            number,
        };
        for one in 1..=u64::from(workload.callers) {
            let work = Box::pin(caller.clone().work(workload.clone(), one));
            let task = owner.machine.host.spawn("workload", work);
            running.push((Name::clone(&workload.producer), task));
        }
    }
    running
}

/// Waits until a task of a workload is done.
pub(super) async fn until_done(task: Task) {
    if let TaskEnd::Panicked(message) = task.await {
        tracing::error!(message, "a workload panicked");
    }
}

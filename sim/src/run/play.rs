//! What happens within a run, from the first boot to the sealed trace, on whichever engine.

use std::sync::Arc;
use std::time::Duration;

use dst_engine::{EngineEvent, EventSink};
use parking_lot::Mutex;
use rmq_host::{SharedHost, Task, TaskEnd};
use rmq_mock_broker::ledger::Entry;
use rmq_producer::event::Event as ProducerEvent;
use rmq_producer::{Client, Policy, Producer, ProducerBuilder, WhenFull};
use rmq_remoting::observe::{Name, Observer};

use super::RunConfig;
use super::beside::Beside;
use super::controller::{AddedNode, RunController};
use super::facts::policy_of;
use super::hooks::{ForbidsBroker, PanickingHook};
use super::layout::Layout;
use super::progress;
use super::seal::Left;
use super::workload::Caller;
use crate::backend::SharedBackend;
use crate::fault::{Fault, Place};
use crate::scenario::{Hooks, Limits, Namespace, ProducerPlan, Scenario};
use crate::trace::{NodeEvent, NodeId, Recorder, WorkEvent};
use crate::verdict::Finding;

/// The first machine that is not of the scenario: added by a check's own code.
const ADDED_NODES: u16 = 1_000;

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
    pub(crate) fn machine(&self, name: &str) -> (NodeId, SharedHost) {
        let mut added_nodes = self.controller.added_nodes.lock();
        if let Some(added) = added_nodes.iter().find(|added| &*added.name == name) {
            return (added.node, Arc::clone(&added.host));
        }
        let backend = &self.controller.backend;
        let number = usize::from(ADDED_NODES) + added_nodes.len();
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        assert!(number < u16::MAX, "a check cannot add so many nodes");
        let node = backend.node(name, backend.address_for(number));
        let host = backend.boot(node);
        added_nodes.push(AddedNode {
            name: Name::from(name),
            node,
            host: Arc::clone(&host),
            policy: None,
        });
        drop(added_nodes);
        self.controller.node_added();
        (node, host)
    }

    /// Notes the policy that a added's producer has, for the checkers.
    pub(crate) fn has_policy(&self, node: NodeId, policy: &Policy) {
        let mut added_nodes = self.controller.added_nodes.lock();
        if let Some(added) = added_nodes.iter_mut().find(|added| added.node == node) {
            added.policy = Some(policy.clone());
        }
    }

    /// The observer of a producer's events.
    pub(crate) fn observer(&self, node: NodeId) -> Arc<dyn Observer<ProducerEvent>> {
        Arc::new(self.controller.watch(node))
    }

    /// The name servers' addresses.
    pub(crate) fn name_servers(&self) -> String {
        self.controller.layout.name_servers.join(";")
    }

    /// What all brokers have stored by now.
    pub(crate) fn stored(&self) -> Vec<(Name, Entry)> {
        self.controller.stored_entries()
    }

    /// The unique keys of all messages built by now.
    pub(crate) fn built(&self) -> Vec<Name> {
        self.controller.sends.built()
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

    /// Starts a producer as a scenario plans it.
    async fn producer(
        &self,
        plan: &ProducerPlan,
        machine: &ProducerNode,
    ) -> Result<Producer, String> {
        let policy = policy_of(plan).map_err(|error| error.to_string())?;
        let mut builder = Producer::builder(plan.group.as_str())
            .host(Arc::clone(&machine.host))
            .name_servers(self.controller.name_servers_of(machine.node))
            .observer(self.observer(machine.node))
            .policy(policy);
        if let Some(queue) = plan.first_queue {
            builder = builder.rotation_start(i32::try_from(queue).unwrap_or(0));
        }
        if let Some(first) = plan.first_name_server {
            builder = builder.first_name_server(first as usize);
        }
        if let Some(constant) = plan.id_constant {
            builder = builder.id_constant(constant);
        }
        if let Some(opaque) = plan.first_opaque {
            builder = builder.first_opaque(opaque);
        }
        let producer = settings(plan, builder).start().await;
        let producer = producer.map_err(|error| error.to_string())?;
        self.has_client(plan, machine, producer.client());
        Ok(producer)
    }

    /// Lets faults change the list of name servers of a client.
    fn has_client(&self, plan: &ProducerPlan, machine: &ProducerNode, client: &Client) {
        let changes = |fault: &Fault| {
            fault.kind.behaviour().needs_the_client()
                && matches!(&fault.place, Place::Node(node) if *node == plan.name)
        };
        if self.controller.scenario.faults.iter().any(changes) {
            let known = (client.clone(), Arc::clone(&machine.host));
            let mut servers = self.controller.servers.lock();
            servers.clients.insert(machine.node, known);
        }
    }

    /// Stops a producer from its own machine, at once or at its time.
    fn stop(&self, producer: Producer, machine: &ProducerNode, at_ms: Option<u64>) -> Task {
        let recorder = self.controller.recorder.clone();
        let node = machine.node;
        let cluster = self.clone();
        machine.host.spawn(
            "stop",
            Box::pin(async move {
                if let Some(ms) = at_ms {
                    cluster.until(ms).await;
                }
                producer.report_gauges();
                recorder.push(node, NodeEvent::Work(WorkEvent::StopCalled));
                producer.stop().await;
                recorder.push(node, NodeEvent::Work(WorkEvent::StopReturned));
            }),
        )
    }
}

/// The settings of a producer that are not its policy's: limits, namespace and hooks.
fn settings(plan: &ProducerPlan, mut builder: ProducerBuilder) -> ProducerBuilder {
    let Limits {
        sends,
        bytes,
        refuses,
    } = plan.limits;
    if let Some(sends) = sends {
        builder = builder.max_open_sends(sends);
    }
    if let Some(bytes) = bytes {
        builder = builder.max_open_bytes(bytes);
    }
    if refuses {
        builder = builder.when_full(WhenFull::Refuse);
    }
    match &plan.namespace {
        None => {}
        Some(Namespace::V1(name)) => builder = builder.namespace(name.as_str()),
        Some(Namespace::V2(name)) => builder = builder.namespace_v2(name.as_str()),
    }
    match &plan.hooks {
        Hooks::None => builder,
        Hooks::Panic => builder
            .message_hook(Arc::new(PanickingHook))
            .send_hook(Arc::new(PanickingHook)),
        Hooks::Forbid(broker) => {
            builder.forbidden_hook(Arc::new(ForbidsBroker(Name::clone(broker))))
        }
    }
}

/// Plays a scenario's workloads to their end, and the liveness phase if there is one; what makes
/// no progress then. What happens beside them makes no finding.
pub(crate) async fn workloads(cluster: RunningCluster, beside: Beside) -> Vec<Finding> {
    let scenario = Arc::clone(&cluster.controller.scenario);
    let mut producers = Vec::new();
    for plan in &scenario.producers {
        let machine = cluster.boot_producer(&plan.name);
        match cluster.producer(plan, &machine).await {
            Ok(producer) => producers.push((Name::clone(&plan.name), machine, producer)),
            Err(error) => {
                cluster
                    .controller
                    .trouble
                    .broken
                    .lock()
                    .get_or_insert(error);
                return Vec::new();
            }
        }
    }
    let sibling = match (beside, producers.first()) {
        (Beside::ClockJumps, _) => {
            let nodes = producers.iter().map(|(_, machine, _)| machine.node);
            cluster.jump_clocks(&nodes.collect::<Vec<_>>());
            None
        }
        (Beside::Sibling(does), Some((_, machine, first))) => {
            match cluster.sibling(first, machine, does).await {
                Ok(sibling) => Some(sibling),
                Err(error) => {
                    cluster
                        .controller
                        .trouble
                        .broken
                        .lock()
                        .get_or_insert(error);
                    return Vec::new();
                }
            }
        }
        (Beside::Nothing | Beside::Sibling(_), _) => None,
    };
    let running = start_work(&cluster, &scenario, &producers);
    let stops = early_stops(&cluster, &scenario, &producers);
    for task in running {
        if let TaskEnd::Panicked(message) = task.await {
            tracing::error!(message, "a workload panicked");
        }
    }
    cluster.until(scenario.seconds * 1_000).await;
    let mut stuck = Vec::new();
    if let Some(bound_ms) = scenario.liveness_ms {
        let clients = producers.iter();
        let clients = clients.filter(|(name, ..)| !stops.iter().any(|(it, _)| it == name));
        let clients = clients.map(|(name, machine, producer)| (name, machine, producer));
        stuck = progress::demand(&cluster.controller, clients, bound_ms).await;
    }
    drop(sibling);
    for (name, machine, producer) in producers {
        if !stops.iter().any(|(it, _)| *it == name) {
            cluster.stop(producer, &machine, None).await;
        }
    }
    for (_, stop) in stops {
        stop.await;
    }
    stuck
}

/// Starts the callers of every workload.
fn start_work(
    cluster: &RunningCluster,
    scenario: &Scenario,
    producers: &[(Name, ProducerNode, Producer)],
) -> Vec<Task> {
    let mut running = Vec::new();
    for (number, workload) in (1..).zip(&scenario.workloads) {
        let owner = producers
            .iter()
            .find(|(name, ..)| *name == workload.producer);
        let Some((_, machine, producer)) = owner else {
            unreachable!("names are checked before a run: {}", workload.producer);
        };
        let caller = Caller {
            controller: Arc::clone(&cluster.controller),
            producer: producer.clone(),
            node: machine.node,
            number,
        };
        for one in 1..=u64::from(workload.callers) {
            let work = Box::pin(caller.clone().work(workload.clone(), one));
            running.push(machine.host.spawn("workload", work));
        }
    }
    running
}

/// The producers that are stopped while they work, each with the task that does it.
fn early_stops(
    cluster: &RunningCluster,
    scenario: &Scenario,
    producers: &[(Name, ProducerNode, Producer)],
) -> Vec<(Name, Task)> {
    let plans = scenario.producers.iter();
    let pairs = plans.zip(producers);
    pairs
        .filter_map(|(plan, (name, machine, producer))| {
            let at_ms = plan.stop_ms?;
            let stop = cluster.stop(producer.clone(), machine, Some(at_ms));
            Some((Name::clone(name), stop))
        })
        .collect()
}

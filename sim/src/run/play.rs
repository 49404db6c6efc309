//! What happens within a run, from the first boot to the sealed trace, on whichever engine.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rmq_mock_broker::ledger::Entry;
use rmq_producer::event::Event as ProducerEvent;
use rmq_producer::{Client, Policy, Producer};
use rmq_remoting::host::{SharedHost, Task, TaskEnd};
use rmq_remoting::observe::{Name, Observer};

use super::Knobs;
use super::beside::Beside;
use super::director::{Director, Guest};
use super::facts::policy_of;
use super::layout::Layout;
use super::progress;
use super::workload::Caller;
use crate::engine::EngineEvent;
use crate::fault::{Fault, Place};
use crate::host::SharedFabric;
use crate::scenario::{ProducerPlan, Scenario};
use crate::trace::{NodeId, Recorder, What, WorkEvent};
use crate::verdict::Finding;

/// The first machine that is not of the scenario: added by a check's own code.
const GUESTS: u16 = 1_000;

/// How long a cluster may take to come up before a check's own code starts.
const START_UP: Duration = Duration::from_secs(1);

/// What a run shares with whoever looks at it afterwards, also if it did not end well.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot {
    pub(super) director: Arc<Mutex<Option<Arc<Director>>>>,
    pub(super) kernel: Arc<Kernel>,
}

/// Records what the engine sees, as soon as there is a recorder on the engine's clock.
#[derive(Debug, Default)]
pub(crate) struct Kernel(Mutex<Option<Recorder>>);

impl Kernel {
    fn watch(&self, recorder: Recorder) {
        *self.0.lock() = Some(recorder);
    }
}

impl Observer<EngineEvent> for Kernel {
    fn on(&self, event: EngineEvent) {
        if let Some(recorder) = &*self.0.lock() {
            recorder.on(event);
        }
    }
}

/// A producer of the run and its machine.
#[derive(Debug, Clone)]
pub(crate) struct Station {
    pub(crate) node: NodeId,
    pub(crate) host: SharedHost,
}

/// A run that goes on.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) director: Arc<Director>,
}

impl Stage {
    /// Builds the nodes of a scenario on an engine, boots the servers and plans the faults.
    pub(crate) fn set(
        scenario: &Arc<Scenario>,
        knobs: Knobs,
        fabric: SharedFabric,
        slot: &Slot,
    ) -> Self {
        let layout = Layout::build(scenario, &*fabric);
        let clock = Arc::clone(&fabric);
        let recorder = Recorder::on_clock(move || clock.now_ms());
        slot.kernel.watch(recorder.clone());
        let director = Director::new(Arc::clone(scenario), layout, fabric, recorder, knobs.seed);
        *slot.director.lock() = Some(Arc::clone(&director));
        director.boot_servers();
        director.plan();
        Self { director }
    }

    /// Boots the machine of a producer.
    pub(crate) fn station(&self, name: &str) -> Station {
        let node = self.director.layout.node(name);
        let host = self.director.fabric.boot(node);
        Station { node, host }
    }

    /// The machine called `name`: a node of the scenario, or one that is added now. It is booted
    /// once.
    pub(crate) fn machine(&self, name: &str) -> (NodeId, SharedHost) {
        let mut guests = self.director.guests.lock();
        if let Some(guest) = guests.iter().find(|guest| &*guest.name == name) {
            return (guest.node, Arc::clone(&guest.host));
        }
        let fabric = &self.director.fabric;
        let index = u16::try_from(guests.len()).unwrap_or(u16::MAX);
        let node = fabric.node(name, fabric.address_for(GUESTS + index));
        let host = fabric.boot(node);
        guests.push(Guest {
            name: Name::from(name),
            node,
            host: Arc::clone(&host),
            policy: None,
        });
        drop(guests);
        self.director.node_added();
        (node, host)
    }

    /// Notes the policy that a guest's producer has, for the judges.
    pub(crate) fn has_policy(&self, node: NodeId, policy: &Policy) {
        let mut guests = self.director.guests.lock();
        if let Some(guest) = guests.iter_mut().find(|guest| guest.node == node) {
            guest.policy = Some(policy.clone());
        }
    }

    /// The observer of a producer's events.
    pub(crate) fn observer(&self, node: NodeId) -> Arc<dyn Observer<ProducerEvent>> {
        Arc::new(self.director.watch(node))
    }

    /// The name servers' addresses.
    pub(crate) fn name_servers(&self) -> String {
        self.director.layout.name_servers.join(";")
    }

    /// What all brokers have stored by now.
    pub(crate) fn stored(&self) -> Vec<(Name, Entry)> {
        self.director.stored_entries()
    }

    /// The unique keys of all messages built by now.
    pub(crate) fn built(&self) -> Vec<Name> {
        self.director.state.lock().built.clone()
    }

    /// Waits until every broker has registered for the first time, but not for ever: a fault may
    /// be there from the beginning.
    pub(crate) async fn until_up(&self) {
        // Too late is no error: the caller goes on with the part of the cluster that is up.
        let _ = tokio::time::timeout(START_UP, self.director.cluster_is_up()).await;
    }

    /// Milliseconds since the start.
    pub(crate) fn now_ms(&self) -> u64 {
        self.director.fabric.now_ms()
    }

    /// Waits until so many milliseconds after the start.
    pub(crate) async fn until(&self, ms: u64) {
        let left = ms.saturating_sub(self.now_ms());
        tokio::time::sleep(Duration::from_millis(left)).await;
    }

    /// Starts a producer as a scenario plans it.
    async fn producer(&self, plan: &ProducerPlan, station: &Station) -> Result<Producer, String> {
        let policy = policy_of(plan).map_err(|error| error.to_string())?;
        let mut builder = Producer::builder(plan.group.as_str())
            .host(Arc::clone(&station.host))
            .name_servers(self.director.name_servers_of(station.node))
            .observer(self.observer(station.node))
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
        let producer = builder.start().await.map_err(|error| error.to_string())?;
        self.has_client(plan, station, producer.client());
        Ok(producer)
    }

    /// Lets faults change the list of name servers of a client.
    fn has_client(&self, plan: &ProducerPlan, station: &Station, client: &Client) {
        let changes = |fault: &Fault| {
            fault.kind.behaviour().needs_the_client()
                && matches!(&fault.place, Place::Node(node) if *node == plan.name)
        };
        if self.director.scenario.faults.iter().any(changes) {
            let known = (client.clone(), Arc::clone(&station.host));
            let mut state = self.director.state.lock();
            state.clients.insert(station.node, known);
        }
    }

    /// Stops a producer from its own machine, at once or at its time.
    fn stop(&self, producer: Producer, station: &Station, at_ms: Option<u64>) -> Task {
        let recorder = self.director.recorder.clone();
        let node = station.node;
        let stage = self.clone();
        station.host.spawn(
            "stop",
            Box::pin(async move {
                if let Some(ms) = at_ms {
                    stage.until(ms).await;
                }
                producer.report_gauges();
                recorder.push(node, What::Work(WorkEvent::StopCalled));
                producer.stop().await;
                recorder.push(node, What::Work(WorkEvent::StopReturned));
            }),
        )
    }
}

/// Plays a scenario's workloads to their end, and the liveness phase if there is one; what makes
/// no progress then. What happens beside them makes no finding.
pub(crate) async fn workloads(stage: Stage, beside: Beside) -> Vec<Finding> {
    let scenario = Arc::clone(&stage.director.scenario);
    let mut producers = Vec::new();
    for plan in &scenario.producers {
        let station = stage.station(&plan.name);
        match stage.producer(plan, &station).await {
            Ok(producer) => producers.push((Name::clone(&plan.name), station, producer)),
            Err(error) => {
                stage.director.state.lock().broken.get_or_insert(error);
                return Vec::new();
            }
        }
    }
    let sibling = match (beside, producers.first()) {
        (Beside::ClockJumps, _) => {
            let nodes = producers.iter().map(|(_, station, _)| station.node);
            stage.jump_clocks(&nodes.collect::<Vec<_>>());
            None
        }
        (Beside::Sibling(does), Some((_, station, first))) => {
            match stage.sibling(first, station, does).await {
                Ok(sibling) => Some(sibling),
                Err(error) => {
                    stage.director.state.lock().broken.get_or_insert(error);
                    return Vec::new();
                }
            }
        }
        (Beside::Nothing | Beside::Sibling(_), _) => None,
    };
    let running = start_work(&stage, &scenario, &producers);
    let stops = early_stops(&stage, &scenario, &producers);
    for task in running {
        if let TaskEnd::Panicked(message) = task.await {
            tracing::error!(message, "a workload panicked");
        }
    }
    stage.until(scenario.seconds * 1_000).await;
    let mut stuck = Vec::new();
    if let Some(bound_ms) = scenario.liveness_ms {
        let clients = producers.iter();
        let clients = clients.filter(|(name, ..)| !stops.iter().any(|(it, _)| it == name));
        let clients = clients.map(|(name, station, producer)| (name, station, producer));
        stuck = progress::demand(&stage.director, clients, bound_ms).await;
    }
    drop(sibling);
    for (name, station, producer) in producers {
        if !stops.iter().any(|(it, _)| *it == name) {
            stage.stop(producer, &station, None).await;
        }
    }
    for (_, stop) in stops {
        stop.await;
    }
    stuck
}

/// Starts the callers of every workload.
fn start_work(
    stage: &Stage,
    scenario: &Scenario,
    producers: &[(Name, Station, Producer)],
) -> Vec<Task> {
    let mut running = Vec::new();
    for (number, workload) in (1..).zip(&scenario.workloads) {
        let owner = producers
            .iter()
            .find(|(name, ..)| *name == workload.producer);
        let Some((_, station, producer)) = owner else {
            continue;
        };
        let caller = Caller {
            director: Arc::clone(&stage.director),
            producer: producer.clone(),
            node: station.node,
            number,
        };
        for one in 1..=u64::from(workload.callers) {
            let work = Box::pin(caller.clone().work(workload.clone(), one));
            running.push(station.host.spawn("workload", work));
        }
    }
    running
}

/// The producers that are stopped while they work, each with the task that does it.
fn early_stops(
    stage: &Stage,
    scenario: &Scenario,
    producers: &[(Name, Station, Producer)],
) -> Vec<(Name, Task)> {
    let plans = scenario.producers.iter();
    let pairs = plans.zip(producers);
    pairs
        .filter_map(|(plan, (name, station, producer))| {
            let at_ms = plan.stop_ms?;
            let stop = stage.stop(producer.clone(), station, Some(at_ms));
            Some((Name::clone(name), stop))
        })
        .collect()
}

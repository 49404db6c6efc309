//! The producers of a run: started as the scenario plans them, and ended in one of the ways in which a
//! program ends its own.
//!
//! Producers that share a client live on one machine. The client is the program's then, which stops it behind
//! the last of them.

use std::sync::Arc;

use parking_lot::Mutex;
use rmq_host::Task;
use rmq_producer::decide::namespace;
use rmq_producer::{Client, Policy, Producer, ProducerBuilder, WhenFull};
use rmq_remoting::observe::Name;

use super::facts::policy_of;
use super::hooks::{ForbidsBroker, PanickingHook, WatchingHook};
use super::play::{ProducerNode, RunningCluster, until_done};
use crate::fault::{Fault, Place};
use crate::scenario::{Hooks, Limits, Namespace, ProducerPlan, Scenario};
use crate::trace::{NodeEvent, WorkEvent};

/// A producer that runs.
#[derive(Debug, Clone)]
pub(super) struct RunningProducer {
    pub(super) plan: ProducerPlan,
    pub(super) machine: ProducerNode,
    pub(super) producer: Producer,
    /// Its group as brokers know it, where several share its client.
    pub(super) group: Option<Name>,
    /// The client that it shares with others.
    shared: Option<Arc<SharedClient>>,
}

/// The client of several producers.
#[derive(Debug)]
struct SharedClient {
    client: Client,
    /// How many of its producers run.
    running: Mutex<usize>,
}

impl SharedClient {
    /// One of its producers has ended; the last one takes the client with it.
    async fn leave(&self) {
        let left = {
            let mut running = self.running.lock();
            *running = running.saturating_sub(1);
            *running
        };
        if left == 0 {
            self.client.stop().await;
        }
    }
}

/// The group that brokers know a producer by, if others share its client.
pub(super) fn shared_group(scenario: &Scenario, plan: &ProducerPlan) -> Option<Name> {
    let group = match &plan.namespace {
        Some(Namespace::V1(name)) => namespace::wrap(name, &plan.group),
        Some(Namespace::V2(_)) | None => plan.group.as_str().into(),
    };
    scenario.is_shared(plan).then(|| Name::from(group))
}

impl RunningCluster {
    /// Starts every producer of a scenario, in the order of their names.
    pub(super) async fn producers(
        &self,
        scenario: &Scenario,
    ) -> Result<Vec<RunningProducer>, String> {
        let mut machines = Vec::new();
        for plan in scenario.producers.iter().filter(|it| it.client.is_none()) {
            let machine = self.boot_producer(&plan.name);
            // Only a client that the program makes can be told where its messages' ids begin.
            let own = plan.first_message.is_some();
            let shared = match scenario.is_shared(plan) || own {
                true => Some(self.shared_client(scenario, plan, &machine)?),
                false => None,
            };
            machines.push((&plan.name, machine, shared));
        }
        let mut producers = Vec::new();
        for plan in &scenario.producers {
            let found = machines.iter().find(|(name, ..)| *name == plan.node());
            let Some((_, machine, shared)) = found else {
                unreachable!("names are checked before a run: {}", plan.node());
            };
            let policy = policy(plan)?;
            let builder = match shared {
                None => self.with_own_client(plan, machine),
                Some(shared) => {
                    Producer::builder(plan.group.as_str()).client(shared.client.clone())
                }
            };
            let mut builder = settings(plan, builder.policy(policy));
            if plan.hooks == Hooks::Watch {
                builder = builder.send_hook(Arc::new(WatchingHook {
                    recorder: self.controller.recorder.clone(),
                    node: machine.node,
                }));
            }
            let producer = builder.start().await;
            let producer = producer.map_err(|error| error.to_string())?;
            if plan.client.is_none() {
                self.has_client(plan, machine, producer.client());
            }
            producers.push(RunningProducer {
                plan: plan.clone(),
                machine: machine.clone(),
                producer,
                group: shared_group(scenario, plan),
                shared: shared.clone(),
            });
        }
        Ok(producers)
    }

    /// The client that the producer of this plan has, and others share.
    fn shared_client(
        &self,
        scenario: &Scenario,
        plan: &ProducerPlan,
        machine: &ProducerNode,
    ) -> Result<Arc<SharedClient>, String> {
        let mut builder = Client::builder()
            .host(Arc::clone(&machine.host))
            .name_servers(self.controller.name_servers_of(machine.node))
            .observer(self.observer(machine.node))
            .policy(policy(plan)?);
        if let Some(first) = plan.first_name_server {
            builder = builder.first_name_server(first as usize);
        }
        if let Some(constant) = plan.id_constant {
            builder = builder.id_constant(constant);
        }
        if let Some(opaque) = plan.first_opaque {
            builder = builder.first_opaque(opaque);
        }
        if let Some(counter) = plan.first_message {
            builder = builder.first_message(counter);
        }
        if let Some(Namespace::V2(name)) = &plan.namespace {
            builder = builder.namespace_v2(name.as_str());
        }
        let client = builder.build().map_err(|error| error.to_string())?;
        let here = scenario.producers.iter();
        let running = here.filter(|it| *it.node() == plan.name).count();
        Ok(Arc::new(SharedClient {
            client,
            running: Mutex::new(running),
        }))
    }

    /// A producer that makes its client for itself.
    fn with_own_client(&self, plan: &ProducerPlan, machine: &ProducerNode) -> ProducerBuilder {
        let mut builder = Producer::builder(plan.group.as_str())
            .host(Arc::clone(&machine.host))
            .name_servers(self.controller.name_servers_of(machine.node))
            .observer(self.observer(machine.node));
        if let Some(first) = plan.first_name_server {
            builder = builder.first_name_server(first as usize);
        }
        if let Some(constant) = plan.id_constant {
            builder = builder.id_constant(constant);
        }
        if let Some(opaque) = plan.first_opaque {
            builder = builder.first_opaque(opaque);
        }
        match &plan.namespace {
            Some(Namespace::V2(name)) => builder.namespace_v2(name.as_str()),
            Some(Namespace::V1(_)) | None => builder,
        }
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
    pub(super) fn stop(&self, of: RunningProducer, at_ms: Option<u64>) -> Task {
        let recorder = self.controller.recorder.clone();
        let cluster = self.clone();
        let (node, host) = (of.machine.node, Arc::clone(&of.machine.host));
        host.spawn(
            "stop",
            Box::pin(async move {
                if let Some(ms) = at_ms {
                    cluster.until(ms).await;
                }
                of.producer.report_gauges();
                let group = of.group.clone();
                recorder.push(node, NodeEvent::Work(WorkEvent::StopCalled { group }));
                of.producer.stop().await;
                if let Some(shared) = &of.shared {
                    shared.leave().await;
                }
                let group = of.group.clone();
                recorder.push(node, NodeEvent::Work(WorkEvent::StopReturned { group }));
            }),
        )
    }

    /// Drops the last handle of a producer, from its own machine, when its callers are done.
    pub(super) fn drop_after(&self, of: RunningProducer, callers: Vec<Task>) -> Task {
        let recorder = self.controller.recorder.clone();
        let host = Arc::clone(&of.machine.host);
        let RunningProducer {
            machine,
            producer,
            group,
            shared,
            ..
        } = of;
        host.spawn(
            "drop",
            Box::pin(async move {
                for caller in callers {
                    until_done(caller).await;
                }
                let event = WorkEvent::HandleDropped { group };
                recorder.push(machine.node, NodeEvent::Work(event));
                drop(producer);
                if let Some(shared) = shared {
                    shared.leave().await;
                }
            }),
        )
    }
}

fn policy(plan: &ProducerPlan) -> Result<Policy, String> {
    policy_of(plan).map_err(|error| error.to_string())
}

/// The settings of a producer that are its own and not its policy's: rotation, limits, namespace and hooks.
fn settings(plan: &ProducerPlan, mut builder: ProducerBuilder) -> ProducerBuilder {
    if let Some(queue) = plan.first_queue {
        builder = builder.rotation_start(i32::try_from(queue).unwrap_or(0));
    }
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
    if let Some(Namespace::V1(name)) = &plan.namespace {
        builder = builder.namespace(name.as_str());
    }
    match &plan.hooks {
        // One that watches needs the trace, which is the run's.
        Hooks::None | Hooks::Watch => builder,
        Hooks::Panic => builder
            .message_hook(Arc::new(PanickingHook))
            .send_hook(Arc::new(PanickingHook)),
        Hooks::Forbid(broker) => {
            builder.forbidden_hook(Arc::new(ForbidsBroker(Name::clone(broker))))
        }
    }
}

//! What looks at the clients of a check's own program, whoever makes them.
//!
//! A program under test builds its producers as it does in production, and the laboratory must judge each
//! of them all the same: several on one machine, one after the other, several that share a client. So it
//! does not ask to be told. The machine that a program runs on lends the laboratory's instrumentation to
//! every client, and each gets a node of its own in the trace: the first one its machine's, every further
//! one a component of that process.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rmq_host::{BoxFuture, Connection, Host, Identity, Listener, SharedHost, Task};
use rmq_producer::event::Event;
use rmq_producer::observe::{ClientInstrument, Instrument, Instrumentation, ProducerStart};
use rmq_remoting::observe::{Name, Observer};

use super::controller::RunController;
use super::facts::facts_of;
use super::nodes::AddedNode;
use super::watch::Watch;
use crate::trace::{NodeId, PolicyFacts};

/// A machine whose clients the laboratory looks at.
#[derive(Debug)]
struct InstrumentedHost {
    machine: SharedHost,
    instrumentation: Instrumentation,
}

impl Host for InstrumentedHost {
    fn connect(&self, to: &str) -> BoxFuture<'static, io::Result<Connection>> {
        self.machine.connect(to)
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        self.machine.listen(at)
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        self.machine.spawn(name, task)
    }

    fn unix_millis(&self) -> i64 {
        self.machine.unix_millis()
    }

    fn draw(&self, site: &'static str, position: u64) -> u64 {
        self.machine.draw(site, position)
    }

    fn identity(&self) -> Identity {
        self.machine.identity()
    }

    fn is_running(&self) -> bool {
        self.machine.is_running()
    }

    fn instrumentation(&self) -> Option<&(dyn Any + Send + Sync)> {
        Some(&self.instrumentation)
    }
}

/// The instrument of one machine.
struct MachineInstrument {
    controller: Arc<RunController>,
    node: NodeId,
    machine: SharedHost,
}

impl fmt::Debug for MachineInstrument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MachineInstrument({})", self.node.0)
    }
}

impl Instrument for MachineInstrument {
    fn client(&self) -> Arc<dyn ClientInstrument> {
        let (node, host) = self.controller.add_client(self.node, &self.machine);
        Arc::new(OneClient {
            watch: Watch {
                controller: Arc::clone(&self.controller),
                node,
            },
            host,
        })
    }
}

/// Looks at one client.
#[derive(Debug)]
struct OneClient {
    watch: Watch,
    host: SharedHost,
}

impl Observer<Event> for OneClient {
    fn on(&self, event: Event) {
        // A task that the program gave to Tokio itself may go on for a while when its process is gone.
        if self.host.is_running() {
            self.watch.on(event);
        }
    }
}

impl ClientInstrument for OneClient {
    fn host(&self) -> SharedHost {
        Arc::clone(&self.host)
    }

    fn starts(&self, producer: &ProducerStart<'_>) {
        let facts = PolicyFacts {
            group: Some(Name::clone(producer.group)),
            namespace: producer.namespace_v2.cloned(),
            of_scenario: false,
            client_outlives: producer.client_outlives,
            ..facts_of(self.watch.node, producer.policy)
        };
        let name = producer.policy.name.clone();
        self.watch.controller.add_producer(facts, name);
    }
}

impl RunController {
    /// The machine with the instrumentation of the laboratory.
    pub(super) fn instrumented(self: &Arc<Self>, node: NodeId, machine: SharedHost) -> SharedHost {
        let instrument = MachineInstrument {
            controller: Arc::clone(self),
            node,
            machine: Arc::clone(&machine),
        };
        Arc::new(InstrumentedHost {
            machine,
            instrumentation: Instrumentation::new(Arc::new(instrument)),
        })
    }

    /// A client is made on an added machine: its node, and its host.
    fn add_client(&self, node: NodeId, machine: &SharedHost) -> (NodeId, SharedHost) {
        let mut nodes = self.added_nodes.lock();
        let of_machine = nodes.iter_mut().find(|it| it.node == node);
        let Some(of_machine) = of_machine else {
            // The run is sealed: nobody looks any more.
            return (node, Arc::clone(machine));
        };
        of_machine.clients += 1;
        let (clients, name) = (of_machine.clients, Name::clone(&of_machine.name));
        if clients == 1 {
            return (node, Arc::clone(machine));
        }
        let name = Name::from(format!("{name}#{clients}"));
        let component = self.backend.component(node, &name);
        let Some((component, host)) = component else {
            unreachable!("checks run on the engine, which has components")
        };
        let mut client = AddedNode::new(&name, component, Arc::clone(&host));
        client.part_of = Some(node);
        nodes.push(client);
        (component, host)
    }

    /// A producer of an added client is about to start, with this policy.
    fn add_producer(&self, facts: PolicyFacts, policy: String) {
        let mut nodes = self.added_nodes.lock();
        let client = nodes.iter_mut().find(|it| it.node == facts.node);
        if let Some(client) = client {
            client.producers.push((facts, policy));
        }
    }
}

impl AddedNode {
    /// What checkers must know of the client's producers, and the names of their policies. Groups are told
    /// where there are several.
    pub(super) fn policies(&mut self) -> Vec<(PolicyFacts, String)> {
        let mut producers = std::mem::take(&mut self.producers);
        let groups = producers.iter().map(|(facts, _)| facts.group.clone());
        let groups: BTreeSet<_> = groups.collect();
        if groups.len() < 2 {
            for (facts, _) in &mut producers {
                facts.group = None;
            }
        }
        producers
    }
}

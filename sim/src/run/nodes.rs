//! The nodes that a check's own code adds beside the scenario's: machines, and processes with a program.

use std::fmt;
use std::sync::Arc;

use rmq_host::{BoxFuture, SharedHost, Task};
use rmq_remoting::observe::Name;

use super::controller::RunController;
use crate::backend::SharedBackend;
use crate::fault::{FaultKind, Restart, Struck};
use crate::simulation::{CheckError, Disk};
use crate::trace::{NodeEvent, NodeId, PolicyFacts, WorkEvent};
use crate::truth;
use crate::verdict;

/// The first machine that is not of the scenario.
const ADDED_NODES: u16 = 1_000;

/// A machine that a check's own code added, beside the scenario's nodes, or a further client on one.
#[derive(Debug)]
pub(super) struct AddedNode {
    pub(super) name: Name,
    pub(super) node: NodeId,
    /// Of a further client: the node of its process.
    pub(super) part_of: Option<NodeId>,
    /// That of its present process.
    pub(super) host: SharedHost,
    /// How many clients were made on the machine.
    pub(super) clients: u32,
    /// The producers of its client that were started, and the names of their policies.
    pub(super) producers: Vec<(PolicyFacts, String)>,
    /// What runs there; none on a machine that the check's own code uses from outside.
    process: Option<NodeProcess>,
}

impl AddedNode {
    /// A machine that nothing runs on yet.
    pub(super) fn new(name: &str, node: NodeId, host: SharedHost) -> Self {
        Self {
            name: Name::from(name),
            node,
            part_of: None,
            host,
            clients: 0,
            producers: Vec::new(),
            process: None,
        }
    }
}

/// A process of a node: what it is made of, and how it is made again.
struct NodeProcess {
    program: Program,
    disk: Disk,
    /// Holds the process: dropping it kills the program.
    main: Option<Task>,
}

impl fmt::Debug for NodeProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeProcess({:?})", self.main)
    }
}

/// Makes the future of a new process of a node.
pub(crate) type Program =
    Arc<dyn Fn(ProcessParts) -> BoxFuture<'static, Result<(), CheckError>> + Send + Sync>;

/// What a new process of a node starts with.
pub(crate) struct ProcessParts {
    pub(crate) controller: Arc<RunController>,
    pub(crate) name: Name,
    pub(crate) host: SharedHost,
    pub(crate) disk: Disk,
}

impl RunController {
    /// The machine called `name`, which is added now if it is not there yet. It is booted once.
    pub(super) fn machine(self: &Arc<Self>, name: &str) -> SharedHost {
        let mut added_nodes = self.added_nodes.lock();
        if let Some(added) = added_nodes.iter().find(|added| &*added.name == name) {
            return Arc::clone(&added.host);
        }
        let node = new_node(&self.backend, name, added_nodes.len());
        let host = self.instrumented(node, self.backend.boot(node));
        added_nodes.push(AddedNode::new(name, node, Arc::clone(&host)));
        drop(added_nodes);
        self.node_added();
        host
    }

    /// Adds a node that runs a program, and starts it. False: the name is taken.
    pub(super) fn add_process(self: &Arc<Self>, name: &str, program: Program) -> bool {
        let mut added_nodes = self.added_nodes.lock();
        let is_added = added_nodes.iter().any(|added| &*added.name == name);
        if is_added || self.layout.find(name).is_some() {
            return false;
        }
        let node = new_node(&self.backend, name, added_nodes.len());
        let host = self.instrumented(node, self.backend.boot(node));
        added_nodes.push(AddedNode {
            process: Some(NodeProcess {
                program,
                disk: Disk::default(),
                main: None,
            }),
            ..AddedNode::new(name, node, host)
        });
        drop(added_nodes);
        self.start_program(node);
        self.node_added();
        true
    }

    /// Starts the program of a node in its present process.
    fn start_program(self: &Arc<Self>, node: NodeId) {
        let mut added_nodes = self.added_nodes.lock();
        let Some((program, parts)) = find(&mut added_nodes, node).and_then(|added| {
            let process = added.process.as_ref()?;
            let parts = ProcessParts {
                controller: Arc::clone(self),
                name: Name::clone(&added.name),
                host: Arc::clone(&added.host),
                disk: process.disk.of_process(&added.host),
            };
            Some((Arc::clone(&process.program), parts))
        }) else {
            return;
        };
        drop(added_nodes);
        let (controller, host) = (Arc::clone(self), Arc::clone(&parts.host));
        let life = program(parts);
        let main = host.spawn(
            "program",
            Box::pin(async move {
                let returned = life.await;
                controller.program_returned(node, returned);
            }),
        );
        let mut added_nodes = self.added_nodes.lock();
        let process = find(&mut added_nodes, node).and_then(|added| added.process.as_mut());
        let before = process.and_then(|process| process.main.replace(main));
        // Outside the lock: dropping a handle asks the engine to cancel its task.
        drop(added_nodes);
        drop(before);
    }

    /// The program of a node is over, and with it the process.
    fn program_returned(&self, node: NodeId, returned: Result<(), CheckError>) {
        if let Err(error) = returned {
            let name = self.added_name(node);
            let error = verdict::with_causes(&*error);
            let text = format!("the program of {name} ended with an error: {error}");
            self.trouble.program.lock().get_or_insert(text);
            self.trouble.came.notify_one();
        }
        self.process_ended(node);
        self.modelled(self.backend.apply(dst_engine::Change::Crash(node)));
    }

    fn added_name(&self, node: NodeId) -> Name {
        let added_nodes = self.added_nodes.lock();
        let added = added_nodes.iter().find(|added| added.node == node);
        added.map_or_else(|| Name::from(""), |added| Name::clone(&added.name))
    }

    /// A fault has begun: if it takes the process of an added node away, what goes with it goes.
    pub(super) fn process_struck(&self, kind: &FaultKind, at: Struck) {
        let Struck::Node(node) = at else { return };
        if kind.behaviour().meaning().process != Some(truth::Process::Gone) {
            return;
        }
        let mut added_nodes = self.added_nodes.lock();
        let Some(added) = find(&mut added_nodes, node) else {
            return;
        };
        let Some(process) = &added.process else {
            let name = Name::clone(&added.name);
            drop(added_nodes);
            let text = format!(
                "\"{}\" cannot be on {name}, which has no program that could be started again\n  \
                 remedy: give it one with Sim::node",
                kind.name()
            );
            self.trouble.broken.lock().get_or_insert(text);
            self.trouble.came.notify_one();
            return;
        };
        if matches!(kind, FaultKind::PowerLoss(_)) {
            process.disk.power_loss();
        }
        drop(added_nodes);
        self.process_ended(node);
    }

    /// The process of a node is gone, and all clients in it.
    fn process_ended(&self, node: NodeId) {
        let added_nodes = self.added_nodes.lock();
        let clients = added_nodes.iter();
        let clients = clients.filter(|it| it.node == node || it.part_of == Some(node));
        let clients: Vec<NodeId> = clients.map(|it| it.node).collect();
        drop(added_nodes);
        for client in clients {
            self.recorder
                .push(client, NodeEvent::Work(WorkEvent::ProcessEnded));
        }
    }

    /// Starts the process of an added node again. False: it is none.
    pub(super) fn boot_added(self: &Arc<Self>, node: NodeId, how: Restart) -> bool {
        let mut added_nodes = self.added_nodes.lock();
        let count = added_nodes.len();
        let moved = how.new_address.then(|| self.moved_once_more(node));
        let Some(added) = find(&mut added_nodes, node) else {
            return false;
        };
        if let Some(process) = added.process.as_ref().filter(|_| !how.keep_data) {
            process.disk.lose();
        }
        let host = match moved {
            // Behind the machines of a thousand nodes; no two of them move to one address.
            Some(moves) => {
                let number = ADDED_NODES + 1_000 * moves + u16::try_from(count).unwrap_or(0);
                self.backend.boot_at(node, self.backend.address_for(number))
            }
            None => self.backend.boot(node),
        };
        added.host = self.instrumented(node, host);
        drop(added_nodes);
        self.start_program(node);
        true
    }
}

fn find(added_nodes: &mut [AddedNode], node: NodeId) -> Option<&mut AddedNode> {
    added_nodes.iter_mut().find(|added| added.node == node)
}

fn new_node(backend: &SharedBackend, name: &str, number: usize) -> NodeId {
    let number = u16::try_from(usize::from(ADDED_NODES) + number).unwrap_or(u16::MAX);
    assert!(number < u16::MAX, "a check cannot add so many nodes");
    backend.node(name, backend.address_for(number))
}

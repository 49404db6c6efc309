//! The handle through which a run is directed: nodes, their lives, and the links between them.
//!
//! An [`EngineHandle`] is a number and can be copied into any closure. What it asks for is queued and
//! happens between two polls of tasks, so that a server's own code may crash that server. Out of its
//! run (after the end, on another thread) it does nothing.

use std::net::IpAddr;
use std::sync::Arc;

use rmq_host::SharedHost;

use crate::access;
use crate::change::Change;
use crate::command::Command;
use crate::config::{LinkBytes, NodeGauges};
use crate::core::{Core, Node, Program, RunId};
use crate::host::SimHost;
use crate::node::NodeId;
use crate::strike::Strike;

/// Directs the run that is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineHandle {
    run: RunId,
}

impl EngineHandle {
    pub(super) fn new(run: RunId) -> Self {
        Self { run }
    }

    fn with<R>(self, access: impl FnOnce(&mut Core) -> R) -> Option<R> {
        access::enter(self.run, access)
    }

    fn queue(self, command: Command) {
        // A request that comes too late is dropped outside the access, as everything is.
        let mut command = Some(command);
        self.with(|core| core.commands.extend(command.take()));
    }

    /// Adds a node that runs at `ip`. Numbers count up from 0 in the order of the calls. Nodes with
    /// one address share a machine: they talk over its loop and lose power together.
    pub fn node(self, name: &str, ip: IpAddr) -> NodeId {
        self.with(|core| core.add_node(name, ip))
            .unwrap_or(NodeId::OUTSIDE)
    }

    /// Adds a component of the process that runs on a node now: a part of the program that events tell
    /// apart, such as one of several clients. What it does through its host is told under its own number
    /// and name, and it draws random numbers of its own; machine, address, links, crashes and freezes are
    /// those of the process.
    ///
    /// ```
    /// # use dst_engine::Engine;
    /// # fn main() -> std::io::Result<()> {
    /// let mut engine = Engine::new(7);
    /// let service = engine.process("service", [10, 0, 0, 1], |_host| std::future::pending());
    /// let report = engine.run_with(async |sim| {
    ///     let (client, host) = sim.component(service, "service/client-2");
    ///     let work = host.spawn("work", Box::pin(std::future::pending()));
    ///     tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    ///     // The program and the work of its client are tasks of one process.
    ///     let tasks = sim.gauges(service).tasks;
    ///     drop(work);
    ///     (client != service, tasks)
    /// })?;
    /// assert_eq!(report.value, Some((true, 2)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// The run does not have the node.
    pub fn component(self, node: NodeId, name: &str) -> (NodeId, SharedHost) {
        let added = self.with(|core| (core.add_component(node, name), core.known(node).booted));
        let (component, incarnation) = added.unwrap_or((NodeId::OUTSIDE, 0));
        let host = SimHost::new(self.run, node, incarnation).told_as(component);
        (component, Arc::new(host))
    }

    /// The name that the node was added with; none if there is no such node.
    pub fn name(self, node: NodeId) -> Option<Arc<str>> {
        access::name(self.run, node)
    }

    /// The address at which the node runs, or ran last.
    pub fn address(self, node: NodeId) -> Option<IpAddr> {
        self.with(|core| core.address(node))?
    }

    /// Whether a process of the node is running.
    pub fn is_running(self, node: NodeId) -> bool {
        self.with(|core| core.node(node).is_some_and(Node::is_running))
            .unwrap_or(false)
    }

    /// Starts a new process on the node, powering its machine on if need be. A process that still
    /// runs there is killed first.
    ///
    /// # Panics
    ///
    /// The run does not have the node.
    pub fn boot(self, node: NodeId) -> SharedHost {
        self.start(node, None)
    }

    /// As [`boot`](Self::boot), with the node moved to another address. Nobody answers at the old
    /// one unless another node lives there.
    ///
    /// # Panics
    ///
    /// The run does not have the node.
    pub fn boot_at(self, node: NodeId, ip: IpAddr) -> SharedHost {
        self.start(node, Some(ip))
    }

    fn start(self, node: NodeId, ip: Option<IpAddr>) -> SharedHost {
        Arc::new(self.boot_host(node, ip))
    }

    fn boot_host(self, node: NodeId, ip: Option<IpAddr>) -> SimHost {
        let incarnation = self
            .with(|core| {
                let incarnation = core.next_incarnation(node);
                core.commands.push_back(Command::Boot {
                    node,
                    incarnation,
                    ip,
                });
                incarnation
            })
            .unwrap_or(0);
        SimHost::new(self.run, node, incarnation)
    }

    /// Boots the node and starts the program that it was given with
    /// [`Engine::process`](crate::Engine::process) or [`Engine::client`](crate::Engine::client). A
    /// node that was given none is booted and runs nothing.
    ///
    /// # Panics
    ///
    /// The run does not have the node.
    pub fn restart(self, node: NodeId) {
        let host = self.boot_host(node, None);
        let program = self.with(|core| core.programs.get(&node).map(Arc::clone));
        if let Some(program) = program.flatten() {
            host.start("program", program(Arc::new(host)));
        }
    }

    /// Gives the node the program that [`restart`](Self::restart) starts.
    pub(crate) fn set_program(self, node: NodeId, program: Program) {
        let mut program = Some(program);
        self.with(|core| {
            program
                .take()
                .map(|program| core.programs.insert(node, program))
        });
    }

    /// Changes a node, a link or connections, between this poll and the next.
    ///
    /// # Panics
    ///
    /// It names a node that the run does not have.
    pub fn apply(self, change: Change) {
        self.with(|core| {
            for node in change.nodes() {
                core.known(node);
            }
        });
        self.queue(Command::Change(change));
    }

    /// Runs `action` at `ms`, before anything else in that millisecond and after the actions
    /// planned earlier for it. A time that has come already means: between this poll and the next.
    pub fn at(self, ms: u64, action: impl FnOnce() + Send + 'static) {
        let mut action: Option<Box<dyn FnOnce() + Send>> = Some(Box::new(action));
        self.with(|core| action.take().map(|action| core.plan(ms, action)));
    }

    /// Virtual milliseconds since the start of the run; 0 outside of it. Can be called from
    /// anywhere, also by an sink.
    pub fn now_ms(self) -> u64 {
        access::now(self.run)
    }

    /// What the node holds at this moment.
    pub fn gauges(self, node: NodeId) -> NodeGauges {
        self.with(|core| core.gauges(node)).unwrap_or_default()
    }

    /// How often faults struck in this way so far, from one node to another; what concerns a node
    /// alone from the node to itself.
    pub fn strikes(self, what: Strike, from: NodeId, to: NodeId) -> u64 {
        self.with(|core| core.strikes.count(what, from, to))
            .unwrap_or(0)
    }

    /// Bytes delivered per link so far, of links that carried any.
    pub fn link_bytes(self) -> Vec<LinkBytes> {
        self.with(|core| core.link_bytes()).unwrap_or_default()
    }
}

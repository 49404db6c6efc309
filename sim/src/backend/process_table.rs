//! The nodes of a run and their lives, on the engines whose tasks belong to a Tokio runtime.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use dst_engine::chance::Chance;
use dst_engine::{EventSink, LinkBytes, NodeGauges, NodeId, WaitingTask};
use parking_lot::Mutex;
use rmq_host::Identity;
use rmq_remoting::observe::Name;

use super::process::Process;
use super::runtime_handle::RuntimeHandle;
use super::sink::RunSink;

/// The nodes of a run.
pub(super) struct ProcessTable {
    chance: Chance,
    pub(super) sink: Arc<RunSink>,
    nodes: Mutex<Vec<Node>>,
    traffic: Mutex<BTreeMap<(NodeId, NodeId), Arc<AtomicU64>>>,
}

struct Node {
    name: Name,
    ip: IpAddr,
    /// The last incarnation that was started; 0: none.
    started: u32,
    process: Option<Arc<Process>>,
    wall_offset_ms: Arc<AtomicI64>,
}

/// What a host knows of the process that it was made for.
#[derive(Debug, Clone)]
pub(super) struct HostContext {
    pub(super) process: Arc<Process>,
    chance: Chance,
    wall_offset_ms: Arc<AtomicI64>,
}

impl HostContext {
    /// The wall clock, given what an undisturbed one says.
    pub(super) fn wall_clock(&self, undisturbed_ms: i64) -> i64 {
        undisturbed_ms.saturating_add(self.wall_offset_ms.load(Ordering::Relaxed))
    }

    /// A draw of this process.
    pub(super) fn draw(&self, site: &str, position: u64) -> u64 {
        self.chance.draw(site, position)
    }

    /// Who the process is.
    pub(super) fn identity(&self) -> Identity {
        Identity {
            address: self.process.ip,
            process: self.process.node.process_number(self.process.incarnation),
        }
    }
}

impl ProcessTable {
    pub(super) fn new(seed: u64, events: Arc<dyn EventSink>) -> Self {
        Self {
            chance: Chance::new(seed),
            sink: Arc::new(RunSink::new(events)),
            nodes: Mutex::default(),
            traffic: Mutex::default(),
        }
    }

    /// Adds a node.
    pub(super) fn add(&self, name: &str, ip: IpAddr) -> NodeId {
        let mut nodes = self.nodes.lock();
        let id = u16::try_from(nodes.len()).map_or(NodeId::OUTSIDE, NodeId);
        assert!(id != NodeId::OUTSIDE, "a run has 65,535 nodes at most");
        nodes.push(Node {
            name: name.into(),
            ip,
            started: 0,
            process: None,
            wall_offset_ms: Arc::default(),
        });
        id
    }

    fn with<R>(&self, node: NodeId, access: impl FnOnce(&mut Node) -> R) -> R {
        let mut nodes = self.nodes.lock();
        let Some(entry) = nodes.get_mut(node.index()) else {
            unreachable!("the run has no node {node:?}")
        };
        access(entry)
    }

    /// Starts a new process, after killing the one that still runs.
    pub(super) fn start(
        &self,
        node: NodeId,
        ip: Option<IpAddr>,
        runtime: impl FnOnce(IpAddr) -> Arc<RuntimeHandle>,
    ) -> HostContext {
        self.kill(node);
        self.with(node, |entry| {
            entry.ip = ip.unwrap_or(entry.ip);
            entry.started += 1;
            let life = (node, entry.started);
            let sink = Arc::clone(&self.sink);
            let process = Arc::new(Process::new(life, entry.ip, runtime(entry.ip), sink));
            entry.process = Some(Arc::clone(&process));
            HostContext {
                process,
                chance: self.chance.process(&entry.name, entry.started),
                wall_offset_ms: Arc::clone(&entry.wall_offset_ms),
            }
        })
    }

    /// Kills the node's process, if one runs.
    pub(super) fn kill(&self, node: NodeId) {
        let process = self.with(node, |entry| entry.process.take());
        if let Some(process) = process {
            process.kill();
        }
    }

    /// Stops polling the node's tasks, if a process runs.
    pub(super) fn freeze(&self, node: NodeId) {
        if let Some(process) = self.process(node) {
            process.freeze();
        }
    }

    /// Lets the node's tasks be polled again after a freeze.
    pub(super) fn thaw(&self, node: NodeId) {
        if let Some(process) = self.process(node) {
            process.thaw();
        }
    }

    /// The node's process, if one runs.
    pub(super) fn process(&self, node: NodeId) -> Option<Arc<Process>> {
        self.with(node, |entry| entry.process.clone())
    }

    pub(super) fn address(&self, node: NodeId) -> IpAddr {
        self.with(node, |entry| entry.ip)
    }

    /// The nodes that live at an address.
    pub(super) fn at(&self, ip: IpAddr) -> Vec<NodeId> {
        let nodes = self.nodes.lock();
        let all = (0_u16..).zip(nodes.iter());
        all.filter(|(_, node)| node.ip == ip)
            .map(|(number, _)| NodeId(number))
            .collect()
    }

    pub(super) fn move_wall_clock(&self, node: NodeId, ms: i64) {
        self.with(node, |entry| {
            entry.wall_offset_ms.fetch_add(ms, Ordering::Relaxed);
        });
    }

    pub(super) fn gauges(&self, node: NodeId) -> NodeGauges {
        self.process(node)
            .map_or_else(NodeGauges::default, |process| process.gauges())
    }

    /// Every task there is.
    pub(super) fn waiting(&self) -> Vec<WaitingTask> {
        let processes: Vec<_> = {
            let nodes = self.nodes.lock();
            nodes
                .iter()
                .filter_map(|node| node.process.clone())
                .collect()
        };
        processes
            .iter()
            .flat_map(|process| process.waiting())
            .collect()
    }

    /// The counter of the bytes delivered to `to` from whoever lives at `from`.
    pub(super) fn traffic(&self, from: IpAddr, to: NodeId) -> Arc<AtomicU64> {
        // A node that has moved lives no longer where its old connections are from.
        let from = self.at(from).first().copied().unwrap_or(NodeId::OUTSIDE);
        let mut traffic = self.traffic.lock();
        Arc::clone(traffic.entry((from, to)).or_default())
    }

    pub(super) fn link_bytes(&self) -> Vec<LinkBytes> {
        let traffic = self.traffic.lock();
        let counted = traffic.iter().map(|(&(from, to), bytes)| LinkBytes {
            from,
            to,
            bytes: bytes.load(Ordering::Relaxed),
        });
        counted.filter(|link| link.bytes > 0).collect()
    }

    /// The run is over: every process dies unobserved.
    pub(super) fn close(&self) {
        self.sink.close();
        let processes: Vec<_> = {
            let mut nodes = self.nodes.lock();
            nodes
                .iter_mut()
                .filter_map(|node| node.process.take())
                .collect()
        };
        for process in processes {
            process.kill();
        }
    }
}

impl fmt::Debug for ProcessTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessTable({} nodes)", self.nodes.lock().len())
    }
}

//! The engines that a scenario can run on, behind one trait.
//!
//! A scenario is written once and runs on the event engine (the package `dst-engine`), on `turmoil`,
//! and on real TCP. The runner directs all three through [`Backend`]: nodes and their lives, actions
//! at a time, and [`Change`]s of processes and the network. Not every engine can do every change: it
//! then returns [`NotModelled`] with the reason, and nothing happens.
//!
//! The two other engines live here and not in the engine's package: `turmoil` is a second opinion
//! and the kernel a third, for the laboratory's scenarios; whoever uses the engine needs neither.
//!
//! | module | what it is |
//! |---|---|
//! | `turmoil`, `tcp` | the engines on Tokio's own tasks |
//! | `process_table`, `process` | the nodes of their runs, and the tasks of each process |
//! | `runtime_handle` | the runtime on which a node's futures are polled and dropped |
//! | `sockets` | dials and ends of connections, and the events they make |
//! | `plan` | actions at a time |
//! | `sink` | where their events go, and the panic that ends a run |

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use dst_engine::{
    Change, EngineConfig, EngineHandle, EventSink, LinkBytes, NodeGauges, NodeId, NotModelled,
    RunReport, Strike,
};
use rmq_host::SharedHost;

use crate::fault::EngineKind;

mod plan;
mod process;
mod process_table;
mod runtime_handle;
mod sink;
mod sockets;
pub(crate) mod tcp;
pub(crate) mod turmoil;

/// What happens at a planned time.
pub(crate) type Action = Box<dyn FnOnce() + Send>;

/// A shared handle to the engine of the run that goes on.
pub type SharedBackend = Arc<dyn Backend>;

/// What a change returns that not every engine can make.
pub(crate) type Modelled = Result<(), NotModelled>;

/// The nodes of a run and the network between them, on whichever engine.
///
/// Can be called from anywhere within the run: from its main future, from a planned action, and
/// from within a node's own poll, where it takes effect after that poll.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// The engine behind it.
    fn engine(&self) -> EngineKind;

    /// The address that a scenario's n-th machine should have, from 0: any on a simulated network,
    /// one of its own on the loop-back interface.
    fn address_for(&self, machine: u16) -> IpAddr;

    /// Adds a node that runs at `ip`. Numbers count up from 0 in the order of the calls.
    fn node(&self, name: &str, ip: IpAddr) -> NodeId;

    /// The address at which the node runs, or ran last.
    fn address(&self, node: NodeId) -> Option<IpAddr>;

    /// Whether a process of the node is running.
    fn is_running(&self, node: NodeId) -> bool;

    /// Adds a component of the process that runs on a node, which events tell apart, and its host.
    /// `None`: this engine has none.
    fn component(&self, node: NodeId, name: &str) -> Option<(NodeId, SharedHost)> {
        let _ = (node, name);
        None
    }

    /// Starts a new process on the node. A process that still runs there is killed first.
    fn boot(&self, node: NodeId) -> SharedHost;

    /// As [`boot`](Self::boot), with the node moved to another address.
    fn boot_at(&self, node: NodeId, ip: IpAddr) -> SharedHost;

    /// Changes a node, a link or connections.
    ///
    /// # Errors
    ///
    /// This engine cannot do it; nothing has happened.
    fn apply(&self, change: Change) -> Modelled;

    /// Runs `action` at `ms`, after the actions planned earlier for that time.
    fn at(&self, ms: u64, action: Action);

    /// Milliseconds since the start of the run: virtual, or real on TCP.
    fn now_ms(&self) -> u64;

    /// What the node holds at this moment.
    fn gauges(&self, node: NodeId) -> NodeGauges;

    /// Bytes delivered per link so far, of links that carried any.
    fn link_bytes(&self) -> Vec<LinkBytes>;

    /// How often faults struck in this way so far, from one node to another; what concerns a node
    /// alone from the node to itself. `None`: this engine does not count it.
    fn strikes(&self, what: Strike, from: NodeId, to: NodeId) -> Option<u64> {
        let _ = (what, from, to);
        None
    }
}

/// The refusal of a change.
fn refused(engine: &'static str, change: Change, reason: &'static str) -> Modelled {
    Err(NotModelled {
        engine,
        what: change.what(),
        reason,
    })
}

/// The n-th machine's address on a simulated network: 10.0.0.1, 10.0.0.2 …
fn simulated_address(machine: u16) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0001 + u32::from(machine)))
}

impl Backend for EngineHandle {
    fn engine(&self) -> EngineKind {
        EngineKind::Event
    }

    fn address_for(&self, machine: u16) -> IpAddr {
        simulated_address(machine)
    }

    fn node(&self, name: &str, ip: IpAddr) -> NodeId {
        EngineHandle::node(*self, name, ip)
    }

    fn address(&self, node: NodeId) -> Option<IpAddr> {
        EngineHandle::address(*self, node)
    }

    fn is_running(&self, node: NodeId) -> bool {
        EngineHandle::is_running(*self, node)
    }

    fn component(&self, node: NodeId, name: &str) -> Option<(NodeId, SharedHost)> {
        Some(EngineHandle::component(*self, node, name))
    }

    fn boot(&self, node: NodeId) -> SharedHost {
        EngineHandle::boot(*self, node)
    }

    fn boot_at(&self, node: NodeId, ip: IpAddr) -> SharedHost {
        EngineHandle::boot_at(*self, node, ip)
    }

    fn apply(&self, change: Change) -> Modelled {
        EngineHandle::apply(*self, change);
        Ok(())
    }

    fn at(&self, ms: u64, action: Action) {
        EngineHandle::at(*self, ms, action);
    }

    fn now_ms(&self) -> u64 {
        EngineHandle::now_ms(*self)
    }

    fn gauges(&self, node: NodeId) -> NodeGauges {
        EngineHandle::gauges(*self, node)
    }

    fn link_bytes(&self) -> Vec<LinkBytes> {
        EngineHandle::link_bytes(*self)
    }

    fn strikes(&self, what: Strike, from: NodeId, to: NodeId) -> Option<u64> {
        Some(EngineHandle::strikes(*self, what, from, to))
    }
}

/// Runs `main` on an engine, and every task that it starts on the engine's nodes.
///
/// A node's code must run in its node's tasks ([`Host::spawn`](rmq_host::Host::spawn)): on `turmoil`
/// each machine has a clock and a network context of its own. `main` directs and waits.
///
/// `at_end` is called when the run is over, however it ended, before anything of it is torn down: what
/// teardown does is no part of a run.
///
/// # Errors
///
/// The operating system gave no runtime.
pub fn run<T>(
    engine: EngineKind,
    config: &EngineConfig,
    sink: Arc<dyn EventSink>,
    main: impl AsyncFnOnce(SharedBackend) -> T,
    at_end: impl FnOnce(),
) -> io::Result<RunReport<T>> {
    match engine {
        EngineKind::Event => {
            let engine = dst_engine::Engine::with_config(config.clone()).events_to(sink);
            engine.run_then(async move |handle| main(Arc::new(handle)).await, at_end)
        }
        EngineKind::Turmoil => turmoil::TurmoilBackend::run(
            config,
            sink,
            async move |backend| main(Arc::new(backend)).await,
            at_end,
        ),
        EngineKind::Tcp => tcp::TcpBackend::run(
            config,
            sink,
            async move |backend| main(Arc::new(backend)).await,
            at_end,
        ),
    }
}

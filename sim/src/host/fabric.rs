//! What the runner asks of an engine.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rmq_remoting::host::SharedHost;

use crate::engine::{NodeGauges, World};
use crate::fault::Engine;
use crate::trace::record::NodeId;

/// What happens at a planned time.
pub type Action = Box<dyn FnOnce() + Send>;

/// A shared handle to the engine of the run that goes on.
pub type SharedFabric = Arc<dyn Fabric>;

/// An operation that an engine cannot do. Nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not modelled on the engine {engine}: {reason}")]
pub struct NotModelled {
    /// The engine.
    pub engine: Engine,
    /// The operation.
    pub what: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// What an operation returns that not every engine can do.
pub type Modelled = Result<(), NotModelled>;

/// The nodes of a run and the network between them, on whichever engine.
///
/// Can be called from anywhere within the run: from its main future, from a planned action, and
/// from within a node's own poll, where it takes effect after that poll.
pub trait Fabric: fmt::Debug + Send + Sync + 'static {
    /// The engine behind it.
    fn engine(&self) -> Engine;

    /// Adds a node that runs at `ip`. Numbers count up from 0 in the order of the calls.
    fn node(&self, name: &str, ip: IpAddr) -> NodeId;

    /// The address at which the node runs, or ran last.
    fn address(&self, node: NodeId) -> Option<IpAddr>;

    /// Whether a process of the node is running.
    fn is_running(&self, node: NodeId) -> bool;

    /// Starts a new process on the node. A process that still runs there is killed first.
    fn boot(&self, node: NodeId) -> SharedHost;

    /// As [`boot`](Self::boot), with the node moved to another address.
    fn boot_at(&self, node: NodeId, ip: IpAddr) -> SharedHost;

    /// Kills the node's process: its tasks are dropped, its kernel closes its sockets.
    fn crash(&self, node: NodeId);

    /// Runs `action` at `ms`, after the actions planned earlier for that time.
    fn at(&self, ms: u64, action: Action);

    /// Milliseconds since the start of the run: virtual, or real on TCP.
    fn now_ms(&self) -> u64;

    /// What the node holds at this moment.
    fn gauges(&self, node: NodeId) -> NodeGauges;

    /// The node's machine vanishes without a word; booting the node brings it back.
    fn power_off(&self, node: NodeId) -> Modelled;

    /// Stops polling the node's tasks. Its kernel lives on.
    fn freeze(&self, node: NodeId) -> Modelled;

    /// Ends a freeze.
    fn thaw(&self, node: NodeId) -> Modelled;

    /// Gives the node one poll per so many milliseconds; 0 ends it.
    fn slow(&self, node: NodeId, ms_per_poll: u64) -> Modelled;

    /// Moves the node's wall clock by so many milliseconds.
    fn jump_wall_clock(&self, node: NodeId, ms: i64) -> Modelled;

    /// Stops every byte between the nodes, both ways.
    fn cut_both(&self, a: NodeId, b: NodeId) -> Modelled;

    /// Ends a cut of both ways.
    fn heal_both(&self, a: NodeId, b: NodeId) -> Modelled;

    /// Stops every byte from `from` to `to`.
    fn cut(&self, from: NodeId, to: NodeId) -> Modelled;

    /// Ends a cut of one way.
    fn heal(&self, from: NodeId, to: NodeId) -> Modelled;

    /// Loses so many of a thousand transmissions; 0 ends it.
    fn loss(&self, from: NodeId, to: NodeId, per_mille: u32) -> Modelled;

    /// Sets the latency of one direction: `ms` (at least 1) and up to `jitter_ms` more.
    fn latency(&self, from: NodeId, to: NodeId, ms: u64, jitter_ms: u64) -> Modelled;

    /// Sets the latency of both directions.
    fn latency_both(&self, a: NodeId, b: NodeId, ms: u64, jitter_ms: u64) -> Modelled;

    /// Gives both directions the network's latency back.
    fn default_latency_both(&self, a: NodeId, b: NodeId) -> Modelled;

    /// Gives one direction the network's latency back.
    fn default_latency(&self, from: NodeId, to: NodeId) -> Modelled;

    /// Answers dials to the node with a reset, or stops that.
    fn refuse(&self, node: NodeId, on: bool) -> Modelled;

    /// Connections that are open between the nodes swallow all bytes from now on; new ones work.
    fn black_hole(&self, a: NodeId, b: NodeId) -> Modelled;

    /// Flips one bit of the byte that follows `after` further bytes from `from` to `to`.
    fn corrupt(&self, from: NodeId, to: NodeId, after: u64) -> Modelled;
}

impl Fabric for World {
    fn engine(&self) -> Engine {
        Engine::Event
    }

    fn node(&self, name: &str, ip: IpAddr) -> NodeId {
        World::node(*self, name, ip)
    }

    fn address(&self, node: NodeId) -> Option<IpAddr> {
        World::address(*self, node)
    }

    fn is_running(&self, node: NodeId) -> bool {
        World::is_running(*self, node)
    }

    fn boot(&self, node: NodeId) -> SharedHost {
        World::boot(*self, node)
    }

    fn boot_at(&self, node: NodeId, ip: IpAddr) -> SharedHost {
        World::boot_at(*self, node, ip)
    }

    fn crash(&self, node: NodeId) {
        World::crash(*self, node);
    }

    fn at(&self, ms: u64, action: Action) {
        World::at(*self, ms, action);
    }

    fn now_ms(&self) -> u64 {
        World::now_ms(*self)
    }

    fn gauges(&self, node: NodeId) -> NodeGauges {
        World::gauges(*self, node)
    }

    fn power_off(&self, node: NodeId) -> Modelled {
        World::power_off(*self, node);
        Ok(())
    }

    fn freeze(&self, node: NodeId) -> Modelled {
        World::freeze(*self, node);
        Ok(())
    }

    fn thaw(&self, node: NodeId) -> Modelled {
        World::thaw(*self, node);
        Ok(())
    }

    fn slow(&self, node: NodeId, ms_per_poll: u64) -> Modelled {
        World::slow(*self, node, ms_per_poll);
        Ok(())
    }

    fn jump_wall_clock(&self, node: NodeId, ms: i64) -> Modelled {
        World::jump_wall_clock(*self, node, ms);
        Ok(())
    }

    fn cut_both(&self, a: NodeId, b: NodeId) -> Modelled {
        World::cut(*self, a, b);
        World::cut(*self, b, a);
        Ok(())
    }

    fn heal_both(&self, a: NodeId, b: NodeId) -> Modelled {
        World::heal(*self, a, b);
        World::heal(*self, b, a);
        Ok(())
    }

    fn cut(&self, from: NodeId, to: NodeId) -> Modelled {
        World::cut(*self, from, to);
        Ok(())
    }

    fn heal(&self, from: NodeId, to: NodeId) -> Modelled {
        World::heal(*self, from, to);
        Ok(())
    }

    fn loss(&self, from: NodeId, to: NodeId, per_mille: u32) -> Modelled {
        World::loss(*self, from, to, per_mille);
        Ok(())
    }

    fn latency(&self, from: NodeId, to: NodeId, ms: u64, jitter_ms: u64) -> Modelled {
        World::latency(*self, from, to, ms, jitter_ms);
        Ok(())
    }

    fn latency_both(&self, a: NodeId, b: NodeId, ms: u64, jitter_ms: u64) -> Modelled {
        World::latency(*self, a, b, ms, jitter_ms);
        World::latency(*self, b, a, ms, jitter_ms);
        Ok(())
    }

    fn default_latency_both(&self, a: NodeId, b: NodeId) -> Modelled {
        World::default_latency(*self, a, b);
        World::default_latency(*self, b, a);
        Ok(())
    }

    fn default_latency(&self, from: NodeId, to: NodeId) -> Modelled {
        World::default_latency(*self, from, to);
        Ok(())
    }

    fn refuse(&self, node: NodeId, on: bool) -> Modelled {
        World::refuse(*self, node, on);
        Ok(())
    }

    fn black_hole(&self, a: NodeId, b: NodeId) -> Modelled {
        World::black_hole(*self, a, b);
        Ok(())
    }

    fn corrupt(&self, from: NodeId, to: NodeId, after: u64) -> Modelled {
        World::corrupt(*self, from, to, after);
        Ok(())
    }
}

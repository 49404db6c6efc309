//! What the runner asks of an engine.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rmq_host::SharedHost;

use crate::engine::{LinkBytes, NodeGauges, Strike, World};
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

/// One direction between two nodes, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the first node to the second.
    One(NodeId, NodeId),
    /// Both ways between them.
    Both(NodeId, NodeId),
}

impl Way {
    /// The directions it stands for, as (from, to).
    pub fn directions(self) -> impl Iterator<Item = (NodeId, NodeId)> {
        let (there, back) = match self {
            Self::One(from, to) => ((from, to), None),
            Self::Both(a, b) => ((a, b), Some((b, a))),
        };
        std::iter::once(there).chain(back)
    }
}

/// The nodes of a run and the network between them, on whichever engine.
///
/// Can be called from anywhere within the run: from its main future, from a planned action, and
/// from within a node's own poll, where it takes effect after that poll.
pub trait Fabric: fmt::Debug + Send + Sync + 'static {
    /// The engine behind it.
    fn engine(&self) -> Engine;

    /// The address that a scenario's n-th machine should have, from 0: any on a simulated network,
    /// one of its own on the loop-back interface.
    fn address_for(&self, machine: u16) -> IpAddr;

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

    /// Bytes delivered per link so far, of links that carried any.
    fn link_bytes(&self) -> Vec<LinkBytes>;

    /// How often faults struck in this way so far, from one node to another; what concerns a node
    /// alone from the node to itself. `None`: this engine does not count it.
    fn strikes(&self, what: Strike, from: NodeId, to: NodeId) -> Option<u64> {
        let _ = (what, from, to);
        None
    }

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

    /// Stops every byte on the way.
    fn cut(&self, way: Way) -> Modelled;

    /// Ends a cut.
    fn heal(&self, way: Way) -> Modelled;

    /// Loses so many of a thousand transmissions; 0 ends it.
    fn loss(&self, way: Way, per_mille: u32) -> Modelled;

    /// Sets the latency: `ms` (at least 1) and up to `jitter_ms` more.
    fn latency(&self, way: Way, ms: u64, jitter_ms: u64) -> Modelled;

    /// Gives the way the network's latency back.
    fn default_latency(&self, way: Way) -> Modelled;

    /// Answers dials to the node with a reset, or stops that.
    fn refuse(&self, node: NodeId, on: bool) -> Modelled;

    /// Connections that are open between the nodes swallow all bytes from now on; new ones work.
    fn black_hole(&self, a: NodeId, b: NodeId) -> Modelled;

    /// Flips one bit of the byte that follows `after` further bytes from `from` to `to`.
    fn corrupt(&self, from: NodeId, to: NodeId, after: u64) -> Modelled;

    /// Makes everything on the way wait, or lets it go; then all of it arrives, in order. Most
    /// networks have no such thing: an engine that does not say otherwise refuses it, and so with
    /// all that follows here.
    fn hold(&self, way: Way, on: bool) -> Modelled {
        let _ = (way, on);
        self.refuses("holding and releasing")
    }

    /// Limits the way to so many bytes a millisecond; 0 ends it.
    fn bandwidth(&self, way: Way, bytes_per_ms: u64) -> Modelled {
        let _ = (way, bytes_per_ms);
        self.refuses("a bandwidth")
    }

    /// Makes each read and write on the way move at most so many bytes; 0 ends it.
    fn slice(&self, way: Way, bytes: u64) -> Modelled {
        let _ = (way, bytes);
        self.refuses("steered partial reads and writes")
    }

    /// Resets every connection between the nodes now, at both ends.
    fn reset(&self, a: NodeId, b: NodeId) -> Modelled {
        let _ = (a, b);
        self.refuses("a reset from outside")
    }

    /// Resets the connection that carries the byte which follows `after` further bytes.
    fn reset_after(&self, from: NodeId, to: NodeId, after: u64) -> Modelled {
        let _ = (from, to, after);
        self.refuses("a reset from outside")
    }

    /// Open connections between the nodes vanish at the end of `to`, and `from` hears nothing.
    fn half_open(&self, from: NodeId, to: NodeId) -> Modelled {
        let _ = (from, to);
        self.refuses("half-open connections")
    }

    /// Leaves dials to the node without an answer, or stops that.
    fn swallow_dials(&self, node: NodeId, on: bool) -> Modelled {
        let _ = (node, on);
        self.refuses("swallowed dials")
    }

    /// Keeps the node's program from reading from connections it accepted, or stops that.
    fn stop_reading(&self, node: NodeId, on: bool) -> Modelled {
        let _ = (node, on);
        self.refuses("a program that stops reading")
    }

    /// The refusal of an operation that this engine has no model of.
    fn refuses(&self, what: &'static str) -> Modelled {
        Err(NotModelled {
            engine: self.engine(),
            what,
            reason: "its network has no such thing",
        })
    }
}

/// The n-th machine's address on a simulated network: 10.0.0.1, 10.0.0.2 …
pub(super) fn simulated_address(machine: u16) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0001 + u32::from(machine)))
}

impl Fabric for World {
    fn engine(&self) -> Engine {
        Engine::Event
    }

    fn address_for(&self, machine: u16) -> IpAddr {
        simulated_address(machine)
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

    fn link_bytes(&self) -> Vec<LinkBytes> {
        World::link_bytes(*self)
    }

    fn strikes(&self, what: Strike, from: NodeId, to: NodeId) -> Option<u64> {
        Some(World::strikes(*self, what, from, to))
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

    fn cut(&self, way: Way) -> Modelled {
        for (from, to) in way.directions() {
            World::cut(*self, from, to);
        }
        Ok(())
    }

    fn heal(&self, way: Way) -> Modelled {
        for (from, to) in way.directions() {
            World::heal(*self, from, to);
        }
        Ok(())
    }

    fn loss(&self, way: Way, per_mille: u32) -> Modelled {
        for (from, to) in way.directions() {
            World::loss(*self, from, to, per_mille);
        }
        Ok(())
    }

    fn latency(&self, way: Way, ms: u64, jitter_ms: u64) -> Modelled {
        for (from, to) in way.directions() {
            World::latency(*self, from, to, ms, jitter_ms);
        }
        Ok(())
    }

    fn default_latency(&self, way: Way) -> Modelled {
        for (from, to) in way.directions() {
            World::default_latency(*self, from, to);
        }
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

    fn hold(&self, way: Way, on: bool) -> Modelled {
        for (from, to) in way.directions() {
            World::hold(*self, from, to, on);
        }
        Ok(())
    }

    fn bandwidth(&self, way: Way, bytes_per_ms: u64) -> Modelled {
        for (from, to) in way.directions() {
            World::bandwidth(*self, from, to, bytes_per_ms);
        }
        Ok(())
    }

    fn slice(&self, way: Way, bytes: u64) -> Modelled {
        for (from, to) in way.directions() {
            World::slice(*self, from, to, bytes);
        }
        Ok(())
    }

    fn reset(&self, a: NodeId, b: NodeId) -> Modelled {
        World::reset(*self, a, b);
        Ok(())
    }

    fn reset_after(&self, from: NodeId, to: NodeId, after: u64) -> Modelled {
        World::reset_after(*self, from, to, after);
        Ok(())
    }

    fn half_open(&self, from: NodeId, to: NodeId) -> Modelled {
        World::half_open(*self, from, to);
        Ok(())
    }

    fn swallow_dials(&self, node: NodeId, on: bool) -> Modelled {
        World::swallow_dials(*self, node, on);
        Ok(())
    }

    fn stop_reading(&self, node: NodeId, on: bool) -> Modelled {
        World::stop_reading(*self, node, on);
        Ok(())
    }
}

//! The handle through which a run is directed: nodes, their lives, and the weather between them.
//!
//! A [`World`] is a number and can be copied into any closure. What it asks for is queued and
//! happens between two polls of tasks, so that a broker's own observer may crash that broker. Out
//! of its run (after the end, on another thread) it does nothing.

use std::net::IpAddr;
use std::sync::Arc;

use rmq_host::SharedHost;
use rmq_remoting::observe::Name;

use super::access;
use super::core::{Core, Node, RunId};
use super::ops::{LinkChange, Op};
use super::strike::Strike;
use crate::host::event::EventHost;
use crate::trace::record::NodeId;

/// What a node holds at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeGauges {
    /// Tasks that have not ended.
    pub tasks: u32,
    /// Ends of connections that a program holds.
    pub connections: u32,
    /// Listeners.
    pub listeners: u32,
}

/// The simulated world of the run that is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct World {
    run: RunId,
}

impl World {
    pub(super) fn new(run: RunId) -> Self {
        Self { run }
    }

    fn with<R>(self, access: impl FnOnce(&mut Core) -> R) -> Option<R> {
        access::enter(self.run, access)
    }

    fn queue(self, op: Op) {
        // A request that comes too late is dropped outside the world, as everything is.
        let mut op = Some(op);
        self.with(|core| core.ops.extend(op.take()));
    }

    /// Adds a node that runs at `ip`. Numbers count up from 0 in the order of the calls. Nodes with
    /// one address share a machine: they talk over its loop and lose power together.
    pub fn node(self, name: &str, ip: IpAddr) -> NodeId {
        self.with(|core| core.add_node(name, ip))
            .unwrap_or(NodeId::LAB)
    }

    /// The node's name.
    pub fn name(self, node: NodeId) -> Option<Name> {
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
    pub fn boot(self, node: NodeId) -> SharedHost {
        self.start(node, None)
    }

    /// As [`boot`](Self::boot), with the node moved to another address. Nobody answers at the old
    /// one unless another node lives there.
    pub fn boot_at(self, node: NodeId, ip: IpAddr) -> SharedHost {
        self.start(node, Some(ip))
    }

    fn start(self, node: NodeId, ip: Option<IpAddr>) -> SharedHost {
        let incarnation = self
            .with(|core| {
                let incarnation = core.next_incarnation(node);
                core.ops.push_back(Op::Boot {
                    node,
                    incarnation,
                    ip,
                });
                incarnation
            })
            .unwrap_or(0);
        Arc::new(EventHost::new(self.run, node, incarnation))
    }

    /// Kills the node's process: its tasks are dropped, its kernel closes its sockets.
    pub fn crash(self, node: NodeId) {
        self.queue(Op::Crash(node));
    }

    /// Cuts the power of the node's machine: every node there is gone without a word. The machine
    /// is back when one of its nodes is booted.
    pub fn power_off(self, node: NodeId) {
        self.queue(Op::PowerOff(node));
    }

    /// Stops polling the node's tasks. Its kernel lives on.
    pub fn freeze(self, node: NodeId) {
        self.queue(Op::Freeze(node));
    }

    /// Ends a freeze.
    pub fn thaw(self, node: NodeId) {
        self.queue(Op::Thaw(node));
    }

    /// Gives the node one poll per so many milliseconds; 0 ends it.
    pub fn slow(self, node: NodeId, ms_per_poll: u64) {
        self.queue(Op::Slow(node, ms_per_poll));
    }

    /// Moves the node's wall clock by so many milliseconds. Its timers do not notice.
    pub fn jump_wall_clock(self, node: NodeId, ms: i64) {
        self.queue(Op::WallClock(node, ms));
    }

    /// Stops every byte from `from` to `to`. Both directions need two calls.
    pub fn cut(self, from: NodeId, to: NodeId) {
        self.queue(Op::Link(from, to, LinkChange::Cut(true)));
    }

    /// Ends a cut.
    pub fn heal(self, from: NodeId, to: NodeId) {
        self.queue(Op::Link(from, to, LinkChange::Cut(false)));
    }

    /// Loses so many of a thousand transmissions, drawn by the millisecond; 0 ends it.
    pub fn loss(self, from: NodeId, to: NodeId, per_mille: u32) {
        self.queue(Op::Link(from, to, LinkChange::Loss(per_mille)));
    }

    /// Sets the latency of one direction: `ms` (at least 1) and up to `jitter_ms` more.
    pub fn latency(self, from: NodeId, to: NodeId, ms: u64, jitter_ms: u64) {
        self.queue(Op::Link(
            from,
            to,
            LinkChange::Latency(Some((ms, jitter_ms))),
        ));
    }

    /// Gives one direction the network's latency back.
    pub fn default_latency(self, from: NodeId, to: NodeId) {
        self.queue(Op::Link(from, to, LinkChange::Latency(None)));
    }

    /// Limits one direction to so many bytes a millisecond; 0 ends it.
    pub fn bandwidth(self, from: NodeId, to: NodeId, bytes_per_ms: u64) {
        self.queue(Op::Link(from, to, LinkChange::Bandwidth(bytes_per_ms)));
    }

    /// Makes each read and write from `from` to `to` move at most so many bytes; 0 ends it.
    pub fn slice(self, from: NodeId, to: NodeId, bytes: u64) {
        self.queue(Op::Link(from, to, LinkChange::Slice(bytes)));
    }

    /// Makes whatever arrives from `from` at `to` wait, or lets all of it arrive now, in order.
    /// Acknowledgements are not held.
    pub fn hold(self, from: NodeId, to: NodeId, on: bool) {
        self.queue(Op::Hold(from, to, on));
    }

    /// Leaves every dial to this node without an answer, or stops that.
    pub fn swallow_dials(self, node: NodeId, on: bool) {
        self.queue(Op::SwallowDials(node, on));
    }

    /// Keeps the node's program from reading from the connections it accepted, or stops that.
    pub fn stop_reading(self, node: NodeId, on: bool) {
        self.queue(Op::StopReading(node, on));
    }

    /// Every connection that is open between the two nodes vanishes at the end of `to`: its program
    /// is told of a timeout, `from` of nothing until it sends.
    pub fn half_open(self, from: NodeId, to: NodeId) {
        self.queue(Op::HalfOpen(from, to));
    }

    /// Makes the node's machine answer every dial to this node with RST, or stops that.
    pub fn refuse(self, node: NodeId, on: bool) {
        self.queue(Op::Refuse(node, on));
    }

    /// Every connection that is open between the two nodes swallows all bytes from now on, both
    /// ways and for good. New connections work.
    pub fn black_hole(self, a: NodeId, b: NodeId) {
        self.queue(Op::BlackHole(a, b));
    }

    /// Flips one bit of the byte that follows `after` further bytes from `from` to `to`.
    pub fn corrupt(self, from: NodeId, to: NodeId, after: u64) {
        self.queue(Op::Link(from, to, LinkChange::Corrupt(after)));
    }

    /// Resets every connection between the two nodes, as a device between them would: both ends
    /// get RST now.
    pub fn reset(self, a: NodeId, b: NodeId) {
        self.queue(Op::Reset(a, b));
    }

    /// Resets the connection that carries the byte following `after` further bytes from `from` to
    /// `to`: the bytes before it still arrive.
    pub fn reset_after(self, from: NodeId, to: NodeId, after: u64) {
        self.queue(Op::Link(from, to, LinkChange::ResetAfter(after)));
    }

    /// Runs `action` at `ms`, before anything else in that millisecond and after the actions
    /// planned earlier for it. A time that has come already means: between this poll and the next.
    pub fn at(self, ms: u64, action: impl FnOnce() + Send + 'static) {
        let mut action: Option<Box<dyn FnOnce() + Send>> = Some(Box::new(action));
        self.with(|core| action.take().map(|action| core.plan(ms, action)));
    }

    /// Virtual milliseconds since the start of the run; 0 outside of it. Can be called from
    /// anywhere, also by an observer.
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
    pub fn link_bytes(self) -> Vec<super::LinkBytes> {
        self.with(|core| core.links.bytes()).unwrap_or_default()
    }
}

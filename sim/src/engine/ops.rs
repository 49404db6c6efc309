//! What the world is asked to do between two polls.

use std::net::IpAddr;

use rmq_host::{BoxFuture, TaskReporter};

use crate::trace::record::NodeId;

/// A change of one direction between two nodes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LinkChange {
    Cut(bool),
    Loss(u32),
    Latency(Option<(u64, u64)>),
    Bandwidth(u64),
    Slice(u64),
    Corrupt(u64),
    ResetAfter(u64),
}

/// One request, carried out in the order of the requests.
pub(crate) enum Op {
    Boot {
        node: NodeId,
        incarnation: u32,
        ip: Option<IpAddr>,
    },
    Crash(NodeId),
    PowerOff(NodeId),
    Freeze(NodeId),
    Thaw(NodeId),
    Slow(NodeId, u64),
    WallClock(NodeId, i64),
    Link(NodeId, NodeId, LinkChange),
    Hold(NodeId, NodeId, bool),
    Refuse(NodeId, bool),
    SwallowDials(NodeId, bool),
    StopReading(NodeId, bool),
    HalfOpen(NodeId, NodeId),
    BlackHole(NodeId, NodeId),
    Reset(NodeId, NodeId),
    Spawn(Box<Spawned>),
    Cancel(u64),
}

/// A task that is to start.
pub(crate) struct Spawned {
    pub(crate) node: NodeId,
    pub(crate) incarnation: u32,
    pub(crate) number: u64,
    pub(crate) name: &'static str,
    pub(crate) future: BoxFuture<'static, ()>,
    pub(crate) reporter: TaskReporter,
}

//! What the engine is asked to do between two polls, in the order of the requests.

use std::net::IpAddr;

use rmq_host::{BoxFuture, TaskReporter};

use crate::change::Change;
use crate::node::NodeId;

/// What the engine is asked to do.
pub(crate) enum Command {
    /// Starts a process, at another address if one is given.
    Boot {
        node: NodeId,
        incarnation: u32,
        ip: Option<IpAddr>,
    },
    Change(Change),
    Spawn(Box<NewTask>),
    /// Drops the task with this number.
    Cancel(u64),
}

/// A task that is to start.
pub(crate) struct NewTask {
    pub(crate) node: NodeId,
    /// Under whose number events tell of it: the node's, or that of a component of its process.
    pub(crate) told_as: NodeId,
    pub(crate) incarnation: u32,
    pub(crate) number: u64,
    pub(crate) name: &'static str,
    pub(crate) future: BoxFuture<'static, ()>,
    pub(crate) reporter: TaskReporter,
}

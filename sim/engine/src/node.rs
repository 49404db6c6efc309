//! The numbers of nodes: what a run's reports, events and changes call a process's place.

use serde::Serialize;

/// A node of a run: a place where one process at a time runs. Numbers count up from 0 in the order
/// in which nodes were added.
///
/// ```
/// let mut engine = dst_engine::Engine::new(7);
/// let server = engine.process("server", [10, 0, 0, 1], |_host| async {});
/// let client = engine.process("client", [10, 0, 0, 2], |_host| async {});
/// assert_eq!((server.index(), client.index()), (0, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NodeId(pub u16);

impl NodeId {
    /// No node: whoever directs the run from outside of the simulated machines.
    pub const OUTSIDE: Self = Self(u16::MAX);

    /// The index into a table with one entry per node.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The process number of the node's n-th process, from 1: the same on every engine, and unique
    /// in a run.
    pub fn process_number(self, incarnation: u32) -> u32 {
        1000 * (u32::from(self.0) + 1) + incarnation
    }
}

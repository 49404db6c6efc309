//! The machines of the laboratory: one host for each engine, behind the seam of
//! [`rmq_remoting::host`], and one [`Fabric`] over the three.
//!
//! A scenario is written once and runs on the event engine, on `turmoil`, and on real TCP. The
//! runner directs all three through [`Fabric`]: nodes and their lives, actions at a time, and the
//! network's faults. Not every engine can do every fault: those operations return [`NotModelled`]
//! with the reason, and nothing happens.

pub mod event;
mod fabric;
pub mod tcp;
pub mod turmoil;

pub use fabric::{Action, Fabric, Modelled, NotModelled, SharedFabric, Way};

use crate::trace::record::NodeId;

/// The process number of a node's incarnation (from 1), the same on every engine and unique in a
/// run.
pub(crate) fn process_number(node: NodeId, incarnation: u32) -> u32 {
    1000 * (u32::from(node.0) + 1) + incarnation
}

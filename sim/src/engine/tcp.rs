//! Connections.
use crate::trace::record::NodeId;

pub(super) type ConnId = u32;
pub(super) struct Conn;
impl Conn {
    pub(super) fn held_by(&self, _node: NodeId) -> u32 {
        0
    }
}
pub(super) struct Listening {
    pub(super) node: NodeId,
}

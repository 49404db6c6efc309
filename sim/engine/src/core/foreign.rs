//! Tasks that a program gave to Tokio itself, and the processes that they turned out to belong to.

use std::task::{Context, Poll};

use tokio::task::Id;

use super::Core;
use crate::node::NodeId;

impl Core {
    /// The process that a task of Tokio's own belongs to, if it has used a socket of one.
    pub(crate) fn foreign_process(&self, task: Id) -> Option<(NodeId, u32)> {
        let mut known = self.foreign.iter().rev();
        let (_, node, incarnation) = known.find(|(id, ..)| *id == task)?;
        Some((*node, *incarnation))
    }

    /// A task of Tokio's own uses a socket. It belongs to the process of the first one that it used.
    pub(crate) fn adopt(&mut self, task: Id, node: NodeId, incarnation: u32) {
        if self.foreign_process(task).is_none() {
            self.foreign.push((task, node, incarnation));
        }
    }

    /// Whether a process that is not polled by the engine may go on: pending while it is frozen, and
    /// for good when it is gone.
    pub(crate) fn poll_running(
        &mut self,
        node: NodeId,
        incarnation: u32,
        cx: &Context<'_>,
    ) -> Poll<()> {
        if self.lives(node, incarnation) == Some(false) {
            return Poll::Pending;
        }
        if !self.known(node).frozen {
            return Poll::Ready(());
        }
        self.known_mut(node).thawed.push(cx.waker().clone());
        Poll::Pending
    }

    /// A process is frozen, or runs again.
    pub(crate) fn freeze(&mut self, node: NodeId, frozen: bool) {
        let state = self.known_mut(node);
        state.frozen = frozen;
        if !frozen {
            let waiting = std::mem::take(&mut state.thawed);
            self.effects.wake.extend(waiting);
        }
    }
}

//! What the engine saw happen to tasks and connections, as events.
//!
//! It is the kernel's view and therefore *evidence*: a client may say that it is connected, the
//! engine knows. Pieces of bytes make no events, so that where they are cut never shows.

use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;

use crate::node::NodeId;

/// Why a dial ended without a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DialEnd {
    /// Nobody listens there, or the node refuses.
    Refused,
    /// No answer to any repetition.
    TimedOut,
    /// The program gave up first.
    Abandoned,
}

/// How one end of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndCause {
    /// Its program closed it with everything read: FIN.
    Closed,
    /// Its program closed it with unread input, or its kernel refused it: RST.
    Aborted,
    /// The other end's RST arrived.
    Reset,
    /// Nothing was acknowledged for too long.
    TimedOut,
    /// The machine lost power.
    Vanished,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskOff {
    /// It completed.
    Finished,
    /// It was cancelled by its owner.
    Cancelled,
    /// Its node crashed or lost power.
    Crashed,
    /// It panicked.
    Panicked,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineEvent {
    /// A task started.
    TaskOn {
        /// Its node.
        node: NodeId,
        /// Its number, counted over the run.
        number: u64,
        /// Its name.
        name: &'static str,
    },
    /// A task ended.
    TaskOff {
        /// Its node.
        node: NodeId,
        /// Its number.
        number: u64,
        /// Its name.
        name: &'static str,
        /// How.
        how: TaskOff,
    },
    /// A node listens.
    Listen {
        /// The node.
        node: NodeId,
        /// The address.
        at: SocketAddr,
    },
    /// A node's listener is gone.
    Unlisten {
        /// The node.
        node: NodeId,
        /// The address.
        at: SocketAddr,
    },
    /// A dial started.
    Dial {
        /// The dialling node.
        node: NodeId,
        /// Its end.
        local: SocketAddr,
        /// The address dialled.
        to: SocketAddr,
    },
    /// A dial ended without a connection.
    DialFailed {
        /// The dialling node.
        node: NodeId,
        /// Its end.
        local: SocketAddr,
        /// The address dialled.
        to: SocketAddr,
        /// Why.
        cause: DialEnd,
    },
    /// A dial succeeded: the dialling end of a connection is open.
    Opened {
        /// The dialling node.
        node: NodeId,
        /// Its end.
        local: SocketAddr,
        /// The other end.
        peer: SocketAddr,
    },
    /// A program accepted a connection.
    Accepted {
        /// The listening node.
        node: NodeId,
        /// Its end.
        local: SocketAddr,
        /// The other end.
        peer: SocketAddr,
    },
    /// One end of a connection ended. Each end that was opened has exactly one of these, unless
    /// the run ends first.
    Closed {
        /// The node of this end.
        node: NodeId,
        /// This end.
        local: SocketAddr,
        /// The other end.
        peer: SocketAddr,
        /// Why.
        cause: EndCause,
    },
}

/// Receives what happens, in the order in which it happens.
///
/// It is called inline by the engine, so it must be quick and must not block. It may ask an
/// [`EngineHandle`](crate::EngineHandle) for the time and for changes.
pub trait EventSink: fmt::Debug + Send + Sync + 'static {
    /// One thing that happened.
    fn on(&self, event: EngineEvent);
}

/// Ignores every event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ignore;

impl EventSink for Ignore {
    fn on(&self, _event: EngineEvent) {}
}

impl EngineEvent {
    /// The node it happened at.
    pub fn node(&self) -> NodeId {
        match self {
            Self::TaskOn { node, .. }
            | Self::TaskOff { node, .. }
            | Self::Listen { node, .. }
            | Self::Unlisten { node, .. }
            | Self::Dial { node, .. }
            | Self::DialFailed { node, .. }
            | Self::Opened { node, .. }
            | Self::Accepted { node, .. }
            | Self::Closed { node, .. } => *node,
        }
    }
}

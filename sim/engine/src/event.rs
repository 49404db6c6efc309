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
    /// The machine of this end lost power.
    Vanished,
}

/// How a task came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskOff {
    /// The future of the task ran to its end.
    Finished,
    /// It was cancelled by its owner.
    Cancelled,
    /// Its node crashed or lost power.
    Crashed,
    /// The task panicked, which ends the run.
    Panicked,
}

/// One thing that happened to a task, a listener or a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineEvent {
    /// A task was spawned by a node's program.
    TaskOn {
        /// The node whose program spawned it.
        node: NodeId,
        /// Its number, counted over the run.
        number: u64,
        /// The name that the program gave it.
        name: &'static str,
    },
    /// A task of a node's program ended.
    TaskOff {
        /// The node whose program spawned it.
        node: NodeId,
        /// The task's number in the run.
        number: u64,
        /// The name that the program gave it.
        name: &'static str,
        /// How the task came to its end.
        how: TaskOff,
    },
    /// A node's program listens at an address.
    Listen {
        /// The node whose program it is.
        node: NodeId,
        /// The address that it listens at.
        at: SocketAddr,
    },
    /// A node's listener is gone.
    Unlisten {
        /// The node whose program it is.
        node: NodeId,
        /// The address that it listens at.
        at: SocketAddr,
    },
    /// A node's program dials an address.
    Dial {
        /// The node whose program dials.
        node: NodeId,
        /// The address of this node's end.
        local: SocketAddr,
        /// The address that is dialled.
        to: SocketAddr,
    },
    /// A dial ended without a connection.
    DialFailed {
        /// The node whose program dials.
        node: NodeId,
        /// The address of this node's end.
        local: SocketAddr,
        /// The address that is dialled.
        to: SocketAddr,
        /// Why the dial came to nothing.
        cause: DialEnd,
    },
    /// A dial succeeded: the dialling end of a connection is open.
    Opened {
        /// The node whose program dials.
        node: NodeId,
        /// The address of this node's end.
        local: SocketAddr,
        /// The address of the other end.
        peer: SocketAddr,
    },
    /// A program accepted a connection.
    Accepted {
        /// The node whose program listens.
        node: NodeId,
        /// The address of this node's end.
        local: SocketAddr,
        /// The address of the other end.
        peer: SocketAddr,
    },
    /// One end of a connection ended. Each end that was opened has exactly one of these, unless
    /// the run ends first.
    Closed {
        /// The node of this end.
        node: NodeId,
        /// The address of this node's end.
        local: SocketAddr,
        /// The address of the other end.
        peer: SocketAddr,
        /// What ended this end of the connection.
        cause: EndCause,
    },
}

/// Receives what happens, in the order in which it happens.
///
/// It is called inline by the engine, so it must be quick and must not block. It may ask an
/// [`EngineHandle`](crate::EngineHandle) for the time and for changes.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use dst_engine::{Engine, EngineEvent, EventSink};
///
/// #[derive(Debug, Default)]
/// struct Dials(AtomicU32);
///
/// impl EventSink for Dials {
///     fn on(&self, event: EngineEvent) {
///         if matches!(event, EngineEvent::Dial { .. }) {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let dials = Arc::new(Dials::default());
/// let mut engine = Engine::new(7).events_to(dials.clone());
/// engine.client("client", [10, 0, 0, 1], |host| async move {
///     for _ in 0..3 {
///         assert!(host.connect("10.0.0.9:80").await.is_err());
///     }
/// });
/// engine.run()?;
/// assert_eq!(dials.0.load(Ordering::Relaxed), 3);
/// # Ok(())
/// # }
/// ```
pub trait EventSink: fmt::Debug + Send + Sync + 'static {
    /// Is told of one thing that happened.
    fn on(&self, event: EngineEvent);
}

/// A sink that ignores every event.
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

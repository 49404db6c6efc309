//! What can be done to nodes and to the network between them, as values.
//!
//! Each verb is written once, here: a plan of faults is a list of [`Change`]s with their times, the
//! engine carries one out in one place, and another engine that runs the same plan says of each
//! whether it can ([`NotModelled`]).

use std::io;

use crate::node::NodeId;

/// One direction between two nodes, or both.
///
/// ```
/// use dst_engine::{Direction, NodeId};
///
/// let (a, b) = (NodeId(0), NodeId(1));
/// assert!(Direction::One(a, b).each().eq([(a, b)]));
/// assert!(Direction::Both(a, b).each().eq([(a, b), (b, a)]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the first node to the second.
    One(NodeId, NodeId),
    /// Both ways between the two nodes.
    Both(NodeId, NodeId),
}

impl Direction {
    /// The single directions it stands for, as (from, to).
    pub fn each(self) -> impl Iterator<Item = (NodeId, NodeId)> {
        let (there, back) = match self {
            Self::One(from, to) => ((from, to), None),
            Self::Both(a, b) => ((a, b), Some((b, a))),
        };
        std::iter::once(there).chain(back)
    }
}

/// A change of a node, of a link between nodes, or of the connections between two nodes.
///
/// None of them is random by itself: what a seed decides (which transmission is lost) is a function
/// of the seed, the link and the millisecond.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use dst_engine::{Change, Direction, Engine};
///
/// let mut engine = Engine::new(7);
/// let server = engine.process("server", [10, 0, 0, 1], |host| async move {
///     let _listener = host.listen(([0, 0, 0, 0], 80).into()).await;
///     std::future::pending().await
/// });
/// let client = engine.client("client", [10, 0, 0, 2], |host| async move {
///     tokio::time::sleep(Duration::from_millis(1)).await;
///     assert!(host.connect("10.0.0.1:80").await.is_ok());
/// });
/// let there = Direction::One(client, server);
/// engine.at(0, move |sim| sim.apply(Change::Latency { on: there, ms: 20, jitter_ms: 0 }));
/// // 1 ms of sleep, 20 ms there, 1 ms back.
/// assert_eq!(engine.run()?.stats.virtual_ms, 22);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Kills the node's process: its tasks are dropped at once, its kernel closes its sockets. What
    /// it had written is still delivered; peers then see FIN, or RST if it had left input unread.
    Crash(NodeId),
    /// Cuts the power of the node's machine: every node there is gone without a word. Peers notice
    /// by silence. The machine is back when one of its nodes is booted; old connections are then
    /// answered with RST.
    PowerOff(NodeId),
    /// Stops polling the node's tasks, as SIGSTOP does. Its kernel lives on: dials to it succeed until
    /// the accept queue is full, and bytes are taken up to the window.
    Freeze(NodeId),
    /// Ends a freeze: the process runs again from where it stood.
    Thaw(NodeId),
    /// Gives the node one poll of a task per so many milliseconds.
    Slow {
        /// The node whose process it is.
        node: NodeId,
        /// Milliseconds from one poll to the next; 0: at full speed again.
        ms_per_poll: u64,
    },
    /// Moves the node's wall clock. Its timers do not notice.
    JumpWallClock {
        /// The node whose process it is.
        node: NodeId,
        /// By so many milliseconds; negative: back.
        ms: i64,
    },
    /// Makes the node's machine answer every dial to this node with RST, or stops that. Connections
    /// that are open live on.
    Refuse(NodeId, bool),
    /// Leaves every dial to this node without an answer, or stops that.
    SwallowDials(NodeId, bool),
    /// Keeps the node's program from reading from the connections it accepted, or stops that.
    StopReading(NodeId, bool),
    /// Stops every byte on the way: a partition. Bytes written meanwhile wait for a retransmission.
    Cut(Direction),
    /// Ends a cut of this direction: what was held back goes on.
    Heal(Direction),
    /// Loses transmissions, drawn by the millisecond. TCP sends them again, so a program sees a delay.
    Loss {
        /// The direction in which bytes are treated so.
        on: Direction,
        /// So many of a thousand; 0: none any more.
        per_mille: u32,
    },
    /// Sets the latency of a link.
    Latency {
        /// The direction in which bytes are treated so.
        on: Direction,
        /// Milliseconds one way, at least 1.
        ms: u64,
        /// Up to so many milliseconds more, drawn by the millisecond.
        jitter_ms: u64,
    },
    /// Gives a link the network's latency back.
    DefaultLatency(Direction),
    /// Limits how much a link carries.
    Bandwidth {
        /// The direction in which bytes are treated so.
        on: Direction,
        /// Bytes a millisecond; 0: no limit.
        bytes_per_ms: u64,
    },
    /// Makes each read and write on a link move few bytes.
    Slice {
        /// The direction in which bytes are treated so.
        on: Direction,
        /// At most so many bytes; 0: any number.
        bytes: u64,
    },
    /// Makes whatever arrives on a link wait, or lets all of it arrive now, in order.
    /// Acknowledgements are not held.
    Hold(Direction, bool),
    /// Every connection that is open between the two nodes vanishes at the end of `to`: its program
    /// is told of a timeout, `from` of nothing until it sends.
    HalfOpen {
        /// The end that hears nothing.
        from: NodeId,
        /// The end that is gone.
        to: NodeId,
    },
    /// Every connection that is open between the two nodes swallows all bytes from now on, both ways
    /// and for good. New connections work.
    BlackHole(NodeId, NodeId),
    /// Resets every connection between the two nodes now, as a device between them would.
    Reset(NodeId, NodeId),
    /// Flips one bit of a byte on its way.
    Corrupt {
        /// The node whose bytes are treated so.
        from: NodeId,
        /// The node that the bytes go to.
        to: NodeId,
        /// It is the byte that follows so many further bytes on this link.
        after: u64,
    },
    /// Resets the connection that carries a byte; the bytes before it still arrive.
    ResetAfter {
        /// The node whose bytes are treated so.
        from: NodeId,
        /// The node that the bytes go to.
        to: NodeId,
        /// It is the byte that follows so many further bytes on this link.
        after: u64,
    },
}

impl Change {
    /// The nodes that it names.
    pub(crate) fn nodes(&self) -> [NodeId; 2] {
        match *self {
            Self::Crash(node)
            | Self::PowerOff(node)
            | Self::Freeze(node)
            | Self::Thaw(node)
            | Self::Slow { node, .. }
            | Self::JumpWallClock { node, .. }
            | Self::Refuse(node, _)
            | Self::SwallowDials(node, _)
            | Self::StopReading(node, _) => [node, node],
            Self::Cut(on)
            | Self::Heal(on)
            | Self::Loss { on, .. }
            | Self::Latency { on, .. }
            | Self::DefaultLatency(on)
            | Self::Bandwidth { on, .. }
            | Self::Slice { on, .. }
            | Self::Hold(on, _) => match on {
                Direction::One(a, b) | Direction::Both(a, b) => [a, b],
            },
            Self::HalfOpen { from, to }
            | Self::Corrupt { from, to, .. }
            | Self::ResetAfter { from, to, .. } => [from, to],
            Self::BlackHole(a, b) | Self::Reset(a, b) => [a, b],
        }
    }

    /// What it does, in a few words, as a refusal names it.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Crash(_) => "a crash",
            Self::PowerOff(_) => "power loss",
            Self::Freeze(_) | Self::Thaw(_) => "a frozen process",
            Self::Slow { .. } => "a slow node",
            Self::JumpWallClock { .. } => "a jump of the wall clock",
            Self::Refuse(..) => "refusal in front of a listener",
            Self::SwallowDials(..) => "swallowed dials",
            Self::StopReading(..) => "a program that stops reading",
            Self::Cut(Direction::One(..)) | Self::Heal(Direction::One(..)) => {
                "a partition of one direction"
            }
            Self::Cut(_) | Self::Heal(_) => "a partition",
            Self::Loss { .. } => "loss",
            Self::Latency {
                on: Direction::One(..),
                ..
            }
            | Self::DefaultLatency(Direction::One(..)) => "latency of one direction",
            Self::Latency { .. } | Self::DefaultLatency(_) => "latency",
            Self::Bandwidth { .. } => "a bandwidth",
            Self::Slice { .. } => "steered partial reads and writes",
            Self::Hold(..) => "holding and releasing",
            Self::HalfOpen { .. } => "half-open connections",
            Self::BlackHole(..) => "a black hole",
            Self::Reset(..) | Self::ResetAfter { .. } => "a reset from outside",
            Self::Corrupt { .. } => "corruption",
        }
    }
}

/// Something that a real machine or network does and an engine does not. It is refused, never
/// guessed, and nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not modelled on the engine {engine}: {reason}")]
pub struct NotModelled {
    /// The engine that was asked.
    pub engine: &'static str,
    /// What it was asked for.
    pub what: &'static str,
    /// Why the engine cannot do it, in words.
    pub reason: &'static str,
}

impl From<NotModelled> for io::Error {
    fn from(what: NotModelled) -> Self {
        io::Error::new(io::ErrorKind::Unsupported, what)
    }
}

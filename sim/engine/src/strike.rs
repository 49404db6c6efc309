//! What faults really did, counted where they do it.
//!
//! A fault that is on may meet nothing: nobody writes on the link that is cut, nobody dials the node
//! that refuses. The engine counts each time one changes the course of something, so that whoever
//! planned the fault can be told whether it struck.

use std::collections::BTreeMap;

use crate::node::NodeId;

/// A way in which a fault strikes, with what is counted.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use dst_engine::{Change, Direction, Engine, Strike};
///
/// let mut engine = Engine::new(7);
/// let server = engine.process("server", [10, 0, 0, 1], |_host| std::future::pending());
/// let client = engine.process("client", [10, 0, 0, 2], |_host| std::future::pending());
/// let struck = engine.run_with(async |sim| {
///     sim.apply(Change::Cut(Direction::Both(client, server)));
///     tokio::time::sleep(Duration::from_secs(10)).await;
///     sim.strikes(Strike::Cut, client, server)
/// })?;
/// assert_eq!(struck.value, Some(0), "nobody spoke: the partition has tested nothing");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strike {
    /// Pieces of bytes, handshakes and resets that a cut stopped.
    Cut,
    /// Transmissions that were lost on their way.
    Loss,
    /// Transmissions that travelled with another latency than the network's.
    Latency,
    /// Bytes that went over a line of limited bandwidth.
    Bandwidth,
    /// Reads and writes that moved fewer bytes than they could have.
    Slice,
    /// Deliveries that were held back.
    Hold,
    /// Bytes of which a bit was flipped.
    Corrupt,
    /// Connections that were reset from outside.
    Reset,
    /// Pieces of bytes that a forgotten connection swallowed.
    BlackHole,
    /// Connections that one end lost without a word.
    HalfOpen,
    /// Tasks that a crash or a loss of power ended.
    Killed,
    /// Polls that a freeze kept from a task.
    Freeze,
    /// Polls that a slow node made late.
    Slow,
    /// Dials that the machine refused.
    Refuse,
    /// Dials that got no answer.
    Swallow,
    /// Reads that found bytes and were kept from them.
    Deaf,
}

/// The counts of a run. What concerns a node alone is counted from the node to itself.
#[derive(Debug, Default)]
pub(super) struct Strikes(BTreeMap<(Strike, NodeId, NodeId), u64>);

impl Strikes {
    pub(super) fn add(&mut self, what: Strike, from: NodeId, to: NodeId, count: u64) {
        *self.0.entry((what, from, to)).or_default() += count;
    }

    pub(super) fn count(&self, what: Strike, from: NodeId, to: NodeId) -> u64 {
        self.0.get(&(what, from, to)).copied().unwrap_or(0)
    }
}

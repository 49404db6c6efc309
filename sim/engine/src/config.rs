//! What a run of the event engine is given, and what it reports at its end.

use crate::node::NodeId;

/// In which order the tasks that are ready within one instant are polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadyOrder {
    /// In the order in which they became ready.
    #[default]
    Fifo,
    /// In an order drawn from the seed: explores races within a millisecond.
    Seeded,
}

/// Where a run ends if nothing else ends it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dst_engine::{Engine, EngineConfig, Limits, RunEnd};
///
/// let limits = Limits { horizon_ms: 1_000, ..Limits::default() };
/// let mut engine = Engine::with_config(EngineConfig { limits, ..EngineConfig::default() });
/// engine.client("retries", [10, 0, 0, 1], |_host| async {
///     loop {
///         tokio::time::sleep(std::time::Duration::from_millis(10)).await;
///     }
/// });
/// assert!(matches!(engine.run()?.end, RunEnd::Horizon { .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Polls of tasks within one millisecond (default 100,000). More is a livelock.
    pub polls_per_instant: u64,
    /// Polls and network events of the whole run (default 100 million).
    pub events: u64,
    /// The end of virtual time, in milliseconds (default one hour).
    pub horizon_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            polls_per_instant: 100_000,
            events: 100_000_000,
            horizon_ms: 3_600_000,
        }
    }
}

/// The healthy network of a run. Without faults it has a fixed latency and loses nothing.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dst_engine::{Engine, EngineConfig, NetworkConfig};
///
/// let network = NetworkConfig { latency_ms: 30, ..NetworkConfig::default() };
/// let mut engine = Engine::with_config(EngineConfig { network, ..EngineConfig::default() });
/// engine.process("server", [10, 0, 0, 1], |host| async move {
///     let _listener = host.listen(([0, 0, 0, 0], 80).into()).await;
///     std::future::pending().await
/// });
/// engine.client("client", [10, 0, 0, 2], |host| async move {
///     assert!(host.connect("10.0.0.1:80").await.is_ok());
/// });
/// assert_eq!(engine.run()?.stats.virtual_ms, 60, "SYN and its answer");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Latency of every link, one way, in milliseconds (default and minimum 1).
    pub latency_ms: u64,
    /// At most so much more, drawn by link and millisecond (default 0).
    pub jitter_ms: u64,
    /// Streams of bytes are cut into pieces at seeded places (default on). A reader gets at most
    /// one piece a read; with jitter, the rest of a cut write may come later.
    pub cuts: bool,
    /// Bytes that a receiving kernel holds for a program that does not read (default 128 KiB).
    pub receive_window: u64,
    /// Bytes that a sending kernel takes before the writer blocks (default 256 KiB).
    pub send_buffer: u64,
    /// Connections that wait for `accept` (default 1024, as Tokio's listeners ask for).
    pub backlog: usize,
    /// Retransmissions before a connection breaks, Linux's `tcp_retries2` (default 15: 924.6 s).
    pub retries: u32,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            latency_ms: 1,
            jitter_ms: 0,
            cuts: true,
            receive_window: 128 * 1024,
            send_buffer: 256 * 1024,
            backlog: 1024,
            retries: 15,
        }
    }
}

/// Everything that decides a run, besides the program under test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// The seed of every draw.
    pub seed: u64,
    /// The order of ready tasks.
    pub ready_order: ReadyOrder,
    /// Where the run ends at the latest.
    pub limits: Limits,
    /// The network where no fault is: latency and loss of every direction.
    pub network: NetworkConfig,
    /// What the nodes' wall clocks say at the start, in milliseconds since the Unix epoch
    /// (default 2026-01-01T00:00:00Z).
    pub start_unix_millis: i64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            ready_order: ReadyOrder::default(),
            limits: Limits::default(),
            network: NetworkConfig::default(),
            start_unix_millis: 1_767_225_600_000,
        }
    }
}

/// A task that waits, as a report names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingTask {
    /// Its node; `None`: the run's main future.
    pub node: Option<NodeId>,
    /// The name it was spawned with.
    pub task: &'static str,
}

/// Why a run came to its end.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dst_engine::{Engine, RunEnd};
///
/// let mut engine = Engine::new(7);
/// engine.client("checks", [10, 0, 0, 1], |_host| async { assert_eq!(1 + 1, 3, "sums") });
/// let RunEnd::Panicked { task, message } = engine.run()?.end else {
///     panic!("it ended otherwise");
/// };
/// assert_eq!(task.task, "program");
/// assert!(message.contains("sums"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// The main future ran to its end.
    Finished,
    /// Virtual time reached its limit while timers were still running.
    Horizon {
        /// Every task that there was then.
        waiting: Vec<WaitingTask>,
    },
    /// Nothing could ever happen again: no timer, no byte on its way, no fault due.
    Deadlock {
        /// The millisecond of the last thing that happened.
        since_ms: u64,
        /// Every task that there was then.
        waiting: Vec<WaitingTask>,
    },
    /// Too many polls within one millisecond.
    Livelock {
        /// The virtual millisecond in which it happened.
        at_ms: u64,
        /// The task that was polled last.
        last: WaitingTask,
    },
    /// Too many events in the whole run.
    EventLimit {
        /// The virtual millisecond in which it happened.
        at_ms: u64,
    },
    /// A task panicked. In simulation that is the verdict; the run ends at once.
    Panicked {
        /// The task, with its node.
        task: WaitingTask,
        /// The panic's text and, in brackets, its place in the source. It stays out of digests.
        message: String,
    },
}

/// Bytes that one direction between two nodes carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkBytes {
    /// The node that sent the bytes.
    pub from: NodeId,
    /// The node that they went to.
    pub to: NodeId,
    /// The bytes that were delivered, in whole.
    pub bytes: u64,
}

/// What a run cost, in time and in work.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunStats {
    /// The virtual milliseconds that the run lasted.
    pub virtual_ms: u64,
    /// How often a task was polled.
    pub polls: u64,
    /// Events of the network: deliveries, handshakes, timers of the kernels.
    pub deliveries: u64,
    /// How many dials were started.
    pub dials: u64,
    /// How often virtual time jumped ahead.
    pub jumps: u64,
    /// Bytes per link, of links that carried any, ordered by (from, to).
    pub links: Vec<LinkBytes>,
}

/// What a node holds at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeGauges {
    /// Tasks that have not ended.
    pub tasks: u32,
    /// Ends of connections that a program holds.
    pub connections: u32,
    /// How many listeners are open.
    pub listeners: u32,
}

/// What a finished run returned, how it ended and what it cost.
#[derive(Debug)]
pub struct RunReport<T> {
    /// What the main future returned, if it completed.
    pub value: Option<T>,
    /// Why the run came to its end.
    pub end: RunEnd,
    /// What the run cost, in virtual time and polls.
    pub stats: RunStats,
}

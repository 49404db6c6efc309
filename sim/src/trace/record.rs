//! The trace of a run: the facts of its header, and one record for each thing that happened.
//!
//! All findings about a run are made from these values and from nothing else, so they say
//! everything a checker needs: the topology and the policy stand in the header, faults and the
//! workload write records as the components do.

use dst_engine::EngineEvent;
use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_mock_namesrv::event::Event as NameServerEvent;
use rmq_producer::event::{Event as ProducerEvent, Failure, Mode, QueueRef, Stage};
use rmq_producer::policy::OnLost;
use rmq_producer::{SendError, SendStatus, Sent};
use rmq_remoting::code::response;
use rmq_remoting::observe::Name;
use rmq_remoting::profile::Profile;
use serde::Serialize;

use super::history::ProducerKey;
use crate::fault::FaultEvent;
/// A node of the run: an index into [`TraceHeader::nodes`].
pub use dst_engine::NodeId;

/// What a node of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// A process with one producer (and its client).
    Producer,
    /// The node is a name server.
    NameServer,
    /// The node is a broker.
    Broker,
}

/// One node of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeInfo {
    /// Its name in the scenario: `p1`, `ns-1`, `broker-a`.
    pub name: Name,
    /// Whether it is a producer, a name server or a broker.
    pub kind: NodeKind,
    /// The address it listens at when the run starts, as `ip:port`; none for a producer.
    pub address: Option<Name>,
    /// Of a further client in one process: the node of the process, whose faults are its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_of: Option<NodeId>,
}

/// Which of two forms of an invariant applies: follows from the policy of the scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The form for policies under which this producer's own promises hold.
    Strict,
    /// The form for policies that imitate another client: what that one promises.
    Parity,
}

/// What the checkers must know of one producer's policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyFacts {
    /// The producer whose policy it is.
    pub node: NodeId,
    /// The form of the invariants.
    pub form: Form,
    /// Attempts of a sync send, the first one included.
    pub attempts_sync: u32,
    /// Attempts of an async send, the first one included.
    pub attempts_async: u32,
    /// Attempts of a sync send to a queue of the caller's choice.
    pub attempts_target_queue_sync: u32,
    /// Attempts of an async send to a queue of the caller's choice.
    pub attempts_target_queue_async: u32,
    /// The timeout of an attempt that is not the last, in milliseconds, for a send with
    /// [`timeout_ms`](Self::timeout_ms); the whole time where attempts are not hedged.
    pub attempt_timeout_ms: u64,
    /// The producer's send timeout, in milliseconds.
    pub timeout_ms: u64,
    /// A late success of a hedged attempt completes the send.
    pub hedged_accepted: bool,
    /// Beside a connection on which a request was silent, a second one may be opened.
    pub second_connections: bool,
    /// A request that waited less than this, in milliseconds, says nothing about its connection.
    pub least_silence_ms: u64,
    /// The longest pause before an address is dialled again that was dialled in vain, in
    /// milliseconds; 0: it is dialled at once.
    pub longest_redial_pause_ms: u64,
    /// The longest that an attempt waits whose broker has just refused a connection, in milliseconds.
    pub refused_spacing_ms: u64,
    /// How late the policy may find a timeout of an async send (a periodic scan and its grace).
    pub scan_ms: u64,
    /// The deadline covers the route lookup, the dial and all attempts.
    pub deadline_covers_all: bool,
    /// The deadline is that of each attempt.
    pub deadline_of_attempt: bool,
    /// Ends of an attempt after which a send tries again, whatever its mode; a refusal has codes.
    pub retry_stages: Vec<Stage>,
    /// The modes in which a send tries again that a hook forbade to go to a broker.
    pub retry_vetoed: Vec<Mode>,
    /// Response codes after which a sync send tries again.
    pub retry_codes_sync: Vec<i32>,
    /// Response codes after which an async send tries again.
    pub retry_codes_async: Vec<i32>,
    /// After a copy that is stored but not safe (codes 10, 11, 12) a send may try for a better one.
    pub retries_unsafe: bool,
    /// A retry leaves the broker of the attempt before it, while there is another.
    pub avoids_last: bool,
    /// A retry leaves every broker that failed in this send, while there is another.
    pub avoids_all_failed: bool,
    /// A retry chooses a new queue id with the new broker. Otherwise the requests of an async send
    /// all name the first attempt's queue and broker, wherever they go.
    pub retargets_queue: bool,
    /// What the loss of its connection means for a request that waits.
    pub on_lost: OnLost,
    /// For how long later sends avoid a broker; none: nothing is remembered between sends.
    pub isolation: Option<IsolationFacts>,
    /// An attempt that failed in a way that says "the route is old" starts a lookup.
    pub refreshes_on_failure: bool,
    /// From one such lookup of a topic to the next, at least, in milliseconds.
    pub refresh_spacing_ms: u64,
    /// A topic that no send needed for so long is forgotten, in milliseconds; 0: never.
    pub forget_ms: u64,
    /// The period of the route refresh, in milliseconds.
    pub poll_ms: u64,
    /// The period of heartbeats, in milliseconds.
    pub heartbeat_ms: u64,
    /// The time limit of one name-server call, in milliseconds.
    pub name_server_timeout_ms: u64,
    /// A lookup asks every name server before it gives up.
    pub asks_all_name_servers: bool,
    /// A connection without traffic for so long is closed, by this client or by its peer, in
    /// milliseconds.
    pub idle_ms: u64,
    /// A peer that is silent for so long is given up; none: the kernel decides.
    pub patience: Option<PatienceFacts>,
    /// What hedging costs; absent if silent attempts are not hedged.
    pub hedging: Option<HedgingFacts>,
    /// Queues of a topic made from the default topic's route, at most.
    pub default_topic_queues: u32,
    /// Whether a topic that does not exist yet is to be made on every broker of the default route.
    pub creates_everywhere: bool,
    /// The stated limit of `stop`, in milliseconds.
    pub stop_ms: u64,
    /// A body of so many bytes and more is compressed, if that makes it smaller.
    pub compress_over: u64,
    /// A dial takes no longer than this, in milliseconds.
    pub dial_ms: u64,
    /// The shortest pause before an address is dialled again that was dialled in vain, in milliseconds;
    /// it doubles with each time. 0: there is none.
    pub first_redial_pause_ms: u64,
    /// A request that a draining server sent back is repeated over another connection.
    pub resends_drained: bool,
    /// A broker gets a heartbeat as soon as a connection to it opens.
    pub beats_on_open: bool,
    /// A producer that stops says so to the brokers of its routes.
    pub unregisters: bool,
    /// The end of a one-way send is known when its request is written, and not before.
    pub oneway_waits: bool,
    /// One-way requests say that no answer is wanted.
    pub oneway_flag: bool,
    /// Open sends, at most; none: nobody has set a limit.
    pub most_sends: Option<u32>,
    /// Bytes of the bodies of open sends, at most; none: nobody has set a limit.
    pub most_bytes: Option<u32>,
    /// Whether a send beyond the limits is refused at once. Otherwise it waits.
    pub refuses: bool,
    /// The group of the producer, where several share the client of the node; none: it is the only one.
    pub group: Option<Name>,
    /// The client goes on when its last producer has stopped: the program that made it ends it, and when
    /// is not known.
    pub client_outlives: bool,
    /// The namespace that its requests name in a field of theirs; absent if they name none.
    pub namespace: Option<Name>,
    /// The time of one heartbeat, in milliseconds.
    pub heartbeat_timeout_ms: u64,
    /// Whether it is one of the scenario's, which tells its limits, the size of each body and when a handle is
    /// dropped. Of a producer that a check's own program makes nobody tells these.
    pub of_scenario: bool,
}

/// What hedging costs: the producer's budget, as its policy has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HedgingFacts {
    /// The tokens of a full budget. A hedge takes one.
    pub tokens: u32,
    /// What each message puts back, in tenths of a token.
    pub refill_tenths: u32,
    /// So many prompt answers in a row make a broker one that is hedged to for nothing; 0: no broker is.
    pub known_after: u32,
}

/// How much silence of a connection a policy takes for the end of its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PatienceFacts {
    /// The least number of requests that were not answered by a whole frame.
    pub requests: u32,
    /// The least time that they were not answered for, in milliseconds.
    pub silence_ms: u64,
}

/// For how long a policy avoids a broker because of what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IsolationFacts {
    /// The ends of an attempt that count as a failure of its broker.
    pub failures: Vec<Stage>,
    /// How long a broker is avoided after a failure of that kind, in milliseconds.
    pub failed_ms: u64,
    /// The longest that a broker is avoided, whatever it did, in milliseconds.
    pub longest_ms: u64,
    /// The shortest time of a success that counts as slow.
    pub slow_ms: u64,
    /// Sync sends to a queue of the caller's choice count, too.
    pub counts_target_queue_sync: bool,
    /// For how long a success is avoided that took so long at least, both in milliseconds.
    pub table: Vec<(u64, u64)>,
    /// A later result replaces an isolation that would end later.
    pub overwrites: bool,
    /// Where all brokers are avoided, one that could be reached is chosen before one that could not.
    pub prefers_reachable: bool,
    /// A broker that is in no route when it is asked whether it can be reached is forgotten, and so is what
    /// it did.
    pub forgets_absent: bool,
}

impl IsolationFacts {
    /// For how long a broker is avoided after an attempt that ended so, in milliseconds; 0: not at all.
    pub fn for_ms(&self, stage: Stage, took_ms: u64) -> u64 {
        if self.failures.contains(&stage) {
            return self.failed_ms;
        }
        let mut rows = self.table.iter().rev();
        let row = rows.find(|(least, _)| took_ms >= *least && stage == Stage::Accepted);
        row.map_or(0, |(_, isolated)| *isolated)
    }
}

impl PolicyFacts {
    /// Whether a send may have to wait for others, or be refused because of them.
    pub fn is_limited(&self) -> bool {
        !self.of_scenario || self.most_sends.is_some() || self.most_bytes.is_some()
    }

    /// Attempts that a send of this mode may make, to any queue or to one of the caller's choice.
    pub fn attempts(&self, mode: Mode, target_queue: bool) -> u32 {
        match (mode, target_queue) {
            (Mode::Sync, false) => self.attempts_sync,
            (Mode::Sync, true) => self.attempts_target_queue_sync,
            (Mode::Async, false) => self.attempts_async,
            (Mode::Async, true) => self.attempts_target_queue_async,
            (Mode::Oneway, _) => 1,
        }
    }
}

/// What is known of a run before it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceHeader {
    /// The name of the scenario that was played.
    pub scenario: Name,
    /// The seed that it was played with.
    pub seed: u64,
    /// The engine: `event`, `turmoil` or `tcp`.
    pub engine: Name,
    /// The name of the first producer's policy.
    pub policy: Name,
    /// The release whose behaviour the servers show.
    pub profile: Profile,
    /// Every node; the index is its [`NodeId`].
    pub nodes: Vec<NodeInfo>,
    /// The policy of each producer.
    pub policies: Vec<PolicyFacts>,
    /// The brokers that a hook of a program forbids: the producer, and the broker.
    pub forbidden: Vec<(NodeId, NodeId)>,
    /// The slack ε of every bound, in milliseconds: scheduling and a round trip.
    pub slack_ms: u64,
    /// The longest round trip of the network without faults, in milliseconds.
    pub round_trip_ms: u64,
    /// The run's length, in milliseconds.
    pub horizon_ms: u64,
}

impl TraceHeader {
    /// The node's name; the laboratory's own records are `lab`'s.
    pub fn name(&self, node: NodeId) -> &str {
        self.nodes
            .get(node.index())
            .map_or("lab", |info| &*info.name)
    }

    /// The node that is called `name`.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        let index = self.nodes.iter().position(|info| &*info.name == name)?;
        u16::try_from(index).ok().map(NodeId)
    }

    /// The node that is called `name`, and the further clients of its process.
    pub fn with_parts(&self, name: &str) -> impl Iterator<Item = NodeId> {
        let node = self.node(name);
        let nodes = (0u16..).map(NodeId).zip(&self.nodes);
        let parts = nodes.filter(move |(_, info)| node.is_some() && info.part_of == node);
        node.into_iter().chain(parts.map(|(part, _)| part))
    }

    /// All nodes of a kind, in the order of the header.
    pub fn of_kind(&self, kind: NodeKind) -> impl Iterator<Item = NodeId> {
        (0u16..)
            .zip(&self.nodes)
            .filter(move |(_, info)| info.kind == kind)
            .map(|(index, _)| NodeId(index))
    }

    /// The policy of a client, which is that of its first producer.
    pub fn policy(&self, client: NodeId) -> Option<&PolicyFacts> {
        self.policies.iter().find(|facts| facts.node == client)
    }

    /// The policy of one producer, of those that may share the client of a node.
    pub fn policy_of(&self, (node, group): ProducerKey<'_>) -> Option<&PolicyFacts> {
        let mut policies = self.policies.iter().filter(|facts| facts.node == node);
        policies.find(|facts| facts.group.as_ref() == group)
    }

    /// Whether several producers of the scenario share the client of a node.
    pub fn is_shared(&self, client: NodeId) -> bool {
        self.policy(client).is_some_and(|it| it.group.is_some())
    }
}

/// What the caller of a producer did and got: evidence of the outcome, from outside the producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkEvent {
    /// A send is called. `keys` is the message's `KEYS` property and unique in the run.
    Called {
        /// The `KEYS` of the message, which identify the send in the run.
        keys: Name,
        /// The topic that the message goes to.
        topic: Name,
        /// Whether the caller waits, is called back, or wants no answer.
        mode: Mode,
        /// The key whose hash chooses the queue.
        by: Option<Name>,
        /// The CRC-32 of the body.
        body_crc: u32,
        /// The bytes of the body.
        body_len: u32,
        /// The time that the caller gave this send, in milliseconds; none: it left that to the producer.
        timeout_ms: Option<u64>,
        /// What the message carries beside its body, by
        /// [`application_crc`](rmq_mock_broker::event::application_crc).
        application_crc: u32,
        /// The unique key that the caller gave the message; none: it left that to the producer.
        own_id: Option<Name>,
        /// The topic of the queue that the caller chose, if that is not the message's.
        queue_of: Option<Name>,
        /// The group of the producer, where several share a client; none: it is the client's only one.
        group: Option<Name>,
    },
    /// The send returned, or its callback was called.
    Returned {
        /// The `KEYS` of the message, which identify the send in the run.
        keys: Name,
        /// What the caller was told.
        result: WorkResult,
    },
    /// The caller dropped the send's future.
    Dropped {
        /// The `KEYS` of the message, which identify the send in the run.
        keys: Name,
    },
    /// The caller called `stop` of its producer.
    StopCalled {
        /// The group of the producer, where several share a client; none: it is the client's only one.
        group: Option<Name>,
    },
    /// `stop` of the producer returned, and that of its client if it was the last one to share it.
    StopReturned {
        /// The group of the producer, where several share a client; none: it is the client's only one.
        group: Option<Name>,
    },
    /// All faults ended and the cluster is healed: from now on progress is demanded.
    Healed,
    /// A send hook of the program hears of an attempt.
    Hooked {
        /// The unique key of the message.
        unique_key: Name,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// Whether the attempt begins; otherwise it has ended.
        begins: bool,
    },
    /// The program drops the last handle of a producer that it has not stopped.
    HandleDropped {
        /// The group of the producer, where several share a client; none: it is the client's only one.
        group: Option<Name>,
    },
    /// The process of a node that a check's own code added is gone, with all that was in it: a fault
    /// took it away, or its program returned.
    ProcessEnded,
}

/// What the caller of a send got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkResult {
    /// The producer told its caller that the message is stored.
    Sent {
        /// The unique key the producer gave the message.
        unique_key: Name,
        /// The name of the broker that has the message.
        broker: Name,
        /// The queue that the message is stored in.
        queue: i32,
        /// The position in the queue.
        offset: i64,
        /// The response code that the caller reads from the status: 0, or that of a copy that is stored but
        /// not safe.
        code: i32,
    },
    /// Success of a one-way send.
    Written,
    /// The producer told its caller an error.
    Failed(ErrorSaid),
}

/// An error, as the caller reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorSaid {
    /// The class of the error.
    pub failure: Failure,
    /// Every attempt that the error lists.
    pub attempts: Vec<AttemptSaid>,
    /// Whether a broker may have stored the message, as the error says.
    pub may_be_stored: bool,
}

/// An attempt that an error lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptSaid {
    /// The number of the attempt, from 1.
    pub number: u32,
    /// The broker and queue that the attempt went to.
    pub to: QueueRef,
    /// At which stage it ended.
    pub stage: Stage,
    /// The response code, where a broker answered.
    pub code: Option<i32>,
    /// How long it took, in milliseconds.
    pub after_ms: u64,
}

impl From<Sent> for WorkResult {
    fn from(sent: Sent) -> Self {
        Self::Sent {
            unique_key: sent.message_id,
            broker: sent.queue.broker,
            queue: sent.queue.queue,
            offset: sent.offset,
            code: match sent.status {
                SendStatus::Ok => response::SUCCESS,
                SendStatus::FlushDiskTimeout => response::FLUSH_DISK_TIMEOUT,
                SendStatus::SlaveNotAvailable => response::SLAVE_NOT_AVAILABLE,
                SendStatus::FlushSlaveTimeout => response::FLUSH_SLAVE_TIMEOUT,
            },
        }
    }
}

impl From<&SendError> for ErrorSaid {
    fn from(error: &SendError) -> Self {
        let said = |attempt: &rmq_producer::Attempt| AttemptSaid {
            number: attempt.number,
            to: attempt.to.clone(),
            stage: attempt.stage,
            code: attempt.code,
            after_ms: u64::try_from(attempt.after.as_millis()).unwrap_or(u64::MAX),
        };
        Self {
            failure: error.failure(),
            attempts: error.attempts().iter().map(said).collect(),
            may_be_stored: error.may_be_stored(),
        }
    }
}

/// What happened at a node: an event of the producer, a server, a fault or the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeEvent {
    /// Client-side events of a producer.
    Producer(ProducerEvent),
    /// Evidence of what a broker saw.
    Broker(BrokerEvent),
    /// Evidence of a name server.
    NameServer(NameServerEvent),
    /// A fault begins or ends.
    Fault(FaultEvent),
    /// What the caller did and got.
    Work(WorkEvent),
    /// Evidence of the engine: tasks and connections as the kernel sees them.
    Engine(EngineEvent),
}

/// One thing that happened, with its time and its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceRecord {
    /// Virtual milliseconds since the start of the run.
    pub ms: u64,
    /// The node that it happened at.
    pub node: NodeId,
    /// The event that happened there.
    pub what: NodeEvent,
}

/// A task that waits when the run ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UnfinishedTask {
    /// The node whose task it is.
    pub node: NodeId,
    /// The name of the task.
    pub task: Name,
}

/// How a run came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceEnd {
    /// The workload completed and everything was stopped.
    Finished,
    /// The horizon came while these were waiting.
    Horizon {
        /// The tasks that wait, and for what.
        waiting: Vec<UnfinishedTask>,
    },
    /// Nothing can ever run again while these wait.
    Deadlock {
        /// The tasks that wait, and for what.
        waiting: Vec<UnfinishedTask>,
    },
    /// One instant did not become quiet.
    Livelock {
        /// The node whose task was polled last.
        node: NodeId,
        /// The name of the task that never stops.
        task: Name,
    },
    /// The limit of events was reached.
    EventLimit,
    /// A task panicked. The message is for people: it is in no digest.
    Panicked {
        /// The node whose task panicked.
        node: NodeId,
        /// The name of the task that panicked.
        task: Name,
        /// The text of the panic.
        message: String,
    },
}

/// A whole run: its header, every record, and how it ended.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::io::ErrorKind;
/// # use std::sync::Arc;
/// # use rmq_sim::fault::EngineKind;
/// # use rmq_sim::run;
/// # use rmq_sim::scenario::Scenario;
/// use rmq_sim::trace::{NodeEvent, NodeKind, WorkEvent};
///
/// # let text = "format = 2\nseconds = 5\n[cluster]\nbrokers = [\"broker-a\"]\n[producer.p1]\n\
/// #     [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 3\n";
/// # let scenario = Arc::new(Scenario::parse("three.toml", text, &|_| Err(ErrorKind::NotFound.into()))?);
/// let trace = run::run(&scenario, 7, EngineKind::Event)?.trace;
/// let sends = trace.records.iter().filter(|record| {
///     matches!(record.what, NodeEvent::Work(WorkEvent::Called { .. }))
/// });
/// assert_eq!(sends.map(|record| record.ms).collect::<Vec<_>>(), [1_000, 2_000, 3_000]);
/// let brokers = trace.header.of_kind(NodeKind::Broker);
/// assert!(brokers.map(|node| trace.header.name(node)).eq(["broker-a"]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// What was known before the run.
    pub header: TraceHeader,
    /// What happened, in the order in which it did.
    pub records: Vec<TraceRecord>,
    /// How the run came to its end.
    pub end: TraceEnd,
    /// When it ended, in virtual milliseconds.
    pub end_ms: u64,
}

//! A fault as data.
//!
//! Whatever decides on a fault, be it a scenario file, a test, a generator or a shrinker, writes one
//! of these values; the engines execute only that list. So a fault can be printed, counted, weakened
//! and removed without touching the code that makes it happen.
//!
//! The catalogue. `on` names a node (`broker-a`), one direction (`p1 -> broker-a`) or both (`p1 <->
//! broker-a`). Every fault also has `at`, a time or a logical position, and `for`; every rule has
//! `request`, `topic`, `queue`, `per-mille` and `times`.
//!
//! | `do`                | on                  | keys              | in the real world                                                                    | engines        |
//! | ---                 | ---                 | ---               | ---                                                                                  | ---            |
//! | `crash`             | server              | `data`, `address` | the process is killed, its kernel closes the sockets; started again after `for`      | all            |
//! | `stop`              | server              | `data`, `address` | an orderly shutdown: the process says goodbye first                                  | all            |
//! | `power-loss`        | server              | `data`, `address` | the machine is gone without a word; after `for` it boots again                       | event, turmoil |
//! | `freeze`            | node                |                   | a long garbage collection or SIGSTOP: the kernel lives, the process does nothing     | event, turmoil |
//! | `slow`              | node                | `step`            | a starved CPU: one step per so many milliseconds                                     | event          |
//! | `clock-jump`        | node                | `by`              | NTP or an operator sets the wall clock; timers do not notice                         | all            |
//! | `refuse`            | server              |                   | a firewall or a full machine answers dials with a reset                              | event          |
//! | `swallow-dials`     | server              |                   | a firewall drops dials: they hang; open connections work                             | event          |
//! | `stop-reading`      | server              |                   | a stuck reader: its window fills, and the peer's writes block                        | event          |
//! | `name-server-list`  | producer            | `without`         | an operator takes a name server out of service and tells the clients first           | all            |
//! | `read-only`         | broker              |                   | an operator takes the broker out of writing; producers hear it from their routes     | all            |
//! | `resize`            | broker              | `topic`, `queues` | an operator gives a topic fewer or more queues at one broker                         | all            |
//! | `partition`         | link, pair          |                   | a switch drops packets, one way or both; they are sent again when it heals           | event, turmoil |
//! | `hold`              | link, pair          |                   | a paused virtual machine or tunnel: all that was on the way arrives at its end       | event, turmoil |
//! | `black-hole`        | pair                |                   | a dead middlebox: open connections swallow all bytes, new ones work                  | event          |
//! | `half-open`         | link                |                   | a middlebox forgets: the receivers lose open connections, the senders learn it late  | event          |
//! | `reset`             | link, pair          | `byte`            | a middlebox resets: on a pair all connections now, on a link one, at a byte          | event          |
//! | `loss`              | link, pair          | `per-mille`       | a bad cable: retransmissions, seen as delay                                          | event          |
//! | `latency`           | link, pair          | `latency`         | a long way round                                                                     | event, turmoil |
//! | `bandwidth`         | link, pair          | `bytes-per-ms`    | a thin or crowded line                                                               | event          |
//! | `slice`             | link, pair          | `bytes`           | tiny segments and full buffers: each read and write moves a few bytes                | event          |
//! | `corrupt`           | link                | `byte`            | a byte flips on the way                                                              | event          |
//! | `answer`            | server, a rule      | `code`, `remark`  | the server refuses with a response code; 1500 tells that it drains                   | all            |
//! | `store-then-answer` | broker, a rule      | `code`            | stored, but not flushed or not replicated in time                                    | all            |
//! | `delay`             | server, a rule      | `by`, `jitter`    | the server does its work and answers late, maybe past the deadline                   | all            |
//! | `delay-request`     | broker, a rule      | `by`              | a long queue in front of the store                                                   | all            |
//! | `drop-request`      | server, a rule      |                   | the server loses a request it has read                                               | all            |
//! | `drop-reply`        | server, a rule      |                   | the server does its work and its answer is lost                                      | all            |
//! | `close-before`      | server, a rule      |                   | the server closes the connection before its work                                     | all            |
//! | `close-after`       | server, a rule      |                   | the server closes the connection between its work and its answer                     | all            |
//! | `reset-before`      | server, a rule      |                   | the server dies with the request, before its work                                    | all            |
//! | `reset-after`       | server, a rule      |                   | the server dies with the request, after its work                                     | all            |
//! | `reply-twice`       | server, a rule      |                   | a broken proxy repeats the answer                                                    | all            |
//! | `unknown-opaque`    | server, a rule      |                   | a broken proxy: the answer names a request that nobody made                          | all            |
//! | `half-frame`        | server, a rule      |                   | a stalled path: half an answer, and the rest never comes                             | all            |
//! | `half-frame-close`  | server, a rule      |                   | the server dies while it writes the answer                                           | all            |
//! | `garbage`           | server, a rule      |                   | a wrong peer, a broken proxy: bytes that are no frame                                | all            |
//! | `stale-route`       | name server, a rule |                   | a name server that has fallen behind: it answers as at the start of the fault        | all            |
//! | `partial-route`     | name server, a rule | `broker`          | a name server that one broker cannot reach: it leaves it out                         | all            |
//! | `permuted-route`    | name server, a rule |                   | a name server whose table has another order at each answer                           | all            |
//! | `bare-id-route`     | name server, a rule |                   | an old name server, and groups that wait for an election: ids without quotes, and -1 | all            |
//! | `text-number-route` | name server, a rule |                   | a name server of somebody else's: it writes numbers as text                          | all            |
//! | `null-route`        | name server, a rule |                   | a name server of a later release: nulls and members that nobody knows                | all            |
//! | `empty-route`       | name server, a rule |                   | a bad name server: it says success and has no broker                                 | all            |

pub use rmq_mock_namesrv::odd::OddRoute;
use rmq_remoting::code::{request, response};
use rmq_remoting::observe::Name;
use serde::{Deserialize, Serialize};

mod engines;
mod words;

pub use words::Millis;

/// A fault of one run, numbered from 1 in plan order.
pub type FaultNumber = u32;

/// One thing that goes wrong: what, where, when, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// Where it happens.
    pub place: Place,
    /// When it starts.
    pub at: Position,
    /// How long it lasts; `None`: to the end of the run, or, for a rule with `times`, until it is
    /// used up.
    pub for_ms: Option<u64>,
}

/// What happens. The table in the module's documentation has the real-world situation of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The process is killed.
    Crash(Restart),
    /// The process shuts down in order.
    Stop(Restart),
    /// The machine vanishes.
    PowerLoss(Restart),
    /// The process stands still.
    Freeze,
    /// The process makes one step per so many milliseconds.
    Slow {
        /// Milliseconds from one step to the next.
        ms_per_step: u64,
    },
    /// Dials to the node are refused.
    Refuse,
    /// Dials to the node get no answer; open connections work.
    SwallowDials,
    /// The process does not read from the connections it accepted.
    StopReading,
    /// The wall clock is moved when it starts, and back when it ends.
    ClockJump {
        /// Milliseconds, negative into the past.
        ms: i64,
    },
    /// A producer's list of name servers is changed while it runs: one of them is taken out, and put
    /// back when it ends. Several of these add up; if they take all servers out, none is.
    NameServerList {
        /// The server that is taken out.
        without: Name,
    },
    /// The broker makes its topics known without write permission. What is sent to it is stored.
    ReadOnly,
    /// A topic has another number of queues at the broker, until it ends.
    Resize {
        /// The topic; nothing happens if the broker does not have it.
        topic: Name,
        /// How many.
        queues: i32,
    },
    /// Bytes do not get through until it ends, and are sent again by the kernels.
    Partition,
    /// Whatever is on the way waits until it ends; then all of it arrives, in order.
    Hold,
    /// Connections that are open when it starts swallow every byte for good.
    BlackHole,
    /// On a pair: open connections are reset now, at both ends. On a link: the connection that
    /// carries a certain byte is reset there.
    Reset {
        /// On a link: which byte of those sent from the fault's start on, from 0.
        byte: u64,
    },
    /// On a link: the receivers of open connections lose them without a word. The senders believe
    /// in them until they send, and are answered with a reset.
    HalfOpen,
    /// Segments are lost and sent again later.
    Loss {
        /// Lost segments among a thousand.
        per_mille: u32,
    },
    /// Another latency than the network's.
    Latency {
        /// One way, in milliseconds.
        ms: u64,
        /// At most so much more, drawn by the millisecond.
        jitter_ms: u64,
    },
    /// No more than so many bytes get onto the line.
    Bandwidth {
        /// Bytes a millisecond.
        bytes_per_ms: u64,
    },
    /// Each read and each write moves only a few bytes.
    Slice {
        /// So many at most.
        bytes: u64,
    },
    /// One byte is flipped.
    Corrupt {
        /// Which byte of those sent on the link from the fault's start on, from 0.
        byte: u64,
    },
    /// A server treats chosen requests differently.
    Rule(Rule),
}

impl FaultKind {
    /// Whether it strikes once, and what it struck stays so: it cannot have a duration.
    pub fn is_at_once(&self) -> bool {
        matches!(self, Self::BlackHole | Self::Reset { .. } | Self::HalfOpen)
    }
}

/// Why a fault contradicts itself, and what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lie {
    /// What is wrong, to be read after the fault.
    pub what: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// The codes by which a broker says that it has stored a message.
const STORED: [i32; 4] = [
    response::SUCCESS,
    response::FLUSH_DISK_TIMEOUT,
    response::SLAVE_NOT_AVAILABLE,
    response::FLUSH_SLAVE_TIMEOUT,
];

/// The requests that bring messages to a broker.
const SENDS: [i32; 3] = [
    request::SEND_MESSAGE,
    request::SEND_MESSAGE_V2,
    request::SEND_BATCH_MESSAGE,
];

impl FaultKind {
    /// Why no server would do this: a rule that answers a send as stored without storing it. The
    /// producer would be accused of the loss.
    pub fn lie(&self) -> Option<Lie> {
        let Self::Rule(rule) = self else {
            return None;
        };
        let sends = rule.codes.iter().any(|code| SENDS.contains(code));
        match rule.then {
            RuleAction::Answer { code, .. } if sends && STORED.contains(&code) => Some(Lie {
                what: "answers a send as stored and stores nothing: no broker does that, and what is lost would be the producer's fault",
                remedy: "use \"store-then-answer\" with this code, or a code that refuses the send",
            }),
            _ => None,
        }
    }
}

/// How a node comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// Its data is still there: topics, queues, messages (always lost at a name server).
    pub keep_data: bool,
    /// It comes back on another address.
    pub new_address: bool,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            keep_data: true,
            new_address: false,
        }
    }
}

/// A rule of a server. It applies to every request that fits all of its conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The request codes it is about.
    pub codes: Vec<i32>,
    /// Only requests for this topic.
    pub topic: Option<Name>,
    /// Only sends to this queue.
    pub queue: Option<i32>,
    /// Only so many of a thousand, drawn by (rule, unique key, attempt as the server counts it).
    pub per_mille: Option<u32>,
    /// At most so many times.
    pub times: Option<u32>,
    /// What the server does.
    pub then: RuleAction,
}

/// What a rule makes a server do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleAction {
    /// Answer with this code instead of doing the work.
    Answer {
        /// The response code.
        code: i32,
        /// The text beside it.
        remark: Option<String>,
    },
    /// A broker does the work and gives its answer another code.
    StoreThenAnswer {
        /// The response code.
        code: i32,
    },
    /// Do the work and answer so many milliseconds later.
    Delay {
        /// The delay.
        ms: u64,
        /// At most so much more, drawn by message and attempt.
        jitter_ms: u64,
    },
    /// A broker does the work only so many milliseconds later.
    DelayRequest {
        /// The delay.
        ms: u64,
    },
    /// Read the request and do nothing.
    DropRequest,
    /// Do the work and do not answer.
    DropReply,
    /// Close the connection instead of doing the work.
    CloseBefore,
    /// Do the work, then close the connection instead of answering.
    CloseAfter,
    /// Drop the connection instead of doing the work.
    ResetBefore,
    /// Do the work, then drop the connection instead of answering.
    ResetAfter,
    /// Do the work and answer twice.
    ReplyTwice,
    /// Do the work; the answer names a request that nobody made.
    UnknownOpaque,
    /// Do the work, write half of the answer, then nothing.
    HalfFrame,
    /// Do the work, write half of the answer, then close the connection.
    HalfFrameClose,
    /// Do the work and answer with bytes that are no frame.
    Garbage,
    /// A name server answers as it would have when the fault started.
    StaleRoute,
    /// A name server leaves one broker out of the route.
    PartialRoute {
        /// The broker.
        broker: Name,
    },
    /// A name server lists the brokers of the route in another order, drawn for each answer.
    PermutedRoute,
    /// A name server writes a route in an odd form.
    OddRoute(OddRoute),
}

impl RuleAction {
    /// Whether only a broker has something to do there.
    pub fn is_broker_only(&self) -> bool {
        matches!(
            self,
            Self::StoreThenAnswer { .. } | Self::DelayRequest { .. }
        )
    }

    /// Whether it is about routes, which only a name server has.
    pub fn is_about_routes(&self) -> bool {
        matches!(
            self,
            Self::StaleRoute | Self::PartialRoute { .. } | Self::PermutedRoute | Self::OddRoute(_)
        )
    }
}

/// Where a fault happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A node: `"broker-a"`.
    Node(Name),
    /// One direction between two nodes: `"p1 -> broker-b"`.
    Link {
        /// The sender of the bytes.
        from: Name,
        /// Their receiver.
        to: Name,
    },
    /// Both directions between two nodes: `"p1 <-> broker-b"`.
    Pair {
        /// One node.
        a: Name,
        /// The other.
        b: Name,
    },
}

impl Place {
    /// The nodes it names: one, or two.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let (first, second) = match self {
            Self::Node(node) => (node, None),
            Self::Link { from: a, to: b } | Self::Pair { a, b } => (a, Some(b)),
        };
        std::iter::once(first).chain(second)
    }
}

/// When a fault starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Position {
    /// At a virtual time.
    Time {
        /// Milliseconds since the start of the run.
        ms: u64,
    },
    /// When the fault's own node, a server, has read its n-th request of a code, before it acts on it.
    Received {
        /// The request code.
        code: i32,
        /// From 1.
        n: u64,
    },
    /// When the fault's own node, a broker, has stored its n-th message.
    Stored {
        /// From 1.
        n: u64,
    },
    /// At an attempt of a send of the workload, wherever it goes. For a rule: when the request
    /// arrives; for any other fault: when the producer starts the attempt.
    Send {
        /// The workload, from 1.
        workload: u32,
        /// The send within the workload, from 1.
        send: u64,
        /// The attempt, from 1. A rule counts the requests for this send that servers have read;
        /// `None` means every attempt for a rule, the first one for other faults.
        attempt: Option<u32>,
    },
}

/// Writes that a fault started or ended. The trace has one of each, or only the start of a fault
/// that lasts; each single use of a rule is in the server's own events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultEvent {
    /// From now on.
    On {
        /// Its number in the plan.
        fault: FaultNumber,
        /// Its data.
        data: std::sync::Arc<Fault>,
    },
    /// Until now. For `crash`, `stop` and `power-loss`: the node was started again.
    Off {
        /// Its number in the plan.
        fault: FaultNumber,
    },
}

/// An engine that runs scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The laboratory's own event engine.
    Event,
    /// The independent network model of `turmoil`.
    Turmoil,
    /// Real TCP on this machine's loop-back interface, in real time.
    Tcp,
}

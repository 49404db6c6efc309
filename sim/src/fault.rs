//! A fault as data.
//!
//! Whatever decides on a fault, be it a scenario file, a test, a generator or a shrinker, writes one
//! of these values; the engines execute only that list. So a fault can be printed, counted, weakened
//! and removed without touching the code that makes it happen.
//!
//! | `do` | on | real-world situation |
//! |---|---|---|
//! | `crash` | node | the process is killed; its kernel closes the sockets; started again after `for` |
//! | `stop` | node | an orderly shutdown: the process says goodbye first |
//! | `power-loss` | node | the machine is gone without a word; after `for` it boots again |
//! | `freeze` | node | a long garbage collection or SIGSTOP: the kernel lives, the process does nothing |
//! | `slow` | node | a starved CPU: one step per so many milliseconds |
//! | `refuse` | node | a firewall or a full machine answers dials with a reset |
//! | `partition` | link, pair | a switch drops packets, one way or both |
//! | `black-hole` | pair | a dead middlebox: open connections swallow all bytes, new ones work |
//! | `loss` | link, pair | a bad cable: retransmissions, seen as delay |
//! | `latency` | link, pair | a long way round |
//! | `corrupt` | link | a byte flips on the way |
//! | `answer` | server | the server refuses with a response code |
//! | `delay` | server | the server answers late |
//! | `drop-request` | server | the server loses a request it has read |
//! | `drop-reply` | server | the server does its work and its answer is lost |
//! | `close-before`, `close-after` | server | the server dies with the request, before or after its work |

use std::fmt;

use rmq_remoting::observe::Name;
use serde::{Deserialize, Serialize};

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
    /// Bytes do not get through until it ends.
    Partition,
    /// Connections that are open when it starts swallow every byte for good.
    BlackHole,
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
    /// One byte is flipped.
    Corrupt {
        /// Which byte of those sent on the link from the fault's start on, from 0.
        byte: u64,
    },
    /// A server treats chosen requests differently.
    Rule(Rule),
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
    /// Do the work and answer so many milliseconds later.
    Delay {
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

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => "event",
            Self::Turmoil => "turmoil",
            Self::Tcp => "tcp",
        })
    }
}

impl FaultKind {
    /// What the scenario file calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Crash(_) => "crash",
            Self::Stop(_) => "stop",
            Self::PowerLoss(_) => "power-loss",
            Self::Freeze => "freeze",
            Self::Slow { .. } => "slow",
            Self::Refuse => "refuse",
            Self::Partition => "partition",
            Self::BlackHole => "black-hole",
            Self::Loss { .. } => "loss",
            Self::Latency { .. } => "latency",
            Self::Corrupt { .. } => "corrupt",
            Self::Rule(rule) => rule.then.name(),
        }
    }

    /// Why an engine cannot do it; `None`: it can.
    pub fn impossible_on(&self, engine: Engine) -> Option<&'static str> {
        match (engine, self) {
            (Engine::Event, _)
            | (_, Self::Crash(_) | Self::Stop(_) | Self::Rule(_))
            | (
                Engine::Turmoil,
                Self::Freeze | Self::Partition | Self::Latency { .. } | Self::PowerLoss(_),
            ) => None,
            (Engine::Tcp, Self::PowerLoss(_)) => {
                Some("a process cannot cut the power of the machine it runs on")
            }
            (Engine::Tcp, Self::Slow { .. }) => {
                Some("all nodes share one processor there, which is as fast as it is")
            }
            (Engine::Tcp, _) => Some("the loop-back interface of a real machine never does that"),
            (Engine::Turmoil, Self::Loss { .. }) => {
                Some("turmoil's TCP never sends a lost segment again")
            }
            (Engine::Turmoil, _) => Some("turmoil's network model has no such thing"),
        }
    }
}

impl RuleAction {
    /// What the scenario file calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Answer { .. } => "answer",
            Self::Delay { .. } => "delay",
            Self::DropRequest => "drop-request",
            Self::DropReply => "drop-reply",
            Self::CloseBefore => "close-before",
            Self::CloseAfter => "close-after",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => f.write_str(node),
            Self::Link { from, to } => write!(f, "{from} -> {to}"),
            Self::Pair { a, b } => write!(f, "{a} <-> {b}"),
        }
    }
}

impl fmt::Display for Fault {
    /// As a line of the trace: `crash broker-a for 20 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.place)?;
        match &self.kind {
            FaultKind::Rule(rule) => match &rule.then {
                RuleAction::Answer { code, .. } => write!(f, " code {code}")?,
                RuleAction::Delay { ms } => write!(f, " by {}", Millis(*ms))?,
                _ => {}
            },
            FaultKind::Loss { per_mille } => write!(f, " {per_mille} of 1000")?,
            FaultKind::Latency { ms, jitter_ms: 0 } => write!(f, " {}", Millis(*ms))?,
            FaultKind::Latency { ms, jitter_ms } => write!(f, " {ms}-{} ms", ms + jitter_ms)?,
            FaultKind::Slow { ms_per_step } => write!(f, " {} a step", Millis(*ms_per_step))?,
            _ => {}
        }
        match self.for_ms {
            Some(ms) => write!(f, " for {}", Millis(ms)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time { ms: 0 } => f.write_str("from the start"),
            Self::Time { ms } => write!(f, "at {}", Millis(*ms)),
            Self::Received { code, n } => match rmq_remoting::code::request_name(*code) {
                Some(name) => write!(f, "at its {name} number {n}"),
                None => write!(f, "at its request {code} number {n}"),
            },
            Self::Stored { n } => write!(f, "after {n} messages stored"),
            Self::Send {
                workload,
                send,
                attempt,
            } => {
                write!(f, "at send {send} of workload {workload}")?;
                match attempt {
                    Some(attempt) => write!(f, ", attempt {attempt}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Milliseconds as a person writes them: `20 s`, `1200 ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millis(pub u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1000 && self.0.is_multiple_of(1000) {
            write!(f, "{} s", self.0 / 1000)
        } else {
            write!(f, "{} ms", self.0)
        }
    }
}

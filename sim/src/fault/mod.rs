//! A fault as data.
//!
//! Whatever decides on a fault, be it a scenario file, a test, a generator or a shrinker, writes one
//! of these values; the engines execute only that list. So a fault can be printed, counted, weakened
//! and removed without touching the code that makes it happen.
//!
//! Each kind is one file of this folder, or of `rule` if a server plays it, and `ls` is the
//! catalogue. Adding one is such a file, its `mod` and its line in a list below; `kind` says what a file has.
//!
#![doc = include_str!("faults.md")]

use rmq_remoting::observe::Name;
use serde::{Deserialize, Serialize};

/// The pattern of a variant's payload.
macro_rules! payload {
    ($Data:ty, $it:ident) => {
        $it
    };
}

/// What a variant is about: its payload, or the type of its name.
macro_rules! subject {
    ($Name:ident, $it:ident) => {
        &$Name
    };
    ($Name:ident, $it:ident, $Data:ty) => {
        $it
    };
}

/// The payload of a variant to be changed, if it has one.
macro_rules! subject_mut {
    ($it:ident) => {
        None
    };
    ($it:ident, $Data:ty) => {
        Some($it)
    };
}

mod bandwidth;
mod black_hole;
pub mod catalogue;
mod clock_jump;
mod corrupt;
mod crash;
mod freeze;
mod half_open;
mod hold;
pub mod kind;
mod latency;
mod loss;
mod name_server_list;
mod partition;
mod power_loss;
mod read_only;
mod refuse;
mod reset;
mod resize;
mod restart;
pub mod rule;
mod slice;
mod slow;
mod stop;
mod stop_reading;
mod swallow_dials;
mod words;

pub(crate) use kind::{Behaviour, Changes, Drawn, Figure, Read, Running, Strike, Struck};
pub use kind::{Engines, Kind, Site};
pub use restart::Restart;
pub use rule::{Lie, OddRoute, Rule, RuleAction};
pub use words::Millis;

/// Makes the enum of all kinds, and asks the file of each. The modules are declared above: rustfmt
/// does not see those that a macro declares.
macro_rules! kinds {
    (
        $($(#[$doc:meta])* $Name:ident $(($Data:ty))? = $module:ident,)*
        ; $($(#[$new_doc:meta])* $New:ident $(($NewData:ty))? = $new_module:ident,)*
    ) => {
        $(pub use $module::$Name;)*
        $(pub use $new_module::$New;)*

        /// What happens. The module's documentation has the real-world situation of each.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum FaultKind {
            $($(#[$doc])* $Name $(($Data))?,)*
            /// A server treats chosen requests differently.
            Rule(Rule),
            $($(#[$new_doc])* $New $(($NewData))?,)*
        }

        impl FaultKind {
            /// What holds for all faults of its kind.
            pub fn kind(&self) -> &'static Kind {
                match self {
                    $(Self::$Name { .. } => &$module::KIND,)*
                    Self::Rule(rule) => rule.then.kind(),
                    $(Self::$New { .. } => &$new_module::KIND,)*
                }
            }

            /// What its kind does, by this fault's parameters.
            pub(crate) fn behaviour(&self) -> &dyn Behaviour {
                match self {
                    $(Self::$Name $((payload!($Data, it)))? => subject!($Name, it $(, $Data)?),)*
                    Self::Rule(it) => it,
                    $(Self::$New $((payload!($NewData, it)))? => subject!($New, it $(, $NewData)?),)*
                }
            }

            /// What this one does, if it has parameters that can be changed.
            pub(crate) fn behaviour_mut(&mut self) -> Option<&mut dyn Behaviour> {
                match self {
                    $(Self::$Name $((payload!($Data, it)))? => subject_mut!(it $(, $Data)?),)*
                    Self::Rule(it) => Some(it),
                    $(Self::$New $((payload!($NewData, it)))? => subject_mut!(it $(, $NewData)?),)*
                }
            }
        }

        /// Every kind of whole fault.
        const KINDS: &[&Kind] = &[$(&$module::KIND,)* $(&$new_module::KIND,)*];
    };
}

// The order is that of the numbers in digests: a new one stands last.
kinds! {
    /// The process of a server is killed.
    Crash(Crash) = crash,
    /// The process shuts down in order.
    Stop(Stop) = stop,
    /// The machine loses its power: it is gone without a word.
    PowerLoss(PowerLoss) = power_loss,
    /// The process of a node stands still.
    Freeze = freeze,
    /// The process makes one step per so many milliseconds.
    Slow(Slow) = slow,
    /// Dials to the node are refused.
    Refuse = refuse,
    /// Dials to the node get no answer; open connections work.
    SwallowDials = swallow_dials,
    /// The process does not read from the connections it accepted.
    StopReading = stop_reading,
    /// The wall clock is moved when it starts, and back when it ends.
    ClockJump(ClockJump) = clock_jump,
    /// A name server is taken out of a producer's list.
    NameServerList(NameServerList) = name_server_list,
    /// The broker makes its topics known without write permission.
    ReadOnly = read_only,
    /// A topic has another number of queues at the broker.
    Resize(Resize) = resize,
    /// Bytes do not get through until it ends, and are sent again by the kernels.
    Partition = partition,
    /// Whatever is on the way waits until it ends.
    Hold = hold,
    /// Connections that are open when it starts swallow every byte for good.
    BlackHole = black_hole,
    /// Connections that are open are reset.
    Reset(Reset) = reset,
    /// The receivers of open connections lose them without a word.
    HalfOpen = half_open,
    /// Segments are lost and sent again later.
    Loss(Loss) = loss,
    /// Another latency than the network's.
    Latency(Latency) = latency,
    /// No more than so many bytes get onto the line.
    Bandwidth(Bandwidth) = bandwidth,
    /// Each read and each write moves only a few bytes.
    Slice(Slice) = slice,
    /// One bit of a byte is flipped on its way.
    Corrupt(Corrupt) = corrupt,
    ;
}

impl FaultKind {
    /// Whether it strikes once, and what it struck stays so: it cannot have a duration.
    pub fn is_at_once(&self) -> bool {
        self.kind().is_at_once
    }

    /// What the scenario file calls it.
    pub fn name(&self) -> &'static str {
        self.kind().name
    }

    /// Why it contradicts itself, if it does.
    pub fn lie(&self) -> Option<Lie> {
        match self {
            Self::Rule(rule) => rule.lie(),
            // Only a rule tells a client something.
            _ => None,
        }
    }

    /// Its figures, for a shrinker.
    pub(crate) fn figures(&mut self) -> Vec<Figure<'_>> {
        // What has no parameters has no figures.
        self.behaviour_mut()
            .map_or_else(Vec::new, Behaviour::figures)
    }

    /// How its node comes back, if it takes the process away.
    pub(crate) fn restart_mut(&mut self) -> Option<&mut Restart> {
        self.behaviour_mut()?.restart_mut()
    }
}

/// A fault of one run, numbered from 1 in plan order.
pub type FaultNumber = u32;

/// One thing that goes wrong: what, where, when, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The kind of the fault, with its parameters.
    pub kind: FaultKind,
    /// The node or link that it happens to.
    pub place: Place,
    /// The moment at which the fault starts.
    pub at: Position,
    /// How long it lasts; `None`: to the end of the run, or, for a rule with `times`, until it is
    /// used up.
    pub for_ms: Option<u64>,
    /// Whether it may change nothing in a whole test or sweep. Any other fault that never strikes fails a
    /// check, because the check has not tested what it seems to.
    #[serde(default)]
    pub may_miss: bool,
}

/// The node or the link that a fault happens to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A node, by its name: `"broker-a"`.
    Node(Name),
    /// One direction between two nodes: `"p1 -> broker-b"`.
    Link {
        /// The sender of the bytes.
        from: Name,
        /// The node that the bytes go to.
        to: Name,
    },
    /// Both directions between two nodes: `"p1 <-> broker-b"`.
    Pair {
        /// One of the two nodes.
        a: Name,
        /// The other one of the two nodes.
        b: Name,
    },
}

/// Stands for a node's name in the place of a fault that waits for a send: the broker that the attempt
/// goes to. No node of a scenario is called so.
pub const TARGET: &str = "target";

impl Place {
    /// Whether it is on, or at one end of, whichever broker an attempt goes to.
    pub fn has_target(&self) -> bool {
        self.names().any(|name| **name == *TARGET)
    }

    /// The same place with a broker instead of [`TARGET`].
    pub(crate) fn at_target(&self, broker: &Name) -> Self {
        let found = |name: &Name| match **name == *TARGET {
            true => Name::clone(broker),
            false => Name::clone(name),
        };
        match self {
            Self::Node(node) => Self::Node(found(node)),
            Self::Link { from, to } => Self::Link {
                from: found(from),
                to: found(to),
            },
            Self::Pair { a, b } => Self::Pair {
                a: found(a),
                b: found(b),
            },
        }
    }

    /// The nodes it names: one, or two.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let (first, second) = match self {
            Self::Node(node) => (node, None),
            Self::Link { from: a, to: b } | Self::Pair { a, b } => (a, Some(b)),
        };
        std::iter::once(first).chain(second)
    }
}

/// The moment at which a fault starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Position {
    /// At a moment of virtual time.
    Time {
        /// Milliseconds since the start of the run.
        ms: u64,
    },
    /// When the fault's own node, a server, has read its n-th request of a code, before it acts on it.
    Received {
        /// The code of the requests that are counted.
        code: i32,
        /// Which one of them, from 1.
        n: u64,
    },
    /// When the fault's own node, a broker, has stored its n-th message.
    Stored {
        /// Which one of them, from 1.
        n: u64,
    },
    /// At an attempt of a send of the workload, wherever it goes. For a rule: when the request
    /// arrives; for any other fault: when the producer starts the attempt, or some time after.
    Send {
        /// The number of the workload in the scenario, from 1.
        workload: u32,
        /// The send within the workload, from 1.
        send: u64,
        /// The attempt, from 1. A rule counts the requests for this send that servers have read;
        /// `None` means every attempt for a rule, the first one for other faults.
        attempt: Option<u32>,
        /// How many sends of the workload a rule is about, this one and those that follow; 1 for other
        /// faults.
        sends: u64,
        /// So many milliseconds after the start of the attempt; 0 for a rule.
        after_ms: u64,
    },
}

impl Position {
    /// The first attempt of a send, at its start.
    pub fn first_attempt(workload: u32, send: u64) -> Self {
        Self::Send {
            workload,
            send,
            attempt: Some(1),
            sends: 1,
            after_ms: 0,
        }
    }

    /// The sends of a workload that the position is about; none if it is about no send.
    pub(crate) fn sends(&self) -> Option<(u32, std::ops::Range<u64>)> {
        match self {
            Self::Send {
                workload,
                send,
                sends,
                ..
            } => Some((*workload, *send..send.saturating_add(*sends))),
            Self::Time { .. } | Self::Received { .. } | Self::Stored { .. } => None,
        }
    }
}

/// Writes that a fault started or ended. The trace has one of each, or only the start of a fault
/// that lasts; each single use of a rule is in the server's own events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultEvent {
    /// The fault is in force from now on.
    On {
        /// Its number in the plan.
        fault: FaultNumber,
        /// The fault as the scenario has it.
        data: std::sync::Arc<Fault>,
    },
    /// Until now. For `crash`, `stop` and `power-loss`: the node was started again.
    Off {
        /// Its number in the plan.
        fault: FaultNumber,
        /// How often it struck by then; none if the engine does not count that, or it goes on.
        struck: Option<u64>,
    },
}

/// An engine that runs scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineKind {
    /// The laboratory's own event engine.
    Event,
    /// The independent network model of `turmoil`.
    Turmoil,
    /// Real TCP on this machine's loop-back interface, in real time.
    Tcp,
}

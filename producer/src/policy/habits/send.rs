//! What a send does: its attempts, their time, what follows them, and where each goes.

use serde::{Deserialize, Serialize};

use crate::event::{Mode, Stage};

/// The number of attempts by mode: 1 + retries. One-way sends have one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Attempts {
    /// Of a sync send to a queue the producer chooses.
    pub sync: u32,
    /// Of an async send to a queue the producer chooses.
    #[serde(rename = "async")]
    pub async_: u32,
    /// Of a sync send to a queue the caller chose: every attempt goes to that queue.
    pub target_queue_sync: u32,
    /// Of an async send to a queue the caller chose.
    pub target_queue_async: u32,
}

impl Attempts {
    /// The same number of retries in every mode that has any: see
    /// [`Policy::with_retries`](crate::Policy::with_retries).
    #[must_use]
    pub(crate) fn with_retries(self, retries: u32) -> Self {
        self.with_sync_retries(retries).with_async_retries(retries)
    }

    /// So many retries of sync sends. Those that never have a second attempt keep to it.
    #[must_use]
    pub fn with_sync_retries(self, retries: u32) -> Self {
        Self {
            sync: configured(self.sync, retries),
            target_queue_sync: configured(self.target_queue_sync, retries),
            ..self
        }
    }

    /// So many retries of async sends. Those that never have a second attempt keep to it.
    #[must_use]
    pub fn with_async_retries(self, retries: u32) -> Self {
        Self {
            async_: configured(self.async_, retries),
            target_queue_async: configured(self.target_queue_async, retries),
            ..self
        }
    }
}

/// A client with one attempt in a mode has no setting for more.
fn configured(attempts: u32, retries: u32) -> u32 {
    if attempts > 1 {
        retries.saturating_add(1)
    } else {
        attempts
    }
}

/// How long an attempt may take before the next one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptTimeout {
    /// While another broker could be tried, min(T / N, time left / attempts left), so that every
    /// configured retry can really happen.
    Equal,
    /// All the time that is left, but no more than the timeout: a silent broker uses up the send.
    Whole,
    /// In sync sends at most so many milliseconds, the last attempt all that is left.
    Cap(#[serde(deserialize_with = "crate::policy::duration::ms")] u64),
}

/// What the timeout of a send is a limit of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum Deadline {
    /// Of the send: lookup, dial and all attempts.
    OverAll,
    /// Of each attempt: a send may take N times as long as its timeout says. Together with
    /// [`AttemptTimeout::Whole`] every attempt gets the full timeout.
    PerAttempt,
}

/// Which ends of an attempt lead to the next attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RetryTables {
    /// Stages at which a failed attempt is repeated.
    pub stages: Vec<Stage>,
    /// Response codes of a broker after which a sync send is repeated.
    pub sync_codes: Vec<i32>,
    /// Response codes of a broker after which an async send is repeated.
    pub async_codes: Vec<i32>,
    /// The modes in which an attempt that a hook of the program forbade is followed by another.
    pub vetoed: Vec<Mode>,
}

/// What a retry changes in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum Retarget {
    /// The broker and the queue: both are the ones chosen for this attempt.
    QueueAndBroker,
    /// In async sends only the address: the first attempt's queue id and broker name stay in the
    /// request. A broker with fewer queues refuses it.
    AsyncAddressOnly,
}

/// Which brokers a retry avoids while there is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum Avoid {
    /// All that failed in this send, so that its attempts reach as many brokers as possible.
    AllFailed,
    /// The one of the last attempt.
    Last,
    /// No broker is avoided.
    None,
}

/// Who shares a rotation over the queues of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// All callers of one producer: the spread is even whoever sends.
    PerTopic,
    /// Each clone of the producer's handle has its own, as a thread has in Java.
    PerCaller,
}

/// Where a rotation starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum RotationStart {
    /// At a queue drawn at random, so that producers do not all start with the same one.
    Drawn,
    /// At this queue of the list, from 0.
    At(i32),
}

/// Where a retry takes its queue from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum Failover {
    /// From a rotation of its own over the queues that are left, so that the load of a failed
    /// broker spreads evenly over the others.
    OwnRotation,
    /// The topic's rotation steps on to the next queue of another broker, which is always that
    /// broker's first queue. Async retries, which run on another thread in Java, have a rotation
    /// of their own.
    StepOn,
}

/// What becomes of an attempt that is not answered within its timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum HedgedAnswer {
    /// It stays open beside the next attempt, and its success completes the send.
    Accept,
    /// It has failed, and its reply is not looked at.
    Ignore,
}

/// Which connection an attempt takes that hedges a silent one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum HedgeOver {
    /// The address's connection, whatever is known of it. No attempt at the only broker of a topic is
    /// hedged.
    First,
    /// One on which the broker was heard since the silent attempt began; if there is none, a second
    /// one beside it. A firewall or a load balancer may have forgotten the silent one, and those to
    /// the other brokers with it. So an attempt at the only broker of a topic can be hedged.
    Heard,
}

/// What a send whose time is over does about its next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OutOfTime {
    /// What a sync send does about its next attempt when its time is over.
    pub sync: Late,
    /// What an async send does about its next attempt when its time is over.
    #[serde(rename = "async")]
    pub async_: Late,
}

/// What happens to an attempt for which there is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum Late {
    /// The attempt is not made, and nothing is chosen for it.
    Stop,
    /// A queue is chosen for it, which steps the rotation on, before the clock is looked at.
    ChooseOnly,
    /// It starts, is connected if need be, and fails before its request is written.
    Start,
}

/// Whether a message that is stored, but not safely, is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum NotSafe {
    /// It is not: the message is stored.
    Done,
    /// A sync send tries for a better copy.
    RetrySync,
    /// Every send tries for a better copy.
    Retry,
}

/// Whether a send's lookup counts against its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum Lookup {
    /// It does, and ends with it.
    InsideBudget,
    /// A send waits for it however little time is left.
    OutsideBudget,
    /// As `OutsideBudget`; and one that fails is repeated for each attempt that the send has.
    EachAttempt,
}

/// When a one-way send is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum Oneway {
    /// When its request is in a connection's buffer; a connection that cannot be opened is an
    /// error.
    Written,
    /// When its queue is chosen. What becomes of the request is not told.
    Dispatched,
}

/// What a broker's refusal of the client itself leads to: it does not know its credentials, or
/// speaks TLS where the client does not. The brokers of a cluster are configured alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum Denied {
    /// The send has failed: another attempt would be refused, too. Such an attempt ends at the
    /// stage `denied`.
    Final,
    /// The tables of codes and stages decide, as for any other failure.
    AsOthers,
}

//! The values that a policy's fields can have: every habit in which clients differ, named.

use serde::{Deserialize, Serialize};

use crate::event::{Mode, Stage};

/// The number of attempts by mode: 1 + retries. One-way sends have one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(rename_all = "kebab-case")]
pub enum AttemptTimeout {
    /// While another broker could be tried, min(T / N, time left / attempts left), so that every
    /// configured retry can really happen.
    Equal,
    /// All the time that is left, but no more than the timeout: a silent broker uses up the send.
    Whole,
    /// In sync sends at most so many milliseconds, the last attempt all that is left.
    Cap(u64),
}

/// What the timeout of a send is a limit of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// Whether sends go to the second port of a broker, two below the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Vip {
    /// Whether sends go to the second port.
    pub enabled: bool,
    /// Whether retries of async sends do, too. Java's go to the first port.
    pub async_retries: bool,
}

/// What a retry changes in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// All callers of one producer: the spread is even whoever sends.
    PerTopic,
    /// Each clone of the producer's handle has its own, as a thread has in Java.
    PerCaller,
}

/// Where a rotation starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RotationStart {
    /// At a queue drawn at random, so that producers do not all start with the same one.
    Drawn,
    /// At this queue of the list, from 0.
    At(i32),
}

/// Where a retry takes its queue from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// How brokers that were slow or failed are avoided by later sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Health {
    /// Whether anything is remembered between sends.
    pub enabled: bool,
    /// From which latency on a broker is avoided for how long, both in milliseconds, ascending.
    pub table: Vec<(u64, u64)>,
    /// The latency that a failure counts as.
    pub failure: u64,
    /// The stages at which the end of an attempt is a failure of its broker.
    pub failures: Vec<Stage>,
    /// The stages after which a broker counts as unreachable, until it does something better.
    pub unreachable: Vec<Stage>,
    /// Whether a result replaces an isolation that would end later.
    pub overwrites: bool,
    /// Whether a request that was merely written, in a mode that does not wait for its answer,
    /// counts as a quick success.
    pub counts_dispatch: bool,
    /// Whether sync sends to a queue that the caller chose teach anything.
    pub counts_target_queue_sync: bool,
    /// Who is chosen while every broker is avoided.
    pub fallback: Fallback,
    /// Whether brokers in the table are asked if they can be reached again.
    pub detector: Detector,
}

/// How brokers that were slow or failed are asked whether they can be reached. Switch it on together
/// with stages in [`Health::unreachable`]; Java then counts `dial`, `write`, `lost` and `silent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Detector {
    /// Whether brokers that are avoided are asked in the background.
    pub enabled: bool,
    /// From one round to the next, in milliseconds; the first one comes as late.
    pub period: u64,
    /// How long a broker is left alone after it was asked, in milliseconds.
    pub interval: u64,
    /// How long an answer may take, in milliseconds.
    pub timeout: u64,
}

/// Who is chosen while every broker is avoided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fallback {
    /// One that is reachable and did not fail in this send; then any.
    Reachable,
    /// The one whose last result was the least bad. With this a broker that is not avoided is
    /// chosen whether it failed in this send or not.
    LeastBad,
}

/// When an unanswered async request is noticed. Sync callers always have a clock of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum TimeoutScan {
    /// In the millisecond of its deadline.
    Exact,
    /// By a scan of the table of requests.
    #[serde(rename_all = "kebab-case")]
    Every {
        /// The time between two scans.
        period: u64,
        /// The first scan after the start.
        first: u64,
        /// What a request gets beyond its deadline.
        grace: u64,
    },
}

/// What happens to the connection of a sync attempt that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTimeout {
    /// It stays: other requests on it are not disturbed.
    Keep,
    /// It is closed, if the attempt had more than 100 ms or more than a quarter of the timeout.
    Close,
    /// It is closed however little time the attempt had.
    CloseAlways,
}

/// When a connection whose peer is silent is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum DeadPeer {
    /// Never: TCP gives up after a quarter of an hour, and every request until then is lost.
    Keep,
    /// When both limits are reached.
    #[serde(rename_all = "kebab-case")]
    Replace {
        /// So many requests, heartbeats included, were not answered by a whole frame.
        unanswered: u32,
        /// The peer has been silent for so long since the first of them. More than a slow broker
        /// takes for an answer.
        silent: u64,
    },
}

/// How many name servers one lookup asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameServers {
    /// All, until one knows the topic; the time is divided so that the last one is reached.
    WholeList,
    /// One; after a failure the next lookup asks the next one.
    OneAttempt,
    /// The first to which there is a connection, or one can be opened.
    FirstConnected,
    /// All, until one knows the topic; each has the whole time.
    Each,
}

/// Whether opening a connection counts against the send's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dial {
    /// The dial is charged to the attempt that needs the connection.
    InsideBudget,
    /// An attempt waits for it however little time is left.
    OutsideBudget,
}

/// How dials of an address are spaced that come to nothing: nobody listens, or the connection ends
/// before a whole frame has come. In milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Redial {
    /// The pause before the third dial in a row; it doubles with each one that follows. 0: there is
    /// none.
    pub first: u64,
    /// The longest pause before an address is dialled again, in milliseconds.
    pub most: u64,
}

/// What becomes of an attempt that is not answered within its timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HedgedAnswer {
    /// It stays open beside the next attempt, and its success completes the send.
    Accept,
    /// It has failed, and its reply is not looked at.
    Ignore,
}

/// Which connection an attempt takes that hedges a silent one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// What a broker's announcement of its shutdown means for the attempt that got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drain {
    /// The attempt has failed in a retryable way, whatever the table of codes says.
    Retry,
    /// The request is repeated once to the same broker on a fresh connection, and of several that
    /// were on the old one only the first to be answered so. For all others, and for a second
    /// announcement, it is as with `Retry`.
    ResendFirst,
    /// The request, and each that was on the same connection, is repeated once to the same broker on
    /// a fresh connection, within the same attempt. The old one is closed once nobody waits on it. A
    /// second announcement is as with `Retry`.
    Resend,
    /// The table of codes decides, as for any other code.
    ByCode,
}

/// What becomes of a request whose connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnLost {
    /// The attempt has failed, and the policy's retries decide what follows.
    Fail,
    /// It has failed if the connection broke. If the peer closed it, the caller waits for an
    /// answer that cannot come until its time is over.
    WaitAfterClose,
    /// The caller waits for an answer that cannot come until its time is over.
    Wait,
}

/// What a send whose time is over does about its next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(rename_all = "kebab-case")]
pub enum Oneway {
    /// When its request is in a connection's buffer; a connection that cannot be opened is an
    /// error.
    Written,
    /// When its queue is chosen. What becomes of the request is not told.
    Dispatched,
}

/// Which messages and groups are refused before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Checks {
    /// Whether anything is checked before it is sent.
    pub enabled: bool,
    /// The largest body, in bytes, before compression. The broker has a limit of its own.
    pub max_body: u32,
    /// The longest group, in UTF-16 units.
    pub max_group: u32,
    /// Whether the queue that a one-way send is for must be of its message's topic, as it must be
    /// in the other modes. If not, the message's topic and the queue's number are taken.
    pub oneway_topic: bool,
}

/// How bodies are compressed. Consumers need to know the kind: old ones know zlib only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CompressionKind {
    /// A zlib stream, level 5.
    Zlib,
    /// An LZ4 frame: quicker, larger. Consumers since 5.0.
    Lz4,
    /// A Zstandard frame, level 5: smaller at the same speed. Consumers since 5.0.
    Zstd,
}

/// What becomes of a body that compression does not make smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unprofitable {
    /// It travels as the program gave it.
    Plain,
    /// It travels compressed all the same, and a little larger. One of the largest size is then
    /// refused by the broker.
    Compressed,
}

/// What a broker's refusal of the client itself leads to: it does not know its credentials, or
/// speaks TLS where the client does not. The brokers of a cluster are configured alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Denied {
    /// The send has failed: another attempt would be refused, too. Such an attempt ends at the
    /// stage `denied`.
    Final,
    /// The tables of codes and stages decide, as for any other failure.
    AsOthers,
}

/// How requests are written and answers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Wire {
    /// The request that carries a message.
    pub request: SendRequest,
    /// The form of headers.
    pub header: Header,
    /// Whether a compressed message says how it is compressed. If it does not, a reader assumes
    /// zlib.
    pub names_compression: bool,
    /// Whether a one-way request says that it wants no answer.
    pub oneway_flag: bool,
    /// Whether an acceptance without queue and offset is a success (at queue 0, offset 0), or an
    /// answer that cannot be understood.
    pub bare_answers: bool,
    /// Whether an acceptance at a queue or an offset below 0 is a success, or an answer that cannot
    /// be understood.
    pub negative_places: bool,
}

/// The request that carries a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SendRequest {
    /// `SEND_MESSAGE` (10), whose fields have long names.
    V1,
    /// `SEND_MESSAGE_V2` (310), whose fields have short names.
    V2,
}

/// The form of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Header {
    /// A JSON object (`SerializeType.JSON`, 0).
    Json,
    /// RocketMQ's own binary form (`SerializeType.ROCKETMQ`, 1).
    Binary,
}

/// Which topic's route serves a topic that does not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DefaultRoute {
    /// Whether the policy's default topic is asked for; otherwise it is `TBW102`, always.
    pub own: bool,
    /// Whether it is looked up from the start on, whether a message needs it or not.
    pub polled: bool,
}

/// On which brokers a topic that does not exist yet is made. A broker that makes topics does so when
/// the first message of one reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AutoCreate {
    /// On those that messages reach before the topic has a route of its own. A topic whose second
    /// message comes after that stays on one broker for ever, as with the real clients.
    FirstBroker,
    /// On every broker of the default topic's route: each stays in the topic's route until one attempt
    /// has gone to it. A broker that does not make topics costs that one attempt.
    EveryBroker,
}

/// How much a route may be. A short answer can describe a large table, so a name server that is
/// wrong, or is none, could otherwise take a producer's memory. A route beyond a limit is not used,
/// and the error names the limit; the route in force stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RouteBounds {
    /// The most bytes that the answer of a name server may have.
    pub bytes: u32,
    /// Brokers of the answer; four times as many addresses.
    pub brokers: u32,
    /// Writable queues, of all brokers together.
    pub queues: u32,
}

/// What brokers are told of producers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Presence {
    /// A heartbeat goes out on each new connection to a master.
    pub heartbeat_on_open: bool,
    /// The Java client's inner producer, `CLIENT_INNER_PRODUCER`, is named beside the groups.
    pub inner_group: bool,
    /// Brokers are told when a group is gone.
    pub unregister: bool,
}

/// The periods of the background work, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Periods {
    /// The first refresh of the routes after the start.
    pub first_poll: u64,
    /// Between two refreshes of the routes. A change of topology is seen within this time.
    pub poll: u64,
    /// The first heartbeat after the start.
    pub first_heartbeat: u64,
    /// Between two heartbeats to a broker, which closes what is silent for 120 s.
    pub heartbeat: u64,
    /// The longest a heartbeat or its answer may take.
    pub heartbeat_timeout: u64,
    /// The least time between two lookups of one topic that failed attempts ask for.
    pub refresh_spacing: u64,
    /// A connection without traffic for so long is closed.
    pub idle: u64,
    /// A topic to which nothing was sent for so long is forgotten: its route is no longer refreshed,
    /// and the next send looks it up anew. 0: never. Raise it for programs that send rarely and
    /// must be able to while all name servers are down.
    pub forget: u64,
    /// `stop` takes no longer than this.
    pub stop: u64,
}

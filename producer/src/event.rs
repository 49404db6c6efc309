//! What the producer did and why, as events. The observer adds the time.
//!
//! The same events serve metrics and logs in production and the trace in the laboratory. They are
//! *client-side events*: what the client says of itself. Servers and wire give the evidence.

use std::fmt;
use std::sync::Arc;

pub use rmq_remoting::event::{CloseCause, ConnectionNumber, DialFailure, Event as TransportEvent};
use rmq_remoting::observe::Name;
use serde::{Deserialize, Serialize};

rmq_remoting::number! {
    /// The number of a send at its client, from 1 in the order of the calls of all its producers.
    ///
    /// It is written as the bare number wherever it is written, and is taken for no other number:
    ///
    /// ```
    /// use rmq_producer::event::{Event, SendNumber};
    ///
    /// let third = SendNumber::from(3);
    /// assert_eq!(third.to_string(), "3");
    /// assert_eq!(third.get(), 3);
    /// assert_eq!(format!("{:?}", Event::Callback { send: third }), "Callback { send: 3 }");
    /// ```
    ///
    /// ```compile_fail,E0308
    /// use rmq_producer::event::{Event, LookupNumber};
    ///
    /// Event::Callback { send: LookupNumber::from(3) };
    /// ```
    SendNumber;
    /// The number of a route lookup at its client, from 1 in the order in which the lookups of all
    /// topics started.
    LookupNumber;
    /// The number of a published route at its client, from 1 in the order in which the routes of all
    /// topics came into force.
    SnapshotNumber;
}

/// How a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum Mode {
    /// The caller waits for the outcome.
    Sync,
    /// A callback gets the outcome.
    Async,
    /// Nobody gets an outcome and the broker does not answer.
    Oneway,
}

/// One queue of a topic: where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct QueueRef {
    /// The broker's name, not its address.
    pub broker: Name,
    /// The queue id, from 0.
    pub queue: i32,
}

/// Why a route was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum LookupReason {
    /// A send found no usable route.
    FirstSend,
    /// The topic is unknown and the default topic's route is asked for.
    DefaultTopic,
    /// The periodic refresh of every known topic.
    Poll,
    /// An attempt failed in a way that says the route may be old.
    FailedAttempt,
}

/// How a lookup ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum LookupEnd {
    /// A route came and differs from the one in force.
    Changed,
    /// A route came and equals the one in force.
    Unchanged,
    /// The name server does not know the topic.
    NotExist,
    /// A name server answered with an error code.
    Refused {
        /// The response code that the name server answered with.
        code: i32,
    },
    /// A route came that cannot be used; the text says why.
    Unusable(String),
    /// No name server answered in time.
    Unreachable,
    /// No name server is configured.
    NoNameServer,
}

/// The stage at which an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum Stage {
    /// The broker's address is in no route.
    Address,
    /// The connection could not be opened.
    Dial,
    /// The request could not be encoded or written.
    Write,
    /// The request was written, and the connection was lost before the answer.
    Lost,
    /// No answer within the time the attempt had.
    Silent,
    /// The broker answered with an error code.
    Refused,
    /// The broker answered with something that cannot be understood.
    Decode,
    /// The broker accepted the message.
    Accepted,
    /// Another attempt of the same send ended it first.
    Superseded,
    /// A hook of the program forbade the attempt.
    Vetoed,
    /// A hook of the program did not let the request go.
    Hook,
    /// The broker refused the client itself: its credentials, or that it does not speak TLS.
    Denied,
}

/// A stage is written as the end of a sentence about an attempt: "connection lost".
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "no address",
            Self::Dial => "connection refused or not established",
            Self::Write => "not written",
            Self::Lost => "connection lost",
            Self::Silent => "no answer",
            Self::Refused => "refused",
            Self::Decode => "answer not understood",
            Self::Accepted => "stored",
            Self::Superseded => "superseded",
            Self::Vetoed => "forbidden by a hook",
            Self::Hook => "refused by a hook",
            Self::Denied => "this client is refused",
        })
    }
}

/// How a send ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum Outcome {
    /// A broker has stored the message and said so.
    Sent {
        /// The number of the attempt that succeeded, from 1.
        attempt: u32,
        /// The broker and the queue that the message is stored in.
        at: QueueRef,
        /// Its position in the queue.
        offset: i64,
        /// The response code: 0, or one of the stored-but-not-safe codes 10, 11, 12.
        code: i32,
    },
    /// Written, without an answer expected (one-way).
    Written,
    /// The send failed, for this reason.
    Failed(Failure),
}

/// The class of a failed send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum Failure {
    /// The message or the arguments are not acceptable; nothing was tried.
    Invalid,
    /// The producer was stopped, or the runtime that it was started on was shut down.
    NotRunning,
    /// The topic has no usable route.
    NoRoute,
    /// The name servers could not be asked in time.
    RouteUnreachable,
    /// No name server is configured.
    NoNameServer,
    /// Every attempt failed; the last one at this stage.
    Attempts(Stage),
    /// The deadline passed while an attempt was open.
    Deadline,
    /// No permit became free in time.
    BackPressure,
    /// The producer was stopped meanwhile.
    Closed,
}

impl Failure {
    /// Its name, in lower case with `_`: the same in every release, for metrics and `error.type`.
    ///
    /// ```
    /// use rmq_producer::event::{Failure, Stage};
    ///
    /// assert_eq!(Failure::BackPressure.name(), "back_pressure");
    /// assert_eq!(Failure::Attempts(Stage::Lost).name(), "attempts");
    /// ```
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotRunning => "not_running",
            Self::NoRoute => "no_route",
            Self::RouteUnreachable => "route_unreachable",
            Self::NoNameServer => "no_name_server",
            Self::Attempts(_) => "attempts",
            Self::Deadline => "deadline",
            Self::BackPressure => "back_pressure",
            Self::Closed => "closed",
        }
    }
}

/// One thing the producer did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum Event {
    /// The producer is ready to send.
    Started {
        /// The producer group that it sends for.
        group: Name,
    },
    /// `Producer::stop` was called: open sends end, new ones are refused.
    Stopping {
        /// The producer group that it sends for.
        group: Name,
    },
    /// `stop` is done: nothing of this producer runs any more.
    Stopped {
        /// The producer group that it sends for.
        group: Name,
    },
    /// A send was called.
    Call {
        /// The number of the send at its client.
        send: SendNumber,
        /// The group of the producer that was called.
        group: Name,
        /// The topic that this is about.
        topic: Name,
        /// Whether the caller waits, is called back, or wants no answer.
        mode: Mode,
        /// Its whole time, in milliseconds.
        timeout_ms: u64,
        /// The queue the caller chose, if any.
        target_queue: Option<QueueRef>,
        /// The unique key that the program gave the message; none: the producer makes one.
        unique_key: Option<Name>,
    },
    /// The message was built, once for all attempts.
    Built {
        /// The number of the send that this is about.
        send: SendNumber,
        /// The message's unique key.
        unique_key: Name,
        /// The bytes of the body as the caller gave it.
        body_len: u32,
        /// CRC-32 of the body as the caller gave it.
        body_crc: u32,
    },
    /// The caller's selector has chosen the queue that every attempt goes to.
    Selected {
        /// The number of the send that this is about.
        send: SendNumber,
        /// The route it chose from.
        snapshot: SnapshotNumber,
        /// The broker and queue that the selector chose.
        to: QueueRef,
    },
    /// A lookup of a topic's route started.
    Lookup {
        /// The number of the lookup at its client.
        lookup: LookupNumber,
        /// The topic asked for.
        topic: Name,
        /// What made the lookup necessary.
        reason: LookupReason,
    },
    /// A lookup asks a name server.
    NameServerChosen {
        /// The number of the lookup that this is about.
        lookup: LookupNumber,
        /// The address of the name server that is asked next.
        server: Name,
    },
    /// A lookup of a topic's route ended.
    LookupEnded {
        /// The number of the lookup that this is about.
        lookup: LookupNumber,
        /// What the lookup came to.
        end: LookupEnd,
    },
    /// A route is in force from now on.
    Snapshot {
        /// The number of the route at its client.
        snapshot: SnapshotNumber,
        /// The topic that this is about.
        topic: Name,
        /// The lookup it came from.
        lookup: LookupNumber,
        /// The writable queues, in rotation order.
        queues: Arc<[QueueRef]>,
        /// The masters' addresses, by broker name.
        addresses: Arc<[(Name, Name)]>,
    },
    /// An attempt of a send started: a broker and queue are chosen.
    Attempt {
        /// The number of the send that this is about.
        send: SendNumber,
        /// Its number within the send, from 1.
        number: u32,
        /// The route it was chosen from.
        snapshot: SnapshotNumber,
        /// The broker and queue that the attempt goes to.
        to: QueueRef,
        /// The broker's address, if known.
        address: Option<Name>,
        /// The timeout of the attempt, in milliseconds: after that it may be hedged.
        timeout_ms: u64,
        /// The brokers this choice avoided.
        avoided: Vec<Name>,
    },
    /// The attempt's request has an id on a connection.
    Requested {
        /// The number of the send that this is about.
        send: SendNumber,
        /// The number of the attempt within its send, from 1.
        number: u32,
        /// The number of the connection that took the request.
        connection: ConnectionNumber,
        /// The request's id on that connection (`opaque`).
        opaque: i32,
    },
    /// The attempt was not answered within its timeout and is hedged: the next one starts while it
    /// stays open.
    Hedged {
        /// The number of the send that this is about.
        send: SendNumber,
        /// The number of the attempt within its send, from 1.
        number: u32,
        /// Tokens left in the hedging budget, in tenths, after this one was taken.
        tokens_left: u32,
    },
    /// An attempt of a send ended, by an answer or without one.
    AttemptEnded {
        /// The number of the send that this is about.
        send: SendNumber,
        /// The number of the attempt within its send, from 1.
        number: u32,
        /// How far the attempt had come when it ended.
        stage: Stage,
        /// The response code, where a broker answered.
        code: Option<i32>,
        /// How long it took, in milliseconds.
        after_ms: u64,
    },
    /// A send ended: exactly one for each `Call` that was not cancelled.
    Done {
        /// The number of the send that this is about.
        send: SendNumber,
        /// What the caller is told.
        outcome: Outcome,
        /// Milliseconds since the call.
        after_ms: u64,
    },
    /// The caller dropped the send's future.
    Cancelled {
        /// The number of the send that this is about.
        send: SendNumber,
    },
    /// The callback of an async send returned.
    Callback {
        /// The number of the send that this is about.
        send: SendNumber,
    },
    /// A broker is avoided for some time.
    Health {
        /// The name of the broker that is avoided.
        broker: Name,
        /// For how long from now, in milliseconds.
        for_ms: u64,
        /// What made it so: the stage of an attempt, `Accepted` for a slow success.
        reason: Stage,
    },
    /// The name-server list is this from now on.
    NameServers {
        /// The addresses of the name servers, in the order in which they are asked.
        servers: Arc<[Name]>,
    },
    /// A heartbeat was answered (`code`), or not (`None`).
    Heartbeat {
        /// The address of the broker that was told.
        broker: Name,
        /// The response code; none if no answer came.
        code: Option<i32>,
    },
    /// A broker announced its shutdown on a connection (code 1500).
    Drain {
        /// The address of the broker that was told.
        broker: Name,
    },
    /// A request was repeated on a fresh connection because its broker drains.
    Resend {
        /// The number of the send that this is about.
        send: SendNumber,
        /// The number of the attempt within its send, from 1.
        number: u32,
    },
    /// A background task ended by a panic and was started again.
    TaskPanicked {
        /// The name of the background task that ended.
        task: String,
    },
    /// Sizes of tables at a quiet point.
    Gauges {
        /// Requests waiting for an answer.
        pending: u32,
        /// Sends that were called and are not completed.
        open_sends: u32,
        /// Topics whose routes are kept fresh.
        topics: u32,
        /// Connections that are open.
        connections: u32,
    },
    /// What a connection of the client did.
    Transport(TransportEvent),
}

//! What a producer knows of its cluster: routes, name servers, the health of brokers, and what it tells them of itself.

use serde::{Deserialize, Serialize};

use crate::event::Stage;

/// How brokers that were slow or failed are avoided by later sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Health {
    /// Whether anything is remembered between sends.
    pub enabled: bool,
    /// From which latency on a broker is avoided for how long, both in milliseconds, ascending.
    #[serde(deserialize_with = "crate::policy::duration::pairs")]
    pub table: Vec<(u64, u64)>,
    /// The latency that a failure counts as.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
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
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Detector {
    /// Whether brokers that are avoided are asked in the background.
    pub enabled: bool,
    /// From one round to the next, in milliseconds; the first one comes as late.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub period: u64,
    /// How long a broker is left alone after it was asked, in milliseconds.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub interval: u64,
    /// How long an answer may take, in milliseconds.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub timeout: u64,
}

/// Who is chosen while every broker is avoided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum Fallback {
    /// One that is reachable and did not fail in this send; then any.
    Reachable,
    /// The one whose last result was the least bad. With this a broker that is not avoided is
    /// chosen whether it failed in this send or not.
    LeastBad,
}

/// How many name servers one lookup asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
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

/// Which topic's route serves a topic that does not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
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
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
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
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
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
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
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
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Periods {
    /// The first refresh of the routes after the start.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub first_poll: u64,
    /// Between two refreshes of the routes. A change of topology is seen within this time.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub poll: u64,
    /// The first heartbeat after the start.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub first_heartbeat: u64,
    /// Between two heartbeats to a broker, which closes what is silent for 120 s.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub heartbeat: u64,
    /// The longest a heartbeat or its answer may take.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub heartbeat_timeout: u64,
    /// The least time between two lookups of one topic that failed attempts ask for.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub refresh_spacing: u64,
    /// A connection without traffic for so long is closed.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub idle: u64,
    /// A topic to which nothing was sent for so long is forgotten: its route is no longer refreshed,
    /// and the next send looks it up anew. 0: never. Raise it for programs that send rarely and
    /// must be able to while all name servers are down.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub forget: u64,
    /// `stop` takes no longer than this.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub stop: u64,
}

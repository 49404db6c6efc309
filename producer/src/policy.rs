//! What a producer does when, as data.
//!
//! Every habit in which RocketMQ clients differ is one field here, and a preset is one file of
//! values. So "what would the Java client do" is a question of data, answered by the same code
//! that runs in production, and there is no branch on a client's name anywhere. Each field is read
//! by exactly one decision function in [`decide`](crate::decide); its documentation names it.
//!
//! ```
//! use rmq_producer::Policy;
//!
//! let mut policy = Policy::strict();
//! policy.attempts.sync = 4;
//! let text = policy.to_toml()?;
//! assert_eq!(Policy::from_toml(&text)?, policy);
//! # Ok::<(), rmq_producer::PolicyError>(())
//! ```

use serde::{Deserialize, Serialize};

use crate::event::Stage;

const STRICT: &str = include_str!("presets/strict.toml");
const JAVA_5_3: &str = include_str!("presets/java_5_3.toml");

/// Everything a producer decides by. Times are in whole milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// The preset's name, for traces and messages; it decides nothing.
    pub name: String,
    /// The whole time of a send when the call gives none. Shorten it for callers that would
    /// rather fail than wait. Read by [`timeout`](crate::decide::budget::timeout).
    pub send_timeout: u64,
    /// How many attempts a send has. Read by [`attempts`](crate::decide::budget::attempts).
    pub attempts: Attempts,
    /// What the timeout is a limit of. Read by [`deadline`](crate::decide::budget::deadline).
    pub deadline: Deadline,
    /// How an attempt's part of the whole time is found. Read by
    /// [`share`](crate::decide::budget::share).
    pub share: Share,
    /// Which ends of an attempt lead to the next one. Read by
    /// [`retryable`](crate::decide::retry::retryable).
    pub retry: RetryTables,
    /// Whether a message that a broker has stored, but not flushed or replicated in time (codes
    /// 10, 11, 12), is sent again. `true` trades duplicates for safety. Read by
    /// [`after`](crate::decide::retry::after).
    pub retry_not_safe: bool,
    /// What a retry changes in the request. Read by [`target`](crate::decide::envelope::target).
    pub retarget: Retarget,
    /// Which brokers a retry avoids. Read by [`avoided`](crate::decide::select::avoided).
    pub avoid: Avoid,
    /// Who shares a rotation over the queues of a topic. Read by
    /// [`shared`](crate::decide::select::shared).
    pub rotation: Rotation,
    /// Where a retry takes its queue from. Read by [`steps`](crate::decide::select::steps).
    pub failover: Failover,
    /// Whether brokers that were slow or failed are avoided by later sends. Read by
    /// [`isolation`](crate::decide::health::isolation).
    pub health: Health,
    /// When an unanswered request is noticed. Read by
    /// [`noticed`](crate::decide::budget::noticed).
    pub timeout_scan: TimeoutScan,
    /// What happens to the connection of a sync attempt that was not answered. Closing it makes
    /// every other request on it fail. Read by
    /// [`closes_connection`](crate::decide::retry::closes_connection).
    pub on_timeout: OnTimeout,
    /// How many name servers one lookup asks. Read by
    /// [`pass`](crate::decide::name_server::pass).
    pub name_servers: NameServers,
    /// The time of one lookup, over all its name servers. Read by
    /// [`lookup_time`](crate::decide::name_server::lookup_time).
    pub name_server_timeout: u64,
    /// Whether opening a connection counts against the send's time. Read by
    /// [`dial_time`](crate::decide::budget::dial_time).
    pub dial: Dial,
    /// The longest a connection may take to open. Raise it on links with round trips of seconds.
    /// Read by [`dial_time`](crate::decide::budget::dial_time).
    pub dial_timeout: u64,
    /// Whether an attempt that failed in a way that says "the route is old" starts a lookup. Read
    /// by [`refreshes`](crate::decide::route::refreshes).
    pub refresh_on_failure: bool,
    /// What becomes of an attempt whose share is used up. Read by
    /// [`at_share_end`](crate::decide::budget::at_share_end).
    pub overtaken: Overtaken,
    /// How many sends may overtake before the bucket must refill. Read by
    /// [`Bucket::full`](crate::decide::budget::Bucket::full).
    pub overtake_tokens: u32,
    /// Tenths of a token that each send puts back. Read by
    /// [`Bucket::refill`](crate::decide::budget::Bucket::refill).
    pub overtake_refill_tenths: u32,
    /// What a broker's announcement of its shutdown (code 1500) means. Read by
    /// [`drained`](crate::decide::retry::drained).
    pub drain: Drain,
    /// The topic whose route and queue count serve a topic that does not exist yet. Read by
    /// [`default_topic`](crate::decide::route::default_topic).
    pub default_topic: String,
    /// The most queues that a topic made on the first send gets on each broker. Read by
    /// [`default_queues`](crate::decide::route::default_queues).
    pub default_queues: i32,
    /// The largest body accepted, in bytes, before compression. The broker has a limit of its
    /// own. Read by [`validate`](crate::decide::envelope::validate).
    pub max_body: u32,
    /// Bodies of at least this many bytes are compressed (zlib, level 5); 0 switches it off. Read
    /// by [`compresses`](crate::decide::envelope::compresses).
    pub compress_over: u32,
    /// The periods of the background work. Read by the client's own tasks, which decide nothing.
    pub periods: Periods,
}

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
    pub pinned_sync: u32,
    /// Of an async send to a queue the caller chose.
    pub pinned_async: u32,
}

impl Attempts {
    /// The same number of retries in every mode, for sends to a queue the producer chooses.
    #[must_use]
    pub fn with_retries(self, retries: u32) -> Self {
        let attempts = retries.saturating_add(1);
        Self {
            sync: attempts,
            async_: attempts,
            ..self
        }
    }
}

/// How an attempt's part of the send's time is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// While another broker could be tried, min(T / N, time left / attempts left), so that every
    /// configured retry can really happen.
    Equal,
    /// All the time that is left, but no more than the timeout: a silent broker uses up the send.
    Whole,
    /// At most so many milliseconds, the last attempt all that is left.
    Cap(u64),
}

/// What the timeout of a send is a limit of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deadline {
    /// Of the send: lookup, dial and all attempts.
    OverAll,
    /// Of each attempt: a send may take N times as long as its timeout says. Together with
    /// [`Share::Whole`] every attempt gets the full timeout.
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
    /// None.
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

/// Where a retry takes its queue from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failover {
    /// From a rotation of its own over the queues that are left, so that the load of a failed
    /// broker spreads evenly over the others.
    OwnRotation,
    /// The topic's rotation steps on to the next queue of another broker, which is always that
    /// broker's first queue.
    StepOn,
}

/// Whether brokers that were slow or failed are avoided by later sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// No memory between sends.
    Off,
    /// The table of the Java client 4.9: a result always overwrites the last one.
    #[serde(rename = "4.9")]
    Table4,
    /// The table of the Java client 5.x: a fast success does not end an isolation early.
    #[serde(rename = "5")]
    Table5,
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
}

/// How many name servers one lookup asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameServers {
    /// All, until one knows the topic; the time is divided so that the last one is reached.
    WholeList,
    /// One; after a failure the next lookup asks the next one.
    OneAttempt,
}

/// Whether opening a connection counts against the send's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dial {
    /// It does.
    InsideBudget,
    /// A sync send waits for it however little time is left.
    OutsideBudget,
}

/// What becomes of an attempt whose share is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overtaken {
    /// It stays open beside the next attempt, and its success completes the send.
    Accept,
    /// It has failed, and its reply is not looked at.
    Ignore,
}

/// What a broker's announcement of its shutdown means for the attempt that got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drain {
    /// The attempt has failed in a retryable way, whatever the table of codes says.
    Retry,
    /// The table of codes decides, as for any other code.
    ByCode,
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
    pub first_beat: u64,
    /// Between two heartbeats to a broker, which closes what is silent for 120 s.
    pub beat: u64,
    /// The longest a heartbeat or a farewell may take.
    pub beat_timeout: u64,
    /// The least time between two lookups of one topic that failed attempts ask for.
    pub refresh_spacing: u64,
    /// A connection without traffic for so long is closed.
    pub idle: u64,
    /// `stop` takes no longer than this.
    pub stop: u64,
}

/// A policy that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The text is no policy; the cause says where.
    #[error("not a producer policy: {0}")]
    Read(#[from] toml::de::Error),
    /// The policy cannot be written as TOML.
    #[error("the policy cannot be written: {0}")]
    Write(#[from] toml::ser::Error),
    /// A value that makes no sense.
    #[error("policy `{policy}`: {field} is {value}; {remedy}")]
    Value {
        /// The policy's name.
        policy: String,
        /// The field.
        field: &'static str,
        /// What it is.
        value: u64,
        /// What it should be.
        remedy: &'static str,
    },
    /// No preset has this name.
    #[error("no preset `{0}`; there are: strict, java_5_3")]
    NoPreset(String),
}

impl Policy {
    /// The default: the Java client's names, wire format and defaults without its bugs.
    #[expect(
        clippy::expect_used,
        reason = "a constant of this crate, parsed by a test"
    )]
    pub fn strict() -> Self {
        Self::from_toml(STRICT).expect("the preset `strict` is a policy")
    }

    /// What the Java client 5.3 does with its default settings.
    #[expect(
        clippy::expect_used,
        reason = "a constant of this crate, parsed by a test"
    )]
    pub fn java_5_3() -> Self {
        Self::from_toml(JAVA_5_3).expect("the preset `java_5_3` is a policy")
    }

    /// The preset of this name.
    pub fn preset(name: &str) -> Result<Self, PolicyError> {
        match name {
            "strict" => Ok(Self::strict()),
            "java_5_3" => Ok(Self::java_5_3()),
            other => Err(PolicyError::NoPreset(other.to_owned())),
        }
    }

    /// Reads a policy; every field must be there.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text)?;
        policy.check()?;
        Ok(policy)
    }

    /// Writes the policy as [`from_toml`](Self::from_toml) reads it.
    pub fn to_toml(&self) -> Result<String, PolicyError> {
        Ok(toml::to_string(self)?)
    }

    /// Refuses values with which no send could ever succeed or no task ever rest.
    pub fn check(&self) -> Result<(), PolicyError> {
        let at_least_one = [
            ("send-timeout", self.send_timeout),
            ("attempts.sync", u64::from(self.attempts.sync)),
            ("attempts.async", u64::from(self.attempts.async_)),
            ("attempts.pinned-sync", u64::from(self.attempts.pinned_sync)),
            (
                "attempts.pinned-async",
                u64::from(self.attempts.pinned_async),
            ),
            ("name-server-timeout", self.name_server_timeout),
            ("dial-timeout", self.dial_timeout),
            (
                "default-queues",
                u64::try_from(self.default_queues).unwrap_or(0),
            ),
            ("max-body", u64::from(self.max_body)),
            ("periods.poll", self.periods.poll),
            ("periods.beat", self.periods.beat),
            ("periods.beat-timeout", self.periods.beat_timeout),
            ("periods.idle", self.periods.idle),
        ];
        match at_least_one.iter().find(|(_, value)| *value == 0) {
            None => Ok(()),
            Some((field, value)) => Err(PolicyError::Value {
                policy: self.name.clone(),
                field,
                value: *value,
                remedy: "it must be at least 1",
            }),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::strict()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_policies_and_survive_a_round_trip() {
        for preset in [Policy::strict(), Policy::java_5_3()] {
            let text = preset.to_toml().unwrap();
            assert_eq!(Policy::from_toml(&text).unwrap(), preset);
            assert_eq!(Policy::preset(&preset.name).unwrap(), preset);
        }
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let text = format!("surprise = 1\n{STRICT}");
        let error = Policy::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains("surprise"), "{error}");
    }

    #[test]
    fn a_policy_without_attempts_is_refused() {
        let mut policy = Policy::strict();
        policy.attempts.sync = 0;
        let error = policy.check().unwrap_err().to_string();
        assert_eq!(
            error,
            "policy `strict`: attempts.sync is 0; it must be at least 1"
        );
    }

    #[test]
    fn an_unknown_preset_names_those_that_exist() {
        let error = Policy::preset("jave_5_3").unwrap_err().to_string();
        assert_eq!(error, "no preset `jave_5_3`; there are: strict, java_5_3");
    }
}

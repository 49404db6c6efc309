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
//! let mut java = Policy::java_5_3();
//! assert_eq!(java.attempts.sync, 3);
//! java.attempts.sync = 4;
//! assert_ne!(java, Policy::java_5_3());
//! ```

mod differences;
mod duration;
mod habits;
mod presets;

use serde::{Deserialize, Serialize};

#[cfg(feature = "config")]
pub(crate) use differences::{KeyError, with_differences};
pub use habits::{
    AttemptTimeout, Attempts, AutoCreate, Avoid, Checks, CompressionKind, DeadPeer, Deadline,
    DefaultRoute, Denied, Detector, Dial, Drain, Failover, Fallback, Header, Health, HedgeOver,
    HedgedAnswer, Late, Lookup, NameServers, NotSafe, OnLost, OnTimeout, Oneway, OutOfTime,
    Periods, Presence, Redial, Retarget, RetryTables, Rotation, RotationStart, RouteBounds,
    SendRequest, TimeoutScan, Unprofitable, Vip, Wire,
};

/// The names of the presets.
pub const PRESETS: [&str; 4] = ["strict", "java_5_3", "java_4_9", "go_2_1"];

/// Everything a producer decides by. Times are in whole milliseconds; a file may have them as texts with a
/// unit, too: `"200ms"`, `"5s"`, `"2min"`.
///
/// A policy begins as a preset, and a program changes what it wants otherwise:
///
/// ```
/// use rmq_producer::Policy;
///
/// let policy = Policy::strict().with(|policy| {
///     policy.compress_over = 16 * 1024;
///     policy.periods.poll = 10_000; // milliseconds
/// });
/// assert_eq!(policy.with_retries(4).attempts.sync, 5);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
// Derived as functions of this type: what is read is not the whole value, see `differences`.
#[serde(remote = "Self", deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// The preset's name, for traces and messages; it decides nothing.
    pub name: String,
    /// The whole time of a send when the call gives none. Shorten it for callers that would
    /// rather fail than wait. Read by [`timeout`](crate::decide::budget::timeout).
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub send_timeout: u64,
    /// How many attempts a send has. Read by [`attempts`](crate::decide::budget::attempts).
    pub attempts: Attempts,
    /// What the timeout is a limit of. Read by [`deadline`](crate::decide::budget::deadline).
    pub deadline: Deadline,
    /// How long an attempt may take before the next one starts. Read by
    /// [`attempt_timeout`](crate::decide::budget::attempt_timeout).
    pub attempt_timeout: AttemptTimeout,
    /// Which ends of an attempt lead to the next one. Read by
    /// [`retryable`](crate::decide::retry::retryable).
    pub retry: RetryTables,
    /// What a refusal of the client itself, not of its message, leads to. Read by
    /// [`denied`](crate::decide::retry::denied).
    pub denied: Denied,
    /// Whether a message that a broker has stored, but not flushed or replicated in time (codes
    /// 10, 11, 12), is sent again. That trades duplicates for safety. Read by
    /// [`try_for_safe`](crate::decide::retry::try_for_safe).
    pub not_safe: NotSafe,
    /// What a send whose time is over does about its next attempt. Read by
    /// [`late`](crate::decide::retry::late).
    pub out_of_time: OutOfTime,
    /// What a retry changes in the request. Read by [`target`](crate::decide::encoding::target).
    pub retarget: Retarget,
    /// Which brokers a retry avoids. Read by [`avoided`](crate::decide::select::avoided).
    pub avoid: Avoid,
    /// Who shares a rotation over the queues of a topic. Read by
    /// [`shared`](crate::decide::select::shared).
    pub rotation: Rotation,
    /// Where a rotation starts. Read by [`start`](crate::decide::select::start).
    pub rotation_start: RotationStart,
    /// Where a retry takes its queue from. Read by [`steps`](crate::decide::select::steps).
    pub failover: Failover,
    /// How brokers that were slow or failed are avoided by later sends. Read by
    /// [`rules`](crate::decide::health::rules).
    pub health: Health,
    /// When an unanswered request is noticed. Read by
    /// [`noticed`](crate::decide::budget::noticed).
    pub timeout_scan: TimeoutScan,
    /// What happens to the connection of a sync attempt that was not answered. Closing it makes
    /// every other request on it fail. Read by
    /// [`closes_connection`](crate::decide::retry::closes_connection).
    pub on_timeout: OnTimeout,
    /// What becomes of a request whose connection has ended. Read by
    /// [`waits_on`](crate::decide::retry::waits_on).
    pub on_lost: OnLost,
    /// When a one-way send is done. Read by
    /// [`waits_for_write`](crate::decide::retry::waits_for_write).
    pub oneway: Oneway,
    /// Whether a send's lookup counts against its time. Read by
    /// [`lookup_budget`](crate::decide::budget::lookup_budget).
    pub lookup: Lookup,
    /// When a connection whose peer is silent is given up for a fresh one. Read by
    /// [`patience`](crate::decide::peer::patience).
    pub dead_peer: DeadPeer,
    /// How many name servers one lookup asks. Read by
    /// [`pass`](crate::decide::name_server::pass).
    pub name_servers: NameServers,
    /// The time of one lookup, over all its name servers. Read by
    /// [`lookup_time`](crate::decide::name_server::lookup_time).
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub name_server_timeout: u64,
    /// Whether opening a connection counts against the send's time. Read by
    /// [`dial_time`](crate::decide::budget::dial_time).
    pub dial: Dial,
    /// The longest a connection may take to open. Raise it on links with round trips of seconds.
    /// Read by [`dial_time`](crate::decide::budget::dial_time).
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub dial_timeout: u64,
    /// How dials of an address are spaced that come to nothing, for all sends together. Read by
    /// [`redial`](crate::decide::peer::redial).
    pub redial: Redial,
    /// Whether an attempt that failed in a way that says "the route is old" starts a lookup. Read
    /// by [`refreshes`](crate::decide::route::refreshes).
    pub refresh_on_failure: bool,
    /// What becomes of an attempt that is not answered within its timeout. Read by
    /// [`at_attempt_timeout`](crate::decide::budget::at_attempt_timeout).
    pub hedged_answer: HedgedAnswer,
    /// The hedging budget: how many attempts at brokers that are not known to answer may hedge others
    /// before it must refill (as the retry throttling of gRPC's proposal A6). Read by
    /// [`HedgingBudget::full`](crate::decide::budget::HedgingBudget::full).
    pub hedging_tokens: u32,
    /// Tenths of a token that each send puts back. Read by
    /// [`HedgingBudget::refill`](crate::decide::budget::HedgingBudget::refill).
    pub hedging_refill_tenths: u32,
    /// Which connection an attempt takes that hedges a silent one, and so whether an attempt at the only
    /// broker of a topic can be hedged. Read by [`hedge_over`](crate::decide::budget::hedge_over).
    pub hedge_over: HedgeOver,
    /// A broker whose last so many results were prompt, by the first isolating row of the health
    /// table, is known to answer: a hedged attempt at it takes no token. 0: no broker is. Lower it and a
    /// cluster that answers now quickly, now slowly sees more copies. Read by
    /// [`known`](crate::decide::health::known).
    pub hedge_known: u32,
    /// The longest an attempt waits, in milliseconds, whose broker has just refused a connection of
    /// the same send while there is no other broker; so the attempts outlast a restart. 0: none
    /// waits. Read by [`pause`](crate::decide::budget::pause).
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub refused_spacing: u64,
    /// What a broker's announcement of its shutdown (code 1500) means. Read by
    /// [`drained`](crate::decide::retry::drained).
    pub drain: Drain,
    /// The topic whose route and queue count serve a topic that does not exist yet. Read by
    /// [`default_topic`](crate::decide::route::default_topic).
    pub default_topic: String,
    /// The most queues that a topic made on the first send gets on each broker. Read by
    /// [`default_queues`](crate::decide::route::default_queues).
    pub default_queues: i32,
    /// Which topic's route serves a topic that does not exist yet. Read by
    /// [`default_route`](crate::decide::route::default_route).
    pub default_route: DefaultRoute,
    /// On which brokers a topic that does not exist yet is made. Read by
    /// [`everywhere`](crate::decide::auto_create::everywhere).
    pub auto_create: AutoCreate,
    /// Whether the order that a route prescribes (`orderTopicConf`) is followed. Read by
    /// [`order`](crate::decide::route::order).
    pub order_conf: bool,
    /// How much a route may be. Read by [`limits`](crate::decide::route::limits).
    pub route_limits: RouteBounds,
    /// Which messages and groups are refused. Read by
    /// [`checks`](crate::decide::encoding::checks).
    pub checks: Checks,
    /// Whether sends go to the brokers' second port. Read by
    /// [`address`](crate::decide::encoding::address).
    pub vip: Vip,
    /// How requests are written and answers are read. Read by
    /// [`wire`](crate::decide::encoding::wire).
    pub wire: Wire,
    /// Bodies of at least this many bytes are compressed; 0 switches it off. Read by
    /// [`compresses`](crate::decide::encoding::compresses).
    pub compress_over: u32,
    /// How they are. Read by [`compresses`](crate::decide::encoding::compresses).
    pub compression: CompressionKind,
    /// What becomes of a body that compression does not make smaller. Read by
    /// [`pays`](crate::decide::encoding::pays).
    pub unprofitable: Unprofitable,
    /// What brokers are told of producers. Read by
    /// [`presence`](crate::decide::route::presence).
    pub presence: Presence,
    /// The periods of the background work. Read by the client's own tasks, which decide nothing.
    pub periods: Periods,
}

/// A policy with which no producer can work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum PolicyError {
    /// A value that makes no sense.
    #[error("policy `{policy}`: {field} is {value}; {remedy}")]
    Value {
        /// The name of the policy that was read.
        policy: String,
        /// The field whose value is impossible.
        field: &'static str,
        /// The value that the field has.
        value: u64,
        /// What to write instead.
        remedy: &'static str,
    },
    /// A value for which this build of the crate has no code.
    #[error(
        "policy `{policy}`: {field} is {value}, which this program was built without; \
         enable the feature `{value}` of rmq-producer"
    )]
    Feature {
        /// The name of the policy that was read.
        policy: String,
        /// The field whose value cannot be served.
        field: &'static str,
        /// The value that the field has, which is also the name of the Cargo feature.
        value: &'static str,
    },
    /// No preset has this name.
    #[error("no preset `{name}`; there are: {all}", name = .0, all = PRESETS.join(", "))]
    NoPreset(String),
}

impl Policy {
    /// The default: the Java client's names, wire format and defaults without its bugs.
    pub fn strict() -> Self {
        presets::strict::PRESET.clone()
    }

    /// What the Java client 5.3.3 does with its default settings.
    pub fn java_5_3() -> Self {
        presets::java_5_3::PRESET.clone()
    }

    /// What the Java client 4.9.8 does with its default settings.
    pub fn java_4_9() -> Self {
        presets::java_4_9::PRESET.clone()
    }

    /// What the Go client 2.1.2 does with its default settings.
    pub fn go_2_1() -> Self {
        presets::go_2_1::PRESET.clone()
    }

    /// The preset of this name.
    ///
    /// ```
    /// use rmq_producer::Policy;
    ///
    /// assert_eq!(Policy::preset("java_5_3"), Ok(Policy::java_5_3()));
    /// let unknown = Policy::preset("java").unwrap_err();
    /// assert!(unknown.to_string().contains("strict, java_5_3"));
    /// ```
    ///
    /// # Errors
    /// There is none; the error names those that exist.
    pub fn preset(name: &str) -> Result<Self, PolicyError> {
        match name {
            "strict" => Ok(Self::strict()),
            "java_5_3" => Ok(Self::java_5_3()),
            "java_4_9" => Ok(Self::java_4_9()),
            "go_2_1" => Ok(Self::go_2_1()),
            other => Err(PolicyError::NoPreset(other.to_owned())),
        }
    }

    /// The policy with so many retries of every send: one attempt and `retries` more, as many as
    /// fit into a number. A mode in which the policy makes a single attempt keeps to one, because the
    /// client that it describes has no setting for more. Builder, configuration file, scenario and
    /// simulation all mean this by "retries".
    ///
    /// ```
    /// use rmq_producer::Policy;
    ///
    /// assert_eq!(Policy::strict().with_retries(4).attempts.sync, 5);
    /// assert_eq!(Policy::go_2_1().with_retries(4).attempts.async_, 1, "Go's async sends make one");
    /// ```
    #[must_use]
    pub fn with_retries(mut self, retries: u32) -> Self {
        self.attempts = self.attempts.with_retries(retries);
        self
    }

    /// The policy after this change of its fields.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Refuses values with which no send could ever succeed or no task ever rest, and those for which
    /// the program was built without code. Clients and producers ask it when they start.
    ///
    /// ```
    /// use rmq_producer::Policy;
    ///
    /// let restless = Policy::strict().with(|policy| policy.periods.poll = 0);
    /// let error = restless.check().unwrap_err();
    /// assert_eq!(error.to_string(), "policy `strict`: periods.poll is 0; it must be at least 1");
    /// ```
    ///
    /// # Errors
    /// The first field that is not acceptable, with what to write instead.
    pub fn check(&self) -> Result<(), PolicyError> {
        let at_least_one = [
            ("send-timeout", self.send_timeout),
            ("attempts.sync", u64::from(self.attempts.sync)),
            ("attempts.async", u64::from(self.attempts.async_)),
            (
                "attempts.target-queue-sync",
                u64::from(self.attempts.target_queue_sync),
            ),
            (
                "attempts.target-queue-async",
                u64::from(self.attempts.target_queue_async),
            ),
            ("name-server-timeout", self.name_server_timeout),
            ("dial-timeout", self.dial_timeout),
            (
                "default-queues",
                u64::try_from(self.default_queues).unwrap_or(0),
            ),
            ("checks.max-body", u64::from(self.checks.max_body)),
            ("checks.max-group", u64::from(self.checks.max_group)),
            ("route-limits.bytes", u64::from(self.route_limits.bytes)),
            ("route-limits.brokers", u64::from(self.route_limits.brokers)),
            ("route-limits.queues", u64::from(self.route_limits.queues)),
            ("periods.poll", self.periods.poll),
            ("periods.heartbeat", self.periods.heartbeat),
            ("periods.heartbeat-timeout", self.periods.heartbeat_timeout),
            ("periods.idle", self.periods.idle),
            ("health.detector.period", self.health.detector.period),
            ("health.detector.timeout", self.health.detector.timeout),
        ];
        if let Some((field, value)) = at_least_one.iter().find(|(_, value)| *value == 0) {
            return Err(PolicyError::Value {
                policy: self.name.clone(),
                field,
                value: *value,
                remedy: "it must be at least 1",
            });
        }
        match self.compression.missing_feature() {
            Some(feature) if self.compress_over > 0 => Err(PolicyError::Feature {
                policy: self.name.clone(),
                field: "compression",
                value: feature,
            }),
            _ => Ok(()),
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
    fn the_presets_are_policies_that_go_by_their_names() {
        for name in PRESETS {
            let preset = Policy::preset(name).unwrap();
            assert_eq!(preset.name, name);
            assert_eq!(preset.check(), Ok(()));
        }
    }

    #[test]
    fn a_codec_without_its_feature_is_refused_unless_nothing_is_compressed() {
        for (kind, feature, built) in [
            (CompressionKind::Zlib, "", true),
            (CompressionKind::Lz4, "lz4", cfg!(feature = "lz4")),
            (CompressionKind::Zstd, "zstd", cfg!(feature = "zstd")),
        ] {
            let policy = Policy::strict().with(|policy| policy.compression = kind);
            match policy.check() {
                Ok(()) => assert!(built),
                Err(error) => {
                    assert!(!built, "{error}");
                    assert!(
                        error
                            .to_string()
                            .contains(&format!("the feature `{feature}`"))
                    );
                }
            }
            let plain = policy.with(|policy| policy.compress_over = 0);
            assert_eq!(plain.check(), Ok(()));
        }
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
    fn retries_are_attempts_beyond_the_first_where_a_preset_makes_any() {
        let attempts = |policy: Policy, retries| {
            let of = policy.with_retries(retries).attempts;
            [
                of.sync,
                of.async_,
                of.target_queue_sync,
                of.target_queue_async,
            ]
        };
        assert_eq!(attempts(Policy::strict(), 4), [5, 5, 5, 5]);
        assert_eq!(attempts(Policy::java_5_3(), 4), [5, 5, 1, 5]);
        assert_eq!(attempts(Policy::go_2_1(), 4), [5, 1, 5, 1]);
        assert_eq!(attempts(Policy::java_4_9(), 0), [1, 1, 1, 1]);
        assert_eq!(
            attempts(Policy::go_2_1(), u32::MAX),
            [u32::MAX, 1, u32::MAX, 1]
        );
    }

    #[test]
    fn an_unknown_preset_names_those_that_exist() {
        let error = Policy::preset("jave_5_3").unwrap_err().to_string();
        assert_eq!(
            error,
            "no preset `jave_5_3`; there are: strict, java_5_3, java_4_9, go_2_1"
        );
    }
}

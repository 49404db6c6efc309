//! What becomes of connections: when they are dialled, doubted and given up.

use serde::{Deserialize, Serialize};

/// Whether sends go to the second port of a broker, two below the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Vip {
    /// Whether sends go to the second port.
    pub enabled: bool,
    /// Whether retries of async sends do, too. Java's go to the first port.
    pub async_retries: bool,
}

/// When an unanswered async request is noticed. Sync callers always have a clock of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum TimeoutScan {
    /// In the millisecond of its deadline.
    Exact,
    /// By a scan of the table of requests.
    #[serde(rename_all = "kebab-case")]
    Every {
        /// The time between two scans.
        #[serde(deserialize_with = "crate::policy::duration::ms")]
        period: u64,
        /// The first scan after the start.
        #[serde(deserialize_with = "crate::policy::duration::ms")]
        first: u64,
        /// What a request gets beyond its deadline.
        #[serde(deserialize_with = "crate::policy::duration::ms")]
        grace: u64,
    },
}

/// What happens to the connection of a sync attempt that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
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
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
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
        #[serde(deserialize_with = "crate::policy::duration::ms")]
        silent: u64,
    },
}

/// Whether opening a connection counts against the send's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
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
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Redial {
    /// The pause before the third dial in a row; it doubles with each one that follows. 0: there is
    /// none.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub first: u64,
    /// The longest pause before an address is dialled again, in milliseconds.
    #[serde(deserialize_with = "crate::policy::duration::ms")]
    pub most: u64,
}

/// What a broker's announcement of its shutdown means for the attempt that got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
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
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
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

//! The script of a mock: which requests are answered differently, and how.
//!
//! The contract: for every request a server reads, in the order of arrival, it asks its [`Control`]
//! once, before anything is checked or changed. `None` is ordinary service. An action says what
//! happens to this request only; the next one is asked for again. What was stored or registered
//! before an action took effect stays. Every decision is an event of the server with the rule's
//! name, so that a trace says why.
//!
//! [`RuleBook`] is the ready implementation for rules written by hand or read from a file. A server
//! may have alterations of its own beside the actions that every server knows: the parameter `A` of
//! [`Action`] stands for them.

mod action;
mod rule_book;
mod steps;
mod written;

use std::fmt;
use std::net::SocketAddr;

use rmq_remoting::command::Command;
use rmq_remoting::observe::Name;

pub use action::{Action, NoAlteration};
pub use rule_book::{Match, Rule, RuleBook, RuleId};
pub use steps::{Exit, Handling, Steps};
pub use written::RulesError;

/// What can be seen of a request when a decision about it is due.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The code of the request.
    pub code: i32,
    /// The request as it was read.
    pub request: &'a Command,
    /// Whether the client wants no answer.
    pub oneway: bool,
    /// The address of the client's end.
    pub peer: SocketAddr,
    /// The topic, if the request names one.
    pub topic: Option<&'a Name>,
    /// The queue id of a send.
    pub queue: Option<i32>,
    /// The unique key (`UNIQ_KEY`) of a send.
    pub unique_key: Option<&'a Name>,
    /// The sender's own `KEYS` of a send.
    pub keys: Option<&'a Name>,
    /// How many requests with this code this server process has read, this one included.
    pub nth: u64,
    /// How many sends with this unique key this server process has read, this one included; 0
    /// without a key, and for what is no send.
    pub nth_of_key: u32,
}

/// A decision to act, and the rule it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruled<A = NoAlteration> {
    /// The rule's name, for the trace.
    pub rule: Name,
    /// What happens to the request.
    pub action: Action<A>,
}

/// Decides about requests. Called inline, so it must be quick and must not block.
///
/// A rule that no [`Match`] can say is a type of its own.
///
/// ```
/// use rmq_mock_server::rules::{Action, Control, NoAlteration, Ruled, Seen};
///
/// /// Refuses whatever has a body longer than a kilobyte.
/// #[derive(Debug)]
/// struct Small;
///
/// impl Control for Small {
///     fn decide(&self, seen: &Seen<'_>) -> Option<Ruled> {
///         let refused = || Ruled { rule: "small".into(), action: Action::answer(13, "too long") };
///         (seen.request.body.len() > 1024).then(refused)
///     }
/// }
/// ```
pub trait Control<A = NoAlteration>: fmt::Debug + Send + Sync + 'static {
    /// What happens to this request; `None` for ordinary service.
    fn decide(&self, seen: &Seen<'_>) -> Option<Ruled<A>>;
}

/// Ordinary service for every request.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoControl;

impl<A> Control<A> for NoControl {
    fn decide(&self, _seen: &Seen<'_>) -> Option<Ruled<A>> {
        None
    }
}

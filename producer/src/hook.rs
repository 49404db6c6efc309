//! What a program does at each attempt of its sends: forbid it, trace it, count it.
//!
//! Hooks are called within the send, in the order in which they were added. None of them can end a
//! send in another way than by a veto: one that panics is told to the log, and a
//! [`ForbiddenHook`] that panics forbids. (Java swallows what a send hook throws, too.) Hooks for
//! every request, lookups and heartbeats included, are [`RpcHook`]s of the client.
//!
//! What a veto means is the policy's: with `strict` the send goes on with its next attempt, which
//! may be at a broker that the hook does not mind; with `java_5_3` and `java_4_9` a sync send does
//! so, and an async one ends.
//!
//! [`RpcHook`]: rmq_remoting::client::RpcHook

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rmq_remoting::client::{ExtraFields, HookError, RpcHook};
use rmq_remoting::header::Request;
use rmq_remoting::observe::Name;

use crate::error::{Attempt, Cause};
use crate::event::{Mode, QueueRef};
use crate::message::Message;
use crate::sent::Sent;

/// One attempt, as hooks see it.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct SendContext<'a> {
    /// The group of the producer that sends.
    pub group: &'a Name,
    /// The message: its topic, properties and body as the program gave them.
    pub message: &'a Message,
    /// The message's unique key.
    pub message_id: &'a Name,
    /// How it is sent.
    pub mode: Mode,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// The broker and queue that the attempt goes to.
    pub to: &'a QueueRef,
    /// The broker's address, if a route names one.
    pub address: Option<&'a Name>,
    /// The name servers of the client, for hooks that serve several clusters.
    pub name_servers: &'a [Name],
}

/// How an attempt ended, as hooks see it.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum AttemptEnd<'a> {
    /// The broker has stored the message.
    Stored(&'a Sent),
    /// A one-way request was given to the broker's connection.
    Written,
    /// The attempt failed, as its report says.
    Failed(&'a Attempt),
}

/// Sees every message before it is checked and encoded, and may add properties to it: the context of a
/// trace (`traceparent`), the name of a tenant.
///
/// It is called once for each send, however many attempts that makes, within the span of the send
/// (`rmq.send`): `tracing::Span::current()` is that span. `examples/traceparent.rs` shows the way of a trace
/// into the message.
///
/// ```
/// use rmq_producer::{Message, MessageHook};
///
/// #[derive(Debug)]
/// struct Tenant(String);
///
/// impl MessageHook for Tenant {
///     fn before(&self, message: &mut Message) {
///         if message.set_property("tenant", &self.0).is_err() {
///             tracing::warn!(tenant = self.0, "this name cannot travel with a message");
///         }
///     }
/// }
/// ```
pub trait MessageHook: fmt::Debug + Send + Sync {
    /// Is called before the message is checked and encoded. A hook that panics is told to the log, and
    /// the message is sent as it was left.
    fn before(&self, message: &mut Message);
}

/// May forbid single attempts.
///
/// ```
/// use rmq_producer::{ForbiddenHook, SendContext};
///
/// /// Keeps sends away from a broker that is being moved.
/// #[derive(Debug)]
/// struct Moving(&'static str);
///
/// impl ForbiddenHook for Moving {
///     fn check(&self, context: &SendContext<'_>) -> Result<(), String> {
///         match &*context.to.broker == self.0 {
///             true => Err(format!("{} is being moved", self.0)),
///             false => Ok(()),
///         }
///     }
/// }
/// ```
pub trait ForbiddenHook: fmt::Debug + Send + Sync {
    /// An attempt is about to start.
    ///
    /// # Errors
    /// It must not; the text tells the program why. Nothing is sent, and no [`SendHook`] hears of
    /// the attempt.
    fn check(&self, context: &SendContext<'_>) -> Result<(), String>;
}

/// Sees attempts begin and end. Every attempt that began ends once, also if another attempt of its
/// send was quicker; unless the caller drops the send's future.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use rmq_producer::{AttemptEnd, SendContext, SendHook};
///
/// /// Counts the attempts that a retry had to follow.
/// #[derive(Debug, Default)]
/// struct Failures(AtomicU64);
///
/// impl SendHook for Failures {
///     fn before(&self, _context: &SendContext<'_>) {}
///
///     fn after(&self, context: &SendContext<'_>, end: AttemptEnd<'_>) {
///         if let AttemptEnd::Failed(attempt) = end {
///             self.0.fetch_add(1, Ordering::Relaxed);
///             tracing::info!(topic = context.message.topic(), %attempt);
///         }
///     }
/// }
/// ```
pub trait SendHook: fmt::Debug + Send + Sync {
    /// Is called before the request of an attempt is written.
    fn before(&self, context: &SendContext<'_>);

    /// Is called when the attempt has ended.
    fn after(&self, context: &SendContext<'_>, end: AttemptEnd<'_>);
}

/// Says in every request to which namespace of the second kind it belongs.
#[derive(Debug)]
pub(crate) struct NamespaceHook(pub(crate) String);

impl RpcHook for NamespaceHook {
    fn before(
        &self,
        _to: &Name,
        _request: &dyn Request,
        fields: &mut ExtraFields,
    ) -> Result<(), HookError> {
        fields.push("nsd", "true");
        fields.push("ns", self.0.as_str());
        Ok(())
    }
}

/// The hooks of a producer.
#[derive(Debug, Default, Clone)]
pub(crate) struct Hooks {
    pub(crate) message: Vec<Arc<dyn MessageHook>>,
    pub(crate) forbidden: Vec<Arc<dyn ForbiddenHook>>,
    pub(crate) send: Vec<Arc<dyn SendHook>>,
}

impl Hooks {
    /// Whether nobody wants to know of attempts.
    pub(crate) fn are_none(&self) -> bool {
        self.forbidden.is_empty() && self.send.is_empty()
    }

    /// Lets the hooks add to a message.
    pub(crate) fn prepare(&self, message: &mut Message) {
        for hook in &self.message {
            if catch_unwind(AssertUnwindSafe(|| hook.before(message))).is_err() {
                tracing::error!(target: "rmq::send", ?hook, "a message hook panicked");
            }
        }
    }

    /// Asks whether the attempt may start, and tells that it does.
    pub(crate) fn start(&self, context: &SendContext<'_>) -> Result<(), Cause> {
        for hook in &self.forbidden {
            let checked = catch_unwind(AssertUnwindSafe(|| hook.check(context)));
            let checked = checked.unwrap_or_else(|_| Err(format!("{hook:?} panicked")));
            checked.map_err(|reason| Cause::Vetoed { reason })?;
        }
        for hook in &self.send {
            guarded(hook, || hook.before(context));
        }
        Ok(())
    }

    /// Tells that an attempt that started has ended.
    pub(crate) fn end(&self, context: &SendContext<'_>, end: AttemptEnd<'_>) {
        for hook in &self.send {
            guarded(hook, || hook.after(context, end));
        }
    }
}

fn guarded(hook: &Arc<dyn SendHook>, call: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(call)).is_err() {
        tracing::error!(target: "rmq::send", ?hook, "a send hook panicked");
    }
}

//! Calls the program's hooks with what they see of an attempt.

use rmq_remoting::observe::Name;

use super::operation::SendOperation;
use crate::decide::encoding::EncodedMessage;
use crate::error::{Attempt, Cause};
use crate::event::{QueueRef, Stage};
use crate::hook::{AttemptEnd, Hooks, SendContext};

/// An attempt's number, target and address.
pub(crate) type Which<'a> = (u32, &'a QueueRef, Option<&'a Name>);

/// Calls the hooks with what they see of an attempt; does nothing if there are none.
fn with_hooks<R>(
    send: &SendOperation,
    encoded: &EncodedMessage,
    (attempt, to, address): Which<'_>,
    call: impl FnOnce(&Hooks, &SendContext<'_>) -> R,
) -> Option<R> {
    let core = &send.core;
    if core.hooks.are_none() {
        return None;
    }
    let name_servers = core.client.name_servers.servers();
    let context = SendContext {
        group: &core.identity.group,
        message: &send.call.message,
        message_id: &encoded.unique_key,
        mode: send.call.mode,
        attempt,
        to,
        address,
        name_servers: &name_servers,
    };
    Some(call(&core.hooks, &context))
}

/// Tells the hooks that an attempt starts, and why it must not, if one says so.
pub(crate) fn forbid(
    send: &SendOperation,
    encoded: &EncodedMessage,
    attempt: Which<'_>,
) -> Option<Cause> {
    let started = with_hooks(send, encoded, attempt, Hooks::start)?;
    started.err()
}

/// Tells the hooks how an attempt that started has ended.
pub(crate) fn hear(
    send: &SendOperation,
    encoded: &EncodedMessage,
    which: Which<'_>,
    end: AttemptEnd<'_>,
) {
    with_hooks(send, encoded, which, |hooks, context| {
        hooks.end(context, end);
    });
}

/// Tells the hooks that an attempt has failed. Of one they have forbidden they know.
pub(crate) fn hear_failure(send: &SendOperation, encoded: &EncodedMessage, attempt: &Attempt) {
    if attempt.stage != Stage::Vetoed {
        let which = (attempt.number, &attempt.to, attempt.address.as_ref());
        hear(send, encoded, which, AttemptEnd::Failed(attempt));
    }
}

//! One-way sends: one attempt, chosen while its caller is still there, written later.
//!
//! No answer is awaited, so there is nothing to retry and nothing to hedge: a send that could not
//! be written in time has failed.

use std::sync::Arc;
use std::time::Duration;

use rmq_remoting::observe::Name;
use tokio::time::{Instant, timeout_at};

use super::attempt as request;
use super::feedback::{note_health, refresh};
use super::hooks;
use super::limits::millis;
use super::operation::SendOperation;
use super::prepare::Prepared;
use super::rotation::Step;
use super::target::choose;
use crate::decide::retry::{self, Ended};
use crate::decide::{budget, encoding};
use crate::error::{Attempt, Cause, SendError};
use crate::event::{Event, Failure, Outcome, QueueRef, Stage};
use crate::hook::AttemptEnd;
use crate::log;
use crate::policy::Late;

/// Runs a one-way send: one attempt, done when its request is in a connection's buffer, or, if the
/// policy has it so, when it is known where it goes.
pub(crate) async fn write(mut send: SendOperation) -> Result<(), SendError> {
    let prepared = match send.prepare().await {
        Ok(prepared) => prepared,
        Err(error) => return Err(send.fail(error)),
    };
    if is_late(&send) {
        // Its route has taken all the time there was.
        let error = send.error(Failure::Deadline);
        return Err(send.fail(error));
    }
    let Some(to) = destination(&send, &prepared) else {
        let error = send.error(Failure::NoRoute);
        return Err(send.fail(error));
    };
    if retry::waits_for_write(&send.core.policy) || to.address.is_none() || to.refusal.is_some() {
        return write_out(send, prepared, to).await;
    }
    let core = Arc::clone(&send.core);
    let write = async move {
        // Nobody waits for what becomes of it; the events tell.
        let _ = write_out(send, prepared, to).await;
    };
    let host = &core.client.host;
    core.async_sends.spawn(host, "oneway-send", Box::pin(write));
    Ok(())
}

/// Whether no time is left for an attempt, and the policy makes none then.
fn is_late(send: &SendOperation) -> bool {
    let stops = retry::late(&send.core.policy, send.call.mode) == Late::Stop;
    stops && send.left() < budget::LEAST
}

async fn write_out(
    mut send: SendOperation,
    prepared: Prepared,
    to: Destination,
) -> Result<(), SendError> {
    if is_late(&send) {
        // The machine was too busy to come to this task in time. A hook has heard the beginning of the attempt.
        let attempt = Attempt {
            number: 1,
            to: to.to,
            address: to.address,
            stage: Stage::Silent,
            code: None,
            after: Duration::ZERO,
            cause: Cause::Silent,
        };
        hooks::hear_failure(&send, &prepared.outgoing.encoded, &attempt);
        let error = send.error(Failure::Deadline);
        return Err(send.fail(error));
    }
    match attempt(&send, prepared, to).await {
        Ok(()) => {
            send.end(Outcome::Written);
            Ok(())
        }
        Err(error) => Err(send.fail(error)),
    }
}

/// Where a one-way send goes.
struct Destination {
    to: QueueRef,
    address: Option<Name>,
    /// Why it must not go there.
    refusal: Option<Cause>,
}

/// Chooses where a one-way send goes; nothing if the route has no queue.
fn destination(send: &SendOperation, prepared: &Prepared) -> Option<Destination> {
    let to = choose(send, &prepared.snapshot, &[], Step::Take)?;
    let (topic, route) = (send.call.message.topic_name(), &prepared.snapshot);
    send.core.client.routes.tried(topic, route, &to.broker);
    let master = prepared.snapshot.master(&to.broker);
    let policy = &send.core.policy;
    let address = master.map(|master| encoding::address(policy, send.call.mode, 1, master));
    let refusal = hooks::forbid(send, &prepared.outgoing.encoded, (1, &to, address.as_ref()));
    Some(Destination {
        to,
        address,
        refusal,
    })
}

/// The one attempt of a one-way send.
async fn attempt(
    send: &SendOperation,
    prepared: Prepared,
    to: Destination,
) -> Result<(), SendError> {
    let Prepared { outgoing, snapshot } = prepared;
    let encoded = &outgoing.encoded;
    let Destination {
        to,
        address,
        refusal,
    } = to;
    let began = Instant::now();
    let left = send.left();
    send.emit(Event::Attempt {
        send: send.number,
        number: 1,
        snapshot: snapshot.number,
        to: to.clone(),
        address: address.clone(),
        timeout_ms: left.max(budget::LEAST),
        avoided: Vec::new(),
    });
    let written = async {
        match refusal {
            None => request::write(send, encoded, &to, address.as_ref()).await,
            Some(cause) => Err((Stage::Vetoed, cause)),
        }
    };
    let (failure, stage, cause) = tokio::select! {
        biased;
        written = timeout_at(send.deadline, written) => match written {
            Ok(Ok(())) => {
                let which = (1, &to, address.as_ref());
                hooks::hear(send, encoded, which, AttemptEnd::Written);
                return Ok(());
            }
            Ok(Err((stage, cause))) => (Failure::Attempts(stage), stage, cause),
            Err(_) => (Failure::Deadline, Stage::Silent, Cause::Silent),
        },
        () = send.core.life.closed() => (Failure::Closed, Stage::Superseded, Cause::Superseded),
    };
    let took = began.elapsed();
    send.emit(Event::AttemptEnded {
        send: send.number,
        number: 1,
        stage,
        code: None,
        after_ms: millis(took),
    });
    let ended = Ended { stage, code: None };
    refresh(send, ended);
    note_health(send, &to.broker, ended, millis(took));
    let attempt = Attempt {
        number: 1,
        to,
        address,
        stage,
        code: None,
        after: took,
        cause,
    };
    log::attempt_failed(&attempt);
    hooks::hear_failure(send, encoded, &attempt);
    let error = send.error(failure);
    Err(error.of_message(&encoded.unique_key, vec![attempt]))
}

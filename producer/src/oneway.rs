//! The one attempt of a one-way send: chosen while its caller is still there, written later.
//!
//! No answer is awaited, so there is nothing to retry and nothing to overtake: a send that could not
//! be written in time has failed.

use rmq_remoting::observe::Name;
use tokio::time::{Instant, timeout_at};

use crate::attempt;
use crate::decide::retry::Ended;
use crate::decide::{budget, envelope};
use crate::error::{Attempt, Cause, SendError};
use crate::event::{Event, Failure, QueueRef, Stage};
use crate::feedback::{note_health, refresh};
use crate::hook::{self, AttemptEnd};
use crate::rotation::Step;
use crate::send::{Prepared, Send, millis};
use crate::target::choose;

/// Where a one-way send goes.
pub(crate) struct Aim {
    to: QueueRef,
    pub(crate) address: Option<Name>,
    /// Why it must not go there.
    pub(crate) refusal: Option<Cause>,
}

/// Chooses where a one-way send goes; nothing if the route has no queue.
pub(crate) fn aim(send: &Send, prepared: &Prepared) -> Option<Aim> {
    let to = choose(send, &prepared.snapshot, &[], Step::Take)?;
    let (topic, route) = (send.call.message.topic(), &prepared.snapshot);
    send.core.client.routes.tried(topic, route, &to.broker);
    let master = prepared.snapshot.master(&to.broker);
    let policy = &send.core.policy;
    let address = master.map(|master| envelope::address(policy, send.call.mode, 1, master));
    let refusal = hook::forbid(send, &prepared.envelope, (1, &to, address.as_ref()));
    Some(Aim {
        to,
        address,
        refusal,
    })
}

/// The one attempt of a one-way send.
pub(crate) async fn write(send: &Send, prepared: Prepared, aim: Aim) -> Result<(), SendError> {
    let Prepared { envelope, snapshot } = prepared;
    let Aim {
        to,
        address,
        refusal,
    } = aim;
    let began = Instant::now();
    let left = send.left();
    send.emit(Event::Attempt {
        send: send.number,
        number: 1,
        snapshot: snapshot.number,
        to: to.clone(),
        address: address.clone(),
        budget_ms: left.max(budget::LEAST),
        avoided: Vec::new(),
    });
    let written = async {
        match refusal {
            None => attempt::write(send, &envelope, &to, address.as_ref()).await,
            Some(cause) => Err((Stage::Vetoed, cause)),
        }
    };
    let (failure, stage, cause) = tokio::select! {
        biased;
        written = timeout_at(send.deadline, written) => match written {
            Ok(Ok(())) => {
                let which = (1, &to, address.as_ref());
                hook::hear(send, &envelope, which, AttemptEnd::Written);
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
    hook::hear_failure(send, &envelope, &attempt);
    let error = send.error(failure);
    Err(error.of_message(&envelope.key, vec![attempt]))
}

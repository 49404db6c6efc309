//! Async sends: each runs in a task of the producer's and calls back exactly once.
//!
//! Whatever ends the task, the caller hears of it: the callback is owed from the call on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rmq_remoting::observe::Name;
use tokio::time::Instant;

use super::attempts::stored;
use super::operation::{Call, SendOperation, ended_from_outside};
use super::permits::Permit;
use super::state::ProducerCore;
use crate::error::{Full, SendError};
use crate::event::{Event, Failure, SendNumber};
use crate::sent::Sent;

/// What an async send calls back.
pub(crate) type Callback = Box<dyn FnOnce(Result<Sent, SendError>) + Send>;

/// Starts an async send in a task of the producer's.
pub(crate) fn start(core: &Arc<ProducerCore>, call: Call, callback: Callback) {
    let mut send = SendOperation::open(core, call);
    let mut owed = Owed {
        core: Arc::clone(core),
        number: send.number,
        topic: core.identity.unwrapped(send.call.message.topic()),
        began: send.began,
        running: send.running,
        callback: Some(callback),
        permit: Permit::default(),
    };
    // Who finds room has it by the order of the calls, not by that in which tasks start.
    let admission = core.permits.at_once(send.call.message.body().len());
    let run = async move {
        let outcome = match admitted(&mut send, admission).await {
            Ok(permit) => {
                owed.permit = permit;
                stored(send).await
            }
            Err(error) => Err(error),
        };
        owed.pay(outcome);
    };
    let host = &core.client.host;
    core.async_sends.spawn(host, "async-send", Box::pin(run));
}

/// Waits for the permit of an async send that did not get one at once.
async fn admitted(
    send: &mut SendOperation,
    at_once: Result<Permit, Full>,
) -> Result<Permit, SendError> {
    if let Ok(permit) = at_once {
        return Ok(permit);
    }
    let core = &send.core;
    let len = send.call.message.body().len();
    let admitted = tokio::select! {
        biased;
        admitted = core.permits.acquire(len, send.deadline) => admitted,
        () = core.life.closed() => {
            let error = send.error(Failure::Closed);
            return Err(send.fail(error));
        }
    };
    admitted.map_err(|full| {
        let error = send.error(Failure::BackPressure).because(full);
        send.fail(error)
    })
}

/// The callback that an async send owes its caller, and the permit until it has returned.
struct Owed {
    core: Arc<ProducerCore>,
    number: SendNumber,
    topic: Name,
    began: Instant,
    /// Whether the producer was running when it was called.
    running: bool,
    callback: Option<Callback>,
    permit: Permit,
}

impl Owed {
    fn pay(&mut self, outcome: Result<Sent, SendError>) {
        let Some(callback) = self.callback.take() else {
            return;
        };
        // What a caller's code does to itself must not reach other sends.
        let called = catch_unwind(AssertUnwindSafe(|| callback(outcome)));
        if called.is_err() {
            tracing::error!(send = self.number.get(), "the callback of a send panicked");
        }
        self.permit = Permit::default();
        self.core.client.emit(Event::Callback { send: self.number });
    }
}

impl Drop for Owed {
    /// The send's task was ended from outside, by the producer's end or by that of the runtime: the
    /// caller hears of it. If the machine under the program went away, nobody is there to hear.
    fn drop(&mut self) {
        if self.callback.is_some() && self.core.client.host.is_running() {
            let failure = ended_from_outside(self.running);
            let error = SendError::new(failure, &self.topic, self.began.elapsed());
            self.pay(Err(error));
        }
    }
}

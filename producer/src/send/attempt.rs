//! One attempt on the wire: one request to one broker, until its answer or its limit.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use rmq_remoting::client::{CallError, Over};
use rmq_remoting::command::Command;
use rmq_remoting::event::ConnectionNumber;
use rmq_remoting::observe::Name;
use tokio::time::{Duration, Instant};

use super::answer::{self, Report};
use super::feedback;
use super::limits::Limits;
use super::operation::SendOperation;
use super::prepare::Outgoing;
use super::state::ProducerCore;
use crate::decide::encoding::{self, EncodedMessage};
use crate::decide::retry;
use crate::error::Cause;
use crate::event::{Event, Mode, QueueRef, SendNumber, Stage};
use crate::policy::Drain;

/// The request of one attempt and its answer.
pub(crate) struct Exchange {
    pub(crate) core: Arc<ProducerCore>,
    pub(crate) send: SendNumber,
    pub(crate) number: u32,
    pub(crate) outgoing: Arc<Outgoing>,
    /// The queue and broker that the request names.
    pub(crate) target_queue: QueueRef,
    pub(crate) address: Option<Name>,
    /// The connection it takes.
    pub(crate) over: Over,
    /// Until when its parts may take.
    pub(crate) limits: Limits,
    pub(crate) mode: Mode,
    /// The broker that is asked, whichever the request names.
    pub(crate) broker: Name,
}

/// An exchange under way.
pub(crate) type Running = Pin<Box<dyn Future<Output = Report> + Send>>;

impl Exchange {
    /// Runs it; or, if a hook forbids it, is its end.
    pub(crate) fn unless(self, refusal: Option<Cause>) -> Running {
        match refusal {
            None => Box::pin(self.run()),
            Some(cause) => Box::pin(ready(Report::failed(Stage::Vetoed, cause))),
        }
    }

    async fn run(self) -> Report {
        let Some(address) = &self.address else {
            return Report::failed(Stage::Address, Cause::NoAddress);
        };
        match self.ask(address).await {
            Ok(reply) => answer::understand(&self.core.policy, &reply),
            Err(error) => {
                let stage = answer::stage(&self.core.policy, &error);
                Report::failed(stage, Cause::Call(Arc::new(error)))
            }
        }
    }

    async fn ask(&self, address: &Name) -> Result<Command, CallError> {
        let core = &self.core;
        if self.limits.dial > self.limits.write {
            let dialled = core.client.remoting.connect(address, self.limits.dial);
            dialled.await?;
            if Instant::now() >= self.limits.write {
                // Without time left nothing is written.
                return Err(CallError::TimedOut {
                    to: Name::clone(address),
                    after: Duration::ZERO,
                });
            }
        }
        let (connection, reply) = self.once(address, self.over).await?;
        if reply.code != retry::GO_AWAY {
            return Ok(reply);
        }
        let remoting = &core.client.remoting;
        let drain = |connection: Option<ConnectionNumber>| {
            connection.is_some_and(|number| remoting.drain(address, number))
        };
        let closes = match retry::drain(&core.policy) {
            Drain::ByCode | Drain::Retry => return Ok(reply),
            Drain::ResendFirst if !drain(connection) => return Ok(reply),
            Drain::ResendFirst => false,
            Drain::Resend => {
                drain(connection);
                remoting.close_drained();
                true
            }
        };
        core.client.emit(Event::Resend {
            send: self.send,
            number: self.number,
        });
        let (connection, reply) = self.once(address, Over::First).await?;
        if closes && reply.code == retry::GO_AWAY {
            // The connection that it was sent over again ends as well: the next request dials.
            drain(connection);
            remoting.close_drained();
        }
        Ok(reply)
    }

    /// Makes the request and awaits its answer; with the connection it was made on.
    async fn once(
        &self,
        address: &Name,
        over: Over,
    ) -> Result<(Option<ConnectionNumber>, Command), CallError> {
        let core = &self.core;
        let client = &core.client;
        let encoded = &self.outgoing.encoded;
        let request = encoding::request(&core.policy, &core.identity, encoded, &self.target_queue);
        let (began, until) = (Instant::now(), self.limits.answer);
        let mut made_on = None;
        let given = |connection, opaque| {
            made_on = Some(connection);
            self.outgoing.note(self.number, connection, Instant::now());
            client.emit(Event::Requested {
                send: self.send,
                number: self.number,
                connection,
                opaque,
            });
            feedback::dispatched(core, self.mode, &self.broker);
        };
        let remoting = &client.remoting;
        let answer = remoting.exchange(over, address, request.request(), until, given);
        let answer = answer.await;
        let reply = if made_on.is_some() {
            client.settle(address, answer, began, until).await?
        } else {
            answer?
        };
        Ok((made_on, reply))
    }
}

/// Gives a one-way request to a connection.
pub(crate) async fn write(
    send: &SendOperation,
    encoded: &EncodedMessage,
    to: &QueueRef,
    address: Option<&Name>,
) -> Result<(), (Stage, Cause)> {
    let Some(address) = address else {
        return Err((Stage::Address, Cause::NoAddress));
    };
    let core = &send.core;
    let request = encoding::request(&core.policy, &core.identity, encoded, to);
    let says_so = encoding::wire(&core.policy).oneway_flag;
    let remoting = &core.client.remoting;
    let written = remoting.oneway(address, request.request(), says_so, send.deadline);
    let handed = written.await.map_err(|error| {
        (
            answer::stage(&core.policy, &error),
            Cause::Call(Arc::new(error)),
        )
    })?;
    send.emit(Event::Requested {
        send: send.number,
        number: 1,
        connection: handed.connection,
        opaque: handed.opaque,
    });
    feedback::dispatched(core, send.call.mode, &to.broker);
    Ok(())
}

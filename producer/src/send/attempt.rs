//! One attempt: one request to one broker, and what its answer means.

use std::borrow::Cow;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use rmq_remoting::client::{CallError, CallStage, Over};
use rmq_remoting::command::Command;
use rmq_remoting::event::ConnectionNumber;
use rmq_remoting::header::HeaderError;
use rmq_remoting::observe::Name;
use rmq_remoting::request::SendMessageResponse;
use rmq_remoting::text;
use tokio::time::{Duration, Instant};

use crate::decide::Millis;
use crate::decide::budget::{self, AtShareEnd, Silent};
use crate::decide::encoding::{self, Envelope, Sender};
use crate::decide::health;
use crate::decide::retry::{self, Ended};
use crate::error::{Attempt, Cause};
use crate::event::{Event, Mode, QueueRef, SendNumber, Stage};
use crate::policy::{Drain, Policy};
use crate::producer::ProducerCore;
use crate::send::{Send, millis};
use crate::sent::{MessageQueue, SendStatus, Sent};

/// The region of a broker that names none.
const DEFAULT_REGION: &str = "DefaultRegion";

/// The connection to which an attempt gave its request, and when; nothing before.
pub(crate) type MadeOn = Arc<Mutex<Option<(ConnectionNumber, Instant)>>>;

/// What an attempt follows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin {
    /// The program's call.
    Call,
    /// The failure of another attempt.
    Failure,
    /// The silence of another attempt.
    Overtaking {
        /// When that one began, if a connection that was not heard since is not trusted.
        since: Option<Instant>,
        /// Whether it took a token.
        for_token: bool,
    },
}

impl Origin {
    /// The connection that the attempt takes.
    pub(crate) fn over(self) -> Over {
        match self {
            Self::Overtaking {
                since: Some(since), ..
            } => Over::HeardSince(since),
            Self::Call | Self::Failure | Self::Overtaking { .. } => Over::First,
        }
    }
}

/// An attempt that has not ended.
pub(crate) struct Open {
    pub(crate) number: u32,
    pub(crate) to: QueueRef,
    pub(crate) address: Option<Name>,
    pub(crate) began: Instant,
    pub(crate) made_on: MadeOn,
    pub(crate) share: Millis,
    /// When it may be overtaken, if ever.
    pub(crate) share_end: Option<Instant>,
    /// Whether its share was used up before it was answered.
    pub(crate) silent: bool,
    pub(crate) overtaken: bool,
    /// Whether a token was taken to start it.
    pub(crate) for_token: bool,
    pub(crate) exchange: Running,
}

impl Open {
    /// The attempt as the send's error lists it.
    pub(crate) fn end(self, ended: Ended, took: Duration, cause: Cause) -> Attempt {
        Attempt {
            number: self.number,
            to: self.to,
            address: self.address,
            stage: ended.stage,
            code: ended.code,
            after: took,
            cause,
        }
    }
}

/// When an attempt ends by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    /// When it may be overtaken, if it can be.
    pub(crate) share_end: Option<Instant>,
    /// Until when its connection may be opened.
    dial: Instant,
    /// Until when its request may be written.
    due: Instant,
    /// Until when its answer counts.
    answer: Instant,
}

impl Time {
    /// When it has ended at the latest.
    pub(crate) fn latest(&self) -> Instant {
        self.answer.max(self.dial)
    }
}

/// The times of an attempt that starts now with this share.
pub(crate) fn time(send: &Send, share: Millis) -> Time {
    let policy = &send.core.policy;
    let mode = send.call.mode;
    let now = Instant::now();
    let share_end = now + Duration::from_millis(share);
    let gives_up = budget::at_share_end(policy, Silent::default()) == AtShareEnd::GiveUp;
    let due = if gives_up {
        share_end.min(send.deadline)
    } else {
        send.deadline
    };
    let born = send.core.client.started;
    let due_ms = millis(due.saturating_duration_since(born));
    let late = if due <= now {
        0 // there was no time to begin with
    } else {
        budget::noticed(policy, mode, due_ms).saturating_sub(due_ms)
    };
    let answer = due + Duration::from_millis(late);
    let longer = budget::dial_time(policy, share).saturating_sub(share);
    let dial = answer.max(now + Duration::from_millis(share + longer));
    Time {
        share_end: (!gives_up).then_some(share_end),
        dial: if longer > 0 { dial } else { answer },
        due,
        answer,
    }
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) stage: Stage,
    pub(crate) code: Option<i32>,
    pub(crate) result: Result<Accepted, Cause>,
}

impl Report {
    pub(crate) fn failed(stage: Stage, cause: Cause) -> Self {
        Self {
            stage,
            code: None,
            result: Err(cause),
        }
    }
}

/// A broker's confirmation.
#[derive(Debug)]
pub(crate) struct Accepted {
    status: SendStatus,
    code: i32,
    queue: i32,
    offset: i64,
    offset_message_id: String,
    transaction_id: Option<String>,
    region: Cow<'static, str>,
    trace: bool,
}

impl Accepted {
    fn read(policy: &Policy, status: SendStatus, reply: &Command) -> Result<Self, HeaderError> {
        let header = match reply.header::<SendMessageResponse<'_>>() {
            Err(HeaderError::Missing { .. }) if encoding::wire(policy).bare_answers => {
                SendMessageResponse::default()
            }
            header => header?,
        };
        let wire = encoding::wire(policy);
        for (field, value) in [
            ("queueId", header.queue_id.into()),
            ("queueOffset", header.queue_offset),
        ] {
            if value < 0 && !wire.negative_places {
                return Err(HeaderError::Negative { field, value });
            }
        }
        let region = header.region.filter(|region| !region.is_empty());
        Ok(Self {
            status,
            code: reply.code,
            queue: header.queue_id,
            offset: header.queue_offset,
            offset_message_id: header.msg_id.into_owned(),
            transaction_id: header.transaction_id.map(Cow::into_owned),
            region: region.map_or(Cow::Borrowed(DEFAULT_REGION), |region| {
                region.into_owned().into()
            }),
            trace: header.trace_on.unwrap_or(true),
        })
    }

    /// What the caller gets, and the response code. The broker is the one that was asked, the
    /// queue is the one that answered.
    pub(crate) fn sent(
        self,
        sender: &Sender,
        envelope: &Envelope,
        to: &QueueRef,
        attempts: u32,
    ) -> (Sent, i32) {
        let sent = Sent {
            message_id: Name::clone(&envelope.key),
            offset_message_id: self.offset_message_id,
            queue: MessageQueue {
                topic: sender.unwrapped(&envelope.topic),
                broker: Name::clone(&to.broker),
                queue: self.queue,
            },
            offset: self.offset,
            status: self.status,
            transaction_id: self.transaction_id,
            region: self.region,
            trace: self.trace,
            attempts,
        };
        (sent, self.code)
    }
}

/// The request of one attempt and its answer.
pub(crate) struct Exchange {
    pub(crate) core: Arc<ProducerCore>,
    pub(crate) send: SendNumber,
    pub(crate) number: u32,
    pub(crate) envelope: Arc<Envelope>,
    /// The queue and broker that the request names.
    pub(crate) named: QueueRef,
    pub(crate) address: Option<Name>,
    pub(crate) made_on: MadeOn,
    /// The connection it takes.
    pub(crate) over: Over,
    pub(crate) time: Time,
    pub(crate) mode: Mode,
    /// The broker that is asked, whichever the request names.
    pub(crate) broker: Name,
}

/// An exchange under way.
pub(crate) type Running = Pin<Box<dyn Future<Output = Report> + std::marker::Send>>;

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
        match self.answer(address).await {
            Ok(reply) => understand(&self.core.policy, &reply),
            Err(error) => {
                let stage = stage(&self.core.policy, &error);
                Report::failed(stage, Cause::Call(Arc::new(error)))
            }
        }
    }

    async fn answer(&self, address: &Name) -> Result<Command, CallError> {
        let core = &self.core;
        if self.time.dial > self.time.due {
            let dialled = core.client.remoting.connect(address, self.time.dial);
            dialled.await?;
            if Instant::now() >= self.time.due {
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
        let drains = || connection.is_some_and(|number| remoting.drain(address, number));
        match retry::drain(&core.policy) {
            Drain::ByCode | Drain::Retry => return Ok(reply),
            Drain::ResendFirst if !drains() => return Ok(reply),
            Drain::ResendFirst => {}
            Drain::Resend => {
                drains();
                remoting.close_drained();
            }
        }
        core.client.emit(Event::Resend {
            send: self.send,
            number: self.number,
        });
        self.once(address, Over::First)
            .await
            .map(|(_, reply)| reply)
    }

    /// Makes the request and awaits its answer; with the connection it was made on.
    async fn once(
        &self,
        address: &Name,
        over: Over,
    ) -> Result<(Option<ConnectionNumber>, Command), CallError> {
        let core = &self.core;
        let client = &core.client;
        let carrier = encoding::request(&core.policy, &core.sender, &self.envelope, &self.named);
        let (began, until) = (Instant::now(), self.time.answer);
        let mut made_on = None;
        let given = |connection, opaque| {
            made_on = Some(connection);
            *self.made_on.lock() = Some((connection, Instant::now()));
            client.emit(Event::Requested {
                send: self.send,
                number: self.number,
                connection,
                opaque,
            });
            dispatched(core, self.mode, &self.broker);
        };
        let remoting = &client.remoting;
        let answer = remoting.exchange(over, address, carrier.request(), until, given);
        let answer = answer.await;
        let reply = if made_on.is_some() {
            client.settle(address, answer, began, until).await?
        } else {
            answer?
        };
        Ok((made_on, reply))
    }
}

/// A request was written in a mode that does not wait for its answer.
fn dispatched(core: &ProducerCore, mode: Mode, broker: &Name) {
    if !health::counts_dispatch(&core.policy, mode) {
        return;
    }
    let accepted = Ended {
        stage: Stage::Accepted,
        code: None,
    };
    if let Some(isolation) = health::isolation(&core.policy, accepted, 0) {
        let now = millis(core.client.started.elapsed());
        core.health.lock().note(broker, isolation, now);
    }
}

fn stage(policy: &Policy, error: &CallError) -> Stage {
    if let CallError::Lost { found, .. } = error
        && found.as_ref().is_some_and(|found| found.is_tls())
        && retry::denied(policy)
    {
        return Stage::Denied;
    }
    match error.stage() {
        CallStage::Dial => Stage::Dial,
        CallStage::Hook => Stage::Hook,
        CallStage::Write | CallStage::Stopped => Stage::Write,
        CallStage::Lost => Stage::Lost,
        CallStage::Silent => Stage::Silent,
    }
}

/// What a broker's answer says.
fn understand(policy: &Policy, reply: &Command) -> Report {
    let code = reply.code;
    let (stage, result) = match SendStatus::of(code) {
        None => {
            let remark = text::kept(reply.remark.as_deref().unwrap_or_default());
            let denied = retry::denies(policy, code, &remark, reply.ext.is_empty());
            let stage = if denied {
                Stage::Denied
            } else {
                Stage::Refused
            };
            (stage, Err(Cause::Refused { code, remark }))
        }
        Some(status) => match Accepted::read(policy, status, reply) {
            Err(error) => (Stage::Decode, Err(Cause::Decode(error))),
            Ok(accepted) => (Stage::Accepted, Ok(accepted)),
        },
    };
    Report {
        stage,
        code: Some(code),
        result,
    }
}

/// Gives a one-way request to a connection.
pub(crate) async fn write(
    send: &Send,
    envelope: &Envelope,
    to: &QueueRef,
    address: Option<&Name>,
) -> Result<(), (Stage, Cause)> {
    let Some(address) = address else {
        return Err((Stage::Address, Cause::NoAddress));
    };
    let core = &send.core;
    let carrier = encoding::request(&core.policy, &core.sender, envelope, to);
    let says_so = encoding::wire(&core.policy).oneway_flag;
    let remoting = &core.client.remoting;
    let written = remoting.oneway(address, carrier.request(), says_so, send.deadline);
    let handed = written
        .await
        .map_err(|error| (stage(&core.policy, &error), Cause::Call(Arc::new(error))))?;
    send.emit(Event::Requested {
        send: send.number,
        number: 1,
        connection: handed.connection,
        opaque: handed.opaque,
    });
    dispatched(core, send.call.mode, &to.broker);
    Ok(())
}

//! What the end of a request means: a broker's answer is read, an error of the transport gets its
//! stage.

use std::borrow::Cow;

use rmq_remoting::client::{CallError, CallStage};
use rmq_remoting::command::Command;
use rmq_remoting::header::HeaderError;
use rmq_remoting::observe::Name;
use rmq_remoting::request::SendMessageResponse;
use rmq_remoting::text;

use crate::decide::encoding::{self, EncodedMessage, ProducerIdentity};
use crate::decide::retry;
use crate::error::Cause;
use crate::event::{QueueRef, Stage};
use crate::policy::Policy;
use crate::sent::{MessageQueue, SendStatus, Sent};

/// The region of a broker that names none.
const DEFAULT_REGION: &str = "DefaultRegion";

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

/// What a broker says of a message that it has stored.
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
        identity: &ProducerIdentity,
        encoded: &EncodedMessage,
        to: &QueueRef,
        attempts: u32,
    ) -> (Sent, i32) {
        let sent = Sent {
            message_id: Name::clone(&encoded.unique_key),
            offset_message_id: self.offset_message_id,
            queue: MessageQueue {
                topic: identity.unwrapped(&encoded.topic),
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

/// At which stage a request ended without an answer.
pub(crate) fn stage(policy: &Policy, error: &CallError) -> Stage {
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
pub(crate) fn understand(policy: &Policy, reply: &Command) -> Report {
    let code = reply.code;
    let (stage, result) = match SendStatus::try_from(code).ok() {
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

//! What the broker answers: one file per request code, its number in its name.
//!
//! Each file has one function, `handle`, of the same shape: it reads the request's header, uses the
//! broker's state, and returns the response, at once or later. Whether and how the response goes
//! out is decided elsewhere, so a rule can do to any request whatever it likes.

mod r010_send_message;
mod r011_pull_message;
mod r017_update_and_create_topic;
mod r028_get_broker_runtime_info;
mod r030_get_max_offset;
mod r031_get_min_offset;
mod r032_get_earliest_msg_storetime;
mod r033_view_message_by_id;
mod r034_heart_beat;
mod r035_unregister_client;
mod r202_get_topic_stats_info;
mod r215_delete_topic_in_broker;
mod r351_get_topic_config;

use std::ops::Range;
use std::sync::Arc;

use rmq_host::BoxFuture;
use rmq_remoting::body::BodyError;
use rmq_remoting::code::{request, response};
use rmq_remoting::command::Command;
use rmq_remoting::header::HeaderError;
use rmq_remoting::observe::Name;
use rmq_remoting::request::SendMessage;
use rmq_remoting::service::{Peer, Response, Unsupported};

use crate::admit::Refusal;
use crate::event::RequestNumber;
use crate::state::Shared;

pub(crate) use r010_send_message::send_header;

/// A request, and what handling it may use.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) request: &'a Command,
    pub(crate) peer: &'a Peer,
    pub(crate) number: RequestNumber,
    /// Whether the port it came to serves pulls.
    pub(crate) pulls: bool,
    /// Of a send: what was read of it already.
    pub(crate) sending: Option<Sending<'a>>,
}

/// What was read of a send.
#[derive(Debug, Clone)]
pub(crate) struct Sending<'a> {
    pub(crate) header: Result<SendMessage<'a>, HeaderError>,
    pub(crate) key: Option<Name>,
    pub(crate) keys: Option<Name>,
    pub(crate) nth_of_key: u32,
}

/// A request that outlives the call that brought it.
#[derive(Debug)]
pub(crate) struct OwnedJob {
    shared: Arc<Shared>,
    request: Command,
    peer: Peer,
    number: RequestNumber,
    pulls: bool,
    names: (Option<Name>, Option<Name>, u32),
}

impl Job<'_> {
    /// The queue id of a send.
    pub(crate) fn queue(&self) -> Option<i32> {
        Some(self.sending.as_ref()?.header.as_ref().ok()?.queue_id)
    }

    pub(crate) fn to_owned(&self) -> OwnedJob {
        let names = self.sending.as_ref().map(|sending| {
            (
                sending.key.clone(),
                sending.keys.clone(),
                sending.nth_of_key,
            )
        });
        OwnedJob {
            shared: Arc::clone(self.shared),
            request: self.request.clone(),
            peer: self.peer.clone(),
            number: self.number,
            pulls: self.pulls,
            names: names.unwrap_or_default(),
        }
    }
}

impl OwnedJob {
    pub(crate) fn job(&self) -> Job<'_> {
        let (key, keys, nth_of_key) = self.names.clone();
        let sending = send_header(&self.request).map(|header| Sending {
            header,
            key,
            keys,
            nth_of_key,
        });
        Job {
            shared: &self.shared,
            request: &self.request,
            peer: &self.peer,
            number: self.number,
            pulls: self.pulls,
            sending,
        }
    }
}

/// A response, and which ledger entries it tells of.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) response: Response,
    pub(crate) stored: Option<Range<usize>>,
}

impl Done {
    /// A response that tells of no stored message.
    pub(crate) fn plain(response: Response) -> Self {
        Self {
            response,
            stored: None,
        }
    }
}

/// What handling a request led to: a response at once, or one that is still to come.
pub(crate) enum Handled {
    Now(Done),
    Later(BoxFuture<'static, Done>),
}

impl Handled {
    pub(crate) async fn done(self) -> Done {
        match self {
            Self::Now(done) => done,
            Self::Later(done) => done.await,
        }
    }
}

impl From<Response> for Handled {
    fn from(response: Response) -> Self {
        Self::Now(Done::plain(response))
    }
}

/// Why a request has no ordinary answer. Its text is the remark.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Its header lacks a field or has a wrong one.
    #[error("{}: {_0}", exception_of(_0))]
    Header(#[from] HeaderError),
    /// Its body cannot be read.
    #[error("com.alibaba.fastjson.JSONException: {0}")]
    Body(#[from] BodyError),
    /// A real broker would meet this exception.
    #[error("{0}")]
    Exception(&'static str),
    /// A check says no.
    #[error("{}", .0.remark)]
    Refused(Refusal),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Response {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(refusal) => Self::refuse(refusal.code, refusal.remark),
            other => Self::refuse(response::SYSTEM_ERROR, other.to_string()),
        }
    }
}

/// The exception that a real server meets with such a header.
fn exception_of(error: &HeaderError) -> &'static str {
    match error {
        HeaderError::Missing { .. } => "java.lang.NullPointerException",
        HeaderError::NotANumber { .. } | HeaderError::Negative { .. } => {
            "java.lang.NumberFormatException"
        }
    }
}

/// A slave turns sends and pulls away before it looks at them: what it has, it has from its master
/// (spec part 5.2, check 1).
fn turned_away(job: &Job<'_>) -> Option<Response> {
    let gated = matches!(
        job.request.code,
        request::SEND_MESSAGE
            | request::SEND_MESSAGE_V2
            | request::SEND_BATCH_MESSAGE
            | request::PULL_MESSAGE
    );
    let is_slave = job.shared.config.id != 0;
    (gated && is_slave).then(|| {
        let remark = "[REJECTREQUEST]system busy, start flow control for a while";
        Response::refuse(response::SYSTEM_BUSY, remark)
    })
}

/// Handles a request by the file of its code; a code without a file is unsupported.
pub(crate) fn handle(job: &Job<'_>) -> Handled {
    if let Some(response) = turned_away(job) {
        return response.into();
    }
    let handled = match job.request.code {
        request::SEND_MESSAGE | request::SEND_MESSAGE_V2 | request::SEND_BATCH_MESSAGE => {
            r010_send_message::handle(job)
        }
        request::PULL_MESSAGE if job.pulls => r011_pull_message::handle(job),
        request::UPDATE_AND_CREATE_TOPIC => r017_update_and_create_topic::handle(job),
        request::GET_BROKER_RUNTIME_INFO => r028_get_broker_runtime_info::handle(job),
        request::GET_MAX_OFFSET => r030_get_max_offset::handle(job),
        request::GET_MIN_OFFSET => r031_get_min_offset::handle(job),
        request::GET_EARLIEST_MSG_STORETIME => r032_get_earliest_msg_storetime::handle(job),
        request::VIEW_MESSAGE_BY_ID => r033_view_message_by_id::handle(job),
        request::HEART_BEAT => r034_heart_beat::handle(job),
        request::UNREGISTER_CLIENT => r035_unregister_client::handle(job),
        request::GET_TOPIC_STATS_INFO => r202_get_topic_stats_info::handle(job),
        request::DELETE_TOPIC_IN_BROKER => r215_delete_topic_in_broker::handle(job),
        request::GET_TOPIC_CONFIG => r351_get_topic_config::handle(job),
        code => Ok(Unsupported::answer(code).into()),
    };
    handled.unwrap_or_else(|fault| Response::from(fault).into())
}

/// Code 0 and nothing else.
fn success() -> Response {
    Response::new(response::SUCCESS)
}

/// Code 0 with the remark that a real server leaves there by mistake.
fn success_unremarked() -> Response {
    success().remark("not set any response code")
}

//! What a rule can do to a request.

use rmq_remoting::observe::Name;
use rmq_remoting::settings::response_code;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::written::ms;

/// What happens to one request instead of ordinary service. The names in the table are those of a file,
/// where the same is written as in a scenario.
///
/// A request that is handled has its effect: a broker stores the message of a send, a name server
/// registers the broker.
///
/// | action | handled? | the client sees | in the real world |
/// |---|---|---|---|
/// | `answer` | no | the given code | flow control, a full disk, a server that shuts down |
/// | `answer-body` | no | success with the given body | a route that no broker registered |
/// | `store-then-answer` | yes | the given code with a full send header | flush or replication timeout (10, 12) |
/// | `delay-request` | after the delay | a late answer | a long queue in front of the store |
/// | `delay` | at once | a late answer | a slow flush, a slow way back |
/// | `drop-request` | no | silence | lost before it was read |
/// | `drop-reply` | yes | silence, though the message exists | the answer is lost |
/// | `close-before` | no | end of stream | a shutdown before the append |
/// | `close-after` | yes | end of stream | a shutdown between append and answer |
/// | `reset-before`, `reset-after` | no, yes | connection reset | a process killed |
/// | `reply-twice` | yes | the answer, twice | a broken proxy |
/// | `unknown-opaque` | yes | an answer to another request | a broken proxy |
/// | `half-frame` | yes | half an answer, then silence | a stalled path |
/// | `half-frame-close` | yes | half an answer, then end of stream | a process killed while it writes |
/// | `answer-then-close` | yes | the answer, then end of stream | a server that closes idle connections |
/// | `garbage` | yes | bytes that are no frame | a wrong peer, a broken proxy |
/// | `empty-answer` | yes | the code of the answer without its fields | a broken proxy |
/// | `tls-alert` | no | a TLS alert, then end of stream | a server that wants TLS by now |
/// | [`Alter`](Self::Alter): the server's own | yes | an answer that is wrong in a way only this server knows | the server's own |
///
/// ```
/// use std::time::Duration;
/// use rmq_mock_server::rules::{Action, Exit, NoAlteration};
///
/// // A queue of 500 ms in front of the store, and then the connection breaks.
/// let action = Action::<NoAlteration>::Delay { ms: 500, then: Box::new(Action::CloseAfter) };
/// let steps = action.steps();
/// assert_eq!((steps.wait, steps.exit), (Some(Duration::from_millis(500)), Exit::Close));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
// Derived as functions of this type: the words of a server's own alterations are not here, see `written`.
#[serde(
    remote = "Self",
    rename_all = "kebab-case",
    tag = "do",
    deny_unknown_fields,
    bound(serialize = "A: Serialize", deserialize = "A: DeserializeOwned")
)]
pub enum Action<A = NoAlteration> {
    /// Ordinary service; useful to exempt requests from a later rule, or after a delay.
    Normal,
    /// The request is not handled; the answer is this.
    Answer {
        /// The response code that is answered.
        #[serde(deserialize_with = "response_code")]
        code: i32,
        /// The remark of the answer, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remark: Option<Name>,
    },
    /// The request is not handled; the answer is a success with this body.
    AnswerBody {
        /// The body of the answer.
        body: Name,
    },
    /// The request is handled, then a successful answer carries this code and remark instead.
    StoreThenAnswer {
        /// The response code that is answered.
        #[serde(deserialize_with = "response_code")]
        code: i32,
        /// The remark of the answer, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remark: Option<Name>,
    },
    /// Nothing happens for so long, then the other action. The request is handled even if its
    /// connection has gone by then, as in a real broker's queue. A file calls it `delay-request`, as a
    /// scenario does.
    #[serde(rename = "delay-request")]
    Delay {
        /// For how long, in milliseconds. In a file: `by`, as a number or a text like `"500ms"`.
        #[serde(rename = "by", deserialize_with = "ms")]
        ms: u64,
        /// What happens when the time is over.
        #[serde(default = "normal")]
        then: Box<Action<A>>,
    },
    /// The request is handled at once; its answer comes so much later. A file calls it `delay`, as a
    /// scenario does.
    #[serde(rename = "delay")]
    DelayReply {
        /// For how long, in milliseconds. In a file: `by`, as a number or a text like `"500ms"`.
        #[serde(rename = "by", deserialize_with = "ms")]
        ms: u64,
    },
    /// The request is neither handled nor answered.
    DropRequest,
    /// The request is handled and never answered.
    DropReply,
    /// Not handled; the connection is closed.
    CloseBefore,
    /// Handled; the connection is closed instead of an answer.
    CloseAfter,
    /// Not handled; the connection is reset.
    ResetBefore,
    /// Handled; the connection is reset instead of an answer.
    ResetAfter,
    /// The request is handled, and its answer is written twice.
    ReplyTwice,
    /// Handled; the answer carries a request id that the client never used.
    UnknownOpaque,
    /// Handled; the first half of the answer is written, then nothing.
    HalfFrame,
    /// Handled; the first half of the answer is written, then the connection is closed.
    HalfFrameClose,
    /// Handled and answered; then the connection is closed.
    AnswerThenClose,
    /// Handled; the answer is bytes that are no frame.
    Garbage,
    /// Handled; the answer has its code, and none of its fields.
    EmptyAnswer,
    /// Not handled; the answer is a TLS alert, then the connection is closed.
    TlsAlert,
    /// Handled; the answer is altered in one of the server's own ways. A file has the words of that way
    /// in place of these: `{ do = "partial-route", broker = "broker-b" }`.
    #[serde(skip)]
    Alter {
        /// The server's own way to alter its answer.
        how: A,
    },
}

/// A server without alterations of its own: nothing has this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoAlteration {}

fn normal<A>() -> Box<Action<A>> {
    Box::new(Action::Normal)
}

impl<A> Action<A> {
    /// Answers with `code` instead of handling the request.
    pub fn answer(code: i32, remark: &str) -> Self {
        Self::Answer {
            code,
            remark: Some(remark.into()),
        }
    }

    /// Handles the request only after `ms` milliseconds.
    pub fn delay(ms: u64) -> Self {
        Self::Delay { ms, then: normal() }
    }
}

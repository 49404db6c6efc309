//! An action taken apart into what a server does one after the other, so that every server does it
//! alike: it waits, handles the request or puts something in its place, holds the answer back, and
//! lets it leave.

use std::time::Duration;

use bytes::Bytes;
use rmq_remoting::code::response;
use rmq_remoting::frame::Speaker;
use rmq_remoting::observe::Name;
use rmq_remoting::service::{Answer, Mangle, Response};

use super::Action;

/// What happens to one request, step by step.
#[derive(Debug)]
pub struct Steps<A> {
    /// How long nothing happens at first.
    pub wait: Option<Duration>,
    /// What is done about the request then.
    pub handling: Handling<A>,
    /// How long the answer is held back.
    pub hold: Option<Duration>,
    /// How the request leaves the server.
    pub exit: Exit,
}

/// What a server does about a request.
#[derive(Debug)]
pub enum Handling<A> {
    /// The request is handled, and its answer is the ordinary one.
    Ordinary,
    /// Ordinary service with an answer that is altered.
    Altered(A),
    /// The request is not handled; this response stands in the place of its own.
    Instead(Response),
}

/// How a request that has been dealt with leaves the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// The request is answered as usual.
    Answer,
    /// It is answered; a success carries another code and remark.
    Replace {
        /// The code instead of success.
        code: i32,
        /// The remark of the answer, if it has one.
        remark: Option<Name>,
    },
    /// The request gets no answer.
    Silence,
    /// The connection of the request is closed.
    Close,
    /// The connection of the request is reset.
    Reset,
    /// It is answered, then its connection is closed.
    AnswerThenClose,
    /// The answer is mangled in this way.
    Mangled(Mangle),
}

impl<A> Action<A> {
    /// Takes the action apart into its steps.
    pub fn steps(self) -> Steps<A> {
        let at_once = |handling, exit| Steps {
            wait: None,
            handling,
            hold: None,
            exit,
        };
        let handled = |exit| at_once(Handling::Ordinary, exit);
        let instead = |response| at_once(Handling::Instead(response), Exit::Answer);
        // Of a request that is not handled nobody sees a response.
        let unhandled = |exit| at_once(Handling::Instead(Response::new(response::SUCCESS)), exit);
        match self {
            Self::Normal => handled(Exit::Answer),
            Self::Answer { code, remark } => instead(with_remark(Response::new(code), remark)),
            Self::AnswerBody { body } => {
                let body = Bytes::copy_from_slice(body.as_bytes());
                instead(Response::new(response::SUCCESS).body(body))
            }
            Self::StoreThenAnswer { code, remark } => handled(Exit::Replace { code, remark }),
            Self::Delay { ms, then } => {
                let then = then.steps();
                let ms = Duration::from_millis(ms);
                let wait = ms.saturating_add(then.wait.unwrap_or_default());
                Steps {
                    wait: Some(wait),
                    ..then
                }
            }
            Self::DelayReply { ms } => Steps {
                hold: Some(Duration::from_millis(ms)),
                ..handled(Exit::Answer)
            },
            Self::DropRequest => unhandled(Exit::Silence),
            Self::DropReply => handled(Exit::Silence),
            Self::CloseBefore => unhandled(Exit::Close),
            Self::CloseAfter => handled(Exit::Close),
            Self::ResetBefore => unhandled(Exit::Reset),
            Self::ResetAfter => handled(Exit::Reset),
            Self::ReplyTwice => handled(Exit::Mangled(Mangle::Twice)),
            Self::UnknownOpaque => handled(Exit::Mangled(Mangle::UnknownOpaque)),
            Self::HalfFrame => handled(Exit::Mangled(Mangle::Half)),
            Self::HalfFrameClose => handled(Exit::Mangled(Mangle::HalfClose)),
            Self::AnswerThenClose => handled(Exit::AnswerThenClose),
            Self::Garbage => handled(Exit::Mangled(Mangle::Garbage)),
            Self::EmptyAnswer => handled(Exit::Mangled(Mangle::Empty)),
            Self::TlsAlert => unhandled(Exit::Mangled(Mangle::TlsAlert)),
            Self::Alter { how } => at_once(Handling::Altered(how), Exit::Answer),
        }
    }
}

impl Exit {
    /// Gives a success the code and remark that a rule says, if it says any.
    pub fn replace(&self, mut response: Response) -> Response {
        match self {
            Self::Replace { code, remark } if response.code == response::SUCCESS => {
                response.code = *code;
                with_remark(response, remark.clone())
            }
            _ => response,
        }
    }

    /// What goes to the connection, for a request with this opaque.
    pub fn answer(&self, response: Response, speaker: &Speaker, opaque: i32) -> Answer {
        match self {
            Self::Answer | Self::Replace { .. } => Answer::Respond(response),
            Self::Silence => Answer::Nothing,
            Self::Close => Answer::Close,
            Self::Reset => Answer::Reset,
            Self::AnswerThenClose => Answer::Many(vec![Answer::Respond(response), Answer::Close]),
            Self::Mangled(how) => {
                Answer::mangled(response, speaker, opaque, *how).unwrap_or_else(|error| {
                    tracing::warn!("an answer cannot be encoded: {error}");
                    Answer::Nothing
                })
            }
        }
    }
}

fn with_remark(mut response: Response, remark: Option<Name>) -> Response {
    response.remark = remark.map(|text| text.to_string().into());
    response
}

#[cfg(test)]
mod tests {
    use super::super::NoAlteration;
    use super::*;

    fn steps(action: Action) -> Steps<NoAlteration> {
        action.steps()
    }

    #[test]
    fn delays_in_front_of_an_action_add_up() {
        let inner = Action::Delay {
            ms: 20,
            then: Box::new(Action::DelayReply { ms: 5 }),
        };
        let both = steps(Action::Delay {
            ms: 100,
            then: Box::new(inner),
        });
        assert_eq!(both.wait, Some(Duration::from_millis(120)));
        assert_eq!(both.hold, Some(Duration::from_millis(5)));
        assert!(matches!(both.handling, Handling::Ordinary));
        assert_eq!(both.exit, Exit::Answer);
        let longest = Action::Delay {
            ms: u64::MAX,
            then: Box::new(Action::delay(u64::MAX)),
        };
        assert!(steps(longest).wait.is_some(), "no overflow");
    }

    #[test]
    fn an_action_before_the_work_leaves_the_request_unhandled() {
        for (before, after, exit) in [
            (Action::DropRequest, Action::DropReply, Exit::Silence),
            (Action::CloseBefore, Action::CloseAfter, Exit::Close),
            (Action::ResetBefore, Action::ResetAfter, Exit::Reset),
        ] {
            let (before, after) = (steps(before), steps(after));
            assert!(matches!(before.handling, Handling::Instead(_)), "{exit:?}");
            assert!(matches!(after.handling, Handling::Ordinary), "{exit:?}");
            assert_eq!((&before.exit, &after.exit), (&exit, &exit));
        }
    }

    #[test]
    fn only_a_success_gets_another_code() {
        let exit = steps(Action::StoreThenAnswer {
            code: 10,
            remark: None,
        })
        .exit;
        assert_eq!(exit.replace(Response::new(response::SUCCESS)).code, 10);
        assert_eq!(exit.replace(Response::new(2)).code, 2, "a refusal stays");
        let plain = Exit::Answer.replace(Response::new(response::SUCCESS));
        assert_eq!(plain.code, response::SUCCESS);
    }
}

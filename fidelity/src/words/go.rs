//! The words of the Go client 2.1.2.

use rmq_producer::event::{Failure, Mode, Stage};
use rmq_producer::{Attempt, Cause, SendError};
use rmq_remoting::client::CallError;
use rmq_remoting::event::DialFailure;

use super::{Context, Report};

const PLAIN: &str = "*errors.errorString";

pub(super) fn report(context: &Context<'_>, error: &SendError) -> Report {
    let in_background = context.mode == Mode::Async;
    let before_sending = |text: String| {
        let class = if in_background {
            "*errors.fundamental"
        } else {
            PLAIN
        };
        Report {
            thrown: in_background,
            ..Report::new(class, text)
        }
    };
    let topic = context.topic;
    let attempt = error.attempts().last();
    match (error.failure(), attempt) {
        (Failure::Attempts(_) | Failure::Deadline, Some(attempt)) => match attempt.stage {
            Stage::Address => before_sending(format!("topic={topic} route info not found")),
            Stage::Dial => Report {
                thrown: in_background,
                ..Report::new("*net.OpError", dial(attempt))
            },
            _ => Report::new(PLAIN, answer(attempt)),
        },
        (Failure::NoRoute | Failure::RouteUnreachable, _) => {
            before_sending(format!("the topic={topic} route info not found"))
        }
        _ => Report::new(PLAIN, error.to_string()),
    }
}

fn dial(attempt: &Attempt) -> String {
    let address = attempt.address.as_deref().unwrap_or_default();
    let why = match &attempt.cause {
        Cause::Call(error) => match &**error {
            CallError::Dial { cause, .. } if *cause == DialFailure::Refused => {
                "connect: connection refused"
            }
            _ => "i/o timeout",
        },
        _ => "i/o timeout",
    };
    format!("dial tcp {address}: {why}")
}

fn answer(attempt: &Attempt) -> String {
    match &attempt.cause {
        Cause::Refused { code, remark } => format!("CODE: {code}, DESC: {remark}"),
        _ => "request timeout".to_owned(),
    }
}

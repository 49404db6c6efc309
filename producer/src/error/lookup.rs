//! Why a route lookup brought no route: what each name server said that was asked.

use std::fmt;

use rmq_remoting::client::CallError;
use rmq_remoting::code::{response, response_name};
use rmq_remoting::observe::Name;
use rmq_remoting::text::{name, with_causes};

/// Why no route was found. Kept by the error of the send that needed it.
#[derive(Debug, Clone, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum LookupError {
    /// No name server knows the topic, nor one to make it after.
    #[error(
        "No route info of this topic: {} (no name server knows it, nor {}; create the topic, or let \
         brokers create topics automatically){}",
        name(topic),
        name(default_topic),
        all(answers)
    )]
    NotExist {
        /// The topic that was looked up.
        topic: Name,
        /// The topic that new ones are made after.
        default_topic: Name,
        /// What each name server said that was asked.
        answers: Vec<ServerAnswer>,
    },
    /// The topic exists, but no broker takes messages for it.
    #[error(
        "No route info of this topic: {} ({reason}){}",
        name(topic),
        all(answers)
    )]
    Unusable {
        /// The topic that was looked up.
        topic: Name,
        /// What is wrong with its route.
        reason: String,
        /// What each name server said that was asked.
        answers: Vec<ServerAnswer>,
    },
    /// A name server refused to answer.
    #[error(
        "name server {server} refused the route of {}: {}{}",
        name(topic), coded(*code, remark), all(answers)
    )]
    Refused {
        /// The topic that was looked up.
        topic: Name,
        /// The name server that answered so.
        server: Name,
        /// The response code that the name server answered with.
        code: i32,
        /// Its words, cut if they are many.
        remark: String,
        /// What each name server said that was asked.
        answers: Vec<ServerAnswer>,
    },
    /// No name server answered.
    #[error("{}", unreachable(failures))]
    Unreachable {
        /// What became of each one asked.
        failures: Vec<(Name, CallError)>,
    },
    /// The send's time was over before the lookup ended.
    #[error(
        "no route of {} within the send's time; check the name servers {servers}",
        name(topic)
    )]
    TooLate {
        /// The topic that was looked up.
        topic: Name,
        /// The name servers that were asked, separated by semicolons.
        servers: String,
    },
    /// The client was stopped, or the runtime under it dropped, while the lookup was under way.
    #[error("the lookup of {} ended with its client", name(.0))]
    Closed(Name),
    /// The lookup's task ended early.
    #[error("the lookup of {} was broken off", name(.0))]
    BrokenOff(Name),
}

/// What became of asking one name server, when a lookup brought no route.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct ServerAnswer {
    /// The name server that was asked.
    pub server: Name,
    /// What it answered, or why it did not.
    pub said: Said,
}

/// What a name server said that brought no route.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum Said {
    /// It does not know the topic (code 17).
    NotExist,
    /// A route that cannot be read, or by which nothing can be sent; why.
    Unfit(String),
    /// Another error code, or success without a route.
    Refused {
        /// The response code that the name server answered with.
        code: i32,
        /// Its words, cut if they are many.
        remark: String,
    },
    /// No answer came in time, or there is no connection.
    Failed(CallError),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotExist => f.write_str("it does not know the topic"),
            Self::Unfit(reason) => f.write_str(reason),
            Self::Refused { code, remark } => f.write_str(&coded(*code, remark)),
            Self::Failed(error) => f.write_str(&with_causes(error)),
        }
    }
}

fn coded(code: i32, remark: &str) -> String {
    if code == response::SUCCESS && remark.is_empty() {
        return "an answer without a route (code 0)".to_owned();
    }
    let known = response_name(code).unwrap_or("");
    format!("code {code} {known} {}", name(remark))
}

/// What every server said, where there is more than the one that the error speaks of.
fn all(answers: &[ServerAnswer]) -> String {
    if answers.len() < 2 {
        return String::new();
    }
    let each = answers.iter();
    let each = each.map(|answer| format!("{}: {}", answer.server, answer.said));
    format!("; asked were {}", each.collect::<Vec<_>>().join("; "))
}

fn unreachable(failures: &[(Name, CallError)]) -> String {
    let servers: Vec<_> = failures.iter().map(|(server, _)| &**server).collect();
    let servers = servers.join(", ");
    let errors: Vec<_> = failures
        .iter()
        .map(|(_, error)| with_causes(error))
        .collect();
    let errors = errors.join("; ");
    let spoke = |error: &CallError| match error {
        CallError::Lost { found, .. } => found.as_ref().is_some_and(|found| found.is_foreign()),
        _ => false,
    };
    if failures.iter().any(|(_, error)| spoke(error)) {
        return format!("no name server speaks RocketMQ at {servers}; check the port ({errors})");
    }
    format!("no name server answered in time; check that one runs at {servers} ({errors})")
}

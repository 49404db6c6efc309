//! One route lookup: asks the name servers, one after the other, within one deadline.
//!
//! Name servers know nothing of each other, so "there is no such topic" counts only when every one
//! that can be reached has said so.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rmq_remoting::client::{CallError, CallStage};
use rmq_remoting::code::{response, response_name};
use rmq_remoting::observe::Name;
use rmq_remoting::request::GetRouteInfoByTopic;
use tokio::time::{Duration, Instant};

use crate::client::ClientCore;
use crate::decide::name_server;
use crate::event::{Event, LookupEnd, LookupNumber, LookupReason};

/// Why no route was found. Kept by the error of the send that needed it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LookupError {
    /// No name server knows the topic, nor one to make it after.
    #[error(
        "No route info of this topic: {topic} (no name server knows it, nor {default_topic}; \
         create the topic, or let brokers create topics automatically)"
    )]
    NotExist {
        /// The topic.
        topic: Name,
        /// The topic that new ones are made after.
        default_topic: Name,
    },
    /// The topic exists, but no broker takes messages for it.
    #[error("No route info of this topic: {topic} ({reason})")]
    Unusable {
        /// The topic.
        topic: Name,
        /// What is wrong with its route.
        reason: String,
    },
    /// A name server refused to answer.
    #[error("name server {server} refused the route of {topic}: {}", coded(*code, remark))]
    Refused {
        /// The topic.
        topic: Name,
        /// The server.
        server: Name,
        /// The response code.
        code: i32,
        /// Its words.
        remark: String,
    },
    /// No name server answered in time.
    #[error(
        "no name server answered in time; check that one runs at {}",
        servers(failures)
    )]
    Unreachable {
        /// What became of each one asked.
        failures: Vec<(Name, CallError)>,
    },
    /// The send's time was over before the lookup ended.
    #[error("no route of {topic} within the send's time; check the name servers {servers}")]
    TooLate {
        /// The topic.
        topic: Name,
        /// The servers' list.
        servers: String,
    },
    /// The lookup's task ended early.
    #[error("the lookup of {0} was broken off")]
    BrokenOff(Name),
}

fn coded(code: i32, remark: &str) -> impl fmt::Display {
    let name = response_name(code).unwrap_or("");
    format!("code {code} {name} {remark}")
}

fn servers(failures: &[(Name, CallError)]) -> String {
    let each = failures.iter().map(|(_, error)| error.to_string());
    let servers: Vec<_> = failures.iter().map(|(server, _)| &**server).collect();
    let errors: Vec<_> = each.collect();
    format!("{} ({})", servers.join(", "), errors.join("; "))
}

/// The name servers of a client, and which one it asks first.
#[derive(Debug)]
pub(crate) struct NameServerList {
    servers: Arc<[Name]>,
    current: Mutex<usize>,
}

impl NameServerList {
    pub(crate) fn new(servers: Arc<[Name]>, first: usize) -> Self {
        let current = Mutex::new(first % servers.len().max(1));
        Self { servers, current }
    }

    pub(crate) fn servers(&self) -> &Arc<[Name]> {
        &self.servers
    }

    fn current(&self) -> usize {
        *self.current.lock()
    }

    /// This one answered with a route, or is the next one to try.
    fn prefer(&self, index: usize) {
        *self.current.lock() = index;
    }
}

/// What the name servers said.
#[derive(Debug)]
pub(crate) enum Answer {
    Route(Bytes),
    NotExist,
    Refused {
        server: Name,
        code: i32,
        remark: String,
    },
    Unreachable(Vec<(Name, CallError)>),
}

impl Answer {
    /// How a lookup that brought no route ended, as an event.
    pub(crate) fn end(&self) -> Option<LookupEnd> {
        match self {
            Self::Route(_) => None,
            Self::NotExist => Some(LookupEnd::NotExist),
            Self::Refused { code, .. } => Some(LookupEnd::Refused { code: *code }),
            Self::Unreachable(_) => Some(LookupEnd::Unreachable),
        }
    }
}

/// Asks for the route of `asked`. Emits the lookup's start and its choices; its end is emitted by
/// whoever applies the answer.
pub(crate) async fn ask(
    core: &ClientCore,
    asked: &Name,
    reason: LookupReason,
    deadline: Instant,
) -> (LookupNumber, Answer) {
    let lookup = core.next_lookup();
    core.emit(Event::Lookup {
        lookup,
        topic: Name::clone(asked),
        reason,
    });
    let answer = pass(core, asked, lookup, deadline).await;
    (lookup, answer)
}

async fn pass(core: &ClientCore, asked: &Name, lookup: LookupNumber, deadline: Instant) -> Answer {
    let list = &core.name_servers;
    let servers = Arc::clone(list.servers());
    let rule = name_server::pass(&core.policy, servers.len());
    let count = rule.servers;
    let whole = millis_until(deadline);
    let mut at = list.current();
    let mut not_exist = false;
    let mut refused = None;
    let mut failures = Vec::new();
    for asked_before in 0..count {
        let left = millis_until(deadline);
        let mut slice = if rule.divided {
            name_server::slice(left, count - asked_before)
        } else {
            left
        };
        if not_exist {
            // The rest of the pass only confirms what one server said, and must leave time to act.
            slice = slice.min(name_server::slice(whole, count));
        }
        let Some(server) = servers.get(at) else { break };
        core.emit(Event::NameServerChosen {
            lookup,
            server: Name::clone(server),
        });
        let request = GetRouteInfoByTopic {
            topic: asked,
            accept_standard_json_only: None,
        };
        let last = asked_before + 1 == count && !not_exist;
        let sliced = Instant::now() + Duration::from_millis(slice);
        let until = if last { deadline } else { sliced.min(deadline) };
        let reply = core.call(server, &request, until).await;
        let next = name_server::next(at, servers.len());
        let last_word = match &reply {
            Ok(_) => !rule.divided,
            Err(error) => rule.first_reached && error.stage() != CallStage::Dial,
        };
        match reply {
            Ok(reply) if reply.code == response::SUCCESS && !reply.body.is_empty() => {
                list.prefer(at);
                return Answer::Route(reply.body);
            }
            Ok(reply) if reply.code == response::TOPIC_NOT_EXIST => not_exist = true,
            Ok(reply) => {
                refused = Some(Answer::Refused {
                    server: Name::clone(server),
                    code: reply.code,
                    remark: reply.remark.as_deref().unwrap_or_default().to_owned(),
                });
            }
            Err(error) => {
                failures.push((Name::clone(server), error));
                list.prefer(next);
            }
        }
        if last_word {
            break;
        }
        at = next;
    }
    if not_exist {
        Answer::NotExist
    } else {
        refused.unwrap_or(Answer::Unreachable(failures))
    }
}

fn millis_until(deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(Instant::now());
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
}

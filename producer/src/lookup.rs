//! One route lookup: asks the name servers, one after the other, within one deadline.
//!
//! Name servers know nothing of each other, so "there is no such topic" counts only when every one
//! that can be reached has said so. The list may be replaced while a lookup goes through it: then
//! it goes on with those of the new one that it has not asked, within the same deadline.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rmq_remoting::client::{CallError, CallStage};
use rmq_remoting::code::{response, response_name};
use rmq_remoting::observe::Name;
use rmq_remoting::request::GetRouteInfoByTopic;
use smallvec::SmallVec;
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
    state: Mutex<Listed>,
}

/// The list in force. A new list is a new value, so who holds an old one can tell.
#[derive(Debug, Clone)]
struct Listed {
    servers: Arc<[Name]>,
    current: usize,
}

impl NameServerList {
    pub(crate) fn new(servers: Arc<[Name]>, first: usize) -> Self {
        let current = first % servers.len().max(1);
        let state = Mutex::new(Listed { servers, current });
        Self { state }
    }

    pub(crate) fn servers(&self) -> Arc<[Name]> {
        Arc::clone(&self.state.lock().servers)
    }

    fn listed(&self) -> Listed {
        self.state.lock().clone()
    }

    /// This one of the list answered with a route, or is the next one to try.
    fn prefer(&self, servers: &Arc<[Name]>, index: usize) {
        let mut state = self.state.lock();
        if Arc::ptr_eq(&state.servers, servers) {
            state.current = index;
        }
    }

    /// Puts another list in force, and tells which servers have left it; nothing if it has the same
    /// servers. `drawn` chooses the first server if the one asked so far has left.
    pub(crate) fn replace(&self, servers: Arc<[Name]>, drawn: u64) -> Option<Vec<Name>> {
        let mut state = self.state.lock();
        if !name_server::differs(&state.servers, &servers) {
            return None;
        }
        let asked = state.servers.get(state.current);
        let current = name_server::first_of_new(asked, &servers, drawn);
        let old = std::mem::replace(&mut *state, Listed { servers, current });
        let gone = |server: &&Name| !state.servers.contains(server);
        Some(old.servers.iter().filter(gone).cloned().collect())
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

/// Goes through the list that is in force at each step, and asks no server twice.
async fn pass(core: &ClientCore, topic: &Name, lookup: LookupNumber, deadline: Instant) -> Answer {
    let list = &core.name_servers;
    let whole = millis_until(deadline);
    let mut asked: SmallVec<[Name; 4]> = SmallVec::new();
    let mut not_exist = false;
    let mut refused = None;
    let mut failures = Vec::new();
    loop {
        let Listed { servers, current } = list.listed();
        let rule = name_server::pass(&core.policy, servers.len());
        let Some((at, left)) = name_server::unasked(&servers, current, &asked, rule) else {
            break;
        };
        let time = millis_until(deadline);
        let mut slice = if rule.divided {
            name_server::slice(time, left)
        } else {
            time
        };
        if not_exist {
            // The rest of the pass only confirms what one server said, and must leave time to act.
            slice = slice.min(name_server::slice(whole, rule.servers));
        }
        let server = &servers[at];
        asked.push(Name::clone(server));
        core.emit(Event::NameServerChosen {
            lookup,
            server: Name::clone(server),
        });
        let request = GetRouteInfoByTopic {
            topic,
            accept_standard_json_only: None,
        };
        let last = left == 1 && !not_exist;
        let sliced = Instant::now() + Duration::from_millis(slice);
        let until = if last { deadline } else { sliced.min(deadline) };
        let reply = core.call(server, &request, until).await;
        let last_word = match &reply {
            Ok(_) => !rule.divided,
            Err(error) => rule.first_reached && error.stage() != CallStage::Dial,
        };
        match reply {
            Ok(reply) if reply.code == response::SUCCESS && !reply.body.is_empty() => {
                list.prefer(&servers, at);
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
                list.prefer(&servers, name_server::next(at, servers.len()));
            }
        }
        if last_word {
            break;
        }
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

//! One route lookup: asks the name servers, one after the other, within one deadline.
//!
//! Name servers know nothing of each other, so "there is no such topic" counts only when every one
//! that can be reached has said so, and an answer that cannot be read, or by which nothing can be
//! sent, is passed over like a refusal. The list may be replaced while a lookup goes through it: then
//! it goes on with those of the new one that it has not asked, within the same deadline.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rmq_remoting::client::{CallError, CallStage, Over};
use rmq_remoting::code::{response, response_name};
use rmq_remoting::command::Command;
use rmq_remoting::observe::Name;
use rmq_remoting::request::GetRouteInfoByTopic;
use rmq_remoting::text::{self, name};
use smallvec::SmallVec;
use tokio::time::{Duration, Instant, sleep};

use crate::client::ClientCore;
use crate::client::routes::Snapshot;
use crate::decide::route::{Published, Unfit};
use crate::decide::{budget, name_server};
use crate::event::{Event, LookupEnd, LookupNumber, LookupReason};
use crate::policy::OvertakeOver;

/// Why no route was found. Kept by the error of the send that needed it.
#[derive(Debug, Clone, thiserror::Error)]
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
        /// The topic.
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
        /// The topic.
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
        /// The topic.
        topic: Name,
        /// The server.
        server: Name,
        /// The response code.
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
        /// The topic.
        topic: Name,
        /// The servers' list.
        servers: String,
    },
    /// The lookup's task ended early.
    #[error("the lookup of {} was broken off", name(.0))]
    BrokenOff(Name),
}

/// What became of asking one name server, when a lookup brought no route.
#[derive(Debug, Clone)]
pub struct ServerAnswer {
    /// The server.
    pub server: Name,
    /// What it said.
    pub said: Said,
}

/// What a name server said that brought no route.
#[derive(Debug, Clone)]
pub enum Said {
    /// It does not know the topic (code 17).
    NotExist,
    /// A route that cannot be read, or by which nothing can be sent; why.
    Unfit(String),
    /// Another error code, or success without a route.
    Refused {
        /// The response code.
        code: i32,
        /// Its words, cut if they are many.
        remark: String,
    },
    /// Nothing.
    Failed(CallError),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotExist => f.write_str("it does not know the topic"),
            Self::Unfit(reason) => f.write_str(reason),
            Self::Refused { code, remark } => f.write_str(&coded(*code, remark)),
            Self::Failed(error) => error.fmt(f),
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
        .map(|(_, error)| error.to_string())
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

/// What a usable answer is good for.
#[derive(Debug)]
pub(crate) enum Fit {
    /// It is the answer behind the route in force.
    Unchanged(Arc<Snapshot>),
    /// It publishes this.
    New(Published),
}

/// Tells what an answer is good for. Called without any lock.
pub(crate) type Judge<'a> = &'a (dyn Fn(&Bytes) -> Result<Fit, Unfit> + Send + Sync);

/// What the name servers said.
#[derive(Debug)]
pub(crate) enum Answer {
    Route {
        body: Bytes,
        fit: Fit,
    },
    NotExist {
        answers: Vec<ServerAnswer>,
    },
    Unusable {
        reason: String,
        answers: Vec<ServerAnswer>,
    },
    Refused {
        server: Name,
        code: i32,
        remark: String,
        answers: Vec<ServerAnswer>,
    },
    Unreachable(Vec<(Name, CallError)>),
}

impl Answer {
    /// How a lookup that brought no route ended, as an event.
    pub(crate) fn end(&self) -> Option<LookupEnd> {
        match self {
            Self::Route { .. } => None,
            Self::NotExist { .. } => Some(LookupEnd::NotExist),
            Self::Unusable { reason, .. } => Some(LookupEnd::Unusable(reason.clone())),
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
    judge: Judge<'_>,
) -> (LookupNumber, Answer) {
    let lookup = core.next_lookup();
    core.emit(Event::Lookup {
        lookup,
        topic: Name::clone(asked),
        reason,
    });
    let answer = pass(core, asked, lookup, deadline, judge).await;
    (lookup, answer)
}

/// Goes through the list that is in force at each step, and asks no server twice.
async fn pass(
    core: &ClientCore,
    topic: &Name,
    lookup: LookupNumber,
    deadline: Instant,
    judge: Judge<'_>,
) -> Answer {
    let list = &core.name_servers;
    let whole = millis_until(deadline);
    let mut asked: SmallVec<[Name; 4]> = SmallVec::new();
    let mut heard = Heard::default();
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
        let confirms = heard.has_an_answer();
        if confirms {
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
        let last = left == 1 && !confirms;
        let sliced = Instant::now() + Duration::from_millis(slice);
        let reply = if last {
            ask_twice(core, lookup, server, &request, deadline).await
        } else {
            core.call(server, &request, sliced.min(deadline)).await
        };
        let last_word = match &reply {
            Ok(_) => !rule.divided,
            Err(error) => rule.first_reached && error.stage() != CallStage::Dial,
        };
        match reply {
            Ok(reply) if reply.code == response::SUCCESS && !reply.body.is_empty() => {
                match judge(&reply.body) {
                    Ok(fit) => {
                        list.prefer(&servers, at);
                        let body = reply.body;
                        return Answer::Route { body, fit };
                    }
                    // Passed over like a refusal: another server may know better.
                    Err(unfit) => heard.unfit(server, unfit),
                }
            }
            Ok(reply) => heard.refusal(server, &reply),
            Err(error) => {
                heard.push(server, Said::Failed(error));
                list.prefer(&servers, name_server::next(at, servers.len()));
            }
        }
        if last_word {
            break;
        }
    }
    heard.sum()
}

/// In less time than twice this a name server is not asked again.
const LEAST_HALF: Duration = Duration::from_millis(50);

/// Asks the last name server there is. If it is silent for half of the time that is left, it is asked
/// again over a connection on which it was heard since, and whichever answer comes first counts: a
/// box in the middle may have forgotten the first connection.
async fn ask_twice(
    core: &ClientCore,
    lookup: LookupNumber,
    server: &Name,
    request: &GetRouteInfoByTopic<'_>,
    deadline: Instant,
) -> Result<Command, CallError> {
    let began = Instant::now();
    let first = core.call(server, request, deadline);
    tokio::pin!(first);
    let half = deadline.saturating_duration_since(began) / 2;
    if half < LEAST_HALF || budget::over(&core.policy) == OvertakeOver::First {
        return first.await;
    }
    tokio::select! {
        biased;
        reply = &mut first => return reply,
        () = sleep(half) => {}
    }
    core.emit(Event::NameServerChosen {
        lookup,
        server: Name::clone(server),
    });
    let fresh = Over::HeardSince(began);
    let second = core.call_over(fresh, server, request, deadline);
    tokio::pin!(second);
    tokio::select! {
        biased;
        reply = &mut first => match reply {
            Ok(reply) => Ok(reply),
            Err(_) => second.await,
        },
        reply = &mut second => match reply {
            Ok(reply) => Ok(reply),
            Err(_) => first.await,
        },
    }
}

/// What the servers of one pass said, none of which had a route.
#[derive(Default)]
struct Heard {
    answers: Vec<ServerAnswer>,
    /// Why the topic cannot be sent to, although it exists.
    unusable: Option<String>,
    /// Why an answer says nothing of the topic.
    nothing: Option<String>,
}

impl Heard {
    fn push(&mut self, server: &Name, said: Said) {
        let server = Name::clone(server);
        self.answers.push(ServerAnswer { server, said });
    }

    fn unfit(&mut self, server: &Name, unfit: Unfit) {
        let said = Said::Unfit(unfit.reason().to_owned());
        match unfit {
            Unfit::Unusable(reason) => self.unusable.get_or_insert(reason),
            Unfit::Nothing(reason) => self.nothing.get_or_insert(reason),
        };
        self.push(server, said);
    }

    fn refusal(&mut self, server: &Name, reply: &Command) {
        let said = match reply.code {
            response::TOPIC_NOT_EXIST => Said::NotExist,
            code => Said::Refused {
                code,
                remark: text::kept(reply.remark.as_deref().unwrap_or_default()),
            },
        };
        self.push(server, said);
    }

    fn not_exist(&self) -> bool {
        let mut answers = self.answers.iter();
        answers.any(|answer| matches!(answer.said, Said::NotExist))
    }

    /// Whether one server has said what the lookup comes to, unless another one has a route.
    fn has_an_answer(&self) -> bool {
        self.unusable.is_some() || self.not_exist()
    }

    /// What they come to together. A topic that one server knows exists, though another one does
    /// not know it; an answer that says nothing counts only where nobody said anything else.
    fn sum(self) -> Answer {
        let not_exist = self.not_exist();
        let answers = self.answers;
        if let Some(reason) = self.unusable {
            return Answer::Unusable { reason, answers };
        }
        if not_exist {
            return Answer::NotExist { answers };
        }
        if let Some(reason) = self.nothing {
            return Answer::Unusable { reason, answers };
        }
        let refusal = answers.iter().rev().find_map(|answer| match &answer.said {
            Said::Refused { code, remark } => {
                Some((Name::clone(&answer.server), *code, remark.clone()))
            }
            _ => None,
        });
        if let Some((server, code, remark)) = refusal {
            return Answer::Refused {
                server,
                code,
                remark,
                answers,
            };
        }
        let failures = answers.into_iter().filter_map(|answer| match answer.said {
            Said::Failed(error) => Some((answer.server, error)),
            _ => None,
        });
        Answer::Unreachable(failures.collect())
    }
}

fn millis_until(deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(Instant::now());
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
}

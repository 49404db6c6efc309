//! One route lookup: asks the name servers, one after the other, within one deadline.
//!
//! Name servers know nothing of each other, so "there is no such topic" counts only when every one
//! that can be reached has said so, and an answer that cannot be read, or by which nothing can be
//! sent, is passed over like a refusal. The list may be replaced while a lookup goes through it: then
//! it goes on with those of the new one that it has not asked, within the same deadline.

use bytes::Bytes;
use rmq_remoting::client::{CallError, CallStage, Over};
use rmq_remoting::code::response;
use rmq_remoting::command::Command;
use rmq_remoting::observe::Name;
use rmq_remoting::request::GetRouteInfoByTopic;
use rmq_remoting::text;
use smallvec::SmallVec;
use tokio::time::{Duration, Instant, sleep};

use super::name_servers::Listed;
use super::routes::Fit;
use super::state::ClientCore;
use crate::decide::route::Unfit;
use crate::decide::{budget, name_server};
use crate::error::{Said, ServerAnswer};
use crate::event::{Event, LookupEnd, LookupNumber, LookupReason};
use crate::policy::OvertakeOver;

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

//! One route lookup: asks the name servers, one after the other, within one deadline.
//!
//! Which one is next, for how long, and what an answer means is decided in [`pass`](super::pass).
//! The list may be replaced while a lookup goes through it: then it goes on with those of the new one
//! that it has not asked, within the same deadline.

use bytes::Bytes;
use rmq_remoting::client::{CallError, Over};
use rmq_remoting::code::response;
use rmq_remoting::command::Command;
use rmq_remoting::observe::Name;
use rmq_remoting::request::GetRouteInfoByTopic;
use rmq_remoting::text;
use tokio::time::{Duration, Instant, sleep};

use super::pass::{LookupAnswer, NoRoute, Pass};
use super::routes::Fit;
use super::state::ClientCore;
use crate::decide::route::Unfit;
use crate::decide::{budget, peer};
use crate::event::{Event, LookupNumber, LookupReason};
use crate::policy::HedgeOver;

/// Tells what an answer is good for. Called without any lock.
pub(crate) type ReadRoute<'a> = &'a (dyn Fn(&Bytes) -> Result<Fit, Unfit> + Send + Sync);

/// Asks for the route of `asked`. Emits the lookup's start and its choices; its end is emitted by
/// whoever applies the answer.
pub(crate) async fn ask(
    core: &ClientCore,
    asked: &Name,
    reason: LookupReason,
    deadline: Instant,
    read: ReadRoute<'_>,
) -> (LookupNumber, LookupAnswer) {
    let lookup = core.next_lookup();
    core.emit(Event::Lookup {
        lookup,
        topic: Name::clone(asked),
        reason,
    });
    let answer = pass(core, asked, lookup, deadline, read).await;
    (lookup, answer)
}

/// Goes through the list that is in force at each step, and asks no server twice.
async fn pass(
    core: &ClientCore,
    topic: &Name,
    lookup: LookupNumber,
    deadline: Instant,
    read: ReadRoute<'_>,
) -> LookupAnswer {
    let list = &core.name_servers;
    let mut pass = Pass::new(millis_until(deadline));
    loop {
        let listed = list.listed();
        let Some(ask) = pass.next(&core.policy, &listed, millis_until(deadline)) else {
            break;
        };
        let server = &listed.servers[ask.at];
        core.emit(Event::NameServerChosen {
            lookup,
            server: Name::clone(server),
        });
        let request = GetRouteInfoByTopic {
            topic,
            accept_standard_json_only: None,
        };
        let sliced = Instant::now() + Duration::from_millis(ask.slice);
        let reply = if ask.last {
            ask_twice(core, lookup, server, &request, deadline).await
        } else {
            core.call(server, &request, sliced.min(deadline)).await
        };
        let no_route = match reply {
            Ok(reply) if reply.code == response::SUCCESS && !reply.body.is_empty() => {
                match read(&reply.body) {
                    Ok(fit) => {
                        list.prefer(&listed.servers, ask.at);
                        let body = reply.body;
                        return LookupAnswer::Route { body, fit };
                    }
                    Err(unfit) => NoRoute::Unfit(unfit),
                }
            }
            Ok(reply) => NoRoute::Refused {
                code: reply.code,
                remark: text::kept(reply.remark.as_deref().unwrap_or_default()),
            },
            Err(error) => NoRoute::Failed(error),
        };
        let after = pass.heard(server, no_route, &ask);
        if let Some(first) = after.prefer {
            list.prefer(&listed.servers, first);
        }
        if after.over {
            break;
        }
    }
    pass.sum()
}

/// Asks the last name server there is. If it is silent for half of the time that is left, it is asked
/// again over a connection on which it was heard since, and whichever answer comes first counts: a
/// box in the middle may have forgotten the first connection. A half that says nothing about the
/// connection is no reason for another one: sends near the end of their time, which look a topic up one
/// after the other, would dial a slow server anew each time.
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
    if half < peer::LEAST_SILENCE || budget::hedge_over(&core.policy) == HedgeOver::First {
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

fn millis_until(deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(Instant::now());
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
}

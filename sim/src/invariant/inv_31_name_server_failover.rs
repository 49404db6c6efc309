//! One name server that works is enough.
//!
//! A list of name servers is there for the day on which one of them hangs, or has just been
//! restarted and knows nothing. A client that gives the first one all the time, or takes its "no
//! such topic" for the truth, turns that day into an outage. So while one of them is healthy and
//! knows the topic, a lookup ends with its answer, within the time of a lookup and within that of
//! the send that waits for it.
//!
//! Checked where the policy asks the whole list. "Healthy" includes the connection that is used: one
//! that was opened before the server's last fault may be dead. A share of the time that is too short
//! for a dial and an answer promises nothing.

use rmq_producer::event::{LookupEnd, LookupReason};
use rmq_remoting::observe::Name;

use super::inv_32_name_server_list::in_force;
use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{LookupHistory, Timestamp, WidthSource};
use crate::trace::{NodeId, NodeKind, PolicyFacts};
use crate::truth::Condition;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-31",
    title: "Name-server failover",
    source: Source::Truth,
    rate_per_mille: 10,
    checker: Checker::Run(check),
    sides: &[
        side(
            "gets no route of … in … ms, … has it",
            &[
                "the second one answers for the first, which hangs",
                "a send has no time for two name servers",
            ],
        ),
        side(
            "looks … up: …, although … has its route",
            &[
                "nobody knows the topic",
                "the one that is well has left the list",
            ],
        ),
        side(
            "looks … up at … first, which gave no answer to the lookup before",
            &[
                "the next lookup begins at the one that answered",
                "a new list begins anew",
            ],
        ),
        side(
            "looks … up: Unreachable, although … had answered",
            &[
                "the last one answers as another connection to it is dialled",
                "an answer comes when the next one is asked",
            ],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// How long a server must have been healthy: what a fault held back may arrive this much later.
const RECOVERY_MS: u64 = 10_000;

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let servers = run.header().of_kind(NodeKind::NameServer).count();
    if servers < 2 {
        return;
    }
    for lookup in &run.history.lookups {
        hears(run, lookup, report);
        // The default topic is asked for in what time the topic's own lookup has left.
        let own = lookup.reason != LookupReason::DefaultTopic;
        let policy = run.policy(lookup.node);
        if let Some(policy) = policy.filter(|policy| own && policy.asks_all_name_servers) {
            answered(run, lookup, (policy, servers), report);
        }
    }
    for lookup in &run.history.lookups {
        let policy = run.policy(lookup.node);
        if policy.is_some_and(|policy| policy.asks_all_name_servers) {
            goes_elsewhere(run, lookup, report);
        }
    }
}

/// An answer that reached the client while its server was the last one asked counts: the lookup does not end
/// as if nobody had answered.
fn hears(run: &CheckedRun<'_>, lookup: &LookupHistory<'_>, report: &mut CheckReport) {
    let Some((ended, LookupEnd::Unreachable)) = lookup.ended else {
        return;
    };
    let Some((_, last)) = lookup.servers.last() else {
        return;
    };
    let others = lookup.servers.iter().rposition(|(_, it)| it != last);
    let Some((since, _)) = lookup.servers.get(others.map_or(0, |at| at + 1)) else {
        return;
    };
    for index in run.history.index.connections(lookup.node, last) {
        let connection = &run.history.connections[*index];
        let Some((_, local)) = connection.opened else {
            continue;
        };
        let heard = connection.answers.iter().find(|(opaque, at, _)| {
            // An answer may be to a lookup before this one.
            let mut written = connection.written.iter();
            let own = written.any(|(it, written)| it == opaque && written > since);
            // In the last millisecond of its time it may be late.
            let in_time = at > since && at.ms < ended.ms;
            let mut asked = run.history.asked.iter();
            own && in_time
                && asked.any(|it| {
                    let same = it.peer == local && it.opaque == *opaque;
                    same && it.topic == lookup.topic
                })
        });
        report.exercised();
        if heard.is_some() {
            let (who, topic) = (run.name(lookup.node), lookup.topic);
            let text = format!("{who} looks {topic} up: Unreachable, although {last} had answered");
            report.wrong(ended, text);
            return;
        }
    }
}

/// A name server that gave no answer is not the first one to be asked again: the lookup before went on to
/// another one, which answered, with a route or without.
fn goes_elsewhere(run: &CheckedRun<'_>, lookup: &LookupHistory<'_>, report: &mut CheckReport) {
    let Some((_, first)) = lookup.servers.first() else {
        return;
    };
    let own = run.history.lookups.iter();
    let mut own = own.filter(|it| it.node == lookup.node && it.number != lookup.number);
    // The last one of all that began before, with no other one beside it.
    let before = own.clone().filter(|it| it.started < lookup.started);
    let Some(before) = before.max_by_key(|it| it.started) else {
        return;
    };
    let Some((ended, end)) = before.ended else {
        return;
    };
    if matches!(end, LookupEnd::Unreachable | LookupEnd::NoNameServer) {
        return;
    }
    let alone = own.all(|it| {
        let over = it.ended.is_some_and(|(ended, _)| ended < before.started);
        over || it.number == before.number || it.started >= lookup.started
    });
    let mut lists = run.history.lists.iter();
    let same_list = !lists.any(|(node, at, _)| {
        *node == lookup.node && *at >= before.started && *at <= lookup.started
    });
    let asked = before.servers.first().filter(|(_, server)| server == first);
    let last = before.servers.last().filter(|(_, server)| server != first);
    let (Some((since, _)), Some((last_since, last)), true, true) =
        (asked, last, alone && same_list, ended < lookup.started)
    else {
        return;
    };
    let answered = |server: &Name, since: Timestamp, completes: bool| {
        let there = run.history.index.connections(lookup.node, server).iter();
        let there = there.map(|index| &run.history.connections[*index]);
        let mut answers = there.flat_map(|it| &it.answers);
        answers.any(|(_, at, code)| {
            *at >= since && *at <= lookup.started && (code.is_some() || !completes)
        })
    };
    // Behind the last one of the list the first one is the next again.
    if !answered(last, *last_since, true) {
        return;
    }
    report.exercised();
    if !answered(first, *since, false) {
        let (who, topic) = (run.name(lookup.node), lookup.topic);
        let text = format!(
            "{who} looks {topic} up at {first} first, which gave no answer to the lookup before"
        );
        report.wrong(lookup.started, text);
    }
}

fn answered(
    run: &CheckedRun<'_>,
    lookup: &LookupHistory<'_>,
    (policy, servers): (&PolicyFacts, usize),
    report: &mut CheckReport,
) {
    let (least, time) = times(run, lookup, policy);
    let share = least / u64::try_from(servers).unwrap_or(u64::MAX);
    if share <= 3 * run.header().round_trip_ms {
        return;
    }
    let due = run.due(lookup.node, lookup.started.ms, time);
    let ended = lookup.ended.filter(|(ended, _)| ended.ms <= due);
    let until = ended.map_or(due, |(ended, _)| ended.ms);
    // Of several sends that wait, the one that began the lookup may have had the least time.
    let least_over = until.saturating_add(1) >= lookup.started.ms.saturating_add(least);
    if ended.is_some() && least < time && least_over {
        return;
    }
    let all: Vec<NodeId> = run.header().of_kind(NodeKind::NameServer).collect();
    let helps = |server: &&NodeId| knows(run, lookup, **server, until);
    let Some(helper) = all.iter().find(helps) else {
        return;
    };
    // With all of them well there is nothing to fail over from.
    if all.iter().all(|server| knows(run, lookup, *server, until)) || given_up(run, lookup, due) {
        return;
    }
    report.exercised();
    let (who, topic, name) = (run.name(lookup.node), lookup.topic, run.name(*helper));
    match ended {
        Some((_, LookupEnd::Changed | LookupEnd::Unchanged)) => {}
        Some((timestamp, end)) => {
            let text = format!("{who} looks {topic} up: {end:?}, although {name} has its route");
            report.wrong(timestamp, text);
        }
        None => {
            let text = format!("{who} gets no route of {topic} in {time} ms, {name} has it");
            report.wrong(lookup.started, text);
        }
    }
}

/// How long the lookup may take: that of the policy, or what is left to the sends that wait, at least and at
/// most.
fn times(run: &CheckedRun<'_>, lookup: &LookupHistory<'_>, policy: &PolicyFacts) -> (u64, u64) {
    let most = policy.name_server_timeout_ms;
    if lookup.reason != LookupReason::FirstSend {
        return (most, most);
    }
    let sends = run.history.sends.iter().filter(|send| {
        // Whose time was over when the lookup could begin has begun it, and leaves it no time.
        let waits =
            send.called < lookup.started && send.over().is_none_or(|it| it.ms >= lookup.started.ms);
        waits && send.node == lookup.node && send.topic == lookup.topic
    });
    let left = sends.map(|send| send.deadline_ms().saturating_sub(lookup.started.ms));
    let left: Vec<u64> = left.map(|left| left.min(most)).collect();
    let (least, most) = (left.iter().min(), left.iter().max());
    (least.copied().unwrap_or(0), most.copied().unwrap_or(0))
}

/// Whether a server had the topic's route and was well, as was the connection to it.
fn knows(run: &CheckedRun<'_>, lookup: &LookupHistory<'_>, server: NodeId, until: u64) -> bool {
    let ended = lookup.ended.filter(|(ended, _)| ended.ms <= until);
    let end = ended.map_or_else(|| run.after(until), |(ended, _)| ended);
    let has_route = |timestamp| {
        let route = run.history.route_at(server, lookup.topic, timestamp);
        // Nobody can write to a broker without a master.
        let masters = !run.history.masters.is_empty();
        route.iter().any(|(broker, queues)| {
            let master = run.history.master_at(server, broker, timestamp);
            *queues > 0 && (!masters || master.is_some())
        })
    };
    // A broker that left meanwhile may have left just when the server was asked.
    let steady = || {
        let news = run.history.widths.iter();
        let mut news = news.filter(|news| news.timestamp > lookup.started && news.timestamp < end);
        news.all(|news| match news.source {
            WidthSource::Route(at, route) if at == server && news.topic == lookup.topic => {
                route.iter().any(|(_, queues)| *queues > 0)
            }
            _ => true,
        })
    };
    let recovered = lookup.started.ms.saturating_sub(RECOVERY_MS);
    let dialled = run.dialled(lookup.node, server, end);
    let since = dialled.map_or(recovered, |dialled| dialled.ms.min(recovered));
    is_listed(run, lookup, server, end)
        && run.truth.worst(lookup.node, server, since, until) == Condition::Healthy
        && has_route(lookup.started)
        && has_route(end)
        && steady()
}

/// Whether a server was in the client's list from the lookup's start to its end.
fn is_listed(
    run: &CheckedRun<'_>,
    lookup: &LookupHistory<'_>,
    server: NodeId,
    end: Timestamp,
) -> bool {
    let info = run.header().nodes.get(server.index());
    let address = info.and_then(|info| info.address.as_ref());
    let contains = |servers: &[Name]| address.is_some_and(|address| servers.contains(address));
    let at_start = in_force(run, lookup.node, lookup.started);
    let changes = run.history.lists.iter();
    let mut meanwhile =
        changes.filter(|(node, at, _)| *node == lookup.node && *at > lookup.started && *at <= end);
    at_start.is_none_or(contains) && meanwhile.all(|(.., servers)| contains(servers))
}

/// Whether the lookup was broken off by a stop, or by the end of the run.
fn given_up(run: &CheckedRun<'_>, lookup: &LookupHistory<'_>, due: u64) -> bool {
    let stopped = run.stops(lookup.node).any(|at| at.ms <= due);
    lookup.ended.is_none() && (stopped || run.trace.end_ms <= due)
}

#[cfg(test)]
mod tests {
    use rmq_mock_namesrv::event::Event as NameServerEvent;
    use rmq_producer::event::Event;
    use rmq_remoting::code::request;
    use rmq_remoting::event::Event as Transport;

    use super::*;
    use crate::fault::FaultKind;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("the second one answers for the first, which hangs", || {
            let scene = frozen().lookup(2, LookupReason::Poll).at(31_500);
            ends(scene, LookupEnd::Unchanged)
        }),
        accepts("nobody knows the topic", || {
            let scene = route(frozen(), "ns-2", 0).lookup(2, LookupReason::Poll);
            ends(scene, LookupEnd::NotExist)
        }),
        accepts("the one that is well has left the list", || {
            let servers = ["10.0.1.1:9876".into()].into();
            let scene = frozen().say(Event::NameServers { servers });
            let scene = scene.lookup(2, LookupReason::Poll).at(33_000);
            ends(scene, LookupEnd::Unreachable)
        }),
        accepts("a send has no time for two name servers", || {
            let scene = frozen().call(1).facts(|it| it.round_trip_ms = 500);
            ends(
                scene.lookup(2, LookupReason::FirstSend),
                LookupEnd::Unreachable,
            )
        }),
        accepts("the next lookup begins at the one that answered", || {
            asks_next(went_on(), "10.0.1.2:9876")
        }),
        accepts("a new list begins anew", || {
            let servers: Vec<Name> = vec!["10.0.1.1:9876".into(), "10.0.1.3:9876".into()];
            let servers = servers.into();
            let scene = went_on().say(Event::NameServers { servers });
            asks_next(scene, "10.0.1.1:9876")
        }),
        rejects(
            "the next lookup begins at the one that gave no answer",
            || {
                let mut scene = went_on();
                scene.marked = Some(scene.trace.records.len());
                asks_next(scene, "10.0.1.1:9876")
            },
        ),
        accepts(
            "the last one answers as another connection to it is dialled",
            || {
                let scene = asked_twice().say(Event::Transport(reply(4)));
                ends(scene, LookupEnd::Unchanged)
            },
        ),
        accepts("an answer comes when the next one is asked", || {
            let scene = asked_twice().say(Event::NameServerChosen {
                lookup: 2.into(),
                server: "10.0.1.2:9876".into(),
            });
            let scene = scene.at(32_000).say(Event::Transport(Transport::Late {
                connection: 4.into(),
                opaque: 77,
            }));
            ends(scene.at(33_000), LookupEnd::Unreachable)
        }),
        rejects("the answer of the last one counts for nothing", || {
            let scene = asked_twice().say(Event::Transport(reply(4)));
            ends(scene.at(33_000), LookupEnd::Unreachable).wrong()
        }),
        rejects("the first one uses up the time", || {
            let scene = frozen().lookup(2, LookupReason::Poll).at(33_000);
            ends(scene, LookupEnd::Unreachable).wrong()
        }),
        rejects("the first one, just restarted, has the last word", || {
            let at = ([10, 0, 1, 1], 9876).into();
            let scene = both()
                .at(20_000)
                .name_server("ns-1", NameServerEvent::Listening { at });
            let scene = scene.at(30_000).lookup(2, LookupReason::Poll);
            ends(scene, LookupEnd::NotExist).wrong()
        }),
        rejects("the lookup never ends", || {
            let (topic, reason) = ("orders".into(), LookupReason::Poll);
            let lookup = Event::Lookup {
                lookup: 2.into(),
                topic,
                reason,
            };
            frozen().say(lookup).wrong()
        }),
    ];

    /// A poll gets its route from the second name server, after the first one said nothing.
    fn went_on() -> Scene {
        let scene = Scene::new().at(30_000).lookup(2, LookupReason::Poll);
        let scene = scene.at(31_500).say(Event::NameServerChosen {
            lookup: 2.into(),
            server: "10.0.1.2:9876".into(),
        });
        let scene = scene
            .open(5, "ns-2")
            .at(31_510)
            .say(Event::Transport(reply(5)));
        ends(scene, LookupEnd::Unchanged).at(60_000)
    }

    /// A poll asks the first name server, which reads the request, and then asks it once more.
    fn asked_twice() -> Scene {
        let scene = Scene::new().open(4, "ns-1").at(30_000);
        let scene = scene.lookup(2, LookupReason::Poll);
        let scene = scene.say(Event::Transport(Transport::Written {
            connection: 4.into(),
            opaque: 77,
        }));
        let peer = scene.local(4);
        let scene = scene.name_server(
            "ns-1",
            NameServerEvent::Received {
                request: 1,
                peer,
                code: request::GET_ROUTEINFO_BY_TOPIC,
                opaque: 77,
                topic: Some("orders".into()),
            },
        );
        let scene = scene.at(31_500).say(Event::NameServerChosen {
            lookup: 2.into(),
            server: "10.0.1.1:9876".into(),
        });
        scene.at(31_700)
    }

    fn reply(connection: u64) -> Transport {
        Transport::Reply {
            connection: connection.into(),
            opaque: 77,
            code: 0,
        }
    }

    /// Another poll begins at this name server.
    fn asks_next(scene: Scene, server: &str) -> Scene {
        let scene = scene.say(Event::Lookup {
            lookup: 3.into(),
            topic: "orders".into(),
            reason: LookupReason::Poll,
        });
        let scene = scene.say(Event::NameServerChosen {
            lookup: 3.into(),
            server: server.into(),
        });
        let scene = scene.at(60_010);
        scene.say(Event::LookupEnded {
            lookup: 3.into(),
            end: LookupEnd::Unchanged,
        })
    }

    fn both() -> Scene {
        route(route(Scene::new(), "ns-1", 4), "ns-2", 4)
    }

    fn frozen() -> Scene {
        both().at(30_000).fault(1, FaultKind::Freeze, "ns-1")
    }

    fn route(scene: Scene, server: &str, queues: i32) -> Scene {
        let event = NameServerEvent::RouteChanged {
            topic: "orders".into(),
            write_queues: vec![("broker-a".into(), queues)],
        };
        scene.name_server(server, event)
    }

    fn ends(scene: Scene, end: LookupEnd) -> Scene {
        scene.say(Event::LookupEnded {
            lookup: 2.into(),
            end,
        })
    }
}

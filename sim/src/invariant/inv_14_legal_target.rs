//! Every message goes to a queue that exists, on the broker it was meant for.
//!
//! At the broker: the queue id is within the topic's write queues there, and the broker named in
//! the header is the one that reads it. At the producer: the queue is in the route the attempt
//! names, at that broker's master address. And both agree: what the attempt says is what arrives.
//! Java's clients make one request for all attempts of an async send: it names the first one's queue
//! and broker, wherever it goes. And a message for a queue of another topic goes nowhere.
//!
//! A route borrowed from the default topic names queues that a topic with fewer does not have, if a
//! name server did not know the topic yet: scenario `borrowed-route.toml`.

use std::collections::BTreeMap;

use rmq_producer::event::{Mode, QueueRef};
use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{AttemptHistory, RequestHistory, SendHistory, Timestamp, WidthSource};
use crate::trace::{NodeId, NodeKind};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-14",
    title: "Legal target",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side(
            "reads a message meant for …",
            &["the last queue of a broker"],
        ),
        side(
            "says … and arrives at …",
            &["an async retry of Java's names the first attempt's queue"],
        ),
        side(
            "reads queue id …; … has … queues there",
            &["the last queue of a broker"],
        ),
        side("reads queue id -…", &["the last queue of a broker"]),
        side(
            "names a route that was never published",
            &["the last queue of a broker"],
        ),
        side(
            "goes by route …, and … is in force",
            &["the last queue of a broker"],
        ),
        side("not in its route", &["the last queue of a broker"]),
        side(
            "goes to …, not …'s in its route",
            &["a broker that only reads is sent to all the same"],
        ),
        side(
            "for a queue of …, arrives for …",
            &["a queue of another topic ends the send"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let mut widths = Widths {
        run,
        known: Vec::new(),
    };
    for request in &run.history.requests {
        report.exercised();
        at_broker(run, request, &mut widths, report);
    }
    for (send, attempt) in run.attempts() {
        in_route(run, send, attempt, report);
    }
    of_another_topic(run, report);
}

/// A message whose caller chose a queue of another topic arrives nowhere. Some policies do not look at that
/// where the send is one-way.
fn of_another_topic(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let works = run.history.work.iter();
    let others = works.filter_map(|work| Some((&**work.keys, work.queue_of?)));
    let others: BTreeMap<&str, &Name> = others.collect();
    if others.is_empty() {
        return;
    }
    for request in run.history.requests.iter().filter(|it| !it.oneway) {
        let keys = request.seen.keys.as_deref();
        let Some((keys, other)) = keys.and_then(|keys| others.get_key_value(keys)) else {
            continue;
        };
        let topic = &request.seen.topic;
        let text = format!("{keys}, for a queue of {other}, arrives for {topic}");
        report.wrong(request.received, text);
    }
}

/// What the request of an async retry names instead of where it goes, by a policy that makes one
/// request for all attempts.
fn of_the_first<'t>(run: &CheckedRun<'t>, request: &RequestHistory<'t>) -> Option<&'t QueueRef> {
    let (send, _) = request.attempt?;
    let send = &run.history.sends[send];
    let policy = run.policy_of(send.producer())?;
    let one_request = send.mode == Mode::Async && !policy.retargets_queue;
    let first = send.attempts.first().filter(|_| one_request)?;
    Some(first.to)
}

fn at_broker<'t>(
    run: &CheckedRun<'t>,
    request: &RequestHistory<'t>,
    widths: &mut Widths<'_, 't>,
    report: &mut CheckReport,
) {
    let (broker, seen) = (run.name(request.broker), request.seen);
    let first = of_the_first(run, request);
    let meant = first.map_or(broker, |first| &*first.broker);
    if seen.queue < 0 {
        report.wrong(
            request.received,
            format!("{broker} reads queue id {}", seen.queue),
        );
    } else if let Some(width) = widths.widest(request)
        && seen.queue >= width
        && meant == broker
        && !borrowed(run, request)
        && !chosen_by_caller(run, request)
    {
        let (topic, queue) = (&seen.topic, seen.queue);
        let text = format!("{broker} reads queue id {queue}; {topic} has {width} queues there");
        report.wrong(request.received, text);
    }
    if let Some(named) = &seen.broker_name
        && **named != *meant
    {
        report.wrong(
            request.received,
            format!("{broker} reads a message meant for {named}"),
        );
    }
    let Some((send, attempt)) = request.attempt else {
        return;
    };
    let send = &run.history.sends[send];
    let attempt = &send.attempts[attempt];
    let queue = first.map_or(attempt.to.queue, |first| first.queue);
    if (&*attempt.to.broker, queue) != (broker, seen.queue) {
        let (who, number, k) = (run.name(send.node), send.number, attempt.number);
        let to = &attempt.to.broker;
        let other = seen.queue;
        let text =
            format!("{who} s{number} #{k} says {to}/{queue} and arrives at {broker}/{other}");
        report.wrong(request.received, text);
    }
}

/// Whether the caller named just this queue, right or wrong.
fn chosen_by_caller(run: &CheckedRun<'_>, request: &RequestHistory<'_>) -> bool {
    let send = request.attempt.map(|(send, _)| &run.history.sends[send]);
    let chosen = send.and_then(|send| send.target_queue);
    chosen.is_some_and(|queue| queue.queue == request.seen.queue)
}

/// Whether the queue was chosen from a route that belongs to the default topic.
fn borrowed(run: &CheckedRun<'_>, request: &RequestHistory<'_>) -> bool {
    let Some((send, attempt)) = request.attempt else {
        return false;
    };
    let send = &run.history.sends[send];
    let attempt = &send.attempts[attempt];
    // What a selector chose once, stays for all attempts.
    let routes = attempt.snapshot.into_iter().chain(send.selected_from);
    let mut routes = routes.map(|index| &run.history.snapshots[index]);
    routes.any(|route| run.is_borrowed(route))
}

/// Broker, since when, how many write queues.
type Heard = (NodeId, Timestamp, i32);

/// The write queues of the topics that were sent to, as they changed.
struct Widths<'a, 't> {
    run: &'a CheckedRun<'t>,
    /// What was heard of each topic, once it was asked for.
    known: Vec<(&'t Name, Vec<Heard>)>,
}

impl<'t> Widths<'_, 't> {
    /// What is known of a topic, gathered when it is first asked for.
    fn of(&mut self, topic: &'t Name) -> &[Heard] {
        let index = match self.known.iter().position(|(it, _)| *it == topic) {
            Some(index) => index,
            None => {
                let mut history = Vec::new();
                for news in self
                    .run
                    .history
                    .widths
                    .iter()
                    .filter(|news| news.topic == topic)
                {
                    match news.source {
                        WidthSource::Broker(broker, queues) => {
                            history.push((broker, news.timestamp, queues));
                        }
                        WidthSource::Route(_, brokers) => {
                            // None to write to is said of a broker that only reads, and that
                            // stores what it is sent all the same.
                            let some = brokers.iter().filter(|(_, queues)| *queues > 0);
                            history.extend(some.filter_map(|(broker, queues)| {
                                Some((self.run.header().node(broker)?, news.timestamp, *queues))
                            }));
                        }
                    }
                }
                self.known.push((topic, history));
                self.known.len() - 1
            }
        };
        &self.known[index].1
    }

    /// The most write queues the topic had at the broker since the producer may have heard of
    /// them.
    fn widest(&mut self, request: &RequestHistory<'t>) -> Option<i32> {
        let mut since = request.received.ms.saturating_sub(grace(self.run)?);
        if self.run.truth.was_resized(&request.seen.topic) {
            // Name servers may be behind, and a queue of the caller's choice may be gone for good.
            since = 0;
        }
        let broker = request.broker;
        let mut widest = None;
        let here = self
            .of(&request.seen.topic)
            .iter()
            .filter(|(at, ..)| *at == broker);
        for (_, timestamp, queues) in here {
            if *timestamp > request.received && widest.is_some() {
                break;
            }
            // What was in force when the time of grace began counts, what came before does not.
            if timestamp.ms <= since {
                widest = None;
            }
            widest = widest.max(Some(*queues));
        }
        widest
    }
}

/// How long a producer may not know of a change.
fn grace(run: &CheckedRun<'_>) -> Option<u64> {
    let policy = run.header().policies.first()?;
    let servers = run.header().of_kind(NodeKind::NameServer).count();
    let pass = u64::try_from(servers)
        .ok()?
        .saturating_mul(policy.name_server_timeout_ms);
    Some(
        policy
            .poll_ms
            .saturating_add(pass)
            .saturating_add(run.header().slack_ms),
    )
}

fn in_route(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    report: &mut CheckReport,
) {
    let (who, number, k) = (run.name(send.node), send.number, attempt.number);
    let Some(snapshot) = attempt.snapshot.map(|index| &run.history.snapshots[index]) else {
        let text = format!("{who} s{number} #{k} names a route that was never published");
        report.wrong(attempt.started, text);
        return;
    };
    let (broker, queue) = (&attempt.to.broker, attempt.to.queue);
    let in_force = run.history.in_force(send.node, send.topic, attempt.started);
    let newest = in_force.map(|index| &run.history.snapshots[index]);
    if let Some(newest) = newest.filter(|newest| newest.number != snapshot.number) {
        let text = format!(
            "{who} s{number} #{k} goes by route {}, and {} is in force",
            snapshot.number, newest.number
        );
        report.wrong(attempt.started, text);
    }
    if send.target_queue.is_none() && !snapshot.queues.contains(attempt.to) {
        let text = format!("{who} s{number} #{k} goes to {broker}/{queue}, not in its route");
        report.wrong(attempt.started, text);
    }
    if let Some(address) = attempt.address
        && !snapshot.addresses.iter().any(|at| is(at, broker, address))
    {
        let text = format!("{who} s{number} #{k} goes to {address}, not {broker}'s in its route");
        report.wrong(attempt.started, text);
    }
}

fn is((name, at): &(Name, Name), broker: &Name, address: &Name) -> bool {
    name == broker && at == address
}

#[cfg(test)]
mod tests {
    use rmq_mock_namesrv::event::Event as NameServerEvent;
    use rmq_producer::event::{Event, Failure, Mode};

    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};
    use crate::trace::{NodeEvent, WorkEvent};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("the last queue of a broker", || {
            Scene::new().at(0).whole(1, "a/3")
        }),
        accepts("a broker that only reads is sent to all the same", || {
            let nothing = NameServerEvent::RouteChanged {
                topic: "orders".into(),
                write_queues: vec![("broker-a".into(), 0)],
            };
            let scene = Scene::new().at(0).name_server("ns-1", nothing);
            scene.at(90_000).call(1).attempt(1, 1, "a/3").seen(1, 1)
        }),
        accepts(
            "an async retry of Java's names the first attempt's queue",
            || retry_names(false, ("broker-a", 3)),
        ),
        rejects("an async retry of Java's names its own queue", || {
            retry_names(false, ("broker-b", 0)).wrong()
        }),
        rejects("an async retry names the first attempt's queue", || {
            retry_names(true, ("broker-a", 3)).wrong()
        }),
        rejects(
            "an attempt goes by a route that another one has replaced",
            || {
                let scene = Scene::new().at(9).found(1, 2, &["a/0", "b/0"]);
                scene
                    .at(20)
                    .call(1)
                    .attempt_by(1, 1, queue("a/0"), 1)
                    .wrong()
            },
        ),
        rejects("a queue id beyond the broker's", || {
            first().seen_with(1, 1, |seen| seen.queue = 4).wrong()
        }),
        rejects("a negative queue id", || {
            first().seen_with(1, 1, |seen| seen.queue = -1).wrong()
        }),
        rejects("the header says another queue than the attempt", || {
            first().seen_with(1, 1, |seen| seen.queue = 2).wrong()
        }),
        rejects("the header names another broker", || {
            first()
                .seen_with(1, 1, |seen| seen.broker_name = Some("broker-b".into()))
                .wrong()
        }),
        rejects("the message arrives at another broker", || {
            first().seen_at(1, 1, "broker-b").wrong()
        }),
        rejects("the queue is in no route", || {
            Scene::new()
                .at(0)
                .call(1)
                .attempt_by(1, 1, queue("a/7"), 1)
                .wrong()
        }),
        rejects("the route was never published", || {
            Scene::new()
                .at(0)
                .call(1)
                .attempt_by(1, 1, queue("a/0"), 9)
                .wrong()
        }),
        accepts("a queue of another topic ends the send", || {
            of_another_topic().failed(1, Failure::Invalid)
        }),
        rejects("a message for a queue of another topic is sent", || {
            let scene = of_another_topic().attempt(1, 1, "a/0");
            let scene = scene.seen_with(1, 1, |seen| seen.keys = Some("s1".into()));
            scene.wrong()
        }),
        rejects("the address is another broker's", || {
            let scene = Scene::new().at(0).call(1).attempt_by(1, 1, queue("a/0"), 1);
            let scene = scene.change(|what| {
                if let NodeEvent::Producer(Event::Attempt { address, .. }) = what {
                    *address = Some("10.0.2.2:10911".into());
                }
            });
            scene.wrong()
        }),
    ];

    /// The second attempt of an async send goes to another broker, and its request names this queue.
    fn retry_names(retargets: bool, (broker, queue): (&str, i32)) -> Scene {
        let scene = Scene::new().facts(|it| it.policies[0].retargets_queue = retargets);
        let scene = scene.at(0).call_in(1, Mode::Async).attempt(1, 1, "a/3");
        let scene = scene.refused(1, 1, 2).attempt(1, 2, "b/0");
        scene.seen_with(1, 2, |seen| {
            seen.broker_name = Some(broker.into());
            seen.queue = queue;
        })
    }

    /// A caller gives its message a queue of another topic.
    fn of_another_topic() -> Scene {
        let mut scene = Scene::new().at(0).named_call(1);
        for record in &mut scene.trace.records {
            if let NodeEvent::Work(WorkEvent::Called { queue_of, .. }) = &mut record.what {
                *queue_of = Some("payments".into());
            }
        }
        scene
    }

    fn first() -> Scene {
        Scene::new().at(0).call(1).attempt(1, 1, "a/0")
    }
}

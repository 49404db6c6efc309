//! An error says what really happened.
//!
//! The class of a failed send is that of the attempt that ended last (ties: the higher number), or
//! one of the route if there was no attempt. And what the caller gets lists every attempt: broker,
//! queue, stage, code and duration, as it happened, and a refusal as the broker that is named wrote
//! it. A wrong class or a wrong name sends people to the wrong machine.

use rmq_mock_broker::event::Ending;
use rmq_producer::event::{Failure, LookupEnd, LookupReason, Mode, Outcome, Stage};
use rmq_remoting::code::response;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{AttemptHistory, ProducerPhase, SendHistory, Timestamp};
use crate::trace::{AttemptSaid, ErrorSaid, NodeKind, PolicyFacts, WorkResult};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-05",
    title: "True errors",
    source: Source::Both,
    rate_per_mille: 100,
    checker: Checker::Run(check),
    sides: &[
        side(
            "fails for want of a route, and no lookup of a send has failed",
            &[
                "without an attempt the route is the error",
                "a send fails when its lookup's time is over",
            ],
        ),
        side(
            "fails as …, but … ended last: …",
            &[
                "the last attempt's end is the error",
                "two attempts end in one millisecond, and either is the error",
            ],
        ),
        side(
            "fails as …, but no attempt has ended",
            &["the last attempt's end is the error"],
        ),
        side(
            "fails for its route, but it had attempts",
            &["without an attempt the route is the error"],
        ),
        side(
            "fails as not running, and its producer runs",
            &["a send fails as not running after the stop"],
        ),
        side(
            "fails as closed, and nobody has stopped its producer",
            &["a send fails as not running after the stop"],
        ),
        side(
            "is refused for want of a permit, and there is no limit",
            &["the last attempt's end is the error"],
        ),
        side(
            "says that its topic has no route, and no name server has answered",
            &["no name server answered, and the error says so"],
        ),
        side(
            "says that no name server could be asked, and they have answered",
            &["without an attempt the route is the error"],
        ),
        side(
            "has no connection, it says, and its request was given to one",
            &["the last attempt's end is the error"],
        ),
        side(
            "has lost its connection, it says, and never had one",
            &["the last attempt's end is the error"],
        ),
        side(
            "has no address, it says, and its route names one",
            &["the last attempt's end is the error"],
        ),
        side(
            "the error of … says …, it ended as …",
            &["the caller reads what happened"],
        ),
        side(
            "the error of … says … attempts, there were …",
            &["the caller reads what happened"],
        ),
        side(
            "the error of … says that the message is certainly not stored, and it is",
            &["the caller reads what happened"],
        ),
        side(
            "the error of … says …, which is not what happened",
            &["the caller reads what happened"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    told(run, report);
    for (send, attempt) in run.attempts() {
        if let Some(end) = attempt.ended
            && let Some(text) = wrong_stage(run, send, attempt, end.stage)
        {
            let (who, number, k) = (run.name(send.node), send.number, attempt.number);
            report.wrong(end.timestamp, format!("{who} s{number} #{k} {text}"));
        }
    }
    for send in &run.history.sends {
        let Some((done, Outcome::Failed(failure))) = send.done.first() else {
            continue;
        };
        let (who, number) = (run.name(send.node), send.number);
        let text = match failure {
            Failure::Attempts(stage) => match last(send, *done, *stage) {
                Some((k, ended)) if ended != *stage => {
                    format!("{who} s{number} fails as {stage:?}, but #{k} ended last: {ended:?}")
                }
                None => format!("{who} s{number} fails as {stage:?}, but no attempt has ended"),
                Some(_) => String::new(),
            },
            Failure::NoRoute | Failure::RouteUnreachable | Failure::NoNameServer
                if !send.attempts.is_empty() =>
            {
                format!("{who} s{number} fails for its route, but it had attempts")
            }
            _ => match wrong_class(run, send, *failure, *done) {
                Some(text) => format!("{who} s{number} {text}"),
                None => String::new(),
            },
        };
        report.exercised();
        if !text.is_empty() {
            report.wrong(*done, text);
        }
    }
}

/// What the class of a failed send says that is not so.
fn wrong_class(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    failure: Failure,
    done: Timestamp,
) -> Option<&'static str> {
    let phase = |wanted: ProducerPhase, before: Timestamp| {
        run.lives(send.producer())
            .any(|life| life.phase == wanted && life.timestamp < before)
    };
    match failure {
        Failure::NotRunning if phase(ProducerPhase::Started, done) => {
            let stops = phase(ProducerPhase::Stopping, done);
            (!stops).then_some("fails as not running, and its producer runs")
        }
        Failure::Closed => {
            let stops = phase(ProducerPhase::Stopping, done);
            (!stops).then_some("fails as closed, and nobody has stopped its producer")
        }
        Failure::BackPressure => {
            let limited = run
                .policy_of(send.producer())
                .is_some_and(PolicyFacts::is_limited);
            (!limited).then_some("is refused for want of a permit, and there is no limit")
        }
        Failure::NoRoute | Failure::RouteUnreachable => {
            // What was looked up while the send waited, the default topic's route included.
            let of_send = run.history.lookups.iter().filter(|lookup| {
                let default = lookup.reason == LookupReason::DefaultTopic;
                let ours = lookup.node == send.node && (default || lookup.topic == send.topic);
                ours && lookup.started < done
            });
            // What a poll found out is its own affair.
            let its_own = of_send.clone().any(|lookup| {
                let ended = lookup
                    .ended
                    .is_some_and(|(at, _)| at > send.called && at <= done);
                let of_sends = matches!(
                    lookup.reason,
                    LookupReason::FirstSend | LookupReason::DefaultTopic
                );
                // The send may see the lookup's limit before the lookup itself does.
                let open = lookup.ended.is_none_or(|(at, _)| at > done);
                let limit_ms = run
                    .policy(send.node)
                    .map_or(0, |it| it.name_server_timeout_ms);
                let at_its_limit = open && lookup.started.ms.saturating_add(limit_ms) <= done.ms;
                of_sends && (ended || at_its_limit)
            });
            if !its_own && done.ms < send.deadline_ms() && send.over().is_some() {
                return Some("fails for want of a route, and no lookup of a send has failed");
            }
            let ends = of_send.filter_map(|lookup| lookup.ended);
            let ends = ends.filter(|(ended, _)| *ended > send.called && *ended < done);
            let ends: Vec<&LookupEnd> = ends.map(|(_, end)| end).collect();
            let silent = ends.iter().all(|end| **end == LookupEnd::Unreachable);
            // One that answers with an error has not been asked, as it were.
            let is_answer = |end: &&LookupEnd| {
                !matches!(end, LookupEnd::Unreachable | LookupEnd::Refused { .. })
            };
            let answered = ends.iter().all(is_answer);
            if ends.is_empty() || send.over().is_none() {
                return None;
            }
            match failure {
                Failure::NoRoute if silent => {
                    Some("says that its topic has no route, and no name server has answered")
                }
                Failure::RouteUnreachable if answered && done.ms < send.deadline_ms() => {
                    Some("says that no name server could be asked, and they have answered")
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// What the stage at which an attempt ended says that is not so.
fn wrong_stage(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    stage: Stage,
) -> Option<&'static str> {
    // A one-way request has no id that the attempt could tell.
    if send.mode == Mode::Oneway {
        return None;
    }
    let given = !attempt.wires.is_empty();
    // One that was asked to come again over a fresh connection may not get one.
    let drained = attempt.wires.iter().any(|wire| {
        let request = wire.seen.map(|index| &run.history.requests[index]);
        let go_away = Ending::Answered {
            code: response::GO_AWAY,
        };
        request.is_some_and(|it| it.ended.is_some_and(|(_, ending)| ending == go_away))
    });
    match stage {
        Stage::Dial if given && !drained => {
            Some("has no connection, it says, and its request was given to one")
        }
        Stage::Lost if !given => Some("has lost its connection, it says, and never had one"),
        Stage::Address if attempt.address.is_some() => {
            Some("has no address, it says, and its route names one")
        }
        _ => None,
    }
}

/// Each error that a caller got, beside the send it is about: sends are called in the order in which
/// their callers call them.
fn told(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for producer in run.header().of_kind(NodeKind::Producer) {
        let works = run.history.work.iter().filter(|work| work.node == producer);
        let sends = run
            .history
            .sends
            .iter()
            .filter(|send| send.node == producer);
        for (work, send) in works.zip(sends) {
            let same = work.called.ms == send.called.ms && work.topic == send.topic;
            let Some((returned, WorkResult::Failed(error))) = work.returned.first() else {
                continue;
            };
            if let Some(text) = lie(run, send, error).filter(|_| same) {
                let (who, number) = (run.name(producer), send.number);
                report.wrong(
                    *returned,
                    format!("the error of {who} s{number} says {text}"),
                );
            }
        }
    }
}

/// What an error says that is not so.
fn lie(run: &CheckedRun<'_>, send: &SendHistory<'_>, error: &ErrorSaid) -> Option<String> {
    let outcome = send.outcome();
    if outcome != Some(&Outcome::Failed(error.failure)) {
        return Some(format!("{:?}, it ended as {outcome:?}", error.failure));
    }
    if error.attempts.len() != send.attempts.len() {
        let (said, made) = (error.attempts.len(), send.attempts.len());
        return Some(format!("{said} attempts, there were {made}"));
    }
    let copies = send.requests.iter();
    let mut copies = copies.filter_map(|index| run.history.requests[*index].stored);
    if !error.may_be_stored && copies.next().is_some() {
        return Some("that the message is certainly not stored, and it is".to_owned());
    }
    error.attempts.iter().find_map(|said| {
        let mut attempts = send.attempts.iter();
        let attempt = attempts.find(|it| it.number == said.number)?;
        (!is_true(run, attempt, said)).then(|| {
            let (k, to, stage, code) = (said.number, &said.to, said.stage, said.code);
            let (broker, queue) = (&to.broker, to.queue);
            format!("#{k} {broker}/{queue} {stage:?} {code:?}, which is not what happened")
        })
    })
}

fn is_true(run: &CheckedRun<'_>, attempt: &AttemptHistory<'_>, said: &AttemptSaid) -> bool {
    let Some(end) = attempt.ended else {
        return false;
    };
    let took = end.timestamp.ms.saturating_sub(attempt.started.ms);
    let told = (attempt.to, end.stage, end.code, took);
    if told != (&said.to, said.stage, said.code, said.after_ms) {
        return false;
    }
    // What a broker wrote is known from itself.
    let written = attempt.seen().map(|index| &run.history.requests[index]);
    match written.map(|request| (request.broker, request.ended)) {
        Some((broker, Some((_, Ending::Answered { code } | Ending::Empty { code }))))
            if said.stage == Stage::Refused =>
        {
            run.name(broker) == &*said.to.broker && said.code == Some(code)
        }
        _ => true,
    }
}

/// The attempt that ended last by itself, and how; of those that ended in one millisecond the one that
/// ended as `said`, or else the one with the highest number.
fn last(send: &SendHistory<'_>, done: Timestamp, said: Stage) -> Option<(u32, Stage)> {
    let ended = send.attempts.iter().filter_map(|attempt| {
        let end = attempt.ended?;
        let own = end.stage != Stage::Superseded && end.timestamp <= done;
        own.then_some((end.timestamp.ms, attempt.number, end.stage))
    });
    ended
        .max_by_key(|(ms, number, stage)| (*ms, *stage == said, *number))
        .map(|(_, number, stage)| (number, stage))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmq_producer::event::Event;

    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};
    use crate::trace::WorkEvent;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("the last attempt's end is the error", || {
            lost_then_refused().failed(1, Failure::Attempts(Stage::Refused))
        }),
        accepts(
            "two attempts end in one millisecond, and either is the error",
            || {
                let scene = Scene::new().at(5).call(1).attempt(1, 1, "a/0");
                let scene = scene.attempt(1, 2, "b/0").at(50).refused(1, 2, 13);
                let scene = scene.ended(1, 1, Stage::Lost, None);
                scene.failed(1, Failure::Attempts(Stage::Lost))
            },
        ),
        accepts("without an attempt the route is the error", || {
            looked_up(LookupEnd::NotExist).failed(1, Failure::NoRoute)
        }),
        accepts("a send fails when its lookup's time is over", || {
            asks_until(1_005).failed(1, Failure::RouteUnreachable)
        }),
        rejects("a send fails before its lookup's time is over", || {
            asks_until(1_004)
                .failed(1, Failure::RouteUnreachable)
                .wrong()
        }),
        rejects("a send fails with a poll that it waited for", || {
            let scene = looked_up_for(LookupReason::Poll, LookupEnd::Unreachable);
            scene.failed(1, Failure::RouteUnreachable).wrong()
        }),
        rejects("the first attempt's end is called the error", || {
            lost_then_refused()
                .failed(1, Failure::Attempts(Stage::Lost))
                .wrong()
        }),
        accepts("the caller reads what happened", || said(|_| ())),
        rejects("the caller reads of another end of its send", || {
            said(|error| error.failure = Failure::Deadline).wrong()
        }),
        rejects("the caller reads of another broker", || {
            said(|error| error.attempts[1].to = queue("c/0")).wrong()
        }),
        rejects("the caller reads of another cause", || {
            said(|error| error.attempts[0].stage = Stage::Silent).wrong()
        }),
        rejects("the caller reads of one attempt only", || {
            said(|error| error.attempts.truncate(1)).wrong()
        }),
        rejects("the caller reads a code that no broker wrote", || {
            let error = |error: &mut ErrorSaid| error.attempts[1].code = Some(1);
            said(error).wrong()
        }),
        rejects("the caller reads that nothing is stored, and it is", || {
            said(|error| error.may_be_stored = false).wrong()
        }),
        rejects("the route is blamed for a refusal", || {
            lost_then_refused().failed(1, Failure::NoRoute).wrong()
        }),
        rejects(
            "a send fails as not running while its producer runs",
            || {
                let scene = Scene::new().at(0).call(1);
                scene.failed(1, Failure::NotRunning).wrong()
            },
        ),
        accepts("a send fails as not running after the stop", || {
            let scene = Scene::new().at(0).stopping().call(1);
            scene.failed(1, Failure::NotRunning)
        }),
        rejects("a send fails as closed that nobody has closed", || {
            let scene = Scene::new().at(0).call(1);
            scene.failed(1, Failure::Closed).wrong()
        }),
        rejects(
            "a send is refused for want of a permit without a limit",
            || {
                let scene = Scene::new().at(0).call(1);
                scene.failed(1, Failure::BackPressure).wrong()
            },
        ),
        rejects(
            "no name server answered, and the topic is said to have no route",
            || {
                looked_up(LookupEnd::Unreachable)
                    .failed(1, Failure::NoRoute)
                    .wrong()
            },
        ),
        accepts("no name server answered, and the error says so", || {
            looked_up(LookupEnd::Unreachable).failed(1, Failure::RouteUnreachable)
        }),
        rejects(
            "the name server knows no topic, and is said to be out of reach",
            || {
                looked_up(LookupEnd::NotExist)
                    .failed(1, Failure::RouteUnreachable)
                    .wrong()
            },
        ),
        rejects(
            "a request that was given to a connection had none, it is said",
            || {
                let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0");
                scene.ended(1, 1, Stage::Dial, None).wrong()
            },
        ),
        rejects("a connection is lost that never was", || {
            let scene = Scene::new().at(0).call(1);
            let scene = scene.attempt_by(1, 1, queue("a/0"), 1);
            scene.ended(1, 1, Stage::Lost, None).wrong()
        }),
        rejects("an address is missing that the route names", || {
            let scene = Scene::new().at(0).call(1);
            let scene = scene.attempt_by(1, 1, queue("a/0"), 1);
            scene.ended(1, 1, Stage::Address, None).wrong()
        }),
        rejects("an attempt is blamed that never was", || {
            Scene::new()
                .at(0)
                .call(1)
                .failed(1, Failure::Attempts(Stage::Lost))
                .wrong()
        }),
    ];

    /// A send waits from 5 ms on for a lookup that may take 1 s and has not ended.
    fn asks_until(ms: u64) -> Scene {
        let scene = Scene::new().facts(|it| it.policies[0].name_server_timeout_ms = 1_000);
        let scene = scene.at(5).call(1).lookup(7, LookupReason::FirstSend);
        scene.at(ms)
    }

    /// A send waits for a lookup that ends so.
    fn looked_up(end: LookupEnd) -> Scene {
        looked_up_for(LookupReason::FirstSend, end)
    }

    fn looked_up_for(reason: LookupReason, end: LookupEnd) -> Scene {
        let scene = Scene::new().at(0).call(1);
        scene.lookup(7, reason).at(20).say(Event::LookupEnded {
            lookup: 7.into(),
            end,
        })
    }

    /// The same, and its caller gets an error that is changed before.
    fn said(change: fn(&mut ErrorSaid)) -> Scene {
        let attempt = |number, to, stage, code, after_ms| AttemptSaid {
            number,
            to: queue(to),
            stage,
            code,
            after_ms,
        };
        let mut error = ErrorSaid {
            failure: Failure::Attempts(Stage::Refused),
            attempts: vec![
                attempt(1, "a/0", Stage::Lost, None, 5),
                attempt(2, "b/0", Stage::Refused, Some(13), 4),
            ],
            may_be_stored: true,
        };
        change(&mut error);
        let called = WorkEvent::Called {
            keys: "s1".into(),
            topic: "orders".into(),
            mode: Mode::Sync,
            by: None,
            body_crc: 0,
            body_len: 0,
            timeout_ms: None,
            application_crc: 0,
            own_id: None,
            queue_of: None,
            group: None,
        };
        let scene = lost_then_refused_after(Scene::new().at(0).work(called));
        let scene = scene.failed(1, Failure::Attempts(Stage::Refused));
        scene.work(WorkEvent::Returned {
            keys: "s1".into(),
            result: WorkResult::Failed(error),
        })
    }

    fn lost_then_refused() -> Scene {
        lost_then_refused_after(Scene::new().at(0))
    }

    fn lost_then_refused_after(scene: Scene) -> Scene {
        let scene = scene.call(1).attempt(1, 1, "a/0").at(5);
        let scene = scene.seen(1, 1).stored(1, 1);
        scene
            .ended(1, 1, Stage::Lost, None)
            .attempt(1, 2, "b/0")
            .refused(1, 2, 13)
    }
}

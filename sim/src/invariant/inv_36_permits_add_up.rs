//! Permits out are sends that are not completed.
//!
//! Whenever it is measured, a producer counts no more open sends than were called and are not over.
//! A permit that is not given back narrows the producer until it stands still. And where there is a limit,
//! no more async sends make attempts at a time than it allows, and none is refused while fewer are open.

use rmq_producer::event::{Event, Failure, Mode, Outcome};

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{SendHistory, Timestamp};
use crate::trace::{NodeEvent, PolicyFacts, WorkEvent};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-36",
    title: "Permits add up",
    source: Source::ClientEvents,
    rate_per_mille: 500,
    checker: Checker::Run(check),
    sides: &[
        side(
            "counts … open sends, … are open",
            &["an open send has its permit", "all is given back"],
        ),
        side(
            "begins beside …, over the limit",
            &[
                "the next send begins when the first one has returned",
                "the last byte of the limit is given out",
            ],
        ),
        side(
            "is refused, and … are open",
            &[
                "a send is refused while another one is open",
                "a send is refused for one byte more",
            ],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for policy in run
        .header()
        .policies
        .iter()
        .filter(|it| it.of_scenario && it.is_limited())
    {
        limits(run, policy, report);
    }
    for (at, record) in run.trace.records.iter().enumerate() {
        let NodeEvent::Producer(Event::Gauges { open_sends, .. }) = &record.what else {
            continue;
        };
        report.exercised();
        let now = Timestamp { at, ms: record.ms };
        // The program that asks for the figures stops the producer next.
        let group = match run.trace.records.get(at + 1).map(|next| &next.what) {
            Some(NodeEvent::Work(WorkEvent::StopCalled { group })) => group.as_ref(),
            _ => None,
        };
        let open = run.history.sends.iter().filter(|send| {
            // A callback that has not returned keeps its permit.
            let over = send.callbacks.first().copied().max(send.over());
            let calling =
                send.mode == Mode::Async && send.callbacks.is_empty() && send.cancelled.is_none();
            let open = calling || over.is_none_or(|over| over > now);
            send.producer() == (record.node, group) && send.called < now && open
        });
        let open = open.count();
        let counted = usize::try_from(*open_sends).unwrap_or(usize::MAX);
        if counted > open {
            let who = run.name(record.node);
            report.wrong(
                now,
                format!("{who} counts {counted} open sends, {open} are open"),
            );
        }
    }
}

/// What the async sends of a producer with limits hold.
fn limits(run: &CheckedRun<'_>, policy: &PolicyFacts, report: &mut CheckReport) {
    let sends = run.history.sends.iter();
    let sends: Vec<&SendHistory<'_>> = sends
        .filter(|send| {
            send.producer() == (policy.node, policy.group.as_ref()) && send.mode == Mode::Async
        })
        .collect();
    for send in &sends {
        let begins = send.attempts.first().map(|attempt| attempt.started);
        let refused = send
            .done
            .first()
            .filter(|(_, outcome)| **outcome == Outcome::Failed(Failure::BackPressure));
        let refused = refused.map(|(done, _)| *done);
        let Some(now) = begins.or(refused) else {
            continue;
        };
        report.exercised();
        let (who, number) = (run.name(send.node), send.number);
        let others = sends.iter().filter(|it| it.number != send.number);
        // Those that have a permit for certain, and those that may have one.
        let sure = |it: &&&SendHistory<'_>| {
            let began = it.attempts.first().is_some_and(|it| it.started < now);
            began && returned(it).is_none_or(|at| at > now)
        };
        let maybe = |it: &&&SendHistory<'_>| {
            it.called < now && returned(it).is_none_or(|at| at.ms >= now.ms)
        };
        let bytes = |it: &&SendHistory<'_>| it.body_len.map_or(0, u64::from);
        let own = bytes(send);
        let sure: Vec<_> = others.clone().filter(sure).collect();
        let maybe: Vec<_> = others.filter(maybe).collect();
        let most_sends = policy.most_sends.map_or(usize::MAX, |it| it as usize);
        let most_bytes = policy.most_bytes.map_or(u64::MAX, u64::from);
        let in_use = |held: &[&&SendHistory<'_>]| held.iter().map(|it| bytes(it)).sum::<u64>();
        if begins.is_some()
            && (sure.len() >= most_sends || in_use(&sure) + own > most_bytes.max(own))
        {
            let text = format!(
                "{who} s{number} begins beside {}, over the limit",
                sure.len()
            );
            report.wrong(now, text);
        } else if let Some(refused) = refused
            && maybe.len() < most_sends
            && own <= most_bytes
            && in_use(&maybe) + own <= most_bytes
        {
            let text = format!("{who} s{number} is refused, and {} are open", maybe.len());
            report.wrong(refused, text);
        }
    }
}

/// When an async send gave its permit back: when its callback had returned.
fn returned(send: &SendHistory<'_>) -> Option<Timestamp> {
    send.callbacks.first().copied().or(send.cancelled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("an open send has its permit", || {
            gauges(Scene::new().at(0).call(1).attempt(1, 1, "a/0"), 1)
        }),
        accepts("all is given back", || {
            gauges(Scene::new().at(0).whole(1, "a/0"), 0)
        }),
        rejects("a completed send keeps its permit", || {
            gauges(Scene::new().at(0).whole(1, "a/0"), 1).wrong()
        }),
        accepts(
            "the next send begins when the first one has returned",
            || {
                let scene = limited().call_in(1, Mode::Async).attempt(1, 1, "a/0");
                let scene = scene.succeeds(1, 1).say(Event::Callback { send: 1.into() });
                scene.call_in(2, Mode::Async).attempt(2, 1, "b/0")
            },
        ),
        rejects("two begin where one is allowed", || {
            let scene = limited().call_in(1, Mode::Async).attempt(1, 1, "a/0");
            let scene = scene.at(5).call_in(2, Mode::Async);
            scene.attempt_marked(2, 1, "b/0")
        }),
        rejects("a send is refused although the permit is free", || {
            let scene = limited().call_in(1, Mode::Async).attempt(1, 1, "a/0");
            let scene = scene.succeeds(1, 1).say(Event::Callback { send: 1.into() });
            let scene = scene.at(50).call_in(2, Mode::Async);
            scene.failed(2, Failure::BackPressure).wrong()
        }),
        accepts("a send is refused while another one is open", || {
            let scene = limited().call_in(1, Mode::Async).attempt(1, 1, "a/0");
            let scene = scene.at(5).call_in(2, Mode::Async);
            scene.failed(2, Failure::BackPressure)
        }),
        accepts("the last byte of the limit is given out", || {
            by_bytes(100).attempt(2, 1, "b/0")
        }),
        rejects("one byte more than the limit is given out", || {
            by_bytes(99).attempt_marked(2, 1, "b/0")
        }),
        accepts("a send is refused for one byte more", || {
            by_bytes(99).failed(2, Failure::BackPressure)
        }),
        rejects("a send is refused that fills the limit exactly", || {
            by_bytes(100).failed(2, Failure::BackPressure).wrong()
        }),
        rejects("a dropped send keeps its permit", || {
            gauges(
                Scene::new()
                    .at(0)
                    .call(1)
                    .say(Event::Cancelled { send: 1.into() }),
                1,
            )
            .wrong()
        }),
    ];

    /// One async send may be open at a time.
    fn limited() -> Scene {
        Scene::new()
            .at(0)
            .facts(|it| it.policies[0].most_sends = Some(1))
    }

    /// One async send of 60 bytes is open, and one of 40 is called, where so many bytes may be open.
    fn by_bytes(most: u32) -> Scene {
        let scene = Scene::new().facts(|it| it.policies[0].most_bytes = Some(most));
        let scene = asks(scene.at(0), 1, 60).attempt(1, 1, "a/0");
        asks(scene.at(5), 2, 40)
    }

    /// An async send of a body of so many bytes is called.
    fn asks(scene: Scene, send: u64, body_len: u32) -> Scene {
        let called = WorkEvent::Called {
            keys: format!("s{send}").into(),
            topic: "orders".into(),
            mode: Mode::Async,
            by: None,
            body_crc: 0,
            body_len,
            timeout_ms: None,
            application_crc: 0,
            own_id: None,
            queue_of: None,
            group: None,
        };
        scene.work(called).call_in(send, Mode::Async)
    }

    fn gauges(scene: Scene, open_sends: u32) -> Scene {
        scene.at(9000).say(Event::Gauges {
            pending: 0,
            open_sends,
            topics: 1,
            connections: 3,
        })
    }
}

//! Each call ends exactly once.
//!
//! A send that never ends hangs its caller; one that ends twice runs a callback twice. So: one
//! `Done` for each call, none after a cancellation, none after `stop` returned; the caller sees one
//! return; an async send's callback returns once; and a send hook hears of each attempt that it begins, and
//! once that it ended. A producer that was killed owes nothing.

use rmq_producer::event::Mode;

mod hooks;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{ProducerKey, ProducerPhase, SendHistory, Timestamp, WorkHistory};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-01",
    title: "Exactly once",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side(
            "an event of a send or a connection that nothing began",
            &["a send that just began is open when the run ends"],
        ),
        side("is cancelled by nobody", &["a callback returns once"]),
        side("never ended", &["a killed producer's send never ends"]),
        side("ended a second time", &["a send ends once"]),
        side(
            "ended although its caller had dropped it",
            &["a dropped send never ends"],
        ),
        side("ended after stop had returned", &["a send ends once"]),
        side(
            "the callback of … ran a second time",
            &["a callback returns once"],
        ),
        side(
            "the callback of … ran before its end",
            &["a callback returns once"],
        ),
        side(
            "never hears how it ended",
            &["a send that just began is open when the run ends"],
        ),
        side(
            "returned to its caller a second time",
            &["a send ends once"],
        ),
        side(
            "hears a second time that …",
            &["a hook hears that an attempt begins, and that it ended"],
        ),
        side(
            "hears nothing of the end of …",
            &[
                "a hook hears that an attempt begins, and that it ended",
                "a hook hears nothing of an attempt whose send is dropped",
            ],
        ),
        side(
            "hears that … ended, which began unheard",
            &["a hook hears that an attempt begins, and that it ended"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for stray in &run.history.strays {
        report.wrong(
            *stray,
            "an event of a send or a connection that nothing began".to_owned(),
        );
    }
    for send in &run.history.sends {
        report.exercised();
        ends(run, send, report);
        callback(send, report);
    }
    for work in &run.history.work {
        returns(run, work, report);
    }
    hooks::check(run, report);
}

fn ends(run: &CheckedRun<'_>, send: &SendHistory<'_>, report: &mut CheckReport) {
    let (who, number) = (run.name(send.node), send.number);
    let stopped = stopped(run, send);
    let killed = run
        .truth
        .was_gone(send.node, send.called.ms, run.trace.end_ms);
    if let (Some(cancelled), Mode::Async, false) = (send.cancelled, send.mode, killed) {
        // Nobody but the producer holds the future of an async send.
        report.wrong(cancelled, format!("{who} s{number} is cancelled by nobody"));
    }
    let Some((done, _)) = send.done.first() else {
        let gone = run
            .truth
            .was_gone(send.node, send.called.ms, run.trace.end_ms);
        let late = run.trace.end_ms > run.send_due(send) || stopped.is_some();
        if send.cancelled.is_none() && !gone && late {
            report.wrong(send.called, format!("{who} s{number} never ended"));
        }
        return;
    };
    if let Some((again, _)) = send.done.get(1) {
        report.wrong(*again, format!("{who} s{number} ended a second time"));
    }
    if send.cancelled.is_some_and(|cancelled| cancelled < *done) {
        report.wrong(
            *done,
            format!("{who} s{number} ended although its caller had dropped it"),
        );
    }
    if stopped.is_some_and(|stopped| stopped < *done) {
        report.wrong(
            *done,
            format!("{who} s{number} ended after stop had returned"),
        );
    }
}

/// When the producer's `stop` returned, after the call.
fn stopped(run: &CheckedRun<'_>, send: &SendHistory<'_>) -> Option<Timestamp> {
    stopped_after(run, send.producer(), send.called)
}

/// When the `stop` of a producer returned first after some moment.
fn stopped_after(
    run: &CheckedRun<'_>,
    producer: ProducerKey<'_>,
    since: Timestamp,
) -> Option<Timestamp> {
    let stops = run
        .lives(producer)
        .filter(|it| it.phase == ProducerPhase::Stopped);
    let mut stops = stops.map(|it| it.timestamp);
    stops.find(|stopped| *stopped > since)
}

fn callback(send: &SendHistory<'_>, report: &mut CheckReport) {
    if let Some(again) = send.callbacks.get(1) {
        report.wrong(
            *again,
            format!("the callback of s{} ran a second time", send.number),
        );
    }
    let done = send.done.first().map(|(timestamp, _)| *timestamp);
    if let Some(callback) = send.callbacks.first()
        && done.is_none_or(|done| done > *callback)
    {
        report.wrong(
            *callback,
            format!("the callback of s{} ran before its end", send.number),
        );
    }
}

fn returns(run: &CheckedRun<'_>, work: &WorkHistory<'_>, report: &mut CheckReport) {
    let stopped = stopped_after(run, (work.node, work.group), work.called);
    let told = !work.returned.is_empty() || work.dropped.is_some();
    if let (Some(stopped), false) = (stopped, told) {
        let gone = run.truth.was_gone(work.node, work.called.ms, stopped.ms);
        if !gone {
            let text = format!("the caller of {} never hears how it ended", work.keys);
            report.wrong(work.called, text);
        }
    }
    if let Some((again, _)) = work.returned.get(1) {
        report.wrong(
            *again,
            format!("{} returned to its caller a second time", work.keys),
        );
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, Failure, Mode};

    use crate::fault::{Crash, FaultKind};
    use crate::invariant::scene::{Example, Scene, TOPIC, accepts, key, rejects};
    use crate::trace::{ErrorSaid, TraceEnd, WorkEvent, WorkResult};

    pub(super) const EXAMPLES: &[Example] = &[
        rejects(
            "an async send is cancelled, and its caller hears nothing",
            || {
                let scene = Scene::new().at(100).call_in(1, Mode::Async).at(200);
                scene.say(Event::Cancelled { send: 1.into() }).wrong()
            },
        ),
        rejects(
            "a caller hears nothing although the producer has stopped",
            || {
                let called = WorkEvent::Called {
                    keys: "s1".into(),
                    topic: TOPIC.into(),
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
                let scene = Scene::new().at(100).work(called).wrong().whole(1, "a/0");
                scene.stopping().stopped()
            },
        ),
        accepts("a send ends once", || Scene::new().at(100).whole(1, "a/0")),
        accepts("a send that just began is open when the run ends", || {
            Scene::new()
                .at(100)
                .call(1)
                .attempt(1, 1, "a/0")
                .end(TraceEnd::Finished, 200)
        }),
        accepts("a dropped send never ends", || {
            Scene::new()
                .at(100)
                .call(1)
                .at(150)
                .say(Event::Cancelled { send: 1.into() })
        }),
        accepts("a callback returns once", || {
            async_send().say(Event::Callback { send: 1.into() })
        }),
        accepts("a killed producer's send never ends", || {
            let crash = FaultKind::Crash(Crash::default());
            Scene::new().at(100).call(1).at(200).fault(1, crash, "p1")
        }),
        rejects("a send ends twice", || {
            Scene::new().at(100).whole(1, "a/0").sent(1, 1).wrong()
        }),
        rejects("a send never ends", || {
            Scene::new()
                .at(100)
                .call(1)
                .attempt(1, 1, "a/0")
                .wrong_call(1)
        }),
        rejects("a dropped send ends", || {
            let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0");
            scene
                .say(Event::Cancelled { send: 1.into() })
                .succeeds(1, 1)
                .wrong()
        }),
        rejects("a send ends after stop returned", || {
            let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0");
            scene.stopped().succeeds(1, 1).wrong()
        }),
        rejects("a send is open when stop returns", || {
            let scene = Scene::new().at(100).call(1).at(200).stopped();
            scene.wrong_call(1).end(TraceEnd::Finished, 300)
        }),
        rejects("a callback runs twice", || {
            async_send()
                .say(Event::Callback { send: 1.into() })
                .say(Event::Callback { send: 1.into() })
                .wrong()
        }),
        rejects("a callback runs while its send is open", || {
            let scene = Scene::new().at(100).call_in(1, Mode::Async);
            let scene = scene.attempt(1, 1, "a/0");
            let scene = scene.say(Event::Callback { send: 1.into() }).wrong();
            scene.succeeds(1, 1)
        }),
        accepts(
            "a hook hears that an attempt begins, and that it ended",
            || hooked(hooked(Scene::new().call(1), true).succeeded(), false),
        ),
        accepts(
            "a hook hears nothing of an attempt whose send is dropped",
            || hooked(Scene::new().call(1), true).say(Event::Cancelled { send: 1.into() }),
        ),
        rejects("a hook hears nothing of the end of an attempt", || {
            let mut scene = hooked(Scene::new().call(1), true);
            scene.marked = Some(scene.trace.records.len() - 1);
            scene.succeeded()
        }),
        rejects("a hook hears twice that an attempt ended", || {
            let scene = hooked(hooked(Scene::new().call(1), true).succeeded(), false);
            hooked(scene, false).wrong()
        }),
        rejects("a hook hears of the end alone", || {
            hooked(Scene::new().call(1).succeeded(), false).wrong()
        }),
        rejects("nobody called what ends", || {
            Scene::new().failed(9, Failure::Deadline).wrong()
        }),
        rejects("a call returns to its caller twice", || {
            let failed = || WorkEvent::Returned {
                keys: "s".into(),
                result: WorkResult::Failed(ErrorSaid {
                    failure: Failure::Closed,
                    attempts: vec![],
                    may_be_stored: true,
                }),
            };
            let (topic, mode) = (TOPIC.into(), Mode::Sync);
            let called = WorkEvent::Called {
                keys: "s".into(),
                topic,
                mode,
                by: None,
                body_crc: 7,
                body_len: 0,
                timeout_ms: None,
                application_crc: 0,
                own_id: None,
                queue_of: None,
                group: None,
            };
            Scene::new()
                .work(called)
                .work(failed())
                .work(failed())
                .wrong()
        }),
    ];

    /// The program's hook hears of the first attempt of the first send.
    fn hooked(scene: Scene, begins: bool) -> Scene {
        let unique_key = key(scene.who, 1);
        scene.work(WorkEvent::Hooked {
            unique_key,
            attempt: 1,
            begins,
        })
    }

    impl Scene {
        /// The first attempt of the first send succeeds.
        fn succeeded(self) -> Self {
            self.attempt(1, 1, "a/0").succeeds(1, 1)
        }
    }

    fn async_send() -> Scene {
        Scene::new()
            .at(100)
            .call_in(1, Mode::Async)
            .attempt(1, 1, "a/0")
            .succeeds(1, 1)
    }
}

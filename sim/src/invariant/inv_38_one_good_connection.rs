//! One connection per address, and only a live one is used.
//!
//! A producer has at most one established connection to an address; a closed one carries no new
//! request; and the client closes none that has open attempts, except where its policy, a drain
//! notice or its own stop says so.
//!
//! A connection that the client ends has the reason that it names: nothing was said on it for as long as
//! the policy says, no route names it, or its peer is silent. A dial ends within its time, and dials of one
//! address that come to nothing keep a distance that grows.
//!
//! A second connection is right beside one that may be dead: nothing was heard on it since a request
//! was made that was not answered in its time, there or, if a box in the middle has forgotten all
//! connections, elsewhere. Once the second one is heard, the first one ends with its last request.

use rmq_producer::event::Mode;
use rmq_remoting::event::CloseCause;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source};
use crate::trace::history::{AttemptHistory, ConnectionHistory, SendHistory, Timestamp};

mod closing;
mod dialling;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-38",
    title: "One good connection",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let connections = &run.history.connections;
    for (index, connection) in connections.iter().enumerate() {
        dialling::dials(run, connection, report);
        let Some((opened, _)) = connection.opened else {
            continue;
        };
        report.exercised();
        // The connections of a killed process have no end of their own.
        let killed = |from: u64| run.truth.was_gone(connection.node, from, opened.ms);
        let others = connections[..index].iter();
        let mut others = others.filter(|it| rival(it, connection) && !killed(it.dialled.ms));
        let (who, to) = (run.name(connection.node), connection.to);
        // Of several the last one takes the requests; it may have ended meanwhile.
        let same = |it: &&ConnectionHistory<'_>| it.node == connection.node && it.to == to;
        let first = connections[..index].iter().filter(same);
        let first = first.filter(|it| it.opened.is_some_and(|(at, _)| at < opened));
        let first = first.max_by_key(|it| it.dialled).map(|it| it.number);
        let first = others.clone().find(|it| Some(it.number) == first);
        if first.is_some_and(|first| !doubted(run, first, connection)) {
            report.wrong(opened, format!("{who} opens a second connection to {to}"));
        } else if let Some(until) = others.find_map(|it| kept(run, it, connection)) {
            let text = format!("{who} keeps a connection to {to} that a second one has replaced");
            report.wrong(until, text);
        }
        used_after_close(run, connection, report);
        closing::closed_while_busy(run, connection, report);
        closing::closed_for_a_reason(run, connection, report);
        closing::closed_when_unneeded(run, connection, report);
    }
    for (send, attempt) in run.attempts() {
        dialling::gets_a_connection(run, send, attempt, report);
    }
    for send in &run.history.sends {
        for pair in send.attempts.windows(2) {
            hedged_elsewhere(run, send, pair, report);
        }
    }
}

/// An attempt that hedges a silent one goes over a connection that was opened or heard since the silent one
/// began: what made that one silent may have cut others, too.
fn hedged_elsewhere(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    pair: &[AttemptHistory<'_>],
    report: &mut CheckReport,
) {
    let (first, second) = (&pair[0], &pair[1]);
    let seconds = run
        .policy_of(send.producer())
        .is_some_and(|it| it.second_connections);
    let wire = second.wires.first();
    let Some((wire, connection)) = wire.and_then(|wire| Some((wire, wire.connection?))) else {
        return;
    };
    if !seconds || first.hedged.is_none() || send.mode == Mode::Oneway {
        return;
    }
    let connection = &run.history.connections[connection];
    let (since, now) = (first.started.ms, wire.timestamp);
    let opened = connection.opened.is_some_and(|(at, _)| at.ms >= since);
    let mut answers = connection.answers.iter();
    let heard = answers.any(|(_, at, _)| at.ms >= since && at.ms <= now.ms);
    // There are two at most: beside a second one no third is dialled.
    let mut others = run.history.connections.iter();
    let second_one = others.any(|other| {
        let same = other.node == connection.node && other.to == connection.to;
        let alive = other.dialled <= now && other.ends().all(|end| end.ms >= since);
        same && !std::ptr::eq(other, connection) && alive
    });
    if !opened && !heard && !second_one {
        let (who, number, k) = (run.name(send.node), send.number, second.number);
        let text = format!("{who} s{number} #{k} hedges over a connection not heard since then");
        report.wrong(now, text);
    }
}

/// Whether an earlier connection to the same address is in use when this one opens. One that
/// drains may live on for its last answers.
fn rival(other: &ConnectionHistory<'_>, connection: &ConnectionHistory<'_>) -> bool {
    let Some((opened, _)) = connection.opened else {
        return false;
    };
    let drains = other
        .closed
        .is_some_and(|(_, cause)| cause == CloseCause::Drained);
    other.node == connection.node
        && other.to == connection.to
        && other
            .opened
            .is_some_and(|(timestamp, _)| timestamp < opened)
        && other.ends().all(|end| end > opened)
        && !drains
}

/// Whether a connection may be dead when a second one is dialled: nothing was heard on it since a
/// request was made that was not answered in its time.
fn doubted(
    run: &CheckedRun<'_>,
    first: &ConnectionHistory<'_>,
    second: &ConnectionHistory<'_>,
) -> bool {
    let Some(policy) = run.policy(first.node).filter(|it| it.second_connections) else {
        return false;
    };
    let (Some((opened, _)), now) = (first.opened, second.dialled) else {
        return false;
    };
    let decided_ms = decided(run, second, policy.longest_redial_pause_ms);
    let answers = first.answers.iter().map(|(_, at, _)| *at);
    let heard = answers.filter(|at| at.ms < decided_ms).max();
    let heard = heard.unwrap_or(opened);
    let silent_in_its_time = |attempt: &AttemptHistory<'_>| {
        let silent_ms = attempt.started.ms.saturating_add(attempt.timeout_ms);
        let answered = attempt
            .ended
            .is_some_and(|end| end.timestamp.ms < silent_ms);
        silent_ms <= now.ms && !answered
    };
    let silent_attempt = run.attempts().any(|(send, attempt)| {
        let since = attempt.started.ms >= heard.ms;
        send.node == first.node && since && silent_in_its_time(attempt)
    });
    // An attempt that dialled the first one itself began before that was heard for the first time.
    let silent_here = first.given.iter().any(|(opaque, send, attempt, _)| {
        let mut written = first.written.iter();
        let since = written.any(|(it, at)| it == opaque && at.ms >= heard.ms);
        since && silent_in_its_time(&run.history.sends[*send].attempts[*attempt])
    });
    // Heartbeats and lookups have times of their own. What cut another connection may have cut this one.
    let same = run.history.index.connections(first.node, first.to).iter();
    let mut same = same.map(|index| &run.history.connections[*index]);
    let silent_request = same.any(|it| {
        let silent_here = |(opaque, at): &(i32, Timestamp)| {
            let answered =
                |it: &&(i32, Timestamp, Option<i32>)| it.0 == *opaque && it.1.ms < decided_ms;
            !it.given.iter().any(|it| it.0 == *opaque)
                && at.ms >= heard.ms
                && at.ms.saturating_add(policy.least_silence_ms) <= now.ms
                && !it.answers.iter().any(|it| answered(&it))
        };
        it.written.iter().any(silent_here)
    });
    silent_attempt || silent_here || silent_request
}

/// The first millisecond in which a producer may have decided to dial: a slow one dials some time
/// after, and so does one whose last dial of the address was in vain: it failed, or nothing was heard
/// on what it opened.
fn decided(
    run: &CheckedRun<'_>,
    dialled: &ConnectionHistory<'_>,
    longest_redial_pause_ms: u64,
) -> u64 {
    let now_ms = dialled.dialled.ms;
    let slow = run.truth.slow_since(dialled.node, now_ms);
    let same = run.history.index.connections(dialled.node, dialled.to);
    let same = same.iter().map(|index| &run.history.connections[*index]);
    let in_vain = same.filter_map(|it| match it.closed {
        Some((closed, _)) => it.answers.is_empty().then_some(closed.ms),
        None => it.failed.map(|failed| failed.ms),
    });
    let pause = now_ms.saturating_sub(longest_redial_pause_ms)..=now_ms;
    let in_vain = in_vain.filter(|ms| pause.contains(ms));
    slow.into_iter().chain(in_vain).min().unwrap_or(now_ms)
}

/// When a connection that a second one has replaced should have ended and had not: when the last
/// request that was open then has had its time.
fn kept(
    run: &CheckedRun<'_>,
    first: &ConnectionHistory<'_>,
    second: &ConnectionHistory<'_>,
) -> Option<Timestamp> {
    let mine = run.history.sends.iter().filter(|it| it.node == first.node);
    let timeouts = mine.map(|send| send.deadline_ms().saturating_sub(send.called.ms));
    let longest = timeouts.max().unwrap_or_default().max(LONGEST_CALL_MS);
    let proven = second.answers.iter().map(|(_, at, _)| *at).min()?;
    let due = run.due(first.node, proven.ms, longest);
    let ended = first.ends().min().map_or(run.trace.end_ms, |at| at.ms);
    // The first one may be heard itself, which proves that it is no dead one.
    let heard = first.answers.iter().any(|(_, at, _)| *at > second.dialled);
    let gone = run.truth.was_gone(first.node, proven.ms, due);
    // The second one is gone again: the first one has its place back.
    let stays = second.ends().all(|end| end.ms > due);
    (ended > due && stays && !heard && !gone).then_some(proven)
}

/// The longest that a heartbeat or a lookup takes, in milliseconds.
const LONGEST_CALL_MS: u64 = 3_000;

fn used_after_close(
    run: &CheckedRun<'_>,
    connection: &ConnectionHistory<'_>,
    report: &mut CheckReport,
) {
    let Some((closed, cause)) = connection.closed else {
        return;
    };
    // In a friendly end what was accepted before still leaves.
    let friendly = matches!(cause, CloseCause::Stopped | CloseCause::Offline);
    let last_ms = closed.ms + run.header().slack_ms;
    let mut written = connection.written.iter();
    if let Some((_, written)) =
        written.find(|(_, at)| *at > closed && !(friendly && at.ms <= last_ms))
    {
        let (who, to) = (run.name(connection.node), connection.to);
        report.wrong(
            *written,
            format!("{who} writes to {to} on a closed connection"),
        );
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, Stage};
    use rmq_remoting::event::{DialFailure, Event as TransportEvent};

    use super::*;
    use crate::fault::{FaultKind, Slow};
    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};
    use crate::trace::WorkEvent;
    use crate::trace::record::PatienceFacts;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a lost connection is replaced", || {
            let scene = Scene::new()
                .at(100)
                .close(1, "broker-a", CloseCause::Broken);
            scene.open(4, "broker-a")
        }),
        accepts("two producers have a connection each", || {
            Scene::new().second_producer()
        }),
        accepts("a second connection beside a silent one", || {
            silent().open(4, "broker-a")
        }),
        accepts(
            "the attempt that dialled a connection was silent on it",
            || dialled_by_an_attempt().at(1_100).open(5, "broker-a"),
        ),
        rejects(
            "the attempt that dialled a connection has time left",
            || dialled_by_an_attempt().at(900).open(5, "broker-a").wrong(),
        ),
        rejects("a second connection beside a good one", || {
            Scene::new().at(100).open(4, "broker-a").wrong()
        }),
        rejects(
            "a second connection before the first one's time is over",
            || {
                let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0");
                scene.at(900).open(4, "broker-a").wrong()
            },
        ),
        accepts(
            "a slow producer dials some time after its decision, and an answer came meanwhile",
            || heard_at_1_150().at(1_200).open(5, "broker-a"),
        ),
        rejects(
            "a producer that is not slow dials although an answer came",
            || {
                let scene = heard_at_1_150().fault_ends(1, "p1");
                scene.at(1_200).open(5, "broker-a").wrong()
            },
        ),
        accepts(
            "a dial waits after one that came to nothing, and an answer came meanwhile",
            || heard_after_a_dial_in_vain().at(1_400).open(6, "broker-a"),
        ),
        rejects(
            "a dial long after one that came to nothing and after an answer",
            || {
                let scene = heard_after_a_dial_in_vain().at(2_000);
                scene.open(6, "broker-a").wrong()
            },
        ),
        accepts(
            "a dial waits after a connection without an answer, and another one answered meanwhile",
            || heard_after_a_connection_that_was(&[]).open(7, "broker-a"),
        ),
        rejects(
            "a dial after a connection that was heard, and another one answered meanwhile",
            || {
                let scene = heard_after_a_connection_that_was(&[5]);
                scene.open(7, "broker-a").wrong()
            },
        ),
        accepts("a lookup asks again after a tenth of a second", || {
            asked().at(200).open(5, "broker-a")
        }),
        rejects("a lookup asks again at once over a new connection", || {
            asked().at(199).open(5, "broker-a").wrong()
        }),
        accepts(
            "a second connection that nobody used is dialled again when the first one is silent",
            || {
                asks(asked().at(200).open(5, "broker-a").at(1_000), 98)
                    .at(1_100)
                    .open(6, "broker-a")
            },
        ),
        rejects(
            "a second connection is dialled again, and no request was silent since",
            || {
                let scene = asked().at(200).open(5, "broker-a").at(1_100);
                scene.open(6, "broker-a").wrong()
            },
        ),
        rejects("a second connection of a client that has none", || {
            let scene = silent().facts(|it| it.policies[0].second_connections = false);
            scene.open(4, "broker-a").wrong()
        }),
        rejects(
            "a connection is kept beside the one that replaced it",
            || {
                let scene = silent().open(4, "broker-a").at(1_110);
                let late = TransportEvent::Late {
                    connection: 4.into(),
                    opaque: 99,
                };
                let scene = scene.say(Event::Transport(late)).wrong();
                scene.at(20_000).call(2)
            },
        ),
        rejects("a closed connection is used again", || {
            let scene = Scene::new()
                .at(100)
                .close(1, "broker-a", CloseCause::Broken);
            scene.call(1).attempt(1, 1, "a/0").wrong()
        }),
        rejects(
            "a busy connection is closed because another one has replaced it",
            || {
                let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0").at(200);
                scene.close(1, "broker-a", CloseCause::Replaced).wrong()
            },
        ),
        rejects(
            "a connection is closed as idle that was used a moment ago",
            || {
                let scene = Scene::new().at(100_000).whole(1, "a/0").at(150_000);
                scene.close(1, "broker-a", CloseCause::Idle).wrong()
            },
        ),
        accepts("a connection is closed as idle", || {
            Scene::new()
                .at(120_000)
                .close(1, "broker-a", CloseCause::Idle)
        }),
        rejects(
            "a connection is closed as offline that a route names",
            || {
                Scene::new()
                    .at(50_000)
                    .close(1, "broker-a", CloseCause::Offline)
                    .wrong()
            },
        ),
        rejects(
            "a connection is closed as dead on which nobody asked",
            || {
                patient()
                    .at(50_000)
                    .close(1, "broker-a", CloseCause::DeadPeer)
                    .wrong()
            },
        ),
        accepts("a connection is closed as dead", || {
            let scene = (90..93).fold(patient().at(20_000), |scene, opaque| {
                scene.say(Event::Transport(TransportEvent::Written {
                    connection: 1.into(),
                    opaque,
                }))
            });
            scene.at(30_000).close(1, "broker-a", CloseCause::DeadPeer)
        }),
        rejects("a connection is kept that no route names", || {
            let scene = Scene::new().at(1_000).found(1, 2, &["a/0", "b/0"]);
            scene.wrong().at(90_000).call(1)
        }),
        accepts("a connection that no route names is closed", || {
            let scene = Scene::new().at(1_000).found(1, 2, &["a/0", "b/0"]);
            scene
                .at(31_000)
                .close(3, "broker-c", CloseCause::Offline)
                .at(90_000)
                .call(1)
        }),
        accepts("a producer of a shared client says goodbye there", || {
            let scene = Scene::new().shared().at(1_000);
            let scene = scene.found(1, 2, &["a/0", "b/0"]).at(31_000);
            let scene = scene.close(3, "broker-c", CloseCause::Offline).at(40_000);
            let group = || Some("second".into());
            let scene = scene.work(WorkEvent::StopCalled { group: group() });
            let scene = scene.say(Event::Stopping).dial(4, "broker-c");
            let scene = scene.open_end(4, "broker-c").say(Event::Stopped);
            let scene = scene.work(WorkEvent::StopReturned { group: group() });
            scene.at(110_000).call(1)
        }),
        rejects("a first dial waits as if others had been in vain", || {
            let scene = Scene::new().at(50).whole(9, "a/1").at(60);
            let scene = scene
                .close(1, "broker-a", CloseCause::Broken)
                .at(100)
                .call(1);
            let scene = scene.attempt_by(1, 1, queue("a/0"), 1).wrong();
            let scene = scene.at(500).open(7, "broker-a");
            scene.at(2_000).ended(1, 1, Stage::Silent, None)
        }),
        rejects("an attempt has no connection, and nobody dials one", || {
            let scene = Scene::new().at(50).close(1, "broker-a", CloseCause::Broken);
            let scene = scene
                .at(100)
                .call(1)
                .attempt_by(1, 1, queue("a/0"), 1)
                .wrong();
            scene.at(2_000).ended(1, 1, Stage::Silent, None)
        }),
        accepts(
            "a hedge goes over a connection that was heard since",
            || {
                let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0").at(500);
                let scene = scene.whole(2, "b/0").at(1_100).hedged(1, 1);
                scene.attempt(1, 2, "b/1")
            },
        ),
        rejects(
            "a hedge goes over another connection that is doubted",
            || {
                let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0").at(1_100);
                let scene = scene.hedged(1, 1).attempt_by(1, 2, queue("b/1"), 2);
                let marked = scene.trace.records.len();
                let mut scene = scene.request(1, 2, 2);
                scene.marked = Some(marked);
                scene
            },
        ),
        rejects("a hedge goes over the silent connection", || {
            let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0").at(1_100);
            let scene = scene.hedged(1, 1).attempt_by(1, 2, queue("a/1"), 1);
            let marked = scene.trace.records.len();
            let mut scene = scene.request(1, 2, 1);
            scene.marked = Some(marked);
            scene
        }),
        rejects("a dial goes on for ever", || {
            let scene = Scene::new().at(50).close(1, "broker-a", CloseCause::Broken);
            let scene = scene.at(100).dial(4, "broker-a").wrong();
            scene.at(9_000).open_end(4, "broker-a")
        }),
        accepts("dials in vain keep their distance", || {
            in_vain_at(&[100, 101, 125, 170])
        }),
        rejects("an address is dialled again and again", || {
            in_vain_at(&[100, 101, 102]).dial(7, "broker-a").wrong()
        }),
        rejects("a busy connection is closed as idle", || {
            let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0").at(200);
            scene.close(1, "broker-a", CloseCause::Idle).wrong()
        }),
    ];

    /// An attempt opens a new connection to broker-a and is not answered on it.
    fn dialled_by_an_attempt() -> Scene {
        let scene = Scene::new().at(50).close(1, "broker-a", CloseCause::Broken);
        let scene = scene.at(100).call(1).attempt_by(1, 1, queue("a/0"), 1);
        scene.at(102).open(4, "broker-a").request(1, 1, 4)
    }

    /// A slow producer's attempt at broker-a is answered after its timeout.
    fn heard_at_1_150() -> Scene {
        let slow = FaultKind::Slow(Slow { ms_per_step: 100 });
        let scene = Scene::new().at(50).fault(1, slow, "p1");
        let scene = scene.at(100).call(1).attempt(1, 1, "a/0");
        scene.at(1_150).late(1, 1)
    }

    /// A second dial beside a silent connection fails, and the silent one answers.
    fn heard_after_a_dial_in_vain() -> Scene {
        let scene = silent().dial(5, "broker-a").at(1_150);
        let failed = TransportEvent::DialFailed {
            connection: 5.into(),
            to: scene.address_of("broker-a"),
            cause: DialFailure::TimedOut,
        };
        scene.say(Event::Transport(failed)).at(1_200).late(1, 1)
    }

    /// Of two connections to broker-a the first one ends, and the second one answers after a while.
    fn heard_after_a_connection_that_was(heard: &[u64]) -> Scene {
        let late = |connection: u64| TransportEvent::Late {
            connection: connection.into(),
            opaque: 99,
        };
        let written = TransportEvent::Written {
            connection: 6.into(),
            opaque: 99,
        };
        let scene = Scene::new().at(50).say(Event::Transport(late(1)));
        let scene = scene.at(100).call(1).attempt(1, 1, "a/0").at(1_100);
        let scene = heard.iter().fold(scene.open(5, "broker-a"), |scene, it| {
            scene.say(Event::Transport(late(*it)))
        });
        let scene = scene.close(5, "broker-a", CloseCause::BadFrame);
        let scene = scene.open(6, "broker-a").say(Event::Transport(written));
        let scene = scene.close(1, "broker-a", CloseCause::Broken);
        let scene = scene.at(1_215).say(Event::Transport(late(6)));
        scene.at(1_220)
    }

    /// A request that belongs to no attempt is written to broker-a at 100 ms.
    fn asked() -> Scene {
        asks(Scene::new().at(100), 99)
    }

    /// A request that is no attempt's goes over the first connection.
    fn asks(scene: Scene, opaque: i32) -> Scene {
        scene.say(Event::Transport(TransportEvent::Written {
            connection: 1.into(),
            opaque,
        }))
    }

    /// An attempt at broker-a that is not answered in its timeout.
    fn silent() -> Scene {
        Scene::new().at(100).call(1).attempt(1, 1, "a/0").at(1_100)
    }

    /// A policy that gives dead peers up.
    fn patient() -> Scene {
        Scene::new().facts(|it| {
            it.policies[0].patience = Some(PatienceFacts {
                requests: 3,
                silence_ms: 10_000,
            });
        })
    }

    /// broker-a is dialled at these times, each time in vain.
    fn in_vain_at(times: &[u64]) -> Scene {
        let scene = Scene::new().at(50).close(1, "broker-a", CloseCause::Broken);
        let heard = TransportEvent::Late {
            connection: 1.into(),
            opaque: 99,
        };
        let scene = scene.say(Event::Transport(heard));
        (4..).zip(times).fold(scene, |scene, (number, ms)| {
            let scene = scene.at(*ms).dial(number, "broker-a");
            let failed = TransportEvent::DialFailed {
                connection: number.into(),
                to: scene.address_of("broker-a"),
                cause: DialFailure::Refused,
            };
            scene.say(Event::Transport(failed))
        })
    }
}

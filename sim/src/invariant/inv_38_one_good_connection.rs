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
use rmq_remoting::code::response;
use rmq_remoting::event::CloseCause;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{AttemptHistory, ConnectionHistory, SendHistory, Timestamp};

mod closing;
mod dialling;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-38",
    title: "One good connection",
    source: Source::Both,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side(
            "opens a second connection to …",
            &[
                "two producers have a connection each",
                "a second connection beside a silent one",
                "the attempt that dialled a connection was silent on it",
                "a lookup asks again after a tenth of a second",
                "a second connection that nobody used is dialled again when the first one is silent",
                "a slow producer dials some time after its decision, and an answer came meanwhile",
                "a dial waits after one that came to nothing, and an answer came meanwhile",
                "a dial waits after a connection without an answer, and another one answered meanwhile",
            ],
        ),
        side(
            "keeps a connection to … that a second one has replaced",
            &["a lost connection is replaced"],
        ),
        side(
            "hedges over a connection not heard since then",
            &["a hedge goes over a connection that was heard since"],
        ),
        side(
            "writes to … on a closed connection",
            &["a lost connection is replaced"],
        ),
        side(
            "has no connection to … dialled in … ms",
            &["a first dial is made at once"],
        ),
        side("dials … for … ms", &["a lost connection is replaced"]),
        side(
            "dials … again … ms after … dials in vain",
            &[
                "dials in vain keep their distance",
                "an address that left the route and came back is dialled at once",
            ],
        ),
        side(
            "closes its connection to … with an attempt open",
            &["a connection is closed as idle"],
        ),
        side(
            "as idle, … ms after something was said on it",
            &["a connection is closed as idle"],
        ),
        side(
            "as if no route named it any more, and one does",
            &["a connection that no route names is closed"],
        ),
        side(
            "as dead, … ms after it answered",
            &["a connection is closed as dead"],
        ),
        side(
            "keeps its connection to …, in no route for … ms",
            &[
                "a connection that no route names is closed",
                "a producer of a shared client says goodbye there",
            ],
        ),
    ],
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
    // Its peer has asked for that, whether it is closed for it before the run ends or not.
    let leaves = |(_, at, code): &(i32, Timestamp, Option<i32>)| {
        *code == Some(response::GO_AWAY) && *at < opened
    };
    let drains = other
        .closed
        .is_some_and(|(_, cause)| cause == CloseCause::Drained)
        || other.answers.iter().any(leaves);
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
    let last_ms = match run.truth.slow_since(connection.node, closed.ms) {
        None => closed.ms + run.header().slack_ms,
        // It leaves some steps later, however long they are.
        Some(_) => u64::MAX,
    };
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
mod tests;

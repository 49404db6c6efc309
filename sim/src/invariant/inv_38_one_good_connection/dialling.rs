//! How connections begin: dials have an end, keep their distance while they are in vain, and come when they
//! are needed.

use rmq_producer::event::Mode;
use rmq_remoting::event::CloseCause;

use crate::invariant::{CheckReport, CheckedRun};
use crate::trace::history::{
    AttemptHistory, ConnectionHistory, SendHistory, SnapshotHistory, Timestamp,
};

/// Dials of one address: each has an end in its time, and those that come to nothing keep their distance.
pub(super) fn dials(
    run: &CheckedRun<'_>,
    connection: &ConnectionHistory<'_>,
    report: &mut CheckReport,
) {
    let (who, to) = (run.name(connection.node), connection.to);
    let Some(policy) = run.policy(connection.node) else {
        return;
    };
    let opened = connection.opened.map(|(opened, _)| opened);
    let ended = opened
        .or(connection.failed)
        .or(connection.closed.map(|(at, _)| at));
    let due = run.due(connection.node, connection.dialled.ms, policy.dial_ms);
    let over = ended.map_or(run.trace.end_ms, |ended| ended.ms);
    let gone = run
        .truth
        .was_gone(connection.node, connection.dialled.ms, over);
    let mut stops = run.stops(connection.node);
    let stopped = stops.any(|at| at > connection.dialled && at.ms <= over);
    if over > due && !gone && !stopped {
        let took = over - connection.dialled.ms;
        report.wrong(
            connection.dialled,
            format!("{who} dials {to} for {took} ms"),
        );
    }
    // One of them may have been heard a little before it ended.
    let Some(vain) = in_vain(run, connection).filter(|vain| vain.times >= 3) else {
        return;
    };
    let pause = |times: usize| {
        let doublings = u32::try_from(times.saturating_sub(3)).unwrap_or(u32::MAX);
        let pause = policy.first_redial_pause_ms;
        let pause = pause.saturating_mul(1 << doublings.min(31));
        pause.min(policy.longest_redial_pause_ms)
    };
    let (times, last) = (vain.times, vain.last);
    let since = connection.dialled.ms.saturating_sub(last.ms);
    let pause = pause(times);
    let restarted = run
        .truth
        .was_gone(connection.node, last.ms, connection.dialled.ms);
    // A slow producer counts what it has noticed by then.
    let slow = run.truth.slow_since(connection.node, connection.dialled.ms);
    if since < pause && !restarted && slow.is_none() {
        let text = format!("{who} dials {to} again {since} ms after {times} dials in vain");
        report.wrong(connection.dialled, text);
    }
}

/// Dials of an address that came to nothing in a row.
struct InVain {
    /// How many they were, none of them beside another one.
    times: usize,
    /// When the last one came to nothing.
    last: Timestamp,
}

/// The dials of the address that came to nothing in a row before this one.
fn in_vain(run: &CheckedRun<'_>, connection: &ConnectionHistory<'_>) -> Option<InVain> {
    let same = run
        .history
        .index
        .connections(connection.node, connection.to);
    let before = same.iter().map(|index| &run.history.connections[*index]);
    let mut before: Vec<_> = before
        .filter(|it| it.dialled < connection.dialled)
        .collect();
    before.sort_unstable_by_key(|it| it.dialled);
    // Whatever is heard of the address, on any connection, begins the count anew.
    let answers = before
        .iter()
        .flat_map(|it| it.answers.iter().map(|(_, at, _)| *at));
    let heard = answers.filter(|at| *at < connection.dialled).max();
    let mut vain: Option<InVain> = None;
    let mut next = connection.dialled;
    for it in before.iter().rev() {
        let in_vain = match (it.failed, it.closed) {
            (Some(failed), _) => failed,
            (
                None,
                Some((closed, CloseCause::PeerClosed | CloseCause::Broken | CloseCause::BadFrame)),
            ) if it.answers.is_empty() => closed,
            _ => break,
        };
        // Two may be under way at the same time, beside each other.
        if in_vain > connection.dialled {
            return None;
        }
        if heard.is_some_and(|heard| heard > in_vain) || left(run, connection, in_vain) {
            break;
        }
        // One that had another beside it when it ended has delayed no dial: the other begins the count.
        if in_vain > next {
            break;
        }
        let found = vain.get_or_insert(InVain {
            times: 0,
            last: in_vain,
        });
        found.times += 1;
        next = it.dialled;
    }
    vain
}

/// Whether the dialled address left a route between a dial in vain and this one: with it goes the count.
fn left(run: &CheckedRun<'_>, dialled: &ConnectionHistory<'_>, since: Timestamp) -> bool {
    let names = |route: &SnapshotHistory<'_>| {
        let mut addresses = route.addresses.iter();
        addresses.any(|(_, address)| **address == **dialled.to)
    };
    let own = run.history.snapshots.iter();
    let own = own.filter(|it| it.node == dialled.node && it.timestamp < dialled.dialled);
    let mut later = own.clone().filter(|it| it.timestamp > since);
    later.any(|it| {
        let mut before = own.clone().filter(|one| one.timestamp < it.timestamp);
        !names(it) && before.any(|one| one.topic == it.topic && names(one))
    })
}

/// An attempt without a connection gets one dialled at once, or after the longest pause between two dials.
pub(super) fn gets_a_connection(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    report: &mut CheckReport,
) {
    let (Some(to), Some(policy)) = (attempt.address, run.policy_of(send.producer())) else {
        return;
    };
    let waits = attempt.wires.is_empty() && send.mode != Mode::Oneway;
    // The pause that the dials in vain before it ask for; one that is under way may end as another one.
    let own = run.history.index.connections(send.node, to).iter();
    let own: Vec<_> = own.map(|index| &run.history.connections[*index]).collect();
    let vain = own.iter().filter(|it| it.dialled < attempt.started);
    let vain = vain.rev().take_while(|it| it.answers.is_empty()).count();
    let doublings = u32::try_from(vain).unwrap_or(u32::MAX).min(31);
    let pause = policy.first_redial_pause_ms.saturating_mul(1 << doublings);
    let pause = pause.min(policy.longest_redial_pause_ms);
    let due = run.due(send.node, attempt.started.ms, pause);
    let ended = attempt.ended.map(|end| end.timestamp.ms);
    let over = ended
        .into_iter()
        .chain(send.over().map(|over| over.ms))
        .min();
    let over = over.unwrap_or(run.trace.end_ms);
    if !waits || over <= due || policy.longest_redial_pause_ms == 0 {
        return;
    }
    let mut own = own.iter();
    // One that is open takes the request, or is dialled beside.
    let helps = own.any(|it| {
        let ended = it.failed.into_iter().chain(it.ends()).min();
        let until = ended.map_or(u64::MAX, |at| at.ms);
        it.dialled.ms <= due && until >= attempt.started.ms
    });
    if !helps && !run.truth.was_gone(send.node, attempt.started.ms, due) {
        let (who, number, k) = (run.name(send.node), send.number, attempt.number);
        let after = due - attempt.started.ms;
        let text = format!("{who} s{number} #{k} has no connection to {to} dialled in {after} ms");
        report.wrong(attempt.started, text);
    }
}

//! How connections end: for a reason, not under their requests, and not never.

use rmq_remoting::event::CloseCause;

use crate::invariant::{CheckReport, CheckedRun};
use crate::trace::NodeKind;
use crate::trace::history::{ConnectionHistory, Timestamp};

/// Ends that a client brings about wait for the answers that are on their way.
pub(super) fn closed_while_busy(
    run: &CheckedRun<'_>,
    connection: &ConnectionHistory<'_>,
    report: &mut CheckReport,
) {
    let Some((closed, cause)) = connection.closed else {
        return;
    };
    let waits = match cause {
        // Answers that are on their way still count.
        CloseCause::Idle | CloseCause::Offline | CloseCause::Replaced | CloseCause::Drained => {
            "with an attempt open"
        }
        CloseCause::PeerClosed
        | CloseCause::Broken
        | CloseCause::BadFrame
        | CloseCause::CallTimedOut
        | CloseCause::DeadPeer
        | CloseCause::Stopped
        | CloseCause::Flooded => return,
    };
    let busy = |send: usize, attempt: usize, wire: usize| {
        let send = &run.history.sends[send];
        let attempt = &send.attempts[attempt];
        let moved = attempt.wires.len() > wire + 1;
        let answered = attempt.reply.is_some_and(|(read, _)| read < closed);
        // In the millisecond of its deadline a send waits for nothing any more.
        let waits = closed.ms < send.deadline_ms();
        waits && attempt.open_at(closed, send.over()) && !moved && !answered
    };
    let mut given = connection.given.iter();
    // What drains ends by its peer, too, and is called so all the same.
    let own = cause != CloseCause::Drained || connection.torn.is_none_or(|torn| torn >= closed);
    if own && given.any(|(_, send, attempt, wire)| busy(*send, *attempt, *wire)) {
        let (who, to) = (run.name(connection.node), connection.to);
        let text = format!("{who} closes its connection to {to} as {cause:?} {waits}");
        report.wrong(closed, text);
    }
}

/// A connection that the client ends by itself has the reason that it names.
pub(super) fn closed_for_a_reason(
    run: &CheckedRun<'_>,
    connection: &ConnectionHistory<'_>,
    report: &mut CheckReport,
) {
    let (Some((opened, _)), Some((closed, cause))) = (connection.opened, connection.closed) else {
        return;
    };
    let Some(policy) = run.policy(connection.node) else {
        return;
    };
    let written = connection.written.iter().map(|(_, at)| *at);
    let answers = connection.answers.iter().map(|(_, at, _)| *at);
    let text = match cause {
        CloseCause::Idle => {
            let traffic = written.chain(answers).filter(|at| *at < closed);
            let last = traffic.max().map_or(opened.ms, |at| at.ms);
            (closed.ms < last.saturating_add(policy.idle_ms)).then(|| {
                format!(
                    "as idle, {} ms after something was said on it",
                    closed.ms - last
                )
            })
        }
        CloseCause::Offline => in_route(run, connection, closed)
            .then(|| "as if no route named it any more, and one does".to_owned()),
        CloseCause::DeadPeer => {
            let heard = answers.filter(|at| *at < closed).max().unwrap_or(opened);
            let since = closed.ms - heard.ms;
            let patience = policy.patience.as_ref();
            let is_dead = patience.is_some_and(|patience| since >= patience.silence_ms);
            // What cannot be written waits, too.
            let given = connection.given.iter().map(|(_, send, attempt, wire)| {
                run.history.sends[*send].attempts[*attempt].wires[*wire].timestamp
            });
            // What was asked before it was last heard may wait still.
            let asked = written.chain(given).any(|at| at < closed);
            let text = || format!("as dead, {since} ms after it answered");
            (!(is_dead && asked)).then(text)
        }
        _ => None,
    };
    if let Some(text) = text {
        let (who, to) = (run.name(connection.node), connection.to);
        report.wrong(
            closed,
            format!("{who} closes its connection to {to} {text}"),
        );
    }
}

/// Whether a route in force names the address of a connection.
fn in_route(run: &CheckedRun<'_>, connection: &ConnectionHistory<'_>, at: Timestamp) -> bool {
    let node = connection.node;
    let own = run.history.snapshots.iter().enumerate();
    let mut own = own.filter(|(_, it)| it.node == node && it.timestamp < at);
    own.any(|(index, snapshot)| {
        let mut addresses = snapshot.addresses.iter();
        let in_force = run.history.in_force(node, snapshot.topic, at) == Some(index);
        let in_force = in_force && !run.may_have_forgotten(node, snapshot.topic, at);
        in_force && addresses.any(|(_, address)| address == connection.to)
    })
}

/// A connection to a broker that no route names any more is closed at the heartbeat after that, once nobody
/// waits on it.
pub(super) fn closed_when_unneeded(
    run: &CheckedRun<'_>,
    connection: &ConnectionHistory<'_>,
    report: &mut CheckReport,
) {
    let is_broker = run.header().of_kind(NodeKind::Broker).any(|node| {
        let info = &run.header().nodes[node.index()];
        info.address.as_ref() == Some(connection.to)
    });
    let (Some((opened, _)), Some(policy), true) =
        (connection.opened, run.policy(connection.node), is_broker)
    else {
        return;
    };
    if run.says_goodbye(connection.node, connection.dialled) {
        // Slaves hear it as well, which no route of the history names.
        return;
    }
    let ends = connection.ends().chain(run.stops(connection.node));
    let end = ends
        .filter(|end| *end > opened)
        .min()
        .unwrap_or_else(|| run.end());
    let routes = run.history.snapshots.iter();
    let turns = routes
        .filter(|it| it.node == connection.node)
        .map(|it| it.timestamp);
    let turns = turns.filter(|at| *at > opened && *at < end);
    let mut unneeded_since = None;
    for at in std::iter::once(opened).chain(turns) {
        let needed = in_route(run, connection, run.after(at.ms));
        unneeded_since = if needed {
            None
        } else {
            unneeded_since.or(Some(at))
        };
    }
    let Some(since) = unneeded_since else { return };
    let bound = policy.heartbeat_ms.saturating_add(LONGEST_WAIT_MS);
    if end.ms > run.due(connection.node, since.ms, bound) {
        let (who, to, long) = (run.name(connection.node), connection.to, end.ms - since.ms);
        let text = format!("{who} keeps its connection to {to}, in no route for {long} ms");
        report.wrong(since, text);
    }
}

/// The longest that a request waits for its answer on a connection that nobody needs any more.
const LONGEST_WAIT_MS: u64 = 15_000;

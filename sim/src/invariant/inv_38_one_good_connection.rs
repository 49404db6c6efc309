//! One connection per address, and only a live one is used.
//!
//! A producer has at most one established connection to an address; a closed one carries no new
//! request; and the client closes none that has open attempts, except where its policy, a drain
//! notice or its own stop says so.

use rmq_remoting::event::CloseCause;

use super::{Case, Invariant, Judge, Judged, Source};
use crate::trace::story::{ConnectionStory, Moment};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-38",
    title: "One good connection",
    source: Source::Both,
    rate_per_mille: 900,
    judge: Judge::Run(judge),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn judge(case: &Case<'_>, judged: &mut Judged) {
    let connections = &case.story.connections;
    for (index, connection) in connections.iter().enumerate() {
        let Some((opened, _)) = connection.opened else {
            continue;
        };
        judged.case();
        let other = connections[..index]
            .iter()
            .find(|other| rival(other, connection));
        // The connections of a killed process have no end of their own.
        let killed = |from: u64| case.truth.was_gone(connection.node, from, opened.ms);
        if other.is_some_and(|other| !killed(other.dialled.ms)) {
            let (who, to) = (case.name(connection.node), connection.to);
            judged.wrong(opened, format!("{who} opens a second connection to {to}"));
        }
        used_after_close(case, connection, judged);
        closed_while_busy(case, connection, judged);
    }
}

/// Whether an earlier connection to the same address is in use when this one opens. One that
/// drains may live on for its last answers.
fn rival(other: &ConnectionStory<'_>, connection: &ConnectionStory<'_>) -> bool {
    let Some((opened, _)) = connection.opened else {
        return false;
    };
    let drains = other
        .closed
        .is_some_and(|(_, cause)| cause == CloseCause::Drained);
    let closed = other
        .closed
        .map(|(moment, _)| moment)
        .into_iter()
        .chain(other.torn)
        .min();
    other.node == connection.node
        && other.to == connection.to
        && other.opened.is_some_and(|(moment, _)| moment < opened)
        && closed.is_none_or(|closed| closed > opened)
        && !drains
}

fn used_after_close(case: &Case<'_>, connection: &ConnectionStory<'_>, judged: &mut Judged) {
    let Some((closed, cause)) = connection.closed else {
        return;
    };
    // In a friendly end what was accepted before still leaves.
    let friendly = matches!(cause, CloseCause::Stopped | CloseCause::Offline);
    let last_ms = closed.ms + case.header().slack_ms;
    let mut written = connection.written.iter();
    if let Some((_, written)) =
        written.find(|(_, at)| *at > closed && !(friendly && at.ms <= last_ms))
    {
        let (who, to) = (case.name(connection.node), connection.to);
        judged.wrong(
            *written,
            format!("{who} writes to {to} on a closed connection"),
        );
    }
}

fn closed_while_busy(case: &Case<'_>, connection: &ConnectionStory<'_>, judged: &mut Judged) {
    let Some((closed, CloseCause::Idle)) = connection.closed else {
        return;
    };
    let busy = |moment: Moment, send: usize, attempt: usize| {
        let send = &case.story.sends[send];
        send.attempts[attempt].open_at(moment, send.over())
    };
    if connection
        .given
        .iter()
        .any(|(_, send, attempt, _)| busy(closed, *send, *attempt))
    {
        let (who, to) = (case.name(connection.node), connection.to);
        let text = format!("{who} closes its connection to {to} as idle with an attempt open");
        judged.wrong(closed, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

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
        rejects("a second connection beside a good one", || {
            Scene::new().at(100).open(4, "broker-a").wrong()
        }),
        rejects("a closed connection is used again", || {
            let scene = Scene::new()
                .at(100)
                .close(1, "broker-a", CloseCause::Broken);
            scene.call(1).attempt(1, 1, "a/0").wrong()
        }),
        rejects("a busy connection is closed as idle", || {
            let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0").at(200);
            scene.close(1, "broker-a", CloseCause::Idle).wrong()
        }),
    ];
}

//! A stopped producer leaves nothing behind.
//!
//! When `stop` has returned, no connection of the producer is open, none is dialled any more, and
//! nothing is written. Checked by its connections' events and, where the engine tells, the kernel's.

use super::{CheckReport, CheckedRun, Checker, Invariant, Source};
use crate::trace::NodeId;
use crate::trace::history::{ConnectionHistory, ProducerPhase, Timestamp};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-48",
    title: "No residue",
    source: Source::Both,
    rate_per_mille: 500,
    checker: Checker::Run(check),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for (node, life, stopped) in &run.history.lives {
        if *life != ProducerPhase::Stopped {
            continue;
        }
        report.exercised();
        // A new life of the same node is another history.
        let again = run.history.lives.iter().find_map(|(at, life, timestamp)| {
            (at == node && *life == ProducerPhase::Started && timestamp > stopped)
                .then_some(*timestamp)
        });
        let until = again.unwrap_or_else(|| run.end());
        let connections = run.history.connections.iter().filter(|it| it.node == *node);
        for connection in connections.filter(|it| it.dialled < until) {
            residue(run, *node, connection, (*stopped, until), report);
        }
    }
}

fn residue(
    run: &CheckedRun<'_>,
    node: NodeId,
    connection: &ConnectionHistory<'_>,
    (stopped, until): (Timestamp, Timestamp),
    report: &mut CheckReport,
) {
    let (who, to) = (run.name(node), connection.to);
    if connection.dialled > stopped {
        report.wrong(
            connection.dialled,
            format!("{who} dials {to} after it was stopped"),
        );
        return;
    }
    let written = connection
        .written
        .iter()
        .find(|(_, at)| *at > stopped && *at < until);
    if let Some((_, at)) = written {
        report.wrong(*at, format!("{who} writes to {to} after it was stopped"));
        return;
    }
    let due = run.due(node, stopped.ms, 0);
    let open = connection.ends().all(|end| end.ms > due);
    let gone = run.truth.was_gone(node, connection.dialled.ms, until.ms);
    if connection.opened.is_some() && open && until.ms > due && !gone {
        report.wrong(
            stopped,
            format!("{who} is stopped, but its connection to {to} stays open"),
        );
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::Event;
    use rmq_remoting::event::{CloseCause, Event as Transport};

    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("all connections are closed", || {
            closed().say(Event::Stopped)
        }),
        rejects("a connection stays open", || {
            let scene = Scene::new()
                .at(100)
                .close(1, "broker-a", CloseCause::Stopped);
            scene
                .close(2, "broker-b", CloseCause::Stopped)
                .say(Event::Stopped)
                .wrong()
        }),
        rejects("a stopped producer dials", || {
            let (connection, to) = (4.into(), "10.0.2.1:10911".into());
            let scene = closed().say(Event::Stopped).at(900);
            scene
                .say(Event::Transport(Transport::Dial { connection, to }))
                .wrong()
        }),
        rejects("a stopped producer writes", || {
            let scene = closed().say(Event::Stopped).at(110);
            let event = Transport::Written {
                connection: 1.into(),
                opaque: 9,
            };
            scene.say(Event::Transport(event)).wrong()
        }),
    ];

    fn closed() -> Scene {
        let scene = Scene::new()
            .at(100)
            .close(1, "broker-a", CloseCause::Stopped);
        let scene = scene.close(2, "broker-b", CloseCause::Stopped);
        scene.close(3, "broker-c", CloseCause::Stopped)
    }
}

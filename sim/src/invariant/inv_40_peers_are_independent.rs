//! What is wrong with one broker delays nothing that goes to another.
//!
//! One lock around all dials, one writer for all connections, one queue of callbacks: any of them
//! makes a broker that hangs the affair of all the others. So while some broker is ill, an attempt
//! that goes to a healthy one is answered as if nothing were wrong: within a dial and a round trip.
//! What the producer itself has lately sent there, and must share the connection with, is taken into
//! account: more bytes than a fraction of a window are not checked.

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::{AttemptHistory, SendHistory};
use crate::trace::{NodeId, NodeKind};
use crate::truth::Condition;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-40",
    title: "Peers are independent",
    source: Source::Truth,
    rate_per_mille: 100,
    checker: Checker::Run(check),
    sides: &[side(
        "waits over … ms for …, which is well",
        &[
            "a healthy broker answers beside one that hangs",
            "the one that hangs lets its own sends wait",
            "a healthy broker was ill a moment ago",
            "a name server told where a broker was before it moved",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// How long a broker must have been healthy: what a fault held back may arrive this much later.
const RECOVERY_MS: u64 = 10_000;
/// Bytes that a connection takes without waiting for its peer.
const FREE_BYTES: u64 = 32_768;

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    if run.truth.intervals().is_empty() {
        return;
    }
    let brokers: Vec<NodeId> = run.header().of_kind(NodeKind::Broker).collect();
    for (send, attempt) in run.attempts() {
        let Some(broker) = run.header().node(&attempt.to.broker) else {
            continue;
        };
        // A dial and a request.
        let bound = 2 * run.header().round_trip_ms;
        let due = run.due(send.node, attempt.started.ms, bound);
        let well = |node: NodeId, since: u64| {
            run.truth.worst(send.node, node, since, due) == Condition::Healthy
        };
        let others = brokers.iter().filter(|node| **node != broker);
        let ill = others
            .filter(|node| !well(**node, attempt.started.ms))
            .count()
            > 0;
        let waits = || crowded(run, send, attempt, due) || creates(run, send, broker, due);
        if ill && well(broker, since(run, send, attempt)) && !waits() {
            report.exercised();
            answered(run, (send, attempt), due, report);
        }
    }
}

/// Since when the broker must be healthy: a connection that is older than a fault may be dead.
fn since(run: &CheckedRun<'_>, send: &SendHistory<'_>, attempt: &AttemptHistory<'_>) -> u64 {
    let recovered = attempt.started.ms.saturating_sub(RECOVERY_MS);
    let own = attempt
        .address
        .map_or(&[][..], |to| run.history.index.connections(send.node, to));
    let connections = own
        .iter()
        .rev()
        .map(|index| &run.history.connections[*index]);
    let mut older = connections.filter(|it| it.dialled < attempt.started);
    let dialled = older.next();
    let published = attempt.snapshot.map(|route| run.as_of(route));
    let known = dialled.map(|it| it.dialled.ms).into_iter().chain(published);
    known.chain([recovered]).min().unwrap_or(recovered)
}

/// Whether the producer has more on its way to the broker than a connection takes at once.
fn crowded(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    attempt: &AttemptHistory<'_>,
    due: u64,
) -> bool {
    let at = (send.node, &*attempt.to.broker);
    let waiting = run.history.attempts_at(at, (attempt.started.ms, due));
    let waiting = waiting.filter(|(other, it)| {
        let over = other
            .over()
            .is_some_and(|over| over.ms < attempt.started.ms);
        it.started.ms <= due && !over
    });
    let bytes = waiting.map(|(other, _)| other.built.map_or(0, |built| u64::from(built.body_len)));
    bytes.sum::<u64>() > FREE_BYTES
}

/// Whether the broker creates the topic meanwhile: it tells the name servers before it answers.
fn creates(run: &CheckedRun<'_>, send: &SendHistory<'_>, broker: NodeId, due: u64) -> bool {
    let mut created = run.history.index.created(broker).iter();
    created.any(|(at, topic)| *topic == send.topic && *at > send.called && at.ms <= due)
}

fn answered(
    run: &CheckedRun<'_>,
    (send, attempt): (&SendHistory<'_>, &AttemptHistory<'_>),
    due: u64,
    report: &mut CheckReport,
) {
    let ended = attempt.ended.map(|end| end.timestamp.ms);
    let over = send.over().map(|over| over.ms);
    let until = ended.into_iter().chain(over).min();
    let alive = run.trace.end_ms > due;
    if alive && until.is_none_or(|until| until > due) {
        let (who, number, k) = (run.name(send.node), send.number, attempt.number);
        let (broker, bound) = (&attempt.to.broker, due - attempt.started.ms);
        let text =
            format!("{who} s{number} #{k} waits over {bound} ms for {broker}, which is well");
        report.wrong(attempt.started, text);
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::LookupReason;

    use crate::fault::{FaultKind, PowerLoss, Restart, Rule, RuleAction};
    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a healthy broker answers beside one that hangs", || {
            hangs().call(1).attempt(1, 1, "b/0").succeeds(1, 1)
        }),
        accepts("the one that hangs lets its own sends wait", || {
            hangs()
                .call(1)
                .attempt(1, 1, "a/0")
                .at(23_000)
                .succeeds(1, 1)
        }),
        accepts("a healthy broker was ill a moment ago", || {
            let scene = hangs().fault(2, FaultKind::Freeze, "broker-b");
            let scene = scene.at(20_010).fault_ends(2, "broker-b").call(1);
            scene.attempt(1, 1, "b/0").at(20_900).succeeds(1, 1)
        }),
        accepts(
            "a name server told where a broker was before it moved",
            || moved_while(RuleAction::StaleRoute).at(22_000),
        ),
        rejects("a name server told where a broker is", || {
            moved_while(RuleAction::PermutedRoute).at(22_000)
        }),
        rejects(
            "a send to a healthy broker waits for the one that hangs",
            || {
                let scene = hangs().call(1).attempt_marked(1, 1, "b/0");
                scene.at(22_000).succeeds(1, 1)
            },
        ),
    ];

    /// A broker moves while a name server answers by a rule, and an attempt goes where the server
    /// said.
    fn moved_while(then: RuleAction) -> Scene {
        let rule = Rule::of(Rule::default_codes(false), then);
        let moves = FaultKind::PowerLoss(PowerLoss(Restart {
            keep_data: true,
            new_address: true,
        }));
        let scene = Scene::new()
            .at(5_000)
            .fault(1, FaultKind::Rule(rule), "ns-1");
        let scene = scene.at(6_000).fault(2, moves, "broker-b");
        let scene = scene.at(6_050).fault_ends(2, "broker-b");
        let scene = scene.at(7_000).open(20, "broker-b");
        let scene = scene.at(20_000).fault(3, FaultKind::Freeze, "broker-a");
        let scene = scene.lookup(2, LookupReason::Poll);
        let scene = scene.found(2, 2, &["a/0", "b/0"]).call(1);
        scene.attempt_by(1, 1, queue("b/0"), 2).wrong()
    }

    fn hangs() -> Scene {
        Scene::new()
            .at(20_000)
            .fault(1, FaultKind::Freeze, "broker-a")
    }
}

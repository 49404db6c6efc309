//! What happens to one send is felt by no other.
//!
//! Requests share connections, tables and tasks. A client in which one timeout closes the connection
//! for all, or in which the callbacks queue up behind the one that waits, multiplies one lost answer
//! by the load. Checked by two runs: in one of them a single async send never gets an answer. Every
//! other send ends as it does without that, and takes as long, give or take the dials and the
//! slack.

use super::pair::Sends;
use super::{CheckReport, Checker, Invariant, Source, side};
use crate::fault::{FaultEvent, FaultKind, Position};
use crate::trace::record::Form;
use crate::trace::{NodeEvent, PolicyFacts, Trace, TraceRecord};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-39",
    title: "Requests are independent",
    source: Source::PairedRuns,
    rate_per_mille: 10,
    checker: Checker::PairedRuns(check),
    sides: &[
        side(
            "ends otherwise beside a send that is not answered",
            &["the others take as long as without it"],
        ),
        side(
            "takes … ms, and … ms beside a send that is not answered",
            &["the others take as long as without it"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// Round trips that a send may take more or less: a dial, a refresh of its route.
const ROUND_TRIPS: u64 = 2;

fn check(one: &Trace, other: &Trace, report: &mut CheckReport) {
    // A policy may close a connection on which a call timed out.
    let strict = |trace: &Trace| {
        let mut policies = trace.header.policies.iter();
        policies.all(|policy| policy.form == Form::Strict)
    };
    // Where only so many may be open, one that is not answered keeps others waiting.
    if one.header.policies.iter().any(PolicyFacts::is_limited) {
        return;
    }
    // Without a fault the send was not made.
    let silent = other.records.iter().find_map(unanswered);
    let Some((workload, number)) = silent.filter(|_| strict(one)) else {
        return;
    };
    // As a run with several workloads calls it, or one with a single one.
    let own = [format!("w{workload}s{number}"), format!("s{number}")];
    let (without, beside) = (Sends::of(one), Sends::of(other));
    let with = beside.by_name();
    let slack = one.header.slack_ms + ROUND_TRIPS * one.header.round_trip_ms;
    for (name, send) in without.by_name() {
        let is_own = own.iter().any(|own| **own == **name);
        let Some(other) = with.get(name).filter(|_| !is_own) else {
            continue;
        };
        // Its retries go on by the rotation, which the other one's may have moved: another queue, another answer.
        if send.refused || other.refused {
            continue;
        }
        // A stop ends it, in whichever run it is still under way.
        if without.stops_during(&send, slack) || beside.stops_during(other, slack) {
            continue;
        }
        report.exercised();
        let who = one.header.name(send.node);
        if send.well != other.well {
            let text = format!("{who} {name} ends otherwise beside a send that is not answered");
            report.wrong(send.called, text);
        } else if send.took_ms.abs_diff(other.took_ms) > slack {
            let (alone, beside) = (send.took_ms, other.took_ms);
            let text = format!(
                "{who} {name} takes {alone} ms, and {beside} ms beside a send that is not answered"
            );
            report.wrong(send.called, text);
        }
    }
}

/// The workload and the send that gets no answer.
fn unanswered(record: &TraceRecord) -> Option<(u32, u64)> {
    let NodeEvent::Fault(FaultEvent::On { data, .. }) = &record.what else {
        return None;
    };
    match (&data.kind, &data.at) {
        (FaultKind::Rule(_), Position::Send { workload, send, .. }) => Some((*workload, *send)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, Place, Rule, RuleAction};
    use crate::invariant::pair::tests::{named, unanswered as hangs};
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::NodeId;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("the others take as long as without it", || {
            let other = named(hangs(silence(Scene::new()), 1, "a/0"), 2, "b/0");
            named(named(Scene::new(), 1, "a/0"), 2, "b/0").paired(other)
        }),
        rejects("the next send waits for the lost answer", || {
            let other = hangs(silence(Scene::new()), 1, "a/0")
                .call(2)
                .attempt(2, 1, "b/0");
            let other = other.at(2_000).named_success(2);
            named(named(Scene::new(), 1, "a/0"), 2, "b/0")
                .wrong_call(2)
                .paired(other)
        }),
        rejects("the next send fails with it", || {
            let other = hangs(hangs(silence(Scene::new()), 1, "a/0"), 2, "b/0");
            named(named(Scene::new(), 1, "a/0"), 2, "b/0")
                .wrong_call(2)
                .paired(other)
        }),
    ];

    /// The first send of the only workload gets no answer.
    fn silence(mut scene: Scene) -> Scene {
        let rule = Rule::of(&[], RuleAction::DropReply);
        let data = Fault {
            kind: FaultKind::Rule(rule),
            place: Place::Node("broker-a".into()),
            at: Position::Send {
                workload: 1,
                send: 1,
                attempt: None,
                sends: 1,
                after_ms: 0,
            },
            for_ms: None,
            may_miss: false,
        };
        let what = NodeEvent::Fault(FaultEvent::On {
            fault: 1,
            data: data.into(),
        });
        scene.trace.records.push(TraceRecord {
            ms: 0,
            node: NodeId::OUTSIDE,
            what,
        });
        scene
    }
}

//! Routes that say more than where brokers are: ordered and static topics.

use rmq_mock_namesrv::odd::OddRoute;
use rmq_producer::event::LookupReason;

use crate::fault::{FaultEvent, FaultKind, RuleAction};
use crate::invariant::CheckedRun;
use crate::trace::history::{Asked, LookupHistory, SnapshotHistory};
use crate::trace::{Form, NodeEvent};

/// What a route says otherwise than an answer in such a form, if that is what it comes from.
pub(super) fn defect(
    run: &CheckedRun<'_>,
    snapshot: &SnapshotHistory<'_>,
    lookup: &LookupHistory<'_>,
) -> Option<String> {
    let strict = run
        .policy(lookup.node)
        .is_some_and(|it| it.form == Form::Strict);
    // What the default topic is says nothing of a topic that is to be made.
    if !strict || lookup.reason == LookupReason::DefaultTopic {
        return None;
    }
    let mut asked = run.history.asked.iter().rev();
    let answer = asked.find(|it| {
        let here = it.topic == lookup.topic && it.timestamp > lookup.started;
        let answered = it
            .answered
            .is_some_and(|(at, code)| code == 0 && at < snapshot.timestamp);
        here && answered && run.is_of(lookup.node, it.peer)
    })?;
    let answered = answer.answered?.0;
    match form(run, answer)? {
        OddRoute::Static => Some("is of a static topic".to_owned()),
        OddRoute::Ordered => {
            let known = run.history.route_at(answer.server, lookup.topic, answered);
            known.iter().find_map(|(broker, queues)| {
                let written = usize::try_from(OddRoute::ordered(*queues)).ok()?;
                let mut brokers = snapshot.queues.brokers().iter();
                let (_, has) = brokers.find(|(name, _)| *name == broker)?;
                (*queues > 0 && *has != written).then(|| {
                    format!("has {has} queues of {broker}, and its operator wrote {written} down")
                })
            })
        }
        _ => None,
    }
}

/// The form in which a name server wrote its answer, if a rule said so.
fn form(run: &CheckedRun<'_>, answer: &Asked<'_>) -> Option<OddRoute> {
    let rule = answer.ruled?;
    let mut records = run.trace.records.iter();
    records.find_map(|record| match &record.what {
        NodeEvent::Fault(FaultEvent::On { fault, data }) => match &data.kind {
            FaultKind::Rule(it) if format!("fault {fault}") == **rule => match it.then {
                RuleAction::OddRoute(form) => Some(form),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}

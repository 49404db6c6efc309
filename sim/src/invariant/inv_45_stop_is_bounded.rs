//! `stop` returns within its limit, whatever the servers do.
//!
//! Judged by the producer's own words and, where the caller's view was recorded, by when the call
//! returned to it.

use super::{Case, Invariant, Judge, Judged, Source};
use crate::trace::story::{Life, Moment};
use crate::trace::{NodeId, What, WorkEvent};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-45",
    title: "Stop is bounded",
    source: Source::Both,
    rate_per_mille: 900,
    judge: Judge::Run(judge),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn judge(case: &Case<'_>, judged: &mut Judged) {
    let turns = |wanted: Life| {
        case.story
            .lives
            .iter()
            .filter(move |(_, life, _)| *life == wanted)
    };
    for (node, _, called) in turns(Life::Stopping) {
        let ended = turns(Life::Stopped).find(|(at, _, moment)| at == node && moment > called);
        bounded(
            case,
            *node,
            *called,
            ended.map(|(.., moment)| *moment),
            judged,
        );
    }
    let records = &case.trace.records;
    for (at, record) in records.iter().enumerate() {
        if record.what != What::Work(WorkEvent::StopCalled) {
            continue;
        }
        let returned = records[at..].iter().position(|it| {
            it.node == record.node && it.what == What::Work(WorkEvent::StopReturned)
        });
        let returned = returned.map(|after| Moment {
            at: at + after,
            ms: records[at + after].ms,
        });
        bounded(
            case,
            record.node,
            Moment { at, ms: record.ms },
            returned,
            judged,
        );
    }
}

fn bounded(
    case: &Case<'_>,
    node: NodeId,
    called: Moment,
    ended: Option<Moment>,
    judged: &mut Judged,
) {
    let Some(policy) = case.policy(node) else {
        return;
    };
    judged.case();
    let due = case.due(node, called.ms, policy.stop_ms);
    let (who, limit) = (case.name(node), policy.stop_ms);
    match ended {
        Some(ended) if ended.ms > due => {
            let took = ended.ms - called.ms;
            judged.wrong(
                ended,
                format!("{who} took {took} ms to stop, its limit is {limit}"),
            );
        }
        None if case.trace.end_ms > due
            && !case.truth.was_gone(node, called.ms, case.trace.end_ms) =>
        {
            judged.wrong(called, format!("{who} never finishes to stop"));
        }
        Some(_) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::Event;

    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("stop is done in time", || {
            stopping().at(6000).say(Event::Stopped)
        }),
        rejects("stop takes too long", || {
            stopping().at(6051).say(Event::Stopped).wrong()
        }),
        rejects("stop never returns", || stopping().wrong()),
        rejects("the caller waits for ever", || {
            Scene::new().at(1000).work(WorkEvent::StopCalled).wrong()
        }),
        rejects("the caller waits too long", || {
            let scene = Scene::new().at(1000).work(WorkEvent::StopCalled).at(7000);
            scene.work(WorkEvent::StopReturned).wrong()
        }),
    ];

    fn stopping() -> Scene {
        Scene::new().at(1000).say(Event::Stopping)
    }
}

//! The record in which the runs of a pair part.

use rmq_producer::event::{Event, SendNumber};

use super::{Pair, PairedRuns};
use crate::trace::history::History;
use crate::trace::{NodeEvent, Trace, TraceRecord};
use crate::verdict::Finding;

/// A record of each run of a pair; none where a run has nothing more of the kind.
pub type Parting<'t> = (Option<&'t TraceRecord>, Option<&'t TraceRecord>);

impl PairedRuns {
    /// Where the runs part, by a finding: the record of one of them, and what the other one has in its place.
    /// For a finding about a send that is the first thing that its producer tells of it otherwise, or at
    /// another time after its call.
    pub fn parting(&self, found: &Finding) -> Parting<'_> {
        let (one, other) = (&self.one.trace, &self.other.trace);
        let Some(at) = found.at else {
            return (None, None);
        };
        let record = one.records.get(at);
        match (self.pair, record.and_then(|it| send_of(&it.what))) {
            (Pair::Replay | Pair::Clock, _) => (record, other.records.get(at)),
            (_, Some((send, _))) => of_send(one, other, at, send),
            _ => (record, None),
        }
    }
}

/// The first records about a send that differ.
fn of_send<'t>(one: &'t Trace, other: &'t Trace, at: usize, send: SendNumber) -> Parting<'t> {
    let (history, others) = (History::of(one), History::of(other));
    let node = one.records[at].node;
    let name = history.named().find_map(|(name, it)| {
        let is_this = it.node == node && it.number == send && it.called.at <= at;
        is_this.then_some((name, it.called.at))
    });
    let Some((name, called)) = name else {
        return (one.records.get(at), None);
    };
    let mut all = others.named();
    let Some((_, same)) = all.find(|(other, _)| *other == name) else {
        return (one.records.get(called), None);
    };
    let (mut left, mut right) = (told(one, called), told(other, same.called.at));
    loop {
        let next = (left.next(), right.next());
        match next {
            (Some((_, a)), Some((_, b))) if a == b => {}
            (None, None) => return (one.records.get(called), other.records.get(same.called.at)),
            (a, b) => return (a.map(|it| it.0), b.map(|it| it.0)),
        }
    }
}

/// What a producer tells of a send from its call on: each record, its time since the call, and the event
/// without the numbers that another run counts otherwise.
fn told(trace: &Trace, called: usize) -> impl Iterator<Item = (&TraceRecord, (u64, Event))> {
    let call = &trace.records[called];
    let send = send_of(&call.what).map(|(send, _)| send);
    trace.records[called..].iter().filter_map(move |record| {
        let (of, event) = send_of(&record.what).filter(|_| record.node == call.node)?;
        (Some(of) == send).then_some((record, (record.ms - call.ms, event)))
    })
}

/// The send that a record is about, and its event without the numbers that another run counts otherwise.
fn send_of(what: &NodeEvent) -> Option<(SendNumber, Event)> {
    let NodeEvent::Producer(event) = what else {
        return None;
    };
    let mut event = event.clone();
    let send = match &mut event {
        Event::Attempt { send, snapshot, .. } => {
            *snapshot = 0.into();
            send
        }
        Event::Hedged {
            send, tokens_left, ..
        } => {
            *tokens_left = 0;
            send
        }
        Event::Call { send, .. }
        | Event::AttemptEnded { send, .. }
        | Event::Done { send, .. }
        | Event::Cancelled { send }
        | Event::Callback { send } => send,
        _ => return None,
    };
    let number = std::mem::replace(send, 0.into());
    Some((number, event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::Scene;
    use crate::run::PairedRun;

    fn called(scene: Scene, send: u64) -> Scene {
        scene.named_call(send).attempt(send, 1, "b/0")
    }

    fn pair(pair: Pair, one: Scene, other: Scene) -> PairedRuns {
        let run = |scene: Scene| PairedRun {
            played: String::new(),
            trace: scene.trace,
        };
        let at = one.marked;
        PairedRuns {
            pair,
            one: run(one),
            other: run(other),
            findings: vec![Finding {
                by: pair.checker(),
                at,
                text: String::new(),
            }],
        }
    }

    #[test]
    fn a_send_parts_where_its_producer_tells_something_else_of_it() {
        let slow = called(Scene::new().at(5), 1).succeeds(1, 1).at(500);
        let slow = called(slow, 2).wrong_call(2).at(1_400).succeeds(2, 1);
        // The other run is later, and as it should be.
        let calm = called(Scene::new().at(5), 1).succeeds(1, 1).at(700);
        let calm = called(calm, 2).succeeds(2, 1);
        let pair = pair(Pair::Blast, slow, calm);
        let (one, other) = pair.parting(&pair.findings[0]);
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!((one.ms, other.ms), (1_404, 704));
        let ended = |it: &TraceRecord| {
            matches!(
                it.what,
                NodeEvent::Producer(Event::AttemptEnded { send, .. }) if send == 2.into()
            )
        };
        assert!(ended(one) && ended(other), "{one:?} {other:?}");
    }

    #[test]
    fn a_repeated_run_parts_at_the_same_record_of_both() {
        let one = Scene::new().at(1).call(1).wrong_call(1);
        let pair = pair(Pair::Replay, one, Scene::new().at(2).call(1));
        let (one, other) = pair.parting(&pair.findings[0]);
        assert_eq!((one.unwrap().ms, other.unwrap().ms), (1, 2));
    }

    #[test]
    fn what_is_about_no_send_has_nothing_beside_it() {
        let one = Scene::new().dial(12, "broker-b").wrong();
        let pair = pair(Pair::Blast, one, Scene::new());
        let (one, other) = pair.parting(&pair.findings[0]);
        assert!(one.is_some() && other.is_none());
    }
}

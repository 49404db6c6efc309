//! The wall clock decides nothing.
//!
//! Clocks of machines jump: time servers correct them, hypervisors stop them, people set them. A wait
//! that is computed from the wall clock then ends at once or never, and no test on a desk shows it.
//! Checked by two runs: in one of them the producers' wall clocks jump forwards and back. Every record
//! is the same, but for the times at which messages are born, the unique keys and the properties made with
//! them, which carry the time.

use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_producer::event::Event;
use rmq_remoting::observe::Name;

use super::{CheckReport, Checker, Invariant, Source, side};
use crate::trace::history::Timestamp;
use crate::trace::{NodeEvent, Trace, TraceRecord, WorkEvent, WorkResult};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-56",
    title: "Clock",
    source: Source::PairedRuns,
    rate_per_mille: 40,
    checker: Checker::PairedRuns(check),
    sides: &[side(
        "is another one when the wall clock jumps",
        &[
            "only the unique keys differ",
            "messages are born at another time",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(one: &Trace, other: &Trace, report: &mut CheckReport) {
    report.exercised();
    let (a, b) = (&one.records, &other.records);
    let alike = a.iter().zip(b).take_while(|(a, b)| alike(a, b)).count();
    if alike == a.len() && alike == b.len() {
        return;
    }
    let record = a.get(alike).or(b.get(alike));
    let (ms, who) = record.map_or((0, "nobody"), |it| (it.ms, one.header.name(it.node)));
    let timestamp = Timestamp { at: alike, ms };
    report.wrong(
        timestamp,
        format!("record {alike}, of {who}, is another one when the wall clock jumps"),
    );
}

/// Whether two records differ in nothing but what carries the time.
fn alike(one: &TraceRecord, other: &TraceRecord) -> bool {
    if (one.ms, one.node) != (other.ms, other.node) {
        return false;
    }
    one.what == other.what || timeless(&one.what) == timeless(&other.what)
}

/// What happened, without unique keys, the checksum of the properties and the time of birth.
fn timeless(what: &NodeEvent) -> NodeEvent {
    let none = || Name::from("");
    let mut what = what.clone();
    match &mut what {
        NodeEvent::Producer(Event::Built {
            unique_key: key, ..
        })
        | NodeEvent::Broker(BrokerEvent::Stored {
            unique_key: key, ..
        })
        | NodeEvent::Work(WorkEvent::Hooked {
            unique_key: key, ..
        }) => {
            *key = none();
        }
        NodeEvent::Broker(BrokerEvent::Received {
            send: Some(seen), ..
        }) => {
            seen.unique_key = seen.unique_key.as_ref().map(|_| none());
            seen.metadata_crc = 0;
            seen.born_ms = 0;
        }
        NodeEvent::Work(WorkEvent::Returned {
            result: WorkResult::Sent {
                unique_key: key, ..
            },
            ..
        }) => *key = none(),
        _ => {}
    }
    what
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("only the unique keys differ", || {
            let mut other = sent();
            for record in &mut other.trace.records {
                if let NodeEvent::Producer(Event::Built {
                    unique_key: key, ..
                }) = &mut record.what
                {
                    *key = "another time".into();
                }
            }
            sent().paired(other)
        }),
        accepts("messages are born at another time", || {
            let mut other = sent();
            for record in &mut other.trace.records {
                if let NodeEvent::Broker(BrokerEvent::Received {
                    send: Some(seen), ..
                }) = &mut record.what
                {
                    seen.born_ms += 86_400_000;
                }
            }
            sent().paired(other)
        }),
        rejects("a poll comes when the clock has jumped", || {
            let early = Scene::new()
                .at(5)
                .lookup(2, rmq_producer::event::LookupReason::Poll);
            let mut scene = sent();
            scene.marked = Some(Scene::new().trace.records.len());
            scene.paired(early)
        }),
        rejects("a body changes with the time", || {
            let mut other = sent();
            for record in &mut other.trace.records {
                if let NodeEvent::Producer(Event::Built { body_crc, .. }) = &mut record.what {
                    *body_crc = 1;
                }
            }
            let mut scene = sent();
            scene.marked =
                scene.trace.records.iter().position(|record| {
                    matches!(record.what, NodeEvent::Producer(Event::Built { .. }))
                });
            scene.paired(other)
        }),
    ];

    fn sent() -> Scene {
        Scene::new().at(1).whole(1, "a/0")
    }
}

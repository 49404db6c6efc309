//! Nothing panics, hangs or spins.
//!
//! No task panics (arithmetic overflow is a panic in every build), the run does not end with tasks
//! that nothing can wake, no instant goes on for ever, and the limit of events is not reached.

use rmq_producer::event::Event;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::history::Timestamp;
use crate::trace::{NodeEvent, TraceEnd};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-57",
    title: "No panic",
    source: Source::End,
    rate_per_mille: 1000,
    checker: Checker::Run(check),
    sides: &[
        side("panicked", &["a run that ends"]),
        side(
            "nothing can run any more; waiting: …",
            &["a run that reaches its horizon"],
        ),
        side("keeps one instant from ending", &["a run that ends"]),
        side(
            "the run reached its limit of events",
            &["a run that reaches its horizon"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    report.exercised();
    for (at, record) in run.trace.records.iter().enumerate() {
        if let NodeEvent::Producer(Event::TaskPanicked { task }) = &record.what {
            let text = format!("{}: the task {task} panicked", run.name(record.node));
            report.wrong(Timestamp { at, ms: record.ms }, text);
        }
    }
    let text = match &run.trace.end {
        TraceEnd::Finished | TraceEnd::Horizon { .. } => return,
        TraceEnd::Panicked {
            node,
            task,
            message,
        } => {
            format!("{}: the task {task} panicked: {message}", run.name(*node))
        }
        TraceEnd::Deadlock { waiting } => {
            let mut text = "nothing can run any more; waiting:".to_owned();
            for wait in waiting {
                text.push_str(&format!(" {}/{}", run.name(wait.node), wait.task));
            }
            text
        }
        TraceEnd::Livelock { node, task } => {
            format!(
                "{}: the task {task} keeps one instant from ending",
                run.name(*node)
            )
        }
        TraceEnd::EventLimit => "the run reached its limit of events".to_owned(),
    };
    report.wrong(run.end(), text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::{NodeId, UnfinishedTask};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a run that ends", || Scene::new().at(0).whole(1, "a/0")),
        accepts("a run that reaches its horizon", || {
            Scene::new().end(TraceEnd::Horizon { waiting: vec![] }, 60_000)
        }),
        rejects("a task panics and is started again", || {
            Scene::new()
                .say(Event::TaskPanicked {
                    task: "poll".into(),
                })
                .wrong()
        }),
        rejects("a task panics", || {
            let (node, task) = (NodeId(0), "send".into());
            ends(TraceEnd::Panicked {
                node,
                task,
                message: "attempt to add with overflow".into(),
            })
        }),
        rejects("nothing can run any more", || {
            let waiting = vec![UnfinishedTask {
                node: NodeId(0),
                task: "send".into(),
            }];
            ends(TraceEnd::Deadlock { waiting })
        }),
        rejects("an instant never ends", || {
            ends(TraceEnd::Livelock {
                node: NodeId(0),
                task: "poll".into(),
            })
        }),
        rejects("the events run out", || ends(TraceEnd::EventLimit)),
    ];

    fn ends(end: TraceEnd) -> Scene {
        let mut scene = Scene::new().end(end, 100);
        scene.marked = Some(scene.trace.records.len());
        scene
    }
}

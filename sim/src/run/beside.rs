//! What happens in a run beside its scenario: the one thing in which the two runs of a
//! [`paired`](super::paired) differ.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dst_engine::Change;
use rmq_host::Task;
use rmq_producer::{Message, Producer};
use rmq_remoting::observe::Name;
use tokio::time::{Instant, sleep, sleep_until};

use super::play::{ProducerNode, RunningCluster};
use crate::trace::NodeId;

/// What happens beside the scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Only the scenario is played.
    Nothing,
    /// The wall clocks of all producers jump.
    ClockJumps,
    /// The first producer's client has another producer.
    Sibling(SiblingDoes),
}

/// What a producer does that shares its client with the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SiblingDoes {
    /// It starts, and does nothing.
    Idle,
    /// It sends to every topic of the cluster, one message after the other.
    Send,
    /// It stops when half of the run is over.
    Stop,
}

/// How far clocks jump, in milliseconds: a day on, and two back.
const JUMPS: [i64; 2] = [86_400_000, -172_800_000];
/// When the sibling's first message is sent: the cluster is up by then, so that its lookups find
/// what those of the others find.
const FIRST: Duration = Duration::from_secs(2);
/// From one message of the sibling to the next.
const PAUSE: Duration = Duration::from_millis(400);

impl RunningCluster {
    /// Lets the producers' clocks jump: each jump at an equal part of the run.
    pub(super) fn jump_clocks(&self, nodes: &BTreeSet<NodeId>) {
        let controller = &self.controller;
        let part = controller.scenario.seconds * 1_000 / (JUMPS.len() as u64 + 1);
        for (jump, nth) in JUMPS.into_iter().zip(1..) {
            for node in nodes.iter().copied() {
                let controller = Arc::clone(controller);
                let jump = move || {
                    let change = Change::JumpWallClock { node, ms: jump };
                    let jumped = controller.backend.apply(change);
                    controller.modelled(jumped);
                };
                self.controller.backend.at(part * nth, Box::new(jump));
            }
        }
    }

    /// Starts a producer that shares the client of another one; it lives as long as the task.
    pub(super) async fn sibling(
        &self,
        of: &Producer,
        machine: &ProducerNode,
        does: SiblingDoes,
    ) -> Result<Task, String> {
        let builder = Producer::builder("sibling").client(of.client().clone());
        let sibling = builder.start().await.map_err(|error| error.to_string())?;
        let scenario = &self.controller.scenario;
        let topics = scenario.cluster.topics.iter();
        let topics: Vec<Name> = topics.map(|(topic, _)| Name::clone(topic)).collect();
        let end = Instant::now() + Duration::from_secs(scenario.seconds);
        let half = Duration::from_secs(scenario.seconds) / 2;
        let life = async move {
            match does {
                SiblingDoes::Idle => {}
                SiblingDoes::Send => send(&sibling, &topics, end).await,
                SiblingDoes::Stop => {
                    sleep(half).await;
                    sibling.stop().await;
                }
            }
            // It is there until the end of the run, whatever it has done.
            std::future::pending::<()>().await;
            drop(sibling);
        };
        Ok(machine.host.spawn("sibling", Box::pin(life)))
    }
}

async fn send(sibling: &Producer, topics: &[Name], end: Instant) {
    sleep(FIRST).await;
    for topic in topics.iter().cycle() {
        let next = Instant::now() + PAUSE;
        if next > end {
            return;
        }
        // How its own sends end is nobody's affair.
        let _ = sibling
            .send(Message::new(Name::clone(topic), "sibling"))
            .await;
        sleep_until(next).await;
    }
}

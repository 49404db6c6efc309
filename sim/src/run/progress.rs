//! The liveness phase: a healed cluster must be of use again.
//!
//! A producer that keeps every promise by never sending anything would satisfy most invariants. So
//! after the workload every fault ends, and from then on each producer makes probe sends, one a
//! second, to each of its topics. Within the scenario's bound a few of them must succeed. If they
//! do not, the finding says what is pending and why.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rmq_mock_broker::event::application_crc;
use rmq_producer::event::Mode;
use rmq_producer::{Message, Producer};
use rmq_remoting::observe::Name;
use tokio::time::{Instant, sleep, timeout};

use super::controller::RunController;
use super::producers::RunningProducer;
use crate::trace::{NodeEvent, NodeId, WorkEvent, WorkResult};
use crate::verdict::Finding;

/// So many sends to each topic must succeed.
const PROBES: u32 = 3;
/// From the end of one probe to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// Heals the cluster and demands progress of every producer; what makes none.
pub(super) async fn demand(
    controller: &Arc<RunController>,
    producers: &[RunningProducer],
    bound_ms: u64,
) -> Vec<Finding> {
    controller.heal();
    let findings: Arc<Mutex<Vec<Finding>>> = Arc::default();
    let mut running = Vec::new();
    for of in producers {
        let machine = &of.machine;
        for topic in topics_of(controller, &of.plan.name) {
            let probe = Probe {
                controller: Arc::clone(controller),
                node: machine.node,
                name: Name::clone(&of.plan.name),
                group: of.group.clone(),
                producer: of.producer.clone(),
                topic,
                bound: Duration::from_millis(bound_ms),
            };
            let findings = Arc::clone(&findings);
            let work = async move {
                if let Err(stuck) = probe.work().await {
                    findings.lock().push(stuck);
                }
            };
            running.push(machine.host.spawn("probe", Box::pin(work)));
        }
    }
    for task in running {
        // A panic has ended the run already.
        task.await;
    }
    let mut findings = findings.lock();
    std::mem::take(&mut *findings)
}

fn topics_of(controller: &RunController, producer: &Name) -> BTreeSet<Name> {
    let workloads = controller.scenario.workloads.iter();
    let own = workloads.filter(|one| one.producer == *producer);
    own.map(|one| Name::clone(&one.topic)).collect()
}

/// The probe sends of one producer to one topic.
struct Probe {
    controller: Arc<RunController>,
    node: NodeId,
    name: Name,
    /// The group of the producer, where several share its client.
    group: Option<Name>,
    producer: Producer,
    topic: Name,
    bound: Duration,
}

impl Probe {
    async fn work(self) -> Result<(), Finding> {
        let due = Instant::now() + self.bound;
        let mut good = 0;
        let mut last = "no probe was answered".to_owned();
        for number in 1.. {
            let keys = Name::from(format!("probe-{}-{}-{number}", self.name, self.topic));
            // A send ends by its own deadline; one that does not is what this phase looks for.
            let left = due.saturating_duration_since(Instant::now());
            match timeout(left, self.send(&keys)).await {
                Ok(Ok(())) => good += 1,
                Ok(Err(cause)) => last = cause,
                Err(_) => {
                    self.record(WorkEvent::Dropped { keys });
                    return Err(self.stuck(good, &last, Some(number)));
                }
            }
            if good == PROBES {
                return Ok(());
            }
            sleep(PAUSE).await;
            if Instant::now() >= due {
                break;
            }
        }
        Err(self.stuck(good, &last, None))
    }

    async fn send(&self, keys: &Name) -> Result<(), String> {
        let body = keys.as_bytes().to_vec();
        self.record(WorkEvent::Called {
            keys: Name::clone(keys),
            topic: Name::clone(&self.topic),
            mode: Mode::Sync,
            by: None,
            body_crc: crc32fast::hash(&body),
            body_len: u32::try_from(body.len()).unwrap_or(u32::MAX),
            timeout_ms: None,
            application_crc: application_crc(0, [("KEYS", &**keys), ("WAIT", "true")]),
            own_id: None,
            queue_of: None,
            group: self.group.clone(),
        });
        let message = Message::new(Name::clone(&self.topic), body).with_key(Name::clone(keys));
        let result = self.producer.send(message).await;
        let (got, told) = match result {
            Ok(sent) => (sent.into(), Ok(())),
            Err(error) => {
                let said = WorkResult::Failed((&error).into());
                (said, Err(error.to_string()))
            }
        };
        self.record(WorkEvent::Returned {
            keys: Name::clone(keys),
            result: got,
        });
        told
    }

    fn record(&self, event: WorkEvent) {
        self.controller
            .recorder
            .push(self.node, NodeEvent::Work(event));
    }

    fn stuck(&self, good: u32, last: &str, open: Option<u32>) -> Finding {
        let pending = open.map_or(String::new(), |number| {
            format!("; probe {number} is still pending")
        });
        Finding {
            by: "liveness",
            at: None,
            text: format!(
                "{} got {good} of {PROBES} probes to {} through in {} s after the cluster was \
                 healed{pending}; the last failure: {last}",
                self.name,
                self.topic,
                self.bound.as_secs(),
            ),
        }
    }
}

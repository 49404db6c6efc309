//! Fills a trace while the run goes on.
//!
//! One recorder belongs to one run. Each node gets an observer of it; the observer adds the
//! virtual time and the node's number. Once sealed it takes nothing more, so that what teardown
//! does (futures dropped in an order of its own) can never reach a trace or a digest.

use std::fmt;
use std::sync::Arc;

use dst_engine::{EngineEvent, EventSink};
use parking_lot::Mutex;
use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_mock_namesrv::event::Event as NameServerEvent;
use rmq_producer::event::Event as ProducerEvent;
use rmq_remoting::observe::Observer;
use tokio::time::Instant;

use super::record::{NodeEvent, NodeId, TraceRecord};

/// Collects the records of one run. Cloning it shares it.
#[derive(Clone)]
pub struct Recorder {
    clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug)]
struct Kept {
    records: Vec<TraceRecord>,
    sealed: bool,
}

impl Recorder {
    /// A recorder for a run that starts now, on Tokio's clock (paused or not).
    pub fn start() -> Self {
        let start = Instant::now();
        Self::on_clock(move || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// A recorder on the engine's clock, in milliseconds since the start of the run. On an engine
    /// whose machines have clocks of their own, Tokio's would mix them.
    pub fn on_clock(clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let kept = Kept {
            records: Vec::with_capacity(2048),
            sealed: false,
        };
        Recorder {
            clock: Arc::new(clock),
            kept: Arc::new(Mutex::new(kept)),
        }
    }

    /// Milliseconds since the start of the run.
    pub fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    /// Adds a record of `node`, now. After [`seal`](Self::seal) it does nothing.
    pub fn push(&self, node: NodeId, what: impl Into<NodeEvent>) {
        let mut kept = self.kept.lock();
        if !kept.sealed {
            // Read under the lock: with several threads the records' times still never step back.
            let ms = self.now_ms();
            kept.records.push(TraceRecord {
                ms,
                node,
                what: what.into(),
            });
        }
    }

    /// Ends the recording and takes the records. Call it before anything is torn down.
    pub fn seal(&self) -> Vec<TraceRecord> {
        let mut kept = self.kept.lock();
        kept.sealed = true;
        std::mem::take(&mut kept.records)
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.kept.lock().records.len()
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The observer of one node, for whatever event type the node makes.
    pub fn observer(&self, node: NodeId) -> Arc<NodeObserver> {
        Arc::new(NodeObserver {
            recorder: self.clone(),
            node,
        })
    }
}

/// Observes one node for a [`Recorder`].
#[derive(Debug)]
pub struct NodeObserver {
    recorder: Recorder,
    node: NodeId,
}

impl Observer<ProducerEvent> for NodeObserver {
    fn on(&self, event: ProducerEvent) {
        self.recorder.push(self.node, NodeEvent::Producer(event));
    }
}

impl Observer<BrokerEvent> for NodeObserver {
    fn on(&self, event: BrokerEvent) {
        self.recorder.push(self.node, NodeEvent::Broker(event));
    }
}

impl Observer<NameServerEvent> for NodeObserver {
    fn on(&self, event: NameServerEvent) {
        self.recorder.push(self.node, NodeEvent::NameServer(event));
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder({} records)", self.len())
    }
}

/// The engine names the node in each event.
impl EventSink for Recorder {
    fn on(&self, event: EngineEvent) {
        self.push(event.node(), NodeEvent::Engine(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::WorkEvent;

    #[tokio::test(start_paused = true)]
    async fn a_record_carries_the_virtual_time_and_a_sealed_recorder_takes_no_more() {
        let recorder = Recorder::start();
        recorder.push(
            NodeId(3),
            NodeEvent::Work(WorkEvent::StopCalled { group: None }),
        );
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        recorder.push(
            NodeId(3),
            NodeEvent::Work(WorkEvent::StopReturned { group: None }),
        );
        let records = recorder.seal();
        recorder.push(
            NodeId(3),
            NodeEvent::Work(WorkEvent::StopCalled { group: None }),
        );
        assert_eq!(
            records.iter().map(|record| record.ms).collect::<Vec<_>>(),
            [0, 250]
        );
        assert!(recorder.is_empty());
    }
}

//! What the laboratory notices while a run goes on: every event is recorded, and some start a fault.

use std::sync::Arc;

use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_mock_namesrv::event::Event as NameServerEvent;
use rmq_producer::event::Event as ProducerEvent;
use rmq_remoting::observe::Observer;

use super::controller::{Phase, RunController};
use crate::fault::{Fault, FaultKind, Position, Struck};
use crate::trace::{NodeEvent, NodeId};

/// Records what one node tells, and tells the controller what faults wait for.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) controller: Arc<RunController>,
    pub(super) node: NodeId,
}

impl Observer<BrokerEvent> for Watch {
    fn on(&self, event: BrokerEvent) {
        let stored = matches!(event, BrokerEvent::Stored { .. });
        self.controller
            .recorder
            .push(self.node, NodeEvent::Broker(event));
        if stored {
            self.controller.stored(self.node);
        }
    }
}

impl Observer<NameServerEvent> for Watch {
    fn on(&self, event: NameServerEvent) {
        self.controller
            .recorder
            .push(self.node, NodeEvent::NameServer(event));
    }
}

impl Observer<ProducerEvent> for Watch {
    fn on(&self, event: ProducerEvent) {
        let attempt = match &event {
            ProducerEvent::Attempt { send, number, .. } => Some((*send, *number)),
            _ => None,
        };
        match &event {
            ProducerEvent::Call { send, .. } => {
                self.controller.sends.called(self.node, *send);
            }
            ProducerEvent::Built {
                unique_key: key, ..
            } => {
                self.controller.sends.was_built(key);
            }
            _ => {}
        }
        self.controller
            .recorder
            .push(self.node, NodeEvent::Producer(event));
        if let Some((send, attempt)) = attempt {
            // Sends that are no workload's are waited for by no fault.
            if let Some((workload, send)) = self.controller.sends.of(self.node, send) {
                self.controller.attempted(workload, send, attempt);
            }
        }
    }
}

impl RunController {
    /// A broker stored a message: starts the faults that wait for it.
    fn stored(self: &Arc<Self>, node: NodeId) {
        self.start_where(|controller, fault, counted| match fault.at {
            Position::Stored { n } if controller.find(&fault.place) == Some(Struck::Node(node)) => {
                *counted += 1;
                *counted == n
            }
            // Other positions are reached by something else than a message stored here.
            Position::Stored { .. }
            | Position::Time { .. }
            | Position::Received { .. }
            | Position::Send { .. } => false,
        });
    }

    /// A producer starts an attempt: starts the faults that wait for it. Rules wait for its arrival.
    fn attempted(self: &Arc<Self>, workload: u32, send: u64, attempt: u32) {
        let at = |attempt| Position::Send {
            workload,
            send,
            attempt,
        };
        self.start_where(|_, fault, _| {
            fault.at == at(Some(attempt)) || (attempt == 1 && fault.at == at(None))
        });
    }

    fn start_where(self: &Arc<Self>, mut due: impl FnMut(&Self, &Fault, &mut u64) -> bool) {
        let mut starts = Vec::new();
        {
            let mut faults = self.faults.lock();
            for (index, fault) in faults.iter_mut().enumerate() {
                let data = Arc::clone(&fault.data);
                let waits =
                    fault.phase == Phase::Waiting && !matches!(data.kind, FaultKind::Rule(_));
                if waits && due(self, &data, &mut fault.counted) {
                    starts.push(index);
                }
            }
        }
        for index in starts {
            self.start(index);
        }
    }
}

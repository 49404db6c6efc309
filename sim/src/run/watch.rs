//! What the laboratory notices while a run goes on: every event is recorded, and some start a fault.

use std::sync::Arc;

use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_mock_namesrv::event::Event as NameServerEvent;
use rmq_producer::event::Event as ProducerEvent;
use rmq_remoting::observe::{Name, Observer};

use super::controller::{Phase, RunController};
use super::sends::WorkloadSend;
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
            self.controller.arrivals.notify_waiters();
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
            ProducerEvent::Attempt {
                send, number, to, ..
            } => Some((*send, *number, Name::clone(&to.broker))),
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
        if let Some((send, attempt, broker)) = attempt {
            // Sends that are no workload's are waited for by no fault.
            if let Some(send) = self.controller.sends.of(self.node, send) {
                self.controller.attempted(send, attempt, &broker);
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

    /// A producer starts an attempt at a broker: starts the faults that wait for it, or sets the time
    /// when they start. Rules wait for its arrival.
    fn attempted(self: &Arc<Self>, (workload, send): WorkloadSend, attempt: u32, broker: &Name) {
        let now_ms = self.recorder.now_ms();
        let keys = self.scenario.keys_of(workload, send);
        self.sends.attempted(&keys, now_ms);
        let waits_for_it = |at: &Position| match at {
            Position::Send {
                workload: of,
                send: number,
                attempt: nth,
                ..
            } => (*of, *number, nth.unwrap_or(1)) == (workload, send, attempt),
            Position::Time { .. } | Position::Received { .. } | Position::Stored { .. } => false,
        };
        let mut later = Vec::new();
        for (index, fault) in self.faults.lock().iter_mut().enumerate() {
            let is_rule = matches!(fault.data.kind, FaultKind::Rule(_));
            if is_rule || fault.phase != Phase::Waiting || !waits_for_it(&fault.data.at) {
                continue;
            }
            if fault.data.place.has_target() {
                let place = fault.data.place.at_target(broker);
                fault.data = Arc::new(Fault {
                    place,
                    ..Fault::clone(&fault.data)
                });
            }
            let after_ms = match fault.data.at {
                Position::Send { after_ms, .. } => after_ms,
                _ => 0,
            };
            later.push((index, after_ms));
        }
        for (index, after_ms) in later {
            match after_ms {
                0 => self.start(index),
                _ => {
                    let controller = Arc::clone(self);
                    let start = Box::new(move || controller.start(index));
                    self.backend.at(now_ms.saturating_add(after_ms), start);
                }
            }
        }
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

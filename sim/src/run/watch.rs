//! What the laboratory notices while a run goes on: every event is recorded, and some start a fault.

use std::sync::Arc;

use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_mock_namesrv::event::Event as NameServerEvent;
use rmq_producer::event::Event as ProducerEvent;
use rmq_remoting::observe::Observer;

use super::director::{Director, Phase};
use crate::fault::{Fault, FaultKind, Position, Struck};
use crate::trace::{NodeId, What};

/// Observes one node.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) director: Arc<Director>,
    pub(super) node: NodeId,
}

impl Observer<BrokerEvent> for Watch {
    fn on(&self, event: BrokerEvent) {
        let stored = matches!(event, BrokerEvent::Stored { .. });
        self.director.recorder.push(self.node, What::Broker(event));
        if stored {
            self.director.stored(self.node);
        }
    }
}

impl Observer<NameServerEvent> for Watch {
    fn on(&self, event: NameServerEvent) {
        self.director
            .recorder
            .push(self.node, What::NameServer(event));
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
                let mut state = self.director.state.lock();
                if let Some(called) = state.calling.take() {
                    state.sends.insert((self.node, *send), called);
                }
            }
            ProducerEvent::Built { key, .. } => {
                self.director.state.lock().built.push(Arc::clone(key));
            }
            _ => {}
        }
        self.director
            .recorder
            .push(self.node, What::Producer(event));
        if let Some((send, attempt)) = attempt {
            let state = self.director.state.lock();
            let called = state.sends.get(&(self.node, send)).copied();
            drop(state);
            if let Some((workload, send)) = called {
                self.director.attempted(workload, send, attempt);
            }
        }
    }
}

impl Director {
    /// A broker stored a message: starts the faults that wait for it.
    fn stored(self: &Arc<Self>, node: NodeId) {
        self.start_where(|director, fault, counted| match fault.at {
            Position::Stored { n } if director.find(&fault.place) == Some(Struck::Node(node)) => {
                *counted += 1;
                *counted == n
            }
            _ => false,
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
            let mut state = self.state.lock();
            for (index, fault) in state.faults.iter_mut().enumerate() {
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

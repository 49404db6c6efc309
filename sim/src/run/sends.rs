//! Which send of a workload is which send of a producer, and which requests of it servers have read.
//!
//! A scenario counts the sends of its workloads, a producer those of its own, and a server sees keys.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use rmq_producer::event::SendNumber;
use rmq_remoting::observe::Name;

use crate::scenario::Scenario;
use crate::trace::NodeId;

/// A send of a workload: the workload's number, and its own within it, both from 1.
pub(super) type WorkloadSend = (u32, u64);

/// Matches sends to requests.
#[derive(Debug, Default)]
pub(super) struct SendMatcher(Mutex<Matched>);

/// A send that a fault waits for.
#[derive(Debug, Clone, Copy, Default)]
struct Waited {
    /// How many requests of it the servers have read.
    read: u32,
    /// When its last attempt started.
    attempted_ms: u64,
}

#[derive(Debug, Default)]
struct Matched {
    /// The workload's name for a producer's send.
    sends: BTreeMap<(NodeId, SendNumber), WorkloadSend>,
    /// The workload send that is being called right now, until its `Call` event.
    calling: Option<WorkloadSend>,
    /// What is known of the sends that a fault waits for.
    waited: BTreeMap<Name, Waited>,
    all: Sends,
}

/// What all producers of a run were called for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sends {
    /// How many sends were called.
    pub(crate) calls: usize,
    /// The unique keys of the messages that were built for them, in the order of the calls.
    pub(crate) built: Vec<Name>,
}

impl SendMatcher {
    /// Counts the requests of those sends that a fault waits for.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let positions = scenario.faults.iter().filter_map(|fault| fault.at.sends());
        let sends = positions.flat_map(|(workload, sends)| sends.map(move |send| (workload, send)));
        let waited =
            sends.map(|(workload, send)| (scenario.keys_of(workload, send), Waited::default()));
        Self(Mutex::new(Matched {
            waited: waited.collect(),
            ..Matched::default()
        }))
    }

    /// A workload calls a send: the `Call` event that comes now is of this one.
    pub(super) fn calls(&self, send: WorkloadSend) {
        self.0.lock().calling = Some(send);
    }

    /// The call has returned or waits: no other `Call` event is of it.
    pub(super) fn has_called(&self) {
        self.0.lock().calling = None;
    }

    /// A producer has been called for a send; sends that no workload calls stay without a name.
    pub(super) fn called(&self, node: NodeId, send: SendNumber) {
        let mut matched = self.0.lock();
        matched.all.calls += 1;
        if let Some(called) = matched.calling.take() {
            matched.sends.insert((node, send), called);
        }
    }

    /// The workload's name for a producer's send; none if no workload called it.
    pub(super) fn of(&self, node: NodeId, send: SendNumber) -> Option<WorkloadSend> {
        self.0.lock().sends.get(&(node, send)).copied()
    }

    /// A server has read a request: how many of this send all servers have read, this one included;
    /// 0 for one that no fault waits for.
    pub(super) fn read(&self, keys: Option<&Name>) -> u32 {
        let mut matched = self.0.lock();
        let send = keys.and_then(|keys| matched.waited.get_mut(keys));
        send.map_or(0, |send| {
            send.read += 1;
            send.read
        })
    }

    /// An attempt of a send has started.
    pub(super) fn attempted(&self, keys: &Name, now_ms: u64) {
        if let Some(send) = self.0.lock().waited.get_mut(keys) {
            send.attempted_ms = now_ms;
        }
    }

    /// When the last attempt of a send started; none of one that no fault waits for.
    pub(super) fn attempted_ms(&self, keys: &Name) -> Option<u64> {
        self.0.lock().waited.get(keys).map(|send| send.attempted_ms)
    }

    /// A message was built under this unique key.
    pub(super) fn was_built(&self, unique_key: &Name) {
        self.0.lock().all.built.push(Name::clone(unique_key));
    }

    /// What all producers were called for.
    pub(super) fn all(&self) -> Sends {
        self.0.lock().all.clone()
    }
}

//! What is taken out of a run when it is over, before anything is torn down.

use dst_engine::NotModelled;
use rmq_mock_broker::ledger::Entry;
use rmq_remoting::observe::Name;

use super::Knobs;
use super::director::Director;
use super::effect::Effect;
use super::facts::{facts_of, policy_of};
use super::play::Slot;
use crate::trace::{Header, NodeId, NodeInfo, NodeKind, PolicyFacts, Record};

/// The slack of every bound, in milliseconds: scheduling and a few round trips.
const SLACK_MS: u64 = 50;

/// What a run leaves.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) header: Header,
    pub(crate) records: Vec<Record>,
    pub(crate) ledger: Vec<(Name, Entry)>,
    pub(crate) links: Vec<(NodeId, NodeId, u64)>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) broken: Option<String>,
    pub(crate) not_modelled: Option<NotModelled>,
}

impl Slot {
    /// Seals the trace. What happens from now on is in no trace.
    pub(super) fn seal(&self, knobs: Knobs) -> Option<Left> {
        let director = self.director.lock().take()?;
        let records = director.recorder.seal();
        let links = director.fabric.link_bytes();
        let ledger = director.stored_entries();
        let header = director.header(knobs);
        let effects = director.effects();
        let mut state = director.state.lock();
        let left = Left {
            header,
            records,
            ledger,
            links: links
                .iter()
                .map(|link| (link.from, link.to, link.bytes))
                .collect(),
            effects,
            broken: state.broken.take(),
            not_modelled: state.not_modelled.take(),
        };
        // Outside the lock: dropping a handle asks the engine to cancel its task.
        let processes = std::mem::take(&mut state.processes);
        drop(state);
        drop(processes);
        director.guests.lock().clear();
        Some(left)
    }
}

impl Director {
    /// What the brokers' present disks hold, broker by broker.
    pub(super) fn stored_entries(&self) -> Vec<(Name, Entry)> {
        let state = self.state.lock();
        let mut entries = Vec::new();
        for (node, info) in self.layout.all() {
            if info.kind == NodeKind::Broker
                && let Some(disk) = state.disks.get(&node)
            {
                let stored = disk.ledger().into_iter();
                entries.extend(stored.map(|entry| (Name::clone(&info.name), entry)));
            }
        }
        entries
    }

    /// The facts of the run that its trace begins with.
    fn header(&self, knobs: Knobs) -> Header {
        let scenario = &self.scenario;
        let mut nodes = self.layout.nodes.clone();
        let mut policies: Vec<PolicyFacts> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let mut add = |node, policy: rmq_producer::Policy| {
            policies.push(facts_of(node, &policy));
            if !names.contains(&policy.name) {
                names.push(policy.name);
            }
        };
        for plan in &scenario.producers {
            if let Ok(policy) = policy_of(plan) {
                add(self.layout.node(&plan.name), policy);
            }
        }
        for guest in self.guests.lock().iter_mut() {
            nodes.push(NodeInfo {
                name: Name::clone(&guest.name),
                kind: NodeKind::Producer,
                address: None,
            });
            if let Some(policy) = guest.policy.take() {
                add(guest.node, policy);
            }
        }
        let one_way = scenario.network.latency_ms + scenario.network.jitter_ms;
        Header {
            scenario: Name::from(scenario.name.as_str()),
            seed: knobs.seed,
            engine: Name::from(knobs.engine.to_string()),
            policy: Name::from(names.join(", ")),
            profile: scenario.cluster.profile,
            nodes,
            policies,
            slack_ms: SLACK_MS,
            round_trip_ms: 2 * one_way,
            horizon_ms: scenario.seconds * 1_000,
        }
    }
}

//! What is taken out of a run when it is over, before anything is torn down.

use dst_engine::NotModelled;
use rmq_mock_broker::ledger::Entry;
use rmq_remoting::observe::Name;

use super::RunConfig;
use super::controller::{Phase, RunController};
use super::effect::Effect;
use super::facts::{facts_of, policy_of};
use super::play::RunHandle;
use super::producers::shared_group;
use crate::scenario::Hooks;
use crate::trace::{NodeId, NodeInfo, NodeKind, PolicyFacts, TraceHeader, TraceRecord};

/// The slack of every bound, in milliseconds: scheduling and a few round trips.
const SLACK_MS: u64 = 50;

/// What a run leaves.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) header: TraceHeader,
    pub(crate) records: Vec<TraceRecord>,
    pub(crate) ledger: Vec<(Name, Entry)>,
    pub(crate) links: Vec<(NodeId, NodeId, u64)>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) broken: Option<String>,
    pub(crate) not_modelled: Option<NotModelled>,
    /// Which node's program ended with an error, and the error in words.
    pub(crate) program: Option<String>,
}

impl RunHandle {
    /// Seals the trace, once: what happens from now on is in no trace.
    pub(super) fn seal(&self, knobs: RunConfig) {
        if let Some(controller) = self.controller.lock().take() {
            *self.left.lock() = Some(controller.seal(knobs));
        }
    }

    /// What the run left when it was sealed; none if its cluster was never set up.
    pub(super) fn take(&self) -> Option<Left> {
        self.left.lock().take()
    }
}

impl RunController {
    fn seal(&self, knobs: RunConfig) -> Left {
        let records = self.recorder.seal();
        let links = self.backend.link_bytes();
        let links = links.iter().map(|link| (link.from, link.to, link.bytes));
        let left = Left {
            header: self.header(knobs),
            records,
            ledger: self.stored_entries(),
            links: links.collect(),
            effects: self.effects(),
            broken: self.trouble.broken.lock().take(),
            not_modelled: self.trouble.not_modelled.lock().take(),
            program: self.trouble.program.lock().take(),
        };
        // Whoever still holds a fault's guard changes nothing any more.
        for fault in self.faults.lock().iter_mut() {
            fault.phase = Phase::Over;
        }
        // Outside the lock: dropping a handle asks the engine to cancel its task.
        let processes = std::mem::take(&mut self.servers.lock().processes);
        drop(processes);
        let added_nodes = std::mem::take(&mut *self.added_nodes.lock());
        drop(added_nodes);
        left
    }

    /// What the brokers' present disks hold, broker by broker.
    pub(super) fn stored_entries(&self) -> Vec<(Name, Entry)> {
        let servers = self.servers.lock();
        let mut entries = Vec::new();
        for (node, info) in self.layout.all() {
            if info.kind == NodeKind::Broker
                && let Some(disk) = servers.disks.get(&node)
            {
                let stored = disk.ledger().into_iter();
                entries.extend(stored.map(|entry| (Name::clone(&info.name), entry)));
            }
        }
        entries
    }

    /// The facts of the run that its trace begins with.
    fn header(&self, knobs: RunConfig) -> TraceHeader {
        let scenario = &self.scenario;
        let mut nodes = self.layout.nodes.clone();
        let mut policies: Vec<PolicyFacts> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let mut add = |facts: PolicyFacts, name: String| {
            policies.push(facts);
            if !names.contains(&name) {
                names.push(name);
            }
        };
        let mut forbidden = Vec::new();
        // Whose client it is comes first: the client goes by that policy.
        let own = scenario.producers.iter().filter(|it| it.client.is_none());
        let sharing = scenario.producers.iter().filter(|it| it.client.is_some());
        for plan in own.chain(sharing) {
            if let Hooks::Forbid(broker) = &plan.hooks {
                forbidden.push((self.layout.node(plan.node()), self.layout.node(broker)));
            }
            let policy = policy_of(plan);
            assert!(
                policy.is_ok(),
                "policies are checked before a run: {policy:?}"
            );
            if let Ok(policy) = policy {
                let facts = PolicyFacts {
                    most_sends: plan.limits.sends,
                    most_bytes: plan.limits.bytes,
                    refuses: plan.limits.refuses,
                    of_scenario: true,
                    group: shared_group(scenario, plan),
                    namespace: scenario.namespace_of_requests(plan),
                    ..facts_of(self.layout.node(plan.node()), &policy)
                };
                add(facts, policy.name);
            }
        }
        for added in self.added_nodes.lock().iter_mut() {
            nodes.push(NodeInfo {
                name: Name::clone(&added.name),
                kind: NodeKind::Producer,
                address: None,
                part_of: added.part_of,
            });
            for (facts, name) in added.policies() {
                add(facts, name);
            }
        }
        let one_way = scenario.network.latency_ms + scenario.network.jitter_ms;
        TraceHeader {
            scenario: Name::from(scenario.name.as_str()),
            seed: knobs.seed,
            engine: Name::from(knobs.engine.to_string()),
            policy: Name::from(names.join(", ")),
            profile: scenario.cluster.profile,
            nodes,
            policies,
            forbidden,
            slack_ms: SLACK_MS,
            round_trip_ms: 2 * one_way,
            horizon_ms: scenario.seconds * 1_000,
        }
    }
}

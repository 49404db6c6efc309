//! What a fault changes in the world: at a node, by its operator, on a link.

use std::sync::Arc;

use rmq_mock_broker::Disk;

use super::director::{Director, Phase, State, Struck, number};
use crate::fault::{FaultKind, Place, Rule, RuleAction};
use crate::host::{Modelled, Way};
use crate::trace::{NodeId, NodeKind};

impl Director {
    /// Makes a fault felt, or its end.
    pub(super) fn change(self: &Arc<Self>, index: usize, kind: &FaultKind, at: Struck, on: bool) {
        let modelled = match at {
            Struck::Node(node) => self.change_node(node, index, kind, on),
            Struck::Link(way) => self.change_way(way, kind, on),
        };
        self.modelled(modelled);
    }

    /// A name server that will answer as of now must know what it knows now.
    fn remember(&self, node: NodeId, number: u32, rule: &Rule) {
        if rule.then != RuleAction::StaleRoute {
            return;
        }
        let state = self.state.lock();
        let memory = state.processes.get(&node).map(|it| it.memory.clone());
        drop(state);
        if let Some(memory) = memory.flatten() {
            memory.keep(number);
        }
    }

    /// An operator changes something at a broker, and the broker, if it is up, makes it known.
    fn operate(&self, node: NodeId, change: impl FnOnce(&Disk, &mut State)) {
        let disk = self.disk(node);
        let registration = {
            let mut state = self.state.lock();
            change(&disk, &mut state);
            let process = state.processes.get(&node);
            process.and_then(|process| process.registration.clone())
        };
        if let Some(registration) = registration {
            registration.renew();
        }
    }

    /// The topic has so many queues at the broker from now on, or as many as before the fault.
    /// Whether the broker has it.
    fn resize(&self, node: NodeId, fault: u32, topic: &str, queues: Option<i32>) -> bool {
        let mut has = false;
        self.operate(node, |disk, state| {
            let before = state.resized.remove(&fault);
            let resized = queues.or(before);
            let before = resized.and_then(|queues| disk.resize(topic, queues));
            has = before.is_some();
            if let (Some(_), Some(before)) = (queues, before) {
                state.resized.insert(fault, before);
            }
        });
        has
    }

    fn change_node(
        self: &Arc<Self>,
        node: NodeId,
        index: usize,
        kind: &FaultKind,
        on: bool,
    ) -> Modelled {
        let fabric = &self.fabric;
        match (kind, on) {
            (FaultKind::Crash(_), true) => {
                fabric.crash(node);
                Ok(())
            }
            (FaultKind::PowerLoss(_), true) => fabric.power_off(node),
            (FaultKind::Stop(_), true) => {
                if self.ask_to_stop(node) {
                    self.has_struck(index);
                }
                Ok(())
            }
            (
                FaultKind::Crash(restart)
                | FaultKind::PowerLoss(restart)
                | FaultKind::Stop(restart),
                false,
            ) => {
                self.restart(node, *restart);
                Ok(())
            }
            (FaultKind::Freeze, true) => fabric.freeze(node),
            (FaultKind::Freeze, false) => fabric.thaw(node),
            (FaultKind::Slow { ms_per_step }, true) => fabric.slow(node, *ms_per_step),
            (FaultKind::Slow { .. }, false) => fabric.slow(node, 0),
            (FaultKind::Refuse, on) => fabric.refuse(node, on),
            (FaultKind::SwallowDials, on) => fabric.swallow_dials(node, on),
            (FaultKind::StopReading, on) => fabric.stop_reading(node, on),
            (FaultKind::ClockJump { ms }, true) => {
                self.has_struck(index);
                fabric.jump_wall_clock(node, *ms)
            }
            (FaultKind::ClockJump { ms }, false) => {
                fabric.jump_wall_clock(node, ms.saturating_neg())
            }
            (FaultKind::NameServerList { .. }, on) => {
                if self.change_name_servers(node) && on {
                    self.has_struck(index);
                }
                Ok(())
            }
            (FaultKind::ReadOnly, on) => {
                self.operate(node, |disk, _| disk.set_read_only(on));
                if on {
                    self.has_struck(index);
                }
                Ok(())
            }
            (FaultKind::Resize { topic, queues }, on) => {
                if self.resize(node, number(index), topic, on.then_some(*queues)) && on {
                    self.has_struck(index);
                }
                Ok(())
            }
            (FaultKind::Rule(rule), true) => {
                self.remember(node, number(index), rule);
                Ok(())
            }
            // Its end is that the server's control does not apply it any more.
            (FaultKind::Rule(_), false) => Ok(()),
            (
                FaultKind::Partition
                | FaultKind::Hold
                | FaultKind::BlackHole
                | FaultKind::Reset { .. }
                | FaultKind::HalfOpen
                | FaultKind::Loss { .. }
                | FaultKind::Latency { .. }
                | FaultKind::Bandwidth { .. }
                | FaultKind::Slice { .. }
                | FaultKind::Corrupt { .. },
                _,
            ) => unreachable!("places are checked before a run: {kind:?} on a node"),
        }
    }

    /// The list of name servers that a producer should have now; all if every one is taken out.
    pub(super) fn name_servers_of(&self, producer: &str) -> String {
        let state = self.state.lock();
        let on = state.faults.iter().filter(|it| it.phase == Phase::On);
        let gone: Vec<NodeId> = on
            .filter_map(|fault| match (&fault.data.kind, &fault.data.place) {
                (FaultKind::NameServerList { without }, Place::Node(node))
                    if **node == *producer =>
                {
                    Some(self.layout.node(without))
                }
                _ => None,
            })
            .collect();
        let listed = |gone: &[NodeId]| {
            let all = self.layout.all();
            let kept = all
                .filter(|(node, info)| info.kind == NodeKind::NameServer && !gone.contains(node));
            let kept = kept.filter_map(|(_, info)| info.address.as_deref());
            kept.collect::<Vec<_>>().join(";")
        };
        let kept = listed(&gone);
        if kept.is_empty() { listed(&[]) } else { kept }
    }

    /// Tells a producer's client its list of name servers, from its own machine. Whether it has one.
    fn change_name_servers(&self, node: NodeId) -> bool {
        let Some(info) = self.layout.info(node) else {
            return false;
        };
        let servers = self.name_servers_of(&info.name);
        let mut state = self.state.lock();
        let Some((client, host)) = state.clients.get(&node).cloned() else {
            return false;
        };
        let change = host.spawn(
            "name-server-list",
            Box::pin(async move {
                if let Err(refused) = client.update_name_servers(&servers) {
                    tracing::debug!(%refused, "the list of name servers stays");
                }
            }),
        );
        state.changes.push(change);
        true
    }

    fn change_way(&self, way: Way, kind: &FaultKind, on: bool) -> Modelled {
        let fabric = &self.fabric;
        match (kind, on) {
            (FaultKind::Partition, true) => fabric.cut(way),
            (FaultKind::Partition, false) => fabric.heal(way),
            (FaultKind::Hold, on) => fabric.hold(way, on),
            (FaultKind::Bandwidth { bytes_per_ms }, true) => fabric.bandwidth(way, *bytes_per_ms),
            (FaultKind::Bandwidth { .. }, false) => fabric.bandwidth(way, 0),
            (FaultKind::Slice { bytes }, true) => fabric.slice(way, *bytes),
            (FaultKind::Slice { .. }, false) => fabric.slice(way, 0),
            (FaultKind::Reset { byte }, true) => match way {
                Way::One(from, to) => fabric.reset_after(from, to, *byte),
                Way::Both(a, b) => fabric.reset(a, b),
            },
            (FaultKind::HalfOpen, true) => way
                .directions()
                .try_for_each(|(from, to)| fabric.half_open(from, to)),
            (FaultKind::Loss { per_mille }, true) => fabric.loss(way, *per_mille),
            (FaultKind::Loss { .. }, false) => fabric.loss(way, 0),
            (FaultKind::Latency { ms, jitter_ms }, true) => fabric.latency(way, *ms, *jitter_ms),
            (FaultKind::Latency { .. }, false) => fabric.default_latency(way),
            (FaultKind::Corrupt { byte }, true) => way
                .directions()
                .try_for_each(|(from, to)| fabric.corrupt(from, to, *byte)),
            (FaultKind::BlackHole, true) => way
                .directions()
                .take(1)
                .try_for_each(|(a, b)| fabric.black_hole(a, b)),
            // What strikes once has no end.
            (
                FaultKind::Reset { .. }
                | FaultKind::HalfOpen
                | FaultKind::Corrupt { .. }
                | FaultKind::BlackHole,
                false,
            ) => Ok(()),
            (
                FaultKind::Crash(_)
                | FaultKind::Stop(_)
                | FaultKind::PowerLoss(_)
                | FaultKind::Freeze
                | FaultKind::Slow { .. }
                | FaultKind::Refuse
                | FaultKind::SwallowDials
                | FaultKind::StopReading
                | FaultKind::ClockJump { .. }
                | FaultKind::NameServerList { .. }
                | FaultKind::ReadOnly
                | FaultKind::Resize { .. }
                | FaultKind::Rule(_),
                _,
            ) => unreachable!("places are checked before a run: {kind:?} on a link"),
        }
    }
}

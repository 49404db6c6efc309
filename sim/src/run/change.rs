//! What a fault changes in the world: at a node, by its operator, on a link.

use std::sync::Arc;

use dst_engine::{Change, Direction};
use rmq_mock_broker::Disk;

use super::director::{Director, Phase, State, number};
use crate::backend::Modelled;
use crate::fault::{Fault, FaultKind, Place, Rule, RuleAction};
use crate::trace::{NodeId, NodeKind};

impl Director {
    /// Makes a fault felt, or its end.
    pub(super) fn change(self: &Arc<Self>, index: usize, fault: &Fault, on: bool) {
        let modelled = match &fault.place {
            Place::Node(name) => self.change_node(self.node(name), index, &fault.kind, on),
            Place::Link { from, to } => {
                let link = Direction::One(self.node(from), self.node(to));
                self.change_link(link, &fault.kind, on)
            }
            Place::Pair { a, b } => {
                let link = Direction::Both(self.node(a), self.node(b));
                self.change_link(link, &fault.kind, on)
            }
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
            (FaultKind::Crash(_), true) => fabric.apply(Change::Crash(node)),
            (FaultKind::PowerLoss(_), true) => fabric.apply(Change::PowerOff(node)),
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
            (FaultKind::Freeze, true) => fabric.apply(Change::Freeze(node)),
            (FaultKind::Freeze, false) => fabric.apply(Change::Thaw(node)),
            (FaultKind::Slow { ms_per_step }, true) => fabric.apply(Change::Slow {
                node,
                ms_per_poll: *ms_per_step,
            }),
            (FaultKind::Slow { .. }, false) => fabric.apply(Change::Slow {
                node,
                ms_per_poll: 0,
            }),
            (FaultKind::Refuse, on) => fabric.apply(Change::Refuse(node, on)),
            (FaultKind::SwallowDials, on) => fabric.apply(Change::SwallowDials(node, on)),
            (FaultKind::StopReading, on) => fabric.apply(Change::StopReading(node, on)),
            (FaultKind::ClockJump { ms }, true) => {
                self.has_struck(index);
                fabric.apply(Change::JumpWallClock { node, ms: *ms })
            }
            (FaultKind::ClockJump { ms }, false) => fabric.apply(Change::JumpWallClock {
                node,
                ms: ms.saturating_neg(),
            }),
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
            // A rule ends in the server's control; what is left is about links.
            _ => Ok(()),
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

    fn change_link(&self, link: Direction, kind: &FaultKind, on: bool) -> Modelled {
        let fabric = &self.fabric;
        match (kind, on) {
            (FaultKind::Partition, true) => fabric.apply(Change::Cut(link)),
            (FaultKind::Partition, false) => fabric.apply(Change::Heal(link)),
            (FaultKind::Hold, on) => fabric.apply(Change::Hold(link, on)),
            (FaultKind::Bandwidth { bytes_per_ms }, true) => fabric.apply(Change::Bandwidth {
                on: link,
                bytes_per_ms: *bytes_per_ms,
            }),
            (FaultKind::Bandwidth { .. }, false) => fabric.apply(Change::Bandwidth {
                on: link,
                bytes_per_ms: 0,
            }),
            (FaultKind::Slice { bytes }, true) => fabric.apply(Change::Slice {
                on: link,
                bytes: *bytes,
            }),
            (FaultKind::Slice { .. }, false) => fabric.apply(Change::Slice { on: link, bytes: 0 }),
            (FaultKind::Reset { byte }, true) => match link {
                Direction::One(from, to) => fabric.apply(Change::ResetAfter {
                    from,
                    to,
                    after: *byte,
                }),
                Direction::Both(a, b) => fabric.apply(Change::Reset(a, b)),
            },
            (FaultKind::HalfOpen, true) => link
                .each()
                .try_for_each(|(from, to)| fabric.apply(Change::HalfOpen { from, to })),
            (FaultKind::Loss { per_mille }, true) => fabric.apply(Change::Loss {
                on: link,
                per_mille: *per_mille,
            }),
            (FaultKind::Loss { .. }, false) => fabric.apply(Change::Loss {
                on: link,
                per_mille: 0,
            }),
            (FaultKind::Latency { ms, jitter_ms }, true) => fabric.apply(Change::Latency {
                on: link,
                ms: *ms,
                jitter_ms: *jitter_ms,
            }),
            (FaultKind::Latency { .. }, false) => fabric.apply(Change::DefaultLatency(link)),
            (FaultKind::Corrupt { byte }, true) => link.each().try_for_each(|(from, to)| {
                fabric.apply(Change::Corrupt {
                    from,
                    to,
                    after: *byte,
                })
            }),
            (FaultKind::BlackHole, true) => link
                .each()
                .take(1)
                .try_for_each(|(a, b)| fabric.apply(Change::BlackHole(a, b))),
            // What strikes once has no end; the rest is about nodes.
            _ => Ok(()),
        }
    }
}

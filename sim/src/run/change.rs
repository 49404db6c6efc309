//! What faults ask of the run: its engine, its servers, the disks under them, and its clients.

use std::sync::Arc;

use rmq_mock_broker::Disk;
use rmq_remoting::observe::Name;

use super::director::{Director, State, number};
use crate::fault::{FaultKind, FaultNumber, Restart, Running, Strike, Struck};
use crate::host::Fabric;
use crate::trace::{NodeId, NodeKind};

impl Director {
    /// Makes a fault felt, or its end.
    pub(super) fn change(self: &Arc<Self>, index: usize, kind: &FaultKind, at: Struck, on: bool) {
        let strike = Strike {
            fault: number(index),
            at,
            run: self,
        };
        let behaviour = kind.behaviour();
        self.modelled(match on {
            true => behaviour.start(&strike),
            false => behaviour.end(&strike),
        });
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
        // A broker that is down makes it known when it starts.
        if let Some(registration) = registration {
            registration.renew();
        }
    }

    /// The list of name servers that a producer should have now; all if every one is taken out.
    pub(super) fn name_servers_of(&self, producer: NodeId) -> String {
        let state = self.state.lock();
        let of_producer = state.taken_out.values().filter(|(of, _)| *of == producer);
        let gone: Vec<&Name> = of_producer.map(|(_, name)| name).collect();
        let listed = |gone: &[&Name]| {
            let all = self.layout.all();
            let servers = all.filter(|(_, info)| info.kind == NodeKind::NameServer);
            let kept = servers.filter(|(_, info)| !gone.contains(&&info.name));
            let kept = kept.filter_map(|(_, info)| info.address.as_deref());
            kept.collect::<Vec<_>>().join(";")
        };
        let kept = listed(&gone);
        if kept.is_empty() { listed(&[]) } else { kept }
    }

    /// Tells a producer's client its list of name servers, from its own machine. Whether it has one.
    fn tell_name_servers(&self, producer: NodeId) -> bool {
        let servers = self.name_servers_of(producer);
        let mut state = self.state.lock();
        let Some((client, host)) = state.clients.get(&producer).cloned() else {
            // It has not started, or has no client of the scenario: it gets the list at its start.
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
}

impl Running for Arc<Director> {
    fn engine(&self) -> &dyn Fabric {
        &*self.fabric
    }

    fn has_struck(&self, fault: FaultNumber) {
        self.struck_once_more(fault);
    }

    fn restart(&self, server: NodeId, how: Restart) {
        self.boot_again(server, how);
    }

    fn ask_to_stop(&self, server: NodeId) -> bool {
        self.ask_server_to_stop(server)
    }

    fn keep_routes(&self, name_server: NodeId, fault: FaultNumber) {
        let state = self.state.lock();
        let process = state.processes.get(&name_server);
        let memory = process.and_then(|process| process.memory.clone());
        drop(state);
        // One that is down remembers nothing, and knows nothing old when it is back.
        if let Some(memory) = memory {
            memory.keep(fault);
        }
    }

    fn set_read_only(&self, broker: NodeId, on: bool) {
        self.operate(broker, |disk, _| disk.set_read_only(on));
    }

    fn resize(&self, broker: NodeId, fault: FaultNumber, topic: &str, queues: Option<i32>) -> bool {
        let mut has = false;
        self.operate(broker, |disk, state| {
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

    fn without_name_server(
        &self,
        producer: NodeId,
        fault: FaultNumber,
        without: Option<&Name>,
    ) -> bool {
        let mut state = self.state.lock();
        match without {
            Some(name) => state.taken_out.insert(fault, (producer, Name::clone(name))),
            None => state.taken_out.remove(&fault),
        };
        drop(state);
        self.tell_name_servers(producer)
    }
}

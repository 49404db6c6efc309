//! What faults ask of the run: its engine, its servers, the disks under them, and its clients.

use std::sync::Arc;

use rmq_mock_broker::Disk;
use rmq_remoting::observe::Name;

use super::controller::{RunController, Servers, number};
use crate::backend::Backend;
use crate::fault::{
    FaultKind, FaultNumber, NameServerList, Place, Restart, Running, Strike, Struck,
};
use crate::trace::{NodeId, NodeKind};

impl RunController {
    /// Makes a fault felt, or its end.
    pub(super) fn change(self: &Arc<Self>, index: usize, kind: &FaultKind, at: Struck, on: bool) {
        let strike = Strike {
            fault: number(index),
            at,
            run: self,
        };
        let behaviour = kind.behaviour();
        if on {
            self.process_struck(kind, at);
        }
        self.modelled(match on {
            true => behaviour.start(&strike),
            false => behaviour.end(&strike),
        });
    }

    /// An operator changes something at a broker, and the broker, if it is up, makes it known.
    fn operate(&self, node: NodeId, change: impl FnOnce(&Disk, &mut Servers)) {
        let disk = self.disk(node);
        let registration = {
            let mut servers = self.servers.lock();
            change(&disk, &mut servers);
            let process = servers.processes.get(&node);
            process.and_then(|process| process.registration.clone())
        };
        // A broker that is down makes it known when it starts.
        if let Some(registration) = registration {
            registration.renew();
        }
    }

    /// The list of name servers that a producer should have now; none is taken out if every one is.
    pub(super) fn name_servers_of(&self, producer: NodeId) -> String {
        let servers = self.servers.lock();
        let changes = servers.lists.values().filter(|(of, _)| *of == producer);
        let changes: Vec<_> = changes.map(|(_, change)| change).collect();
        let name = self.layout.info(producer).map(|info| &info.name);
        let faults = self.scenario.faults.iter();
        // Those that are listed only in another one's place.
        let spare = faults.filter_map(|fault| match (&fault.kind, &fault.place) {
            (FaultKind::NameServerList(list), Place::Node(node)) if Some(node) == name => {
                list.instead.as_ref()
            }
            _ => None,
        });
        let spare: Vec<&Name> = spare.collect();
        let is_gone = |server: &Name| changes.iter().any(|it| it.without == *server);
        let is_here = |server: &Name| changes.iter().any(|it| it.instead.as_ref() == Some(server));
        let listed = |is_listed: &dyn Fn(&Name) -> bool| {
            let all = self.layout.all();
            let listed = all.filter(|(_, info)| info.kind == NodeKind::NameServer);
            let kept = listed.filter(|(_, info)| is_listed(&info.name));
            let kept = kept.filter_map(|(_, info)| info.address.as_deref());
            kept.collect::<Vec<_>>().join(";")
        };
        let known = |server: &Name| !spare.contains(&server) || is_here(server);
        let lists = [
            listed(&|server| known(server) && !is_gone(server)),
            listed(&known),
        ];
        let list = lists.into_iter().find(|list| !list.is_empty());
        list.unwrap_or_else(|| listed(&|_| true))
    }

    /// Tells a producer's client its list of name servers, from its own machine. Whether it has one.
    fn tell_name_servers(self: &Arc<Self>, producer: NodeId) -> bool {
        let controller = Arc::clone(self);
        let mut servers = self.servers.lock();
        let Some((client, host)) = servers.clients.get(&producer).cloned() else {
            // It has not started, or has no client of the scenario: it gets the list at its start.
            return false;
        };
        let change = host.spawn(
            "name-server-list",
            Box::pin(async move {
                // The list as it is by then: of two changes that a frozen process makes late, any may come first.
                let list = controller.name_servers_of(producer);
                if let Err(refused) = client.update_name_servers(&list) {
                    tracing::debug!(%refused, "the list of name servers stays");
                }
            }),
        );
        servers.changes.push(change);
        true
    }
}

impl Running for Arc<RunController> {
    fn engine(&self) -> &dyn Backend {
        &*self.backend
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
        let servers = self.servers.lock();
        let process = servers.processes.get(&name_server);
        let memory = process.and_then(|process| process.memory.clone());
        drop(servers);
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
        self.operate(broker, |disk, servers| {
            let before = servers.resized.remove(&fault);
            let resized = queues.or(before);
            let before = resized.and_then(|queues| disk.resize(topic, queues));
            has = before.is_some();
            if let (Some(_), Some(before)) = (queues, before) {
                servers.resized.insert(fault, before);
            }
        });
        has
    }

    fn change_name_servers(
        &self,
        producer: NodeId,
        fault: FaultNumber,
        change: Option<&NameServerList>,
    ) -> bool {
        let mut servers = self.servers.lock();
        match change {
            Some(change) => servers.lists.insert(fault, (producer, change.clone())),
            None => servers.lists.remove(&fault),
        };
        drop(servers);
        self.tell_name_servers(producer)
    }
}

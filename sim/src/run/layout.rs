//! Who lives where: the nodes of a run, their numbers and their addresses.

use std::net::{IpAddr, SocketAddr};

use rmq_remoting::observe::Name;

use crate::backend::Backend;
use crate::scenario::Scenario;
use crate::trace::{NodeId, NodeInfo, NodeKind};

const NAME_SERVER_PORT: u16 = 9876;
const BROKER_PORT: u16 = 10911;

/// The nodes of a run: first the producers, then the name servers, then the brokers.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) nodes: Vec<NodeInfo>,
    pub(super) name_servers: Vec<Name>,
}

impl Layout {
    /// Adds every node of a scenario to an engine, each on a machine of its own.
    pub(super) fn build(scenario: &Scenario, backend: &dyn Backend) -> Self {
        let mut layout = Self {
            nodes: Vec::new(),
            name_servers: Vec::new(),
        };
        for (machine, (name, kind)) in (0..).zip(scenario.nodes()) {
            let ip = backend.address_for(machine);
            backend.node(&name, ip);
            let address = port(kind).map(|port| Name::from(SocketAddr::new(ip, port).to_string()));
            if kind == NodeKind::NameServer {
                layout.name_servers.extend(address.clone());
            }
            layout.nodes.push(NodeInfo {
                name,
                kind,
                address,
                part_of: None,
            });
        }
        layout
    }

    /// Every node with its number.
    pub(super) fn all(&self) -> impl Iterator<Item = (NodeId, &NodeInfo)> {
        (0_u16..).map(NodeId).zip(&self.nodes)
    }

    /// The node called `name`, if the scenario has it.
    pub(super) fn find(&self, name: &str) -> Option<NodeId> {
        let mut all = self.all();
        let found = all.find(|(_, info)| &*info.name == name);
        found.map(|(node, _)| node)
    }

    /// The node of the scenario called `name`, which was checked before the run.
    pub(super) fn node(&self, name: &str) -> NodeId {
        let found = self.find(name);
        assert!(found.is_some(), "the scenario has no node \"{name}\"");
        found.unwrap_or(NodeId::OUTSIDE)
    }

    /// What the node is; the laboratory itself listens nowhere, as a producer.
    pub(super) fn info(&self, node: NodeId) -> Option<&NodeInfo> {
        self.nodes.get(node.index())
    }

    /// The machine address of a node after so many moves.
    pub(super) fn ip_of(&self, backend: &dyn Backend, node: NodeId, moves: u16) -> IpAddr {
        let machine = usize::from(node.0) + self.nodes.len() * usize::from(moves);
        let number = u16::try_from(machine).unwrap_or(u16::MAX);
        assert!(number < u16::MAX, "there is no machine number {machine}");
        backend.address_for(number)
    }

    /// Where a server listens after so many moves.
    pub(super) fn listen_of(&self, backend: &dyn Backend, node: NodeId, moves: u16) -> SocketAddr {
        let port = self.info(node).and_then(|info| port(info.kind));
        assert!(port.is_some(), "{node:?} is no server: it listens nowhere");
        SocketAddr::new(self.ip_of(backend, node, moves), port.unwrap_or(0))
    }
}

/// The port of a kind of server; none for a producer, which listens nowhere.
fn port(kind: NodeKind) -> Option<u16> {
    match kind {
        NodeKind::Producer => None,
        NodeKind::NameServer => Some(NAME_SERVER_PORT),
        NodeKind::Broker => Some(BROKER_PORT),
    }
}

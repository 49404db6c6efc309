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
    pub(super) fn build(scenario: &Scenario, fabric: &dyn Backend) -> Self {
        let producers = scenario.producers.iter();
        let producers = producers.map(|one| (Name::clone(&one.name), NodeKind::Producer));
        let name_servers = scenario.cluster.name_server_names().into_iter();
        let name_servers = name_servers.map(|name| (name, NodeKind::NameServer));
        let brokers = scenario.cluster.brokers.iter().map(Name::clone);
        let brokers = brokers.map(|name| (name, NodeKind::Broker));
        let mut layout = Self {
            nodes: Vec::new(),
            name_servers: Vec::new(),
        };
        for (machine, (name, kind)) in (0..).zip(producers.chain(name_servers).chain(brokers)) {
            let ip = fabric.address_for(machine);
            fabric.node(&name, ip);
            let address = port(kind).map(|port| Name::from(SocketAddr::new(ip, port).to_string()));
            if kind == NodeKind::NameServer {
                layout.name_servers.extend(address.clone());
            }
            layout.nodes.push(NodeInfo {
                name,
                kind,
                address,
            });
        }
        layout
    }

    /// Every node with its number.
    pub(super) fn all(&self) -> impl Iterator<Item = (NodeId, &NodeInfo)> {
        (0_u16..).map(NodeId).zip(&self.nodes)
    }

    /// The node called `name`; names were checked when the scenario was read.
    pub(super) fn node(&self, name: &str) -> NodeId {
        self.all()
            .find(|(_, info)| &*info.name == name)
            .map_or(NodeId::OUTSIDE, |(node, _)| node)
    }

    /// What the node is; the laboratory itself listens nowhere, as a producer.
    pub(super) fn info(&self, node: NodeId) -> Option<&NodeInfo> {
        self.nodes.get(node.index())
    }

    /// The machine address of a node after so many moves.
    pub(super) fn ip_of(&self, fabric: &dyn Backend, node: NodeId, moves: u16) -> IpAddr {
        let machines = u16::try_from(self.nodes.len()).unwrap_or(u16::MAX);
        fabric.address_for(node.0.saturating_add(machines.saturating_mul(moves)))
    }

    /// Where a server listens after so many moves.
    pub(super) fn listen_of(&self, fabric: &dyn Backend, node: NodeId, moves: u16) -> SocketAddr {
        let port = self.info(node).and_then(|info| port(info.kind));
        SocketAddr::new(self.ip_of(fabric, node, moves), port.unwrap_or(0))
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

//! The names of a run: each node's name means the address that the node has at this moment.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::Core;
use crate::node::NodeId;

/// What `node` means by its own machine.
const LOCALHOST: &str = "localhost";

impl Core {
    /// The addresses that `"host:port"` means for a process of `node`.
    pub(crate) fn resolve(&self, node: NodeId, to: &str) -> io::Result<SocketAddr> {
        if let Ok(address) = to.parse::<SocketAddr>() {
            return Ok(address);
        }
        let parts = to.rsplit_once(':');
        let parts = parts.and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let Some((host, port)) = parts else {
            let text = format!("{to:?} is not of the form host:port");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        self.resolve_host(node, host, port)
    }

    /// The address of a port at a host, which is an address or the name of a node.
    pub(crate) fn resolve_host(
        &self,
        node: NodeId,
        host: &str,
        port: u16,
    ) -> io::Result<SocketAddr> {
        let found = match host.parse::<IpAddr>() {
            Ok(ip) => Some(ip),
            Err(_) if host == LOCALHOST => self.address(node),
            Err(_) => self.address_of_name(host),
        };
        let unknown = || {
            let text = format!("no node of this run is called {host:?}");
            io::Error::new(io::ErrorKind::NotFound, text)
        };
        Ok(SocketAddr::new(found.ok_or_else(unknown)?, port))
    }

    fn address_of_name(&self, name: &str) -> Option<IpAddr> {
        let named = self.nodes.iter().find(|node| &*node.name == name)?;
        Some(self.machines.get(named.machine)?.ip)
    }
}

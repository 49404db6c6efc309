//! The host of the event engine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rmq_remoting::host::{BoxFuture, Connection, Host, Identity, Listener, Task};

use crate::engine::RunId;
use crate::trace::record::NodeId;

/// A process of a simulated node.
#[derive(Debug)]
pub struct EventHost {
    run: RunId,
    node: NodeId,
    incarnation: u32,
}

impl EventHost {
    pub(crate) fn new(run: RunId, node: NodeId, incarnation: u32) -> Self {
        Self {
            run,
            node,
            incarnation,
        }
    }
}

impl Host for EventHost {
    fn connect(&self, _to: &str) -> BoxFuture<'static, io::Result<Connection>> {
        let _ = (self.run, self.node, self.incarnation);
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
    fn listen(&self, _at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
    fn spawn(&self, name: &'static str, _task: BoxFuture<'static, ()>) -> Task {
        Task::new(name).0
    }
    fn unix_millis(&self) -> i64 {
        0
    }
    fn draw(&self, _site: &'static str, _position: u64) -> u64 {
        0
    }
    fn identity(&self) -> Identity {
        Identity {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            process: 0,
        }
    }
}

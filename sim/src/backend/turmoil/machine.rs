//! A process on a `turmoil` machine.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rmq_host::{BoxFuture, Connection, Host, Identity, Listener, Task};
use tokio::time::sleep;
use turmoil::net::{TcpListener, TcpStream};

use super::TurmoilBackend;
use crate::backend::Backend;
use crate::backend::process::Process;
use crate::backend::process_table::HostContext;
use crate::backend::sockets::{
    ConnectionEnd, Dialling, Listening, NodeStream, ended, parse_address,
};

/// The pauses between the repetitions of an unanswered SYN, in seconds, as Linux makes them since
/// 6.5: four linear ones, six exponential ones, and the last wait.
const SYN_PAUSES: [u64; 11] = [1, 1, 1, 1, 1, 2, 4, 8, 16, 32, 64];

/// A process on a `turmoil` machine.
#[derive(Debug)]
pub(super) struct TurmoilHost {
    backend: TurmoilBackend,
    context: HostContext,
}

impl TurmoilHost {
    pub(super) fn new(backend: TurmoilBackend, context: HostContext) -> Self {
        Self { backend, context }
    }
}

impl Host for TurmoilHost {
    fn connect(&self, to: &str) -> BoxFuture<'static, io::Result<Connection>> {
        let to = parse_address(to);
        let (backend, process) = (self.backend.clone(), Arc::clone(&self.context.process));
        Box::pin(async move {
            let to = to?;
            may_call(&process)?;
            let unbound = SocketAddr::new(process.ip, 0);
            let dialling = Dialling::start(&process, unbound, to);
            let stream = match dial(&backend, process.ip, to).await {
                Ok(stream) => stream,
                Err(error) => return Err(dialling.failed(&error)),
            };
            let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
            dialling.opened(local, peer);
            let end = ConnectionEnd {
                process,
                local,
                peer,
            };
            Ok(connection(&backend, stream, end))
        })
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let (backend, process) = (self.backend.clone(), Arc::clone(&self.context.process));
        Box::pin(async move {
            may_call(&process)?;
            let (listener, port) = bind(&process, at).await.map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen at {at}: {error}"))
            })?;
            let local = SocketAddr::new(process.ip, port);
            let port = Listening::new(listener, process, local);
            Ok(Box::new(Port { backend, port }) as Box<dyn Listener>)
        })
    }

    fn is_running(&self) -> bool {
        !self.context.process.is_dead()
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        self.context.process.spawn(name, task)
    }

    fn unix_millis(&self) -> i64 {
        let since = i64::try_from(self.backend.now_ms()).unwrap_or(i64::MAX);
        let undisturbed = self.backend.0.start_unix_millis.saturating_add(since);
        self.context.wall_clock(undisturbed)
    }

    fn draw(&self, site: &'static str, position: u64) -> u64 {
        self.context.draw(site, position)
    }

    fn identity(&self) -> Identity {
        self.context.identity()
    }
}

/// `turmoil` takes whatever machine is running for the caller's, so only a node's own tasks may
/// use its network.
fn may_call(process: &Process) -> io::Result<()> {
    if process.is_dead() {
        return Err(ended());
    }
    if process.runtime.is_here() {
        return Ok(());
    }
    Err(io::Error::other(
        "on turmoil only a node's own tasks can use its network: start one with Host::spawn",
    ))
}

/// Dials as Linux does: `turmoil` itself refuses at once where nothing answers, and forgets that
/// the answer needs its time.
async fn dial(backend: &TurmoilBackend, from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    if to.is_ipv6() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut pauses = SYN_PAUSES.into_iter();
    while !backend.is_reachable(from, to.ip()) {
        match pauses.next() {
            Some(seconds) => sleep(Duration::from_secs(seconds)).await,
            None => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    let dialled = TcpStream::connect(to).await;
    sleep(backend.0.network.latency_between(from, to.ip())).await;
    dialled
}

/// `turmoil` can listen at all addresses of a machine, which here are one.
async fn bind(process: &Process, at: SocketAddr) -> io::Result<(TcpListener, u16)> {
    if at.ip() != process.ip && !at.ip().is_unspecified() {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    if at.is_ipv6() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), at.port())).await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

fn connection(backend: &TurmoilBackend, stream: TcpStream, end: ConnectionEnd) -> Connection {
    let (local, peer) = (end.local, end.peer);
    let delivered = backend.0.table.traffic(peer.ip(), end.process.node);
    Connection {
        stream: Box::new(NodeStream::new(stream, end, delivered)),
        local,
        peer,
    }
}

struct Port {
    backend: TurmoilBackend,
    port: Listening<TcpListener>,
}

impl Listener for Port {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            may_call(self.port.process())?;
            let (stream, peer) = self.port.live()?.accept().await?;
            let local = self.port.local_addr();
            self.port.accepted(local, peer);
            let end = ConnectionEnd {
                process: Arc::clone(self.port.process()),
                local,
                peer,
            };
            Ok(connection(&self.backend, stream, end))
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.port.local_addr()
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({})", self.port.local_addr())
    }
}

//! The production host: TCP of the operating system on a Tokio runtime.
//!
//! It is the one place in the workspace, besides the simulated hosts, that may ask the
//! operating system for time, randomness, sockets and tasks. Everything above it asks [`Host`].
//!
//! TLS is not offered yet; it will live here, below the seam, where nothing else has to know.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::{BoxFuture, Connection, Host, Identity, Listener, Task, TaskControl};

/// How many connections the kernel queues for a listener, as RocketMQ's servers ask for.
const BACKLOG: u32 = 1024;

/// What the kernel is told of each connection, so that it notices a peer or a path that is gone though
/// nothing says so. RocketMQ's own clients set neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketOptions {
    /// After so long without traffic the kernel asks the peer whether it is there, and again every
    /// third of this time; a box in the middle keeps what it remembers of the connection. 30 s unless
    /// set. None: it does not ask.
    pub keep_alive: Option<Duration>,
    /// Bytes that the peer has not acknowledged for so long end the connection
    /// (`TCP_USER_TIMEOUT`, on Linux only). 30 s unless set. None: the kernel's own limit, about a
    /// quarter of an hour.
    pub user_timeout: Option<Duration>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        let half_a_minute = Some(Duration::from_secs(30));
        Self {
            keep_alive: half_a_minute,
            user_timeout: half_a_minute,
        }
    }
}

impl SocketOptions {
    fn set(self, stream: &TcpStream) -> io::Result<()> {
        let socket = SockRef::from(stream);
        if let Some(idle) = self.keep_alive {
            let again = (idle / 3).max(Duration::from_secs(1));
            let probes = TcpKeepalive::new().with_time(idle).with_interval(again);
            socket.set_tcp_keepalive(&probes)?;
        }
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(self.user_timeout)?;
        Ok(())
    }
}

/// The machine a production process runs on.
///
/// It is first used within a Tokio runtime that has I/O and time enabled, and its tasks and
/// connections stay on that runtime, from whichever thread or other runtime it is used later. When
/// that runtime has shut down, what is started ends as cancelled, and dials fail at once.
///
/// ```
/// use std::time::Duration;
/// use rmq_host::{Host, Identity, SocketOptions, TokioHost};
///
/// let identity = Identity { address: [10, 0, 0, 7].into(), process: 1 };
/// let sockets = SocketOptions { keep_alive: Some(Duration::from_secs(10)), ..SocketOptions::default() };
/// let host = TokioHost::with_identity(identity).with_sockets(sockets);
/// assert_eq!(host.identity(), identity);
/// ```
#[derive(Debug, Clone)]
pub struct TokioHost {
    identity: Identity,
    sockets: SocketOptions,
    runtime: Arc<Mutex<Option<Handle>>>,
}

impl TokioHost {
    /// This machine, known by the address its default route leaves from (127.0.0.1 if it has
    /// none), and this process.
    pub fn new() -> Self {
        Self::with_identity(Identity {
            address: outward_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            process: std::process::id(),
        })
    }

    /// This machine under another identity: behind address translation, or where several nodes
    /// share one process.
    pub fn with_identity(identity: Identity) -> Self {
        Self {
            identity,
            sockets: SocketOptions::default(),
            runtime: Arc::default(),
        }
    }

    /// With other options of its connections.
    #[must_use]
    pub fn with_sockets(self, sockets: SocketOptions) -> Self {
        Self { sockets, ..self }
    }

    /// The runtime it was first used on; none if it was used on none yet.
    fn runtime(&self) -> Option<Handle> {
        let mut runtime = self.runtime.lock();
        if runtime.is_none() {
            *runtime = Handle::try_current().ok();
        }
        runtime.clone()
    }
}

impl Default for TokioHost {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for TokioHost {
    fn connect(&self, to: &str) -> BoxFuture<'static, io::Result<Connection>> {
        let (to, sockets) = (to.to_owned(), self.sockets);
        Box::pin(async move { connection(TcpStream::connect(to).await?, sockets) })
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let sockets = self.sockets;
        Box::pin(async move { Ok(Box::new(TcpPort::open(at, sockets)?) as Box<dyn Listener>) })
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        let (handle, reporter) = Task::new(name);
        let Some(runtime) = self.runtime() else {
            // Outside a runtime nothing can run: the task ends as cancelled, and its owner sees it.
            return handle;
        };
        let watched = reporter.watch(task, move |message| {
            tracing::error!(task = name, message, "a task panicked");
        });
        handle.controlled_by(Abort(runtime.spawn(watched).abort_handle()))
    }

    fn unix_millis(&self) -> i64 {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is what Host::unix_millis is in production"
        )]
        let now = std::time::SystemTime::now();
        match now.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn draw(&self, site: &'static str, position: u64) -> u64 {
        // The standard library seeds its hasher's keys from the operating system and changes them
        // with each call; the hash of a value under unknown keys is a number nobody can foresee.
        RandomState::new().hash_one((site, position))
    }

    fn identity(&self) -> Identity {
        self.identity
    }
}

#[derive(Debug)]
struct Abort(AbortHandle);

impl TaskControl for Abort {
    fn cancel(&self) {
        self.0.abort();
    }
}

/// A listening socket of the kernel.
#[derive(Debug)]
struct TcpPort {
    listener: TcpListener,
    local: SocketAddr,
    sockets: SocketOptions,
}

impl TcpPort {
    fn open(at: SocketAddr, sockets: SocketOptions) -> io::Result<Self> {
        let socket = match at {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restarted server takes its port back although old connections linger there.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(at)?;
        let listener = socket.listen(BACKLOG)?;
        let local = listener.local_addr()?;
        Ok(Self {
            listener,
            local,
            sockets,
        })
    }
}

impl Listener for TcpPort {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            // The peer may have reset it already. Whoever reads from it learns that; here it must
            // not look like a failure of the listener. So nothing is asked of it that would fail.
            let _ = stream.set_nodelay(true);
            let _ = self.sockets.set(&stream);
            Ok(Connection {
                local: stream.local_addr().unwrap_or(self.local),
                peer,
                stream: Box::new(stream),
            })
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

fn connection(stream: TcpStream, sockets: SocketOptions) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    sockets.set(&stream)?;
    Ok(Connection {
        local: stream.local_addr()?,
        peer: stream.peer_addr()?,
        stream: Box::new(stream),
    })
}

/// The address to listen at that a person wrote as `HOST:PORT`: a number or a host name, which is
/// asked for once and stands for the first address that it has. IPv6 addresses stand in brackets.
///
/// It waits for the resolver, so it is for a program that has not begun to serve.
///
/// # Errors
///
/// There is no port, or the host is not known.
///
/// ```
/// use rmq_host::resolve;
///
/// assert_eq!(resolve("127.0.0.1:9876").ok(), Some(([127, 0, 0, 1], 9876).into()));
/// assert!(resolve("9876").is_err());
/// ```
pub fn resolve(text: &str) -> io::Result<SocketAddr> {
    let no_port = || {
        let why = format!("\"{text}\" is no HOST:PORT, such as 127.0.0.1:9876 or localhost:9876");
        io::Error::new(io::ErrorKind::InvalidInput, why)
    };
    let (host, port) = text.trim().rsplit_once(':').ok_or_else(no_port)?;
    if host.is_empty() || port.parse::<u16>().is_err() {
        return Err(no_port());
    }
    let unknown = |why: &dyn std::fmt::Display| {
        io::Error::other(format!("the host of \"{text}\" is not known: {why}"))
    };
    let mut found = text
        .trim()
        .to_socket_addrs()
        .map_err(|error| unknown(&error))?;
    found.next().ok_or_else(|| unknown(&"it has no address"))
}

/// The address from which this machine would speak to the outside. "Connecting" a datagram socket
/// asks the routing table and sends nothing; the target is an address reserved for documentation.
fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_number_or_a_name_with_a_port() {
        for text in ["127.0.0.1:9876", " 127.0.0.1:9876 "] {
            assert_eq!(resolve(text).unwrap(), ([127, 0, 0, 1], 9876).into());
        }
        assert!(resolve("localhost:10911").unwrap().ip().is_loopback());
        assert_eq!(resolve("[::1]:9876").unwrap().to_string(), "[::1]:9876");
    }

    #[test]
    fn what_is_no_address_is_named_with_what_would_be_one() {
        for text in [
            "",
            "localhost",
            ":9876",
            "localhost:",
            "localhost:x",
            "localhost:99999",
        ] {
            let error = resolve(text).unwrap_err().to_string();
            assert!(error.contains("HOST:PORT"), "{error}");
        }
        let error = resolve("no such host:1").unwrap_err().to_string();
        assert!(error.contains("not known"), "{error}");
    }
}

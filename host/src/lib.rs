//! What a process gets from the machine it runs on, and nothing else.
//!
//! A program that is to be tested under simulated faults must not know whether its machine is real.
//! So it reaches the outside world through one object-safe trait, [`Host`]: streams, listeners,
//! tasks, the wall clock, random numbers. In production the host is [`TokioHost`]; in a test it is a
//! simulated machine. The same code runs on both, byte for byte, because nothing else is asked of
//! the machine: waits use `tokio::time` (which a paused runtime makes virtual), and there are no
//! files, threads or DNS names behind this seam. The crate knows no protocol.
//!
//! One `Host` value stands for one *process incarnation*: a restart makes a new one.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

mod task;
mod tokio_host;

pub use task::{Task, TaskControl, TaskEnd, TaskReporter, panic_message};
pub use tokio_host::{SocketOptions, TokioHost, resolve};

/// A future on the heap that can move to another thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A shared handle to the machine a node runs on.
pub type SharedHost = Arc<dyn Host>;

/// The machine a process runs on.
///
/// A program takes its machine as a [`SharedHost`] and does not learn which one it is.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use std::sync::Arc;
/// use rmq_host::{SharedHost, TokioHost};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// async fn greeted(host: SharedHost) -> std::io::Result<[u8; 5]> {
///     let mut listener = host.listen(([127, 0, 0, 1], 0).into()).await?;
///     let mut client = host.connect(&listener.local_addr().to_string()).await?;
///     let mut server = listener.accept().await?;
///     server.stream.write_all(b"hello").await?;
///     let mut heard = [0; 5];
///     client.stream.read_exact(&mut heard).await?;
///     Ok(heard)
/// }
///
/// assert_eq!(&greeted(Arc::new(TokioHost::new())).await?, b"hello");
/// # Ok(())
/// # }
/// ```
pub trait Host: fmt::Debug + Send + Sync + 'static {
    /// Opens a byte stream to `"host:port"`.
    ///
    /// There is no deadline of its own; dropping the future abandons the dial.
    fn connect(&self, to: &str) -> BoxFuture<'static, io::Result<Connection>>;

    /// Listens for byte streams at `at`; port 0 picks a free port.
    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>>;

    /// Starts a task of this node. Dropping the returned [`Task`] cancels it.
    ///
    /// `name` is what traces, panics and leak reports call it. A panic inside the task is caught
    /// and reported as [`TaskEnd::Panicked`].
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Task;

    /// Wall clock in milliseconds since the Unix epoch, only for values that go into messages.
    ///
    /// Every wait uses `tokio::time` instead.
    fn unix_millis(&self) -> i64;

    /// A random number addressed by place and position.
    ///
    /// In simulation it depends only on the run's seed, this node, `site` and `position`; in
    /// production it comes from the operating system and the arguments are ignored. `position` is
    /// an identity the caller already has (a send number, a dial number), never a shared count.
    fn draw(&self, site: &'static str, position: u64) -> u64;

    /// Tells who this process is: its address and its number.
    fn identity(&self) -> Identity;

    /// Whether the process still runs. False while a simulated crash drops its tasks: a process that
    /// is gone says nothing more. In production whoever can ask is running.
    fn is_running(&self) -> bool {
        true
    }

    /// What looks at the programs on this machine. A simulated machine lends the instrumentation of its
    /// laboratory, of a type that a protocol's client knows; a real machine has none.
    fn instrumentation(&self) -> Option<&(dyn Any + Send + Sync)> {
        None
    }
}

/// The address and process number that a node uses in client ids and message ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The address other nodes know this machine by.
    pub address: IpAddr,
    /// The process number (`pid`), unique per incarnation on one machine.
    pub process: u32,
}

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// An established connection: a byte stream and the two addresses that identify it.
pub struct Connection {
    /// The bytes of the connection, in both directions.
    pub stream: Box<dyn Stream>,
    /// The address of this end.
    pub local: SocketAddr,
    /// The address of the other end.
    pub peer: SocketAddr,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} -> {})", self.local, self.peer)
    }
}

/// A listening socket. Dropping it closes the port; connections that were accepted live on.
pub trait Listener: fmt::Debug + Send + 'static {
    /// Waits for the next connection. Cancel-safe: a connection is either returned or still queued.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>>;

    /// The address it listens at, with the real port.
    fn local_addr(&self) -> SocketAddr;
}

/// Compiles and runs the programs of README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

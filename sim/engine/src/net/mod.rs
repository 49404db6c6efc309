//! The network of a simulated node in the shape of `tokio::net`, for code that was written for that.
//!
//! One changed line takes a program into the simulation: `use tokio::net::…` becomes
//! `use dst_engine::net::…`. The module finds the node by the task that is polled, so nothing has to be
//! handed through. Names of nodes are names here, as in [`Host::connect`](rmq_host::Host::connect), and
//! `localhost` is the node's own machine.
//!
//! ```
//! use dst_engine::Engine;
//! use dst_engine::net::{TcpListener, TcpStream};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! async fn serve() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("0.0.0.0:7").await?;
//!     loop {
//!         let (mut stream, _peer) = listener.accept().await?;
//!         tokio::spawn(async move {
//!             let (mut from, mut to) = stream.split();
//!             tokio::io::copy(&mut from, &mut to).await
//!         });
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let mut engine = Engine::new(7);
//! engine.process("echo", [10, 0, 0, 1], |_host| async { serve().await.expect("a free port") });
//! engine.client("client", [10, 0, 0, 2], |_host| async {
//!     let mut stream = TcpStream::connect("echo:7").await.expect("a server");
//!     stream.write_all(b"hello").await.expect("a connection");
//!     let mut heard = [0; 5];
//!     stream.read_exact(&mut heard).await.expect("an echo");
//!     assert_eq!(&heard, b"hello");
//! });
//! assert!(engine.run()?.value.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # Whose task it is
//!
//! | the code runs in | it belongs to |
//! |---|---|
//! | a node's program, a task of [`Host::spawn`](rmq_host::Host::spawn) or [`task::spawn`](crate::task::spawn) | that node |
//! | a task of `tokio::spawn` that has used a socket of this module | the node of the first such socket |
//! | any other task of `tokio::spawn`; the run's main future | no node: [`connect`](TcpStream::connect) and [`bind`](TcpListener::bind) return an error that says so |
//! | a thread without a run | nothing: the same |
//!
//! A task of `tokio::spawn` is polled by Tokio, and the engine can neither drop nor park it. What it does
//! to the world goes through its sockets, and those are the process's: when the process is killed they
//! are closed and the task waits at the next use of one for good, and while it is frozen it waits there
//! until the thaw. A server like `axum::serve`, which gives each connection to such a task, is killed and
//! frozen as a whole, as far as anybody can see. Between two uses of a socket the task still runs: work in
//! the background that must end with its process belongs into [`task::spawn`](crate::task::spawn).

mod address;
mod listener;
mod split;
mod stream;

pub use address::{ToSocketAddrs, lookup_host};
pub use listener::TcpListener;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use stream::TcpStream;

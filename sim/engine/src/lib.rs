//! Deterministic simulation of processes, virtual time and TCP, with faults of networks and processes.
//!
//! A service that is written for Tokio runs here unchanged, on simulated machines with a simulated
//! network between them. An hour of virtual time passes in as long as its work takes. Processes are
//! crashed and restarted, frozen and cut off, in the middle of whatever they do, and the same seed
//! gives the same run, so that what was found once can be looked at again.
//!
//! What a program needs from its machine it asks of a [`Host`](rmq_host::Host): streams that implement
//! Tokio's `AsyncRead` and `AsyncWrite`, listeners, tasks, the wall clock and random numbers. Timers and
//! channels are Tokio's own. In production the host is [`TokioHost`](rmq_host::TokioHost).
//!
//! # An empty world
//!
//! An [`Engine`] is a simulation that is being put together. One without processes has nothing to wait
//! for and is over before a virtual millisecond has passed.
//!
//! ```
//! use dst_engine::{Engine, RunEnd};
//!
//! # fn main() -> std::io::Result<()> {
//! let report = Engine::new(7).run()?;
//! assert_eq!((report.end, report.stats.virtual_ms), (RunEnd::Finished, 0));
//! # Ok(())
//! # }
//! ```
//!
//! # Two hosts that talk
//!
//! [`Engine::process`] adds a process at an address, [`Engine::client`] one that the run waits for. Both
//! get the host of their process. Here a client says hello to a server that repeats what it hears.
//!
//! ```
//! use dst_engine::{Engine, RunEnd};
//! use rmq_host::SharedHost;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! async fn echo(host: SharedHost) {
//!     let mut listener = host.listen(([0, 0, 0, 0], 7).into()).await.expect("a free port");
//!     while let Ok(mut connection) = listener.accept().await {
//!         let mut bytes = [0; 64];
//!         while let Ok(count @ 1..) = connection.stream.read(&mut bytes).await {
//!             if connection.stream.write_all(&bytes[..count]).await.is_err() {
//!                 break;
//!             }
//!         }
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let mut engine = Engine::new(7);
//! engine.process("server", [10, 0, 0, 1], echo);
//! engine.client("client", [10, 0, 0, 2], |host| async move {
//!     let mut connection = host.connect("10.0.0.1:7").await.expect("a server");
//!     connection.stream.write_all(b"hello").await.expect("a connection");
//!     let mut heard = [0; 5];
//!     connection.stream.read_exact(&mut heard).await.expect("an echo");
//!     assert_eq!(&heard, b"hello");
//! });
//! let report = engine.run()?;
//! assert_eq!(report.end, RunEnd::Finished);
//! // A millisecond each way, for the handshake and for the request.
//! assert_eq!(report.stats.virtual_ms, 4);
//! # Ok(())
//! # }
//! ```
//!
//! A failed assertion in a task is a panic, and a panic ends the run with the name of the task
//! ([`RunEnd::Panicked`]). So a simulation is a test: assert where you know, and look at the report.
//!
//! # A crash
//!
//! [`Engine::at`] plans what happens when. A [`Change::Crash`] drops all tasks of a process between two
//! polls; its kernel lives on and closes its sockets, as after SIGKILL. [`EngineHandle::restart`] starts
//! the program anew. The time that the process was away is seen by whoever dials: nobody listens.
//!
//! ```
//! # use dst_engine::{Change, Engine};
//! # use rmq_host::SharedHost;
//! # use std::time::Duration;
//! # use std::io::ErrorKind;
//! async fn listens(host: SharedHost) {
//!     let mut listener = host.listen(([0, 0, 0, 0], 80).into()).await.expect("a free port");
//!     while let Ok(_connection) = listener.accept().await {}
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let mut engine = Engine::new(7);
//! let server = engine.process("server", [10, 0, 0, 1], listens);
//! engine.client("client", [10, 0, 0, 2], |host| async move {
//!     let mut outcomes = Vec::new();
//!     for _ in 0..4 {
//!         let dialled = host.connect("10.0.0.1:80").await;
//!         outcomes.push(dialled.map(drop).map_err(|error| error.kind()));
//!         tokio::time::sleep(Duration::from_secs(1)).await;
//!     }
//!     let refused = Err(ErrorKind::ConnectionRefused);
//!     assert_eq!(outcomes, [Ok(()), refused, refused, Ok(())]);
//! });
//! engine.at(500, move |sim| sim.apply(Change::Crash(server)));
//! engine.at(2_500, move |sim| sim.restart(server));
//! assert!(engine.run()?.value.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # A partition
//!
//! [`Change::Cut`] stops every byte on a link, in one [`Direction`] or both. TCP hides short ones: what
//! was written waits for a retransmission, at growing intervals, and arrives after the heal. A program
//! sees silence and then, maybe, its own timeout.
//!
//! ```
//! # use dst_engine::{Change, Direction, Engine};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # use tokio::time::{Instant, sleep};
//! # use std::time::Duration;
//! # fn main() -> std::io::Result<()> {
//! let mut engine = Engine::new(7);
//! let server = engine.process("server", [10, 0, 0, 1], |host| async move {
//!     let mut listener = host.listen(([0, 0, 0, 0], 80).into()).await.expect("a free port");
//!     let mut connection = listener.accept().await.expect("a client");
//!     let mut byte = [0];
//!     connection.stream.read_exact(&mut byte).await.expect("a byte");
//!     connection.stream.write_all(&byte).await.expect("an open connection");
//! });
//! let client = engine.client("client", [10, 0, 0, 2], |host| async move {
//!     let mut connection = host.connect("10.0.0.1:80").await.expect("a server");
//!     sleep(Duration::from_millis(200)).await;
//!     let asked = Instant::now();
//!     connection.stream.write_all(b"?").await.expect("an open connection");
//!     connection.stream.read_exact(&mut [0]).await.expect("an answer");
//!     // Two milliseconds without the partition.
//!     assert!(asked.elapsed() > Duration::from_secs(3));
//! });
//! let link = Direction::Both(client, server);
//! engine.at(100, move |sim| sim.apply(Change::Cut(link)));
//! engine.at(3_100, move |sim| sim.apply(Change::Heal(link)));
//! assert!(engine.run()?.value.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # A frozen process
//!
//! [`Change::Freeze`] stops polling a process, as SIGSTOP or a long pause of a garbage collector does.
//! Its kernel goes on: dials to it succeed and bytes are taken, and nobody answers. A health check that
//! only dials sees nothing wrong.
//!
//! ```
//! # use dst_engine::{Change, Engine};
//! # use std::time::Duration;
//! # use tokio::io::AsyncReadExt;
//! # use tokio::io::AsyncWriteExt;
//! # use tokio::time::{sleep, timeout};
//! # fn main() -> std::io::Result<()> {
//! let mut engine = Engine::new(7);
//! let server = engine.process("server", [10, 0, 0, 1], |host| async move {
//!     let mut listener = host.listen(([0, 0, 0, 0], 80).into()).await.expect("a free port");
//!     while let Ok(mut connection) = listener.accept().await {
//!         // Whether the client still listens is its own affair.
//!         let _ = connection.stream.write_all(b"!").await;
//!     }
//! });
//! engine.client("client", [10, 0, 0, 2], |host| async move {
//!     sleep(Duration::from_millis(200)).await;
//!     let mut connection = host.connect("10.0.0.1:80").await.expect("the kernel accepts");
//!     let mut byte = [0];
//!     let read = timeout(Duration::from_secs(1), connection.stream.read_exact(&mut byte)).await;
//!     assert!(read.is_err(), "silence");
//!     connection.stream.read_exact(&mut byte).await.expect("an answer after the thaw");
//! });
//! engine.at(100, move |sim| sim.apply(Change::Freeze(server)));
//! engine.at(5_000, move |sim| sim.apply(Change::Thaw(server)));
//! assert!(engine.run()?.value.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # A run that is directed
//!
//! What is planned in advance is given to [`Engine::at`]. What depends on what happens is directed by a
//! future of its own: [`Engine::run_with`] polls it beside the processes, gives it the
//! [`EngineHandle`], and ends the run when it returns.
//!
//! ```
//! # use dst_engine::{Change, Engine, Strike};
//! # use std::time::Duration;
//! # fn main() -> std::io::Result<()> {
//! let mut engine = Engine::new(7);
//! let busy = engine.process("busy", [10, 0, 0, 1], |host| async move {
//!     let _task = host.spawn("work", Box::pin(std::future::pending()));
//!     std::future::pending().await
//! });
//! let report = engine.run_with(async |sim| {
//!     tokio::time::sleep(Duration::from_millis(10)).await;
//!     let before = sim.gauges(busy).tasks;
//!     sim.apply(Change::Crash(busy));
//!     tokio::time::sleep(Duration::from_millis(10)).await;
//!     (before, sim.gauges(busy).tasks, sim.strikes(Strike::Killed, busy, busy))
//! })?;
//! // The program and its task were there, are gone, and the crash ended both.
//! assert_eq!(report.value, Some((2, 0, 2)));
//! # Ok(())
//! # }
//! ```
//!
//! # A seed that repeats
//!
//! A run is a pure function of its [`EngineConfig`], its programs and its plan, as long as the programs
//! ask nobody but the host for time and randomness, keep no state in statics, and wait on nothing whose
//! order is random (`tokio::sync::watch`, an unbiased `select!`, a `HashMap` that is iterated).
//!
//! Nothing is drawn from a shared stream. A draw is addressed by place and position ([`chance`]):
//! whether a transmission is lost depends on the seed, the link and the millisecond. Taking one fault
//! away moves no other, which is what makes a failure shrink.
//!
//! [`ReadyOrder::Seeded`] draws the order of tasks that are ready in the same millisecond, so that seeds
//! explore races. What happened is told as [`EngineEvent`]s to an [`EventSink`]: two runs are equal if
//! their events are.
//!
//! ```
//! use std::sync::Arc;
//! use dst_engine::{Engine, EngineConfig, EngineEvent, EventSink, ReadyOrder};
//! use parking_lot::Mutex;
//!
//! #[derive(Debug, Default)]
//! struct Kept(Mutex<Vec<EngineEvent>>);
//!
//! impl EventSink for Kept {
//!     fn on(&self, event: EngineEvent) {
//!         self.0.lock().push(event);
//!     }
//! }
//!
//! /// Three clients dial at once; the order in which their tasks run is the seed's.
//! fn events(seed: u64) -> std::io::Result<Vec<EngineEvent>> {
//!     let config = EngineConfig { seed, ready_order: ReadyOrder::Seeded, ..EngineConfig::default() };
//!     let kept = Arc::new(Kept::default());
//!     let mut engine = Engine::with_config(config).events_to(kept.clone());
//!     for n in 1..=3 {
//!         engine.client(&format!("client-{n}"), [10, 0, 0, n], |host| async move {
//!             host.connect("10.0.0.9:1").await.expect_err("nobody is there");
//!         });
//!     }
//!     engine.run()?;
//!     let events = kept.0.lock().clone();
//!     Ok(events)
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let first = events(1)?;
//! assert_eq!(events(1)?, first);
//! assert_ne!(events(2)?, first);
//! # Ok(())
//! # }
//! ```
//!
//! So a search is a loop. Each seed is another order of the same race, and a seed that fails, fails again
//! whenever it is played.
//!
//! ```
//! use std::sync::Arc;
//! use dst_engine::{Engine, EngineConfig, ReadyOrder};
//! use parking_lot::Mutex;
//!
//! /// Two processes write their names at the same moment. Which name stays?
//! fn winner(seed: u64) -> std::io::Result<&'static str> {
//!     let config = EngineConfig { seed, ready_order: ReadyOrder::Seeded, ..EngineConfig::default() };
//!     let written = Arc::new(Mutex::new("nobody"));
//!     let mut engine = Engine::with_config(config);
//!     for (name, ip) in [("a", [10, 0, 0, 1]), ("b", [10, 0, 0, 2])] {
//!         let written = Arc::clone(&written);
//!         engine.client(name, ip, move |_host| {
//!             let written = Arc::clone(&written);
//!             async move { *written.lock() = name }
//!         });
//!     }
//!     engine.run()?;
//!     let winner = *written.lock();
//!     Ok(winner)
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let seed = (0..100).find(|seed| winner(*seed).is_ok_and(|name| name == "a"));
//! let seed = seed.ok_or("a program that relies on b would pass a hundred seeds")?;
//! assert_eq!(winner(seed)?, "a");
//! # Ok(())
//! # }
//! ```
//!
//! # Limits
//!
//! A run ends when its clients or its main future are done, and else with a verdict of its own
//! ([`RunEnd`]): a deadlock (nothing can ever happen again), a livelock (too many polls within one
//! millisecond), the horizon of virtual time, or a panic. [`Limits`] sets where.
//!
//! ```
//! # use dst_engine::{Engine, RunEnd};
//! # fn main() -> std::io::Result<()> {
//! let mut engine = Engine::new(7);
//! engine.client("waits", [10, 0, 0, 1], |_host| std::future::pending());
//! let RunEnd::Deadlock { waiting, .. } = engine.run()?.end else {
//!     panic!("it ended otherwise");
//! };
//! assert_eq!(waiting[0].task, "program");
//! # Ok(())
//! # }
//! ```
//!
//! What is modelled is what a program on Linux sees of TCP: bytes in order, FIN and RST, windows,
//! retransmission, the accept queue. What a program cannot ask for is refused with [`NotModelled`],
//! never guessed. The dictionary of what there is not:
//!
//! * time finer than a millisecond: what happens within one has an order, not a time
//! * packets: loss, reordering and duplicates show as what TCP makes of them, a delay
//! * UDP, Unix sockets, TLS (it draws from the operating system; put it above the stream if it must be)
//! * files and disks: give the program a trait of your own, whose state outlives its process
//! * threads and blocking calls: a run is one thread, and `spawn_blocking` is outside of it
//!
//! A task that a program gives to `tokio::spawn` is polled by Tokio, between two polls of the engine.
//! Whatever it does to a node wakes the engine in that millisecond, and a panic in it ends the run as
//! one in a task of a node does. The engine can neither drop nor park it; [`net`] says how far a crash or a
//! freeze of its node concerns it all the same. What must end with its process is started by
//! [`Host::spawn`](rmq_host::Host::spawn) or [`task::spawn`].
//!
//! # Other people's code
//!
//! Code that was written for `tokio::net` knows no host. The module [`net`] has the shape of that one, and
//! [`task`] that of `tokio::task`: one changed `use` line each takes it into a simulation. Whatever takes a
//! stream, such as a client of a protocol, needs no change at all. A node's name is the name of its machine,
//! there and for [`Host::connect`](rmq_host::Host::connect).
//!
//! # The modules
//!
//! Each builds on those above it and knows none below; a test of the workspace holds that.
//!
//! | module | what it decides |
//! |---|---|
//! | [`chance`] | random numbers that are addressed, not consumed |
//! | `node`, `event`, `config`, `change`, `strike` | the words: who, what happened, what was asked for, what can be done, what it did |
//! | `command` | what the engine is asked to do between two polls |
//! | `ready` | which task is polled next |
//! | `core` | machines, kernels and links: TCP as a program on Linux sees it |
//! | `access` | how programs reach all that, from wherever they are |
//! | `process`, `socket` | whose code it is that is polled, and what it holds of the network |
//! | `tasks`, `panics` | the life of a task: spawn, poll, panic, cancel |
//! | `root` | the order of things within a millisecond, limits, how a run ends |
//! | `host` | what a program gets: streams, listeners, tasks |
//! | [`task`], [`net`] | the same in the shape of Tokio's modules |
//! | `handle` | the handle through which a run is directed |
//! | `engine` | a run as a program describes it |

mod access;
pub mod chance;
mod change;
mod command;
mod config;
mod core;
mod engine;
mod event;
mod handle;
mod host;
pub mod net;
mod node;
mod panics;
mod process;
mod ready;
mod root;
mod socket;
mod strike;
pub mod task;
mod tasks;

/// Compiles and runs the programs of README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests;

pub use access::now_here;
pub use change::{Change, Direction, NotModelled};
pub use config::{
    EngineConfig, Limits, LinkBytes, NetworkConfig, NodeGauges, ReadyOrder, RunEnd, RunReport,
    RunStats, WaitingTask,
};
pub use engine::Engine;
pub use event::{DialEnd, EndCause, EngineEvent, EventSink, Ignore, TaskOff};
pub use handle::EngineHandle;
pub use node::NodeId;
pub use panics::quietly;
pub use strike::Strike;

//! A run as a program describes it: processes, a plan, and what directs it.
//!
//! A paused Tokio runtime of one thread runs one future, the engine. It owns the tasks of all nodes,
//! its own ready queue and the heap of network events; Tokio supplies clock, timers and channels, so
//! a user's own code with `tokio::time` works unchanged. Nodes as plain Tokio tasks would not do: a
//! crash could not drop their futures at once, nothing could freeze them, and a thousand seeds would
//! show one interleaving.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rmq_host::SharedHost;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::access;
use crate::config::{EngineConfig, RunReport};
use crate::core::{Program, RunId};
use crate::event::{EventSink, Ignore};
use crate::handle::EngineHandle;
use crate::node::NodeId;
use crate::panics;
use crate::root::Root;

type Planned = Box<dyn FnOnce(EngineHandle) + Send>;

/// A simulation that is being put together: its processes, and what happens to them when.
///
/// The run is a pure function of the configuration, the programs and the plan.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use dst_engine::Engine;
///
/// let mut engine = Engine::new(7);
/// engine.client("sleeper", [10, 0, 0, 1], |_host| async {
///     tokio::time::sleep(Duration::from_secs(3_000)).await;
/// });
/// let report = engine.run()?;
/// assert_eq!(report.stats.virtual_ms, 3_000_000, "fifty minutes, in no time");
/// # Ok(())
/// # }
/// ```
pub struct Engine {
    config: EngineConfig,
    sink: Arc<dyn EventSink>,
    nodes: Vec<(String, IpAddr, Program)>,
    plan: Vec<(u64, Planned)>,
    clients: Vec<oneshot::Receiver<()>>,
}

impl Engine {
    /// A simulation with this seed and otherwise the default configuration.
    pub fn new(seed: u64) -> Self {
        Self::with_config(EngineConfig {
            seed,
            ..EngineConfig::default()
        })
    }

    /// A simulation with a configuration of its own: network, limits, order of ready tasks.
    pub fn with_config(config: EngineConfig) -> Self {
        Self {
            config,
            sink: Arc::new(Ignore),
            nodes: Vec::new(),
            plan: Vec::new(),
            clients: Vec::new(),
        }
    }

    /// Sends what happens to tasks and connections to `sink`. By default nobody is told.
    #[must_use]
    pub fn events_to(mut self, sink: Arc<dyn EventSink>) -> Self {
        self.sink = sink;
        self
    }

    /// Adds a process that starts with the run, on a machine with the address `ip`.
    ///
    /// `program` makes the future of each new process: [`EngineHandle::restart`] calls it again.
    /// Processes with one address share a machine: they talk over its loop and lose power together.
    ///
    /// # Panics
    ///
    /// A run has more than 65,535 processes.
    pub fn process<F>(
        &mut self,
        name: &str,
        ip: impl Into<IpAddr>,
        program: impl Fn(SharedHost) -> F + Send + Sync + 'static,
    ) -> NodeId
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let node = u16::try_from(self.nodes.len()).map_or(NodeId::OUTSIDE, NodeId);
        assert!(node != NodeId::OUTSIDE, "a run has 65,535 nodes at most");
        let program: Program = Arc::new(move |host| Box::pin(program(host)));
        self.nodes.push((name.to_owned(), ip.into(), program));
        node
    }

    /// As [`process`](Self::process), and [`run`](Self::run) waits until its program has returned.
    pub fn client<F>(
        &mut self,
        name: &str,
        ip: impl Into<IpAddr>,
        program: impl Fn(SharedHost) -> F + Send + Sync + 'static,
    ) -> NodeId
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (returned, returns) = oneshot::channel();
        self.clients.push(returns);
        let returned = Arc::new(Mutex::new(Some(returned)));
        self.process(name, ip, move |host| {
            let (work, returned) = (program(host), Arc::clone(&returned));
            async move {
                work.await;
                if let Some(returned) = returned.lock().take() {
                    // The run may be over; then nobody waits.
                    let _ = returned.send(());
                }
            }
        })
    }

    /// Plans something for the virtual millisecond `ms`: a change, a restart. What is planned for one
    /// millisecond happens in the order of the calls, before anything else in it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use dst_engine::{Change, Engine};
    /// use std::io::ErrorKind;
    ///
    /// let mut engine = Engine::new(7);
    /// let server = engine.process("server", [10, 0, 0, 1], |host| async move {
    ///     let _listener = host.listen(([0, 0, 0, 0], 80).into()).await;
    ///     std::future::pending().await
    /// });
    /// engine.client("client", [10, 0, 0, 2], |host| async move {
    ///     tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    ///     let dialled = host.connect("10.0.0.1:80").await.map_err(|error| error.kind());
    ///     assert_eq!(dialled.err(), Some(ErrorKind::ConnectionRefused));
    /// });
    /// engine.at(50, move |sim| sim.apply(Change::Refuse(server, true)));
    /// assert!(engine.run()?.value.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn at(&mut self, ms: u64, action: impl FnOnce(EngineHandle) + Send + 'static) {
        self.plan.push((ms, Box::new(action)));
    }

    /// Runs until the program of every [`client`](Self::client) has returned.
    ///
    /// # Errors
    ///
    /// As [`run_with`](Self::run_with).
    pub fn run(mut self) -> io::Result<RunReport<()>> {
        let clients = std::mem::take(&mut self.clients);
        self.run_with(async move |_| {
            for returns in clients {
                // A client that was crashed for good never returns: the run is then a deadlock, or
                // ends at the horizon.
                if returns.await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        })
    }

    /// Runs until `main` is done, which directs the run and may return a value.
    ///
    /// `main` is polled as a task of the engine, on no node, and after the nodes' own tasks when
    /// timers are due in one millisecond.
    ///
    /// # Errors
    ///
    /// The runtime cannot be built, or a run goes on on this thread already. How the run itself
    /// ended is in its [report](RunReport).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use dst_engine::Engine;
    ///
    /// let report = Engine::new(7).run_with(async |sim| {
    ///     tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    ///     sim.now_ms()
    /// })?;
    /// assert_eq!(report.value, Some(20));
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_with<T>(
        self,
        main: impl AsyncFnOnce(EngineHandle) -> T,
    ) -> io::Result<RunReport<T>> {
        self.run_then(main, || {})
    }

    /// As [`run_with`](Self::run_with), and calls `at_end` when the run is over, however it ended,
    /// before anything of it is torn down: what teardown does is no part of a run.
    ///
    /// # Errors
    ///
    /// As [`run_with`](Self::run_with).
    pub fn run_then<T>(
        self,
        main: impl AsyncFnOnce(EngineHandle) -> T,
        at_end: impl FnOnce(),
    ) -> io::Result<RunReport<T>> {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            // What a task of Tokio's own does to a node takes effect before the next one's poll.
            .event_interval(1)
            .build()?;
        panics::watch();
        let busy = || io::Error::other("a run of the engine goes on on this thread");
        let run = access::install(&self.config, Arc::clone(&self.sink)).ok_or_else(busy)?;
        let removed = Removed(run);
        let report = runtime.block_on(tokio::task::coop::unconstrained(async {
            let handle = EngineHandle::new(run);
            start(handle, self.nodes, self.plan);
            let mut root = Root::new(run, &self.config, main(handle));
            let end = (&mut root).await;
            let (polls, jumps) = root.cost();
            let stats = access::own(run, |core| core.take_stats(polls, jumps));
            at_end();
            root.teardown();
            RunReport {
                value: root.value.take(),
                end,
                stats,
            }
        }));
        drop(removed);
        Ok(report)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({} processes)", self.nodes.len())
    }
}

/// Starts the processes and plans the plan.
fn start(handle: EngineHandle, nodes: Vec<(String, IpAddr, Program)>, plan: Vec<(u64, Planned)>) {
    for (name, ip, program) in nodes {
        let node = handle.node(&name, ip);
        handle.set_program(node, program);
        handle.restart(node);
    }
    for (ms, action) in plan {
        handle.at(ms, move || action(handle));
    }
}

/// Takes the machines away when the run is over, however it ends.
struct Removed(RunId);

impl Drop for Removed {
    fn drop(&mut self) {
        drop(access::remove(self.0));
    }
}

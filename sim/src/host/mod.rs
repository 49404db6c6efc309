//! The machines of the laboratory: one host for each engine, behind the seam of
//! [`rmq_remoting::host`], and one [`Fabric`] over the three.
//!
//! A scenario is written once and runs on the event engine, on `turmoil`, and on real TCP. The
//! runner directs all three through [`Fabric`]: nodes and their lives, actions at a time, and the
//! network's faults. Not every engine can do every fault: those operations return [`NotModelled`]
//! with the reason, and nothing happens.

pub mod event;
mod fabric;
mod home;
mod plan;
mod process;
mod roster;
mod sockets;
pub mod tcp;
pub mod turmoil;
mod witness;

pub use fabric::{Action, Fabric, Modelled, NotModelled, SharedFabric, Way};

use std::io;
use std::sync::Arc;

use rmq_remoting::observe::Observer;

use crate::engine::{EngineConfig, EngineEvent, EventEngine, RunReport};
use crate::fault::Engine;
use crate::trace::record::NodeId;

/// Runs `main` on an engine, and every task that it starts on the engine's nodes.
///
/// A node's code must run in its node's tasks ([`Host::spawn`](rmq_remoting::host::Host::spawn)):
/// on `turmoil` each machine has a clock and a network context of its own. `main` directs and waits.
/// The error is the operating system's, which gave no runtime.
pub fn run<T>(
    engine: Engine,
    config: &EngineConfig,
    observer: Arc<dyn Observer<EngineEvent>>,
    main: impl AsyncFnOnce(SharedFabric) -> T,
) -> io::Result<RunReport<T>> {
    run_until(engine, config, observer, main, || {})
}

/// As [`run`], and calls `at_end` when the run is over, however it ended, before anything of it is
/// torn down: what teardown does is no part of a run.
pub fn run_until<T>(
    engine: Engine,
    config: &EngineConfig,
    observer: Arc<dyn Observer<EngineEvent>>,
    main: impl AsyncFnOnce(SharedFabric) -> T,
    at_end: impl FnOnce(),
) -> io::Result<RunReport<T>> {
    match engine {
        Engine::Event => EventEngine::run_until(
            config,
            observer,
            async move |world| main(Arc::new(world)).await,
            at_end,
        ),
        Engine::Turmoil => turmoil::TurmoilWorld::run(
            config,
            observer,
            async move |world| main(Arc::new(world)).await,
            at_end,
        ),
        Engine::Tcp => tcp::TcpWorld::run(
            config,
            observer,
            async move |world| main(Arc::new(world)).await,
            at_end,
        ),
    }
}

/// The process number of a node's incarnation (from 1), the same on every engine and unique in a
/// run.
pub(crate) fn process_number(node: NodeId, incarnation: u32) -> u32 {
    1000 * (u32::from(node.0) + 1) + incarnation
}

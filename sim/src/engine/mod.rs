//! The event engine: the laboratory's default, and the root future of a paused Tokio runtime.
//!
//! A paused runtime of one thread runs one future, the engine. It owns the tasks of all nodes, its
//! own ready queue and the heap of network events; Tokio supplies clock, timers and channels, so a
//! user's own code with `tokio::time` works unchanged. Nodes as plain Tokio tasks would not do: a
//! crash could not drop their futures at once, nothing could freeze them, and a thousand seeds
//! would show one interleaving.
//!
//! | module | what it decides |
//! |---|---|
//! | `root` | the order of things within a millisecond, limits, how a run ends |
//! | `ready` | which task is polled next |
//! | `tasks` | the life of a task: spawn, poll, panic, cancel |
//! | `panics` | the panics of tasks that the engine does not poll |
//! | `lives` | the lives of processes and machines |
//! | `tcp` | connections, as a program on Linux sees them |
//! | `strike` | what faults really did |
//! | `link` | latency, loss, cuts, bandwidth |
//! | `core`, `access` | the state of it all, and how programs reach it |
//! | `world` | the handle that directs all this |
//!
//! A task that a program gives to `tokio::spawn` is polled by Tokio, between two polls of the engine.
//! Whatever it does to a node wakes the engine in that millisecond, and a panic in it ends the run as
//! one in a task of a node does. It belongs to no node, so a crash or a freeze does not concern it.
//!
//! Time moves in whole milliseconds. What happens within one has an order, not a time.

use std::sync::Arc;

use rmq_remoting::observe::Observer;

use crate::chance::Chance;

mod access;
mod config;
mod core;
pub mod event;
mod link;
mod lives;
mod ops;
mod panics;
mod ready;
mod root;
mod strike;
mod tasks;
mod tcp;
mod world;

#[cfg(test)]
mod tests;

pub(crate) use access::{enter, now_here};
pub use config::{
    EngineConfig, Limits, LinkBytes, NetworkConfig, ReadyOrder, RunEnd, RunReport, RunStats,
    Waiting,
};
pub(crate) use core::{Core, RunId};
pub use event::EngineEvent;
pub(crate) use ops::{Op, Spawned};
pub use strike::Strike;
pub(crate) use tcp::ConnId;
pub use world::{NodeGauges, World};

/// The engine.
#[derive(Debug, Clone, Copy)]
pub struct EventEngine;

impl EventEngine {
    /// Runs `main`, and every task that it starts on simulated nodes, under virtual time.
    ///
    /// `main` is polled as a task of the engine, on no node and after the nodes' own tasks when
    /// timers are due in one millisecond; when it completes, the run ends. The run is a pure
    /// function of `config` and `main`.
    ///
    /// # Errors
    ///
    /// If the runtime cannot be built, or if a run goes on on this thread already.
    pub fn run<T>(
        config: &EngineConfig,
        observer: Arc<dyn Observer<EngineEvent>>,
        main: impl AsyncFnOnce(World) -> T,
    ) -> std::io::Result<RunReport<T>> {
        Self::run_until(config, observer, main, || {})
    }

    /// As [`run`](Self::run), and calls `at_end` when the run is over, however it ended, before
    /// anything of it is torn down: what teardown does is no part of a run.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_until<T>(
        config: &EngineConfig,
        observer: Arc<dyn Observer<EngineEvent>>,
        main: impl AsyncFnOnce(World) -> T,
        at_end: impl FnOnce(),
    ) -> std::io::Result<RunReport<T>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            // What a task of Tokio's own does to the world takes effect before the next one's poll.
            .event_interval(1)
            .build()?;
        panics::watch();
        let busy = || std::io::Error::other("a run of the event engine goes on on this thread");
        let run = access::install(config, observer).ok_or_else(busy)?;
        let removed = Removed(run);
        let report = runtime.block_on(tokio::task::coop::unconstrained(async {
            let mut root = root::Root::new(run, config, main(World::new(run)));
            let end = (&mut root).await;
            let (polls, jumps) = root.cost();
            let stats = enter(run, |core| core.take_stats(polls, jumps)).unwrap_or_default();
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

/// The order of ready tasks that a run has.
fn ready_order(config: &EngineConfig) -> ready::Order {
    match config.ready_order {
        ReadyOrder::Fifo => ready::Order::fifo(),
        ReadyOrder::Seeded => ready::Order::seeded(&Chance::new(config.seed)),
    }
}

/// Takes the world away when the run is over, however it ends.
struct Removed(RunId);

impl Drop for Removed {
    fn drop(&mut self) {
        drop(access::remove(self.0));
    }
}

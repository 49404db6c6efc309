//! The laboratory: the RocketMQ producer beside mock name servers and brokers, under faults, in
//! virtual time.
//!
//! * [`simulation`]: your own code in a simulated cluster, over many seeds, in `cargo test`.
//! * [`scenario`]: a cluster, its work and its faults, as a file or as values; [`run`] plays one.
//! * [`fault`]: everything that can go wrong, one file for each kind.
//! * [`trace`]: what happened in a run, record by record.
//! * [`verdict`]: what the checkers say of it.
//!
//! The feature `cli` adds the command line, `rocketmq-sim`, and what it needs; a test dependency does
//! without. The network and the machines are those of the package `dst-engine`, which knows no RocketMQ.

// Without its command line, part of the laboratory has no caller.
#![cfg_attr(
    not(feature = "cli"),
    expect(dead_code, unused_imports, reason = "the command line is their caller")
)]

mod backend;
mod bench;
mod digests;
mod generate;
mod invariant;
mod shrink;
mod sweep;
mod truth;
mod zoo;

#[cfg(feature = "cli")]
pub mod cli;
pub mod fault;
pub mod run;
pub mod scenario;
pub mod simulation;
pub mod trace;
pub mod verdict;

#[doc(hidden)]
pub use insta;

/// What this project's own tests, benchmarks and fuzz targets reach for. It is no part of the
/// interface and may change with any release.
#[doc(hidden)]
pub mod internals {
    pub mod backend {
        pub use crate::backend::{SharedBackend, run};
    }
    pub mod bench {
        pub use crate::bench::{BenchError, ClockReading, sends};
    }
    pub mod digests {
        pub use crate::digests::*;
    }
    pub mod generate {
        pub use crate::generate::generate;
    }
    pub mod invariant {
        pub use crate::invariant::{RunFindings, all, check};
    }
    pub mod run {
        pub use crate::run::facts_of;
    }
    pub mod sweep {
        pub use crate::sweep::{
            BUILD, Plan, Portion, SeedSource, Shard, Sweep, Watcher, carry_out, file, sweep,
        };
    }
    pub mod zoo {
        pub use crate::zoo::{Bug, BuildFolder, FailsAnyway, Mutant, catalogue, search};
    }
}

/// Compiles and runs the programs of README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! The laboratory: the RocketMQ producer beside mock name servers and brokers, under faults, in
//! virtual time.
//!
//! A program that publishes to RocketMQ is tested here as it is, against a cluster whose brokers crash,
//! hang and lose answers. A minute of virtual time takes milliseconds, so a test plays hundreds of seeds,
//! and a seed that fails, fails again. Beside what the test asserts, each run is checked by some fifty
//! invariants of the laboratory, such as: no send ends twice, and what a producer was told is stored, is
//! stored.
//!
//! There are two ways in, and both end in a [`Run`](run::Run).
//!
//! # A test of your own code
//!
//! The module [`simulation`] runs a closure in a simulated cluster, once for each seed. The [`tutorial`] leads
//! from an empty file to a failure with one fault, its repair, and a snapshot.
//!
//! ```
//! use rmq_producer::Message;
//! use rmq_sim::simulation::{Cluster, Simulation, crash};
//!
//! Simulation::new(Cluster::new().brokers(2).topic("orders", 4))
//!     .fault(crash("broker-a").at_secs(5).down_for_secs(10))
//!     .seeds(0..5)
//!     .check(async |sim| {
//!         let producer = sim.producer("orders-app").start().await?;
//!         for second in 2..20 {
//!             sim.until_secs(second).await;
//!             producer.send(Message::new("orders", "created")).await?;
//!         }
//!         producer.stop().await;
//!         Ok(())
//!     });
//! ```
//!
//! # A scenario
//!
//! A [`Scenario`](scenario::Scenario) is a whole run as data: the cluster, what is sent, what goes wrong and
//! what must come out. It is a file that a person writes, or that a search found. [`run::run`] plays one.
//!
//! ```
//! use std::sync::Arc;
//! use rmq_sim::fault::EngineKind;
//! use rmq_sim::run;
//! use rmq_sim::scenario::Scenario;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = r#"
//!     format  = 2
//!     seconds = 30
//!
//!     [cluster]
//!     brokers = ["broker-a", "broker-b"]
//!
//!     [producer.p1]
//!
//!     [[workload]]
//!     producer = "p1"
//!     topic    = "orders"
//!     sends    = 20
//!
//!     [[fault]]
//!     do  = "crash"
//!     on  = "broker-a"
//!     at  = "5s"
//!     for = "10s"
//!
//!     [expect]
//!     ok = 20
//! "#;
//! let no_policies = |_: &str| Err(std::io::ErrorKind::NotFound.into());
//! let scenario = Arc::new(Scenario::parse("crash.toml", text, &no_policies)?);
//! let run = run::run(&scenario, 7, EngineKind::Event)?;
//! assert!(run.verdict.is_pass(), "{}", run.verdict);
//! assert_eq!(run.summary.stored, 20);
//! # Ok(())
//! # }
//! ```
//!
//! # A sweep, and what the checkers say
//!
//! A sweep is that over many seeds. The verdict says what a run came to, and its findings say which
//! checker found what and where in the trace. How often each invariant had something to say is told too:
//! one that never had, has not been tested by this scenario.
//!
//! ```
//! use std::sync::Arc;
//! use rmq_sim::fault::EngineKind;
//! use rmq_sim::run;
//! use rmq_sim::scenario::Scenario;
//! use rmq_sim::trace::short;
//! use rmq_sim::verdict::Class;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let text = r#"
//! #     format  = 2
//! #     seconds = 10
//! #     [cluster]
//! #     brokers = ["broker-a"]
//! #     [producer.p1]
//! #     retries = 0
//! #     [[workload]]
//! #     producer = "p1"
//! #     topic = "orders"
//! #     sends = 5
//! #     [[fault]]
//! #     do = "drop-request"
//! #     on = "broker-a"
//! #     per-mille = 50
//! #     [expect]
//! #     failed = 0
//! # "#;
//! # let no_policies = |_: &str| Err(std::io::ErrorKind::NotFound.into());
//! // One send in twenty is lost, nothing is retried, and the scenario expects that no send fails.
//! let scenario = Arc::new(Scenario::parse("hopeful.toml", text, &no_policies)?);
//! let mut failed = None;
//! for seed in 0..100 {
//!     let run = run::run(&scenario, seed, EngineKind::Event)?;
//!     if !run.verdict.is_pass() {
//!         failed = Some(run);
//!         break;
//!     }
//! }
//! let run = failed.ok_or("a hundred seeds without a lost send")?;
//! assert_eq!(run.verdict.class, Class::Violation);
//! assert_eq!(run.verdict.findings[0].by, "expect");
//! // One event a line: what the producer decided, and what the servers saw.
//! println!("{}", short::render(&run.trace));
//! assert!(run.preconditions.iter().any(|(invariant, count)| *invariant == "INV-01" && *count > 0));
//!
//! // The seed repeats it.
//! let again = run::run(&scenario, run.knobs.seed, EngineKind::Event)?;
//! assert_eq!(again.digest, run.digest);
//! # Ok(())
//! # }
//! ```
//!
//! The command line `rocketmq-sim`, behind the feature `cli`, does this on all processors, generates
//! scenarios, and shrinks one that fails to the smallest that fails alike. A test dependency does without.
//!
//! # The modules
//!
//! * [`tutorial`]: from an empty file to a snapshot, step by step.
//! * [`simulation`]: your own code in a simulated cluster, over many seeds, in `cargo test`.
//! * [`scenario`]: a cluster, its work and its faults, as a file or as values; [`run`] plays one.
//! * [`fault`]: everything that can go wrong, one file for each kind.
//! * [`trace`]: what happened in a run, record by record.
//! * [`verdict`]: what the checkers say of it.
//!
//! The network and the machines are those of the package `dst-engine`, which knows no RocketMQ.

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
pub mod coverage;
pub mod fault;
pub mod run;
pub mod scenario;
pub mod simulation;
pub mod trace;
pub mod tutorial;
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
        pub use crate::invariant::{CheckedRun, RunFindings, all, check};
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

//! The laboratory.

pub mod bench;
pub mod chance;
pub mod cli;
pub mod digests;
pub mod engine;
pub mod fault;
pub mod generate;
pub mod host;
pub mod invariant;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod simulation;
pub mod sweep;
pub mod trace;
pub mod truth;
pub mod verdict;
pub mod zoo;

#[doc(hidden)]
pub use insta;

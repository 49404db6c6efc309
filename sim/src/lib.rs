//! The laboratory.

pub mod backend;
pub mod bench;
pub mod cli;
pub mod digests;
pub mod fault;
pub mod generate;
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

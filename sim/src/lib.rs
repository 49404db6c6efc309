//! The laboratory.

pub mod chance;
pub mod engine;
pub mod fault;
pub mod host;
pub mod invariant;
pub mod scenario;
pub mod trace;
pub mod truth;
pub mod verdict;

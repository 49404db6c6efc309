//! The laboratory.

pub mod fault;
pub mod scenario;
pub mod trace;
pub mod verdict;

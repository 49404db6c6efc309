//! The laboratory.

pub mod fault;
pub mod scenario;

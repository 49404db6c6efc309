//! The broker on a real port: what clients and name servers get of it, and what rules do to them.

#![expect(
    clippy::unwrap_used,
    reason = "a failed step fails the test, and helpers are part of the test"
)]

mod actions;
mod bench;
mod hostile;
mod refusals;
mod registration;
mod service;

//! The RocketMQ remoting protocol, and RPC over any byte stream.
//!
//! Knows no producer and no broker policy.

pub mod event;
pub mod host;
pub mod observe;

//! The RocketMQ remoting protocol, and RPC over any byte stream.
//!
//! Knows no producer and no broker policy.

pub mod code;
pub mod command;
pub mod event;
pub mod frame;
pub mod header;
pub mod host;
pub mod observe;

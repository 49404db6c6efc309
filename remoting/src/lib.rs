//! The RocketMQ remoting protocol, and RPC over any byte stream.
//!
//! Knows no producer and no broker policy.

pub mod batch;
pub mod body;
pub mod code;
pub mod command;
pub mod event;
pub mod frame;
pub mod header;
pub mod host;
pub mod message;
pub mod observe;
pub mod offset_id;
pub mod properties;
pub mod record;
pub mod request;
pub mod route;
pub mod topic;
pub mod unique_id;

//! The RocketMQ remoting protocol, and RPC over any byte stream.
//!
//! Knows no producer and no broker policy.

mod alarm;
pub mod batch;
pub mod body;
pub mod client;
pub mod code;
pub mod command;
pub mod event;
mod ext;
pub mod frame;
pub mod header;
pub mod host;
pub mod message;
pub mod observe;
pub mod offset_id;
mod outbox;
mod pipe;
pub mod properties;
pub mod record;
pub mod request;
pub mod route;
pub mod server;
pub mod service;
mod serving;
pub mod topic;
pub mod unique_id;

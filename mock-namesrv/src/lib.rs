//! A mock RocketMQ name server.

pub mod event;

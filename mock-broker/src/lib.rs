//! A mock RocketMQ broker.

pub mod event;

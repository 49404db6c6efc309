//! A RocketMQ producer.

pub mod event;

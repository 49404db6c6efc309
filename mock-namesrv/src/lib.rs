//! A mock RocketMQ name server: it speaks the real wire protocol, and misbehaves on request.
//!
//! A reader begins at [`NameServer`]. What it does wrong is decided by a
//! [`Control`](control::Control), usually a [`RuleBook`](control::RuleBook); what it saw and did is a
//! stream of [`Event`](event::Event)s.

pub mod config;
pub mod control;
pub mod event;
pub mod odd;
pub mod tables;

mod builder;
mod handle;
mod server;

pub use builder::NameServerBuilder;
pub use config::Config;
pub use rmq_remoting::profile::Profile;
pub use server::{Memory, NameServer};

/// Compiles and runs the programs of README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! A mock RocketMQ broker: it speaks the real wire protocol, keeps a ledger of what it accepted, and
//! misbehaves on request.
//!
//! A reader begins at [`Broker`]. What survives its process is a [`Disk`]; what it does wrong is
//! decided by a [`Control`](control::Control), usually a [`RuleBook`](control::RuleBook); what it saw
//! and did is a stream of [`Event`](event::Event)s.

pub mod config;
pub mod control;
pub mod disk;
pub mod event;
pub mod ledger;
pub mod topic;

mod admit;
mod attributes;
mod broker;
mod builder;
mod clients;
mod feature;
mod full_body;
mod handle;
mod registrar;
mod retry;
mod service;
mod state;
mod stored_properties;

pub use broker::Broker;
pub use builder::BrokerBuilder;
pub use config::Config;
pub use disk::Disk;
pub use registrar::Registration;
pub use rmq_remoting::profile::Profile;

/// Compiles and runs the programs of README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

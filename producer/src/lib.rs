//! A RocketMQ producer.
//!
//! ```no_run
//! use std::time::Duration;
//! use rmq_producer::{Message, Producer};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let producer = Producer::builder("order-service")
//!     .name_servers(["10.0.0.1:9876", "10.0.0.2:9876"])
//!     .send_timeout(Duration::from_secs(3)) // over everything: lookup, dial, all attempts
//!     .retries(2)
//!     .start()
//!     .await?;
//! match producer.send(Message::new("orders", "hello").with_tag("created").with_key("order-42")).await {
//!     Ok(sent) => println!("{} on {} at offset {}", sent.message_id, sent.queue, sent.offset),
//!     Err(error) => {
//!         eprintln!("{error}"); // one line a person can act on
//!         for attempt in error.attempts() {
//!             eprintln!("  {attempt}");
//!         }
//!     }
//! }
//! producer.stop().await; // bounded; pending sends end as closed
//! # Ok(())
//! # }
//! ```
//!
//! # How a send goes
//!
//! A send has one deadline over everything it does. It is checked and built once ([`message`],
//! [`decide::encoding`]), finds the topic's route (from the [`Client`]'s table, or by one lookup
//! that all who need it share), and makes attempts: each picks a queue
//! ([`decide::select`]), gets a timeout of its own ([`decide::budget`]), and when it has ended,
//! [`decide::retry`] says what follows. An attempt that is not answered within its timeout is
//! *hedged*: the next one starts at another broker while the first stays open, and whichever
//! is stored first completes the send.
//!
//! So a message may be stored more than once, always under one unique key
//! ([`Sent::message_id`]): a consumer that must not act twice looks at that key. A send that
//! failed may have left a copy, too; [`SendError::attempts`] tells which broker may have it.
//!
//! # Map of the modules
//!
//! | module | holds |
//! |---|---|
//! | [`message`], [`sent`], [`error`] | what goes in and what comes out |
//! | [`producer`], [`client`] | what a program holds; how one message is sent |
//! | [`policy`], [`config`] | every habit as data, presets; a producer described in a file |
//! | [`decide`] | every decision as a function of values, one file each |
//! | [`hook`] | the program's own code at each attempt and each request |
//! | [`event`], [`observe`], [`meter`] | what the producer did and why: for logs, proofs, metrics |
//! | `send` | one send: its operation, its attempts, each one's request and answer, permits, rotation |
//!
//! Only the second half of the table waits for anything, and only it knows the clock.

mod addresses;
pub mod client;
pub mod config;
#[cfg(feature = "decisions")]
pub mod decide;
#[cfg(not(feature = "decisions"))]
#[expect(unreachable_pub, reason = "public with the feature `decisions`")]
mod decide;
mod delivery;
pub mod error;
pub mod event;
pub mod hook;
mod log;
pub mod message;
pub mod meter;
pub mod observe;
pub mod policy;
pub mod producer;
mod selector;
mod send;
pub mod sent;

pub use addresses::NameServerAddresses;
pub use client::{Client, ClientBuilder};
pub use config::{Config, ConfigLimits};
#[cfg(feature = "config")]
pub use config::{ConfigError, Place};
pub use delivery::DeliveryFuture;
pub use error::{Attempt, Cause, LookupError, SendError, StartError};
pub use hook::{AttemptEnd, ForbiddenHook, MessageHook, SendContext, SendHook};
pub use message::{InvalidMessage, Message, PropertyError};
pub use meter::Meter;
pub use observe::Observer;
pub use policy::{Policy, PolicyError};
pub use producer::{Dispatch, Gauges, Producer, ProducerBuilder};
pub use selector::Selector;
pub use send::permits::WhenFull;
pub use sent::{MessageQueue, NotStored, SendStatus, Sent};

// What a program can meet of the crates below, so that it needs no other dependency.
pub use rmq_host::{Host, SharedHost, SocketOptions, TokioHost};
pub use rmq_remoting::client::{CallError, CallStage, ExtraFields, HookError, RpcHook};
pub use rmq_remoting::command::Command;
pub use rmq_remoting::header::{HeaderError, Request};
pub use rmq_remoting::observe::Name;

/// Compiles and runs the programs of README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    #[test]
    #[cfg_attr(not(debug_assertions), ignore = "the release profile checks overflows")]
    fn this_crate_is_tested_without_overflow_checks_as_in_most_programs_that_depend_on_it() {
        assert_eq!(black_box(i32::MAX) + black_box(1), i32::MIN);
    }
}

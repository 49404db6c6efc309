//! A RocketMQ producer: it sends messages to the brokers of a cluster, each within one deadline that covers
//! everything, and says of each that failed what was tried and why it did not work.
//!
//! # The first message
//!
//! A producer belongs to a *group*, the name by which brokers and operators know a service. It knows its
//! name servers; they know the brokers of each topic.
//!
//! ```
//! use std::time::Duration;
//! use rmq_producer::{Message, Producer};
//!
//! # use rmq_mock_broker::Broker;
//! # use rmq_mock_namesrv::NameServer;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let name_server = NameServer::on_loopback().await?;
//! # let address = name_server.local_addr().to_string();
//! # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
//! # let servers = [address.as_str()];
//! // let servers = ["10.0.0.1:9876", "10.0.0.2:9876"];
//! let producer = Producer::builder("order-service")
//!     .name_servers(servers)
//!     .send_timeout(Duration::from_secs(3)) // over everything: lookup, dial, all attempts
//!     .retries(2)
//!     .start()
//!     .await?;
//! match producer.send(Message::new("orders", "hello").with_tag("created").with_key("order-42")).await {
//!     Ok(sent) => println!("{} on {} at offset {}", sent.message_id, sent.queue, sent.offset),
//!     Err(error) => eprintln!("{error}"), // one line a person can act on
//! }
//! producer.stop().await; // bounded; pending sends end as closed
//! # Ok(())
//! # }
//! ```
//!
//! [`Producer::start`](ProducerBuilder::start) contacts nobody, so a service starts while the cluster is down.
//! [`Producer::ready`] asks for a topic's route, for readiness probes. A `Producer` is cheap to clone and
//! is used from any number of tasks.
//!
//! # When a send fails
//!
//! The producer has made its retries by then. What is left to decide is in the [`SendError`]:
//!
//! ```
//! use rmq_producer::{Message, Producer};
//!
//! # use rmq_mock_broker::Broker;
//! # use rmq_mock_namesrv::NameServer;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let name_server = NameServer::on_loopback().await?;
//! # let address = name_server.local_addr().to_string();
//! # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
//! # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
//! # producer.ready("orders").await?;
//! # broker.stop().await;
//! let error = producer.send(Message::new("orders", "hello")).await.unwrap_err();
//! for attempt in error.attempts() {
//!     eprintln!("{attempt}"); // each broker that was tried, and how that ended
//! }
//! if error.is_retryable() {
//!     let copies = if error.may_be_stored() { "there may be a copy" } else { "there is no copy" };
//!     println!("kept for later; {copies}");
//!     let message = error.into_message();
//!     # assert_eq!(message, Some(Message::new("orders", "hello")));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Many at a time, and in order
//!
//! [`send_async`](Producer::send_async) does not wait; [`room`](Producer::room) waits until the limits leave
//! room, so that a program is not quicker than its brokers. Messages that must keep an order go to one queue,
//! one after the other:
//!
//! ```
//! use rmq_producer::{Message, Producer, Selector};
//!
//! # use rmq_mock_broker::Broker;
//! # use rmq_mock_namesrv::NameServer;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let name_server = NameServer::on_loopback().await?;
//! # let address = name_server.local_addr().to_string();
//! # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
//! # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
//! let mut under_way = Vec::new();
//! for n in 0..100 {
//!     producer.room().await;
//!     under_way.push(producer.send_async(Message::new("orders", format!("order {n}"))));
//! }
//! for delivery in under_way {
//!     delivery.await?;
//! }
//! for step in ["created", "paid"] {
//!     producer.send_by(Message::new("orders", step), Selector::hash("order-42")).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it decides, and how to change that
//!
//! All that RocketMQ clients do differently is a value of a [`Policy`]: how many attempts, which brokers are
//! avoided for how long, when a silent broker is not waited for. The default is [`Policy::strict`];
//! [`Policy::java_5_3`], [`Policy::java_4_9`] and [`Policy::go_2_1`] decide as those clients do, bugs
//! included. Settings come from code, or as a [`Config`] from a program's own settings.
//!
//! # What it tells
//!
//! * Logs through `tracing`, under the targets `rmq::producer`, `rmq::send`, `rmq::route` and
//!   `rmq::connection`; at INFO what an operator must know: a broker is avoided and answers again, a
//!   connection is lost, a route changes.
//! * A span `rmq.send` for each send, with OpenTelemetry's attributes for messaging. A [`MessageHook`] can put
//!   its context into the message; the example `traceparent` does.
//! * Every event as a value, for an [`Observer`]; a [`Meter`] counts them.
//!
//! # In tests
//!
//! The crates `rmq-mock-namesrv` and `rmq-mock-broker` are servers that run in a test's own process and misbehave
//! on request; `rmq-sim` runs a program with its producers over a simulated network, a thousand seeds in
//! seconds.
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
//! | [`hook`] | the program's own code at each message, attempt and request |
//! | `log`, [`event`], [`observe`], [`meter`] | what the producer did and why: for logs, proofs, metrics |
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

// What a program can meet of the crates below, so that it needs no other dependency: what most need by name,
// and the crates whole, for who implements a machine or reads requests.
pub use rmq_host as host;
pub use rmq_host::{Host, SharedHost, SocketOptions, TokioHost};
pub use rmq_remoting as remoting;
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

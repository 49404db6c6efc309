//! A mock RocketMQ name server: it speaks the real protocol over TCP, and misbehaves when a rule says so.
//!
//! A client that cannot find its brokers cannot do anything, so a program must be right when a name server
//! is gone, is silent, or tells a route that lacks a broker. This one does so to the request that the test
//! names. It runs in the test's own process, and brokers and clients of any language talk to it as to a
//! name server of the release that it imitates. The program `mock-namesrv` is the same on a port of its
//! own; `docs/mocks.md` of the repository says what it does not do.
//!
//! # A name server that one can ask
//!
//! A name server knows what brokers tell it. With one of `rmq-mock-broker` there is a cluster to send to,
//! here with `rmq-producer`.
//!
//! ```
//! use rmq_mock_broker::Broker;
//! use rmq_mock_namesrv::NameServer;
//! use rmq_producer::{Message, Producer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let name_server = NameServer::on_loopback().await?;
//! let broker = Broker::on_loopback("broker-a", name_server.local_addr()).await?;
//!
//! let name_servers = name_server.local_addr().to_string();
//! let producer = Producer::builder("orders-app").name_servers(name_servers).start().await?;
//! let sent = producer.send(Message::new("orders", "created")).await?;
//! assert_eq!(&*sent.queue.broker, "broker-a");
//! # producer.stop().await;
//! # broker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A name server that misbehaves
//!
//! A [`RuleBook`](control::RuleBook) is a list of rules, here read from the text of a file. Each says with
//! `when` which requests it is about, and with `then` what happens to them. Here one of two name servers
//! closes the connection of whoever looks up a route (code 105). The producer asks the other one, and its
//! caller sees a success.
//!
//! ```
//! use rmq_mock_broker::Broker;
//! use rmq_mock_namesrv::NameServer;
//! use rmq_mock_namesrv::control::RuleBook;
//! # use rmq_producer::{Message, Producer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rules = RuleBook::from_toml(
//!     r#"
//!     [[rule]]
//!     name = "closed"
//!     when = { request = 105 }
//!     then = { do = "close-before" }
//!     "#,
//! )?;
//! let bad = NameServer::builder().rules(rules).start().await?;
//! let good = NameServer::on_loopback().await?;
//! let broker = Broker::builder("broker-a")
//!     .name_server(bad.local_addr())
//!     .name_server(good.local_addr())
//!     .start()
//!     .await?;
//!
//! let name_servers = format!("{};{}", bad.local_addr(), good.local_addr());
//! let producer = Producer::builder("orders-app").name_servers(name_servers).start().await?;
//! producer.send(Message::new("orders", "created")).await?;
//! assert_eq!(broker.disk().ledger().len(), 1);
//! # producer.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Beside the actions of every mock a name server can tell a route wrongly, as
//! [`RouteAlteration`](control::RouteAlteration) lists. Here it leaves one of two brokers out, and the
//! producer sends to the other one only.
//!
//! ```
//! use rmq_mock_namesrv::control::{Action, Match, RouteAlteration, Rule, RuleBook};
//! # use rmq_mock_namesrv::NameServer;
//! # use rmq_mock_broker::Broker;
//! # use rmq_producer::{Message, Producer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let how = RouteAlteration::Without { broker: "broker-a".into() };
//! let lookups = Match { code: Some(105), ..Match::default() };
//! let rules = RuleBook::with([Rule::new("partial", lookups, Action::Alter { how })]);
//! let name_server = NameServer::builder().rules(rules).start().await?;
//! let a = Broker::on_loopback("broker-a", name_server.local_addr()).await?;
//! let b = Broker::on_loopback("broker-b", name_server.local_addr()).await?;
//! # let name_servers = name_server.local_addr().to_string();
//! # let producer = Producer::builder("orders-app").name_servers(name_servers).start().await?;
//! for order in ["first", "second", "third"] {
//!     producer.send(Message::new("orders", order)).await?;
//! }
//! assert_eq!((a.disk().ledger().len(), b.disk().ledger().len()), (0, 3));
//! # producer.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What the name server saw
//!
//! Requests, registrations and changes of routes are a stream of [`Event`](event::Event)s.
//! [`Kept`](rmq_remoting::observe::Kept) keeps them for a test. A broker that is dropped is gone without a
//! word, and the name server learns of it by the connection that ends.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use rmq_mock_namesrv::event::{Event, RemovalCause};
//! use rmq_remoting::observe::Kept;
//! # use rmq_mock_broker::Broker;
//! # use rmq_mock_namesrv::NameServer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let events = Arc::new(Kept::new());
//! let name_server = NameServer::builder().observer(events.clone()).start().await?;
//! let broker = Broker::on_loopback("broker-a", name_server.local_addr()).await?;
//! let added = |event: &Event| matches!(event, Event::BrokerAdded { id: 0, .. });
//! assert!(events.events().iter().any(added));
//!
//! drop(broker);
//! let gone = |event: &Event| {
//!     matches!(event, Event::BrokerRemoved { cause: RemovalCause::ConnectionClosed, .. })
//! };
//! while !events.events().iter().any(gone) {
//!     tokio::time::sleep(Duration::from_millis(1)).await;
//! }
//! # Ok(())
//! # }
//! ```

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

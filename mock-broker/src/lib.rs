//! A mock RocketMQ broker: it speaks the real protocol over TCP, keeps a ledger of what it stored, and
//! misbehaves when a rule says so.
//!
//! A program that sends to RocketMQ must be right when a broker refuses a message, is slow, or stores a
//! message and then breaks the connection. A real broker does so seldom, and not when a test asks for it.
//! This one does it to the request that the test names. It runs in the test's own process, and a client
//! of any language talks to it as to a broker of the release that it imitates. The program `mock-broker`
//! is the same broker on a port of its own; `docs/mocks.md` of the repository says what it refuses.
//!
//! # A broker that one can send to
//!
//! A producer asks a name server where the brokers are, so a cluster is two lines: one of
//! `rmq-mock-namesrv`, and one of this crate. When the second line is over, the broker has registered,
//! and the next one can send. Here the sender is `rmq-producer`. Afterwards the test looks into the
//! broker's [`Disk`], where every stored message is an [`Entry`](ledger::Entry).
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
//! producer.send(Message::new("orders", "created")).await?;
//! producer.stop().await;
//!
//! let ledger = broker.disk().ledger();
//! assert_eq!(ledger.len(), 1);
//! assert_eq!((&*ledger[0].topic, &*ledger[0].body), ("orders", &b"created"[..]));
//! assert!(ledger[0].answered, "the producer was told");
//! # Ok(())
//! # }
//! ```
//!
//! The topic did not exist: the broker created it for the first send, as a real one does that allows it.
//! [`Broker::builder`] says what a broker has from its start.
//!
//! # A broker that misbehaves
//!
//! A [`RuleBook`](control::RuleBook) is a list of rules. A [`Match`](control::Match) says which requests a
//! rule is about, and an [`Action`](control::Action) what happens to them. Here the first send is refused
//! as by a broker that is busy. The producer sends again, and its caller sees a success.
//!
//! ```
//! use rmq_mock_broker::Broker;
//! use rmq_mock_broker::control::{Action, Match, Rule, RuleBook};
//! # use rmq_mock_namesrv::NameServer;
//! # use rmq_producer::{Message, Producer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let name_server = NameServer::on_loopback().await?;
//! // 310 is SEND_MESSAGE_V2, which producers send with.
//! let first_send = Match { code: Some(310), nth: Some(1), ..Match::default() };
//! let busy = Rule::new("busy", first_send, Action::answer(2, "too many requests"));
//! let broker = Broker::builder("broker-a")
//!     .name_server(name_server.local_addr())
//!     .topic("orders", 4)
//!     .rules(RuleBook::with([busy]))
//!     .start()
//!     .await?;
//!
//! # let name_servers = name_server.local_addr().to_string();
//! # let producer = Producer::builder("orders-app").name_servers(name_servers).start().await?;
//! producer.send(Message::new("orders", "created")).await?;
//! assert_eq!(broker.disk().ledger().len(), 1);
//! # producer.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! A refusal is harmless, for the message is not stored. The other half of the actions store it and break
//! the answer, and then a second attempt stores a copy. Whoever keeps the book changes it while the broker
//! runs. The ledger has the copies, with one unique key.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! # use rmq_mock_broker::Broker;
//! # use rmq_mock_broker::control::{Action, Match, Rule, RuleBook};
//! # use rmq_mock_namesrv::NameServer;
//! # use rmq_producer::{Message, Producer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let name_server = NameServer::on_loopback().await?;
//! let rules = Arc::new(RuleBook::new());
//! # let broker = Broker::builder("broker-a").name_server(name_server.local_addr());
//! let broker = broker.rules(rules.clone()).start().await?;
//! # let name_servers = name_server.local_addr().to_string();
//! # let producer = Producer::builder("orders-app").name_servers(name_servers);
//! let producer = producer.send_timeout(Duration::from_millis(300)).start().await?;
//! let sends = Match { code: Some(310), ..Match::default() };
//!
//! let silent = rules.add(Rule::new("silent", sends.clone(), Action::DropReply).times(1));
//! producer.send(Message::new("orders", "created")).await?;
//! assert_eq!(rules.applied(silent), Some(1));
//!
//! rules.add(Rule::new("broken", sends, Action::CloseAfter).times(1));
//! producer.send(Message::new("orders", "paid")).await?;
//!
//! let ledger = broker.disk().ledger();
//! let bodies: Vec<&[u8]> = ledger.iter().map(|entry| &entry.body[..]).collect();
//! assert_eq!(bodies, [&b"created"[..], b"created", b"paid", b"paid"]);
//! assert_eq!(ledger[0].key, ledger[1].key);
//! assert!(!ledger[0].answered && ledger[1].answered);
//! # producer.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Rules in a file have the same words, and [`RuleBook::from_toml`](control::RuleBook::from_toml) reads
//! them. Whatever no rule can say is a [`Control`](control::Control) of one's own.
//!
//! # What the broker saw
//!
//! The ledger has what was stored. What came in and how it ended, the requests that were refused
//! included, is a stream of [`Event`](event::Event)s. [`Kept`](rmq_remoting::observe::Kept) keeps them for
//! a test.
//!
//! ```
//! use std::sync::Arc;
//! use rmq_mock_broker::event::{Ending, Event};
//! use rmq_remoting::observe::Kept;
//! # use rmq_mock_broker::Broker;
//! # use rmq_mock_namesrv::NameServer;
//! # use rmq_producer::{Message, Producer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let name_server = NameServer::on_loopback().await?;
//! # let broker = Broker::builder("broker-a").name_server(name_server.local_addr());
//! let events = Arc::new(Kept::new());
//! let broker = broker.observer(events.clone()).start().await?;
//! # let name_servers = name_server.local_addr().to_string();
//! # let producer = Producer::builder("orders-app").name_servers(name_servers).start().await?;
//! producer.send(Message::new("orders", "created")).await?;
//!
//! let events = events.events();
//! let of_sends = |event: &&Event| matches!(event, Event::Received { code: 310, .. });
//! assert_eq!(events.iter().filter(of_sends).count(), 1);
//! let answered = |event: &Event| matches!(event, Event::Ended { ending: Ending::Answered { code: 0 }, .. });
//! assert!(events.iter().any(answered));
//! # producer.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A crash and a restart
//!
//! Dropping a [`Broker`] kills it: its connections end, and no name server is told. Its disk lives on, and
//! a new broker on that disk has the topics and messages of the old one. [`Broker::stop`] leaves in order.
//!
//! ```
//! use std::sync::Arc;
//! # use rmq_mock_broker::Broker;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let broker = Broker::builder("broker-a").topic("orders", 4).start().await?;
//! let disk = Arc::clone(broker.disk());
//! drop(broker);
//! let restarted = Broker::builder("broker-a").disk(disk).start().await?;
//! assert!(restarted.disk().with_topics(|topics| topics.get("orders").is_some()));
//! # Ok(())
//! # }
//! ```

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

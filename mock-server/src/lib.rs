//! What the mock servers of this workspace share, so that a rule means the same at a name server and
//! at a broker: which requests are answered differently and how ([`rules`]), how requests are
//! counted ([`count`]), and, with the feature `program`, the program around a server on a real port.
//!
//! Two sides meet here. A test writes rules, and never needs this crate for it: the modules `control` of
//! `rmq-mock-namesrv` and `rmq-mock-broker` have the same types. A server obeys rules, and this crate
//! says how, step by step.
//!
//! # The side of the test
//!
//! A [`Rule`](rules::Rule) has a name, a [`Match`](rules::Match) and an [`Action`](rules::Action): which
//! requests, and what happens to them. A [`RuleBook`](rules::RuleBook) is a list of rules; the first one
//! that fits a request decides. It can be read from a file and changed while a server uses it.
//!
//! ```
//! use rmq_mock_server::rules::{Action, Match, NoAlteration, Rule, RuleBook};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Every second send (code 310) to one topic is refused.
//! let book = RuleBook::<NoAlteration>::from_toml(
//!     r#"
//!     [[rule]]
//!     name = "busy"
//!     when = { request = "SEND_MESSAGE_V2", topic = "orders", every = 2 }
//!     then = { do = "answer", code = 2, remark = "too many requests" }
//!     "#,
//! )?;
//! // Of the others, the first three are stored and answered late.
//! let sends = Match { code: Some(310), ..Match::default() };
//! let slow = book.add(Rule::new("slow", sends, Action::DelayReply { ms: 800 }).times(3));
//! assert_eq!(book.names(), ["busy", "slow"].map(Into::into));
//! assert_eq!(book.applied(slow), Some(0));
//! # Ok(())
//! # }
//! ```
//!
//! # The side of the server
//!
//! For each request that a server reads it asks its [`Control`](rules::Control) once, with what it has
//! [`Seen`](rules::Seen) of the request. The action of the answer is taken apart into
//! [`Steps`](rules::Steps), which every server does in one order: it waits, handles the request or puts
//! something in its place, holds the answer back, and lets it leave.
//!
//! ```
//! use rmq_mock_server::rules::{Action, Control, Exit, Handling, Match, NoAlteration, Rule, RuleBook, Seen};
//! # use rmq_remoting::command::{Command, ExtFields, HeaderForm, Language};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let request = Command {
//! #     code: 310,
//! #     language: Language::Java,
//! #     version: 479,
//! #     opaque: 0,
//! #     flag: 0,
//! #     remark: None,
//! #     ext: ExtFields::default(),
//! #     body: Default::default(),
//! #     form: HeaderForm::Json,
//! # };
//! # let topic = "orders".into();
//! let lost = Rule::new("lost", Match::default(), Action::<NoAlteration>::DropReply);
//! let book = RuleBook::with([lost.times(1)]);
//! let seen = Seen {
//!     code: request.code,
//!     request: &request,
//!     oneway: false,
//!     peer: ([127, 0, 0, 1], 50_000).into(),
//!     topic: Some(&topic),
//!     queue: Some(0),
//!     unique_key: None,
//!     keys: None,
//!     nth: 1,
//!     nth_of_key: 1,
//! };
//!
//! let ruled = book.decide(&seen).ok_or("the rule is about every request")?;
//! assert_eq!(&*ruled.rule, "lost");
//! let steps = ruled.action.steps();
//! assert!(matches!(steps.handling, Handling::Ordinary), "the message is stored");
//! assert_eq!(steps.exit, Exit::Silence, "and nobody is told");
//!
//! assert_eq!(book.decide(&seen), None, "the rule is used up: ordinary service");
//! # Ok(())
//! # }
//! ```
//!
//! A server may have wrong answers of its own beside the actions that every server knows. They are the
//! parameter of [`Action`](rules::Action), which is [`NoAlteration`](rules::NoAlteration) for a server
//! without any.

pub mod count;
pub mod rules;

#[cfg(feature = "program")]
pub mod program;

/// Compiles and runs the programs of README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

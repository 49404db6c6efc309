//! The RocketMQ remoting protocol, and RPC over any byte stream.
//!
//! Knows no producer and no broker policy. It exists as a crate of its own so that the producer,
//! the mock servers and the laboratory speak one protocol through one code, and so that none of
//! them touches a socket: all they get from the machine is a [`host::Host`].
//!
//! How a request travels, top to bottom:
//!
//! | module | what it decides |
//! |---|---|
//! | [`client`] | which connection carries a request, until when its answer counts, who learns that the connection ended |
//! | [`server`] | who accepts, reads and answers |
//! | [`service`] | what answers a request, and all that a mock may answer instead |
//! | [`request`], [`body`], [`route`], [`batch`] | the fields of each request and response, one file per code |
//! | [`message`], [`properties`], [`record`], [`unique_id`], [`offset_id`], [`topic`] | messages and their names |
//! | [`header`] | how typed fields are written and read, in JSON and in the binary form |
//! | [`frame`], [`command`], [`code`] | where one command ends and the next begins |
//! | [`profile`] | how servers differ from release to release |
//! | [`host`] | streams, tasks, wall clock and randomness: the machine below |
//! | [`event`], [`observe`] | what is told of all that |

mod accept;
mod alarm;
pub mod batch;
pub mod body;
pub mod client;
pub mod code;
pub mod command;
pub mod event;
mod ext;
pub mod frame;
pub mod header;
pub mod host;
pub mod message;
pub mod observe;
pub mod offset_id;
mod outbox;
mod pipe;
pub mod profile;
pub mod properties;
pub mod record;
pub mod request;
pub mod route;
pub mod server;
pub mod service;
mod serving;
pub mod topic;
pub mod unique_id;

//! The producer's decisions: values in, value out.
//!
//! Nothing here waits, draws or talks to anybody, and time is a number that comes in. So each
//! decision can be read, tested and changed alone, and what the producer does is a consequence of
//! these functions and of the order in which the network answers. All times are whole
//! milliseconds ([`Millis`]), the grain of the clock that the laboratory simulates.
//!
//! What the presets decide after an attempt ended, while another one is left (*end* ends the send,
//! *choose* steps the rotation on in vain):
//!
#![doc = include_str!("table.md")]

pub mod address;
pub mod auto_create;
pub mod budget;
pub mod encoding;
pub mod health;
pub mod name_server;
pub mod namespace;
pub mod peer;
pub mod queues;
pub mod retry;
pub mod route;
pub mod select;

/// A time or a duration in whole milliseconds.
pub type Millis = u64;

//! The RocketMQ remoting protocol, and RPC over any byte stream.
//!
//! Knows no producer and no broker policy. It exists as a crate of its own so that the producer,
//! the mock servers and the laboratory speak one protocol through one code, and so that none of
//! them touches a socket: all they get from the machine is a [`rmq_host::Host`].
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
//! | [`opening`] | what speaks at an address where no RocketMQ does |
//! | [`profile`] | how servers differ from release to release |
//! | [`event`], [`observe`], [`text`] | what is told of all that, and how |

mod accept;
// What reads bytes of a peer does not rely on the overflow checks of a profile: a program that
// depends on this crate has its own profile.
#[warn(clippy::arithmetic_side_effects)]
pub mod batch;
pub mod body;
pub mod client;
pub mod code;
pub mod command;
mod deadline_timer;
mod dialect;
pub mod event;
#[warn(clippy::arithmetic_side_effects)]
mod ext;
#[warn(clippy::arithmetic_side_effects)]
pub mod frame;
mod framed_stream;
pub mod header;
#[warn(clippy::arithmetic_side_effects)]
mod lenient;
pub mod message;
mod number;
pub mod observe;
#[warn(clippy::arithmetic_side_effects)]
pub mod offset_id;
#[warn(clippy::arithmetic_side_effects)]
pub mod opening;
pub mod profile;
pub mod properties;
#[warn(clippy::arithmetic_side_effects)]
pub mod record;
pub mod request;
#[warn(clippy::arithmetic_side_effects)]
pub mod route;
pub mod server;
pub mod service;
mod serving;
pub mod settings;
#[warn(clippy::arithmetic_side_effects)]
pub mod text;
pub mod topic;
pub mod unique_id;
mod write_buffer;

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

//! Hostile servers against the producer: whatever a name server or a broker says, it costs nobody
//! else anything.
//!
//! Each test is one peer that means harm or is broken, beside healthy ones, under virtual time. Its
//! promises are the same for all: no send fails, none ends after its deadline, no other connection
//! is touched, and the memory of the whole process stays within a bound.
//!
//! - `peers`: what the hostile servers do; `stage`: the cluster around one of them, and what is
//!   promised; `broker`, `name_server`: the tests; `turns`: peers that always have more to say.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broker;
mod name_server;
mod peers;
mod stage;
mod turns;

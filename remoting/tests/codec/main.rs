//! The codec against bytes of real RocketMQ software and against bytes of no sense at all.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where it fails"
)]

mod bodies;
mod examples;
mod goldens;
mod malformed;
mod reading;
mod roundtrip;
mod routes;
mod support;
mod timing;

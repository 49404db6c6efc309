//! Client and server over byte streams: on an in-memory host under virtual time, and over TCP.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod calls;
mod dial;
mod end;
mod flow;
mod hostile;
mod hostile_clients;
mod serve;
mod support;
mod tcp;
mod timing;
mod wire;

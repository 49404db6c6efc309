//! What a producer does, check by check: each runs a small set-up under virtual time, with the
//! default policy and with a preset where they differ on purpose, and looks at what servers and
//! wire saw. `tests/checks.toml` says which check of the specification each test proves.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod answers;
mod async_sends;
mod clients;
mod clusters;
mod connections;
mod health;
mod lifecycle;
mod oneway_sends;
mod pulls;
mod retries;
mod routes;
mod support;
mod sync_sends;

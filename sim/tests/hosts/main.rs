//! One echo service and its client, written once against `Host`, on every engine.

#[expect(
    clippy::expect_used,
    reason = "helpers of tests: one that cannot go on fails its test"
)]
mod lab;
mod lives;
mod network;

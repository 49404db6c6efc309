//! What a program can ask of a producer beside a plain send, over real TCP against scripted servers.

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod common;

mod delivery;
mod denied;
mod detector;
mod drain;
mod hooks;
mod ids;
mod name_servers;
mod namespaces;
mod readiness;
mod routes;
mod sharing;

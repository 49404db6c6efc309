//! Fuzz targets: everything that reads what a peer or a file says.
//!
//! A target is a function of bytes that panics when a promise is broken. "It does not crash" is the
//! least of them: what was read is written and read again, a piece more behind a frame changes
//! nothing in front of it, and nothing that is made from an input is larger than a stated multiple
//! of it. The same functions are run in two ways:
//!
//! * by `cargo fuzz`, which follows coverage and needs a nightly toolchain ([the wrappers] are one
//!   line each);
//! * by the program `smoke` on stable Rust, over the corpus and deterministic mutations of it, with
//!   the memory of each input counted.
//!
//! | module | what it is |
//! |---|---|
//! | `targets/` | one file per target, or a few that read one kind of thing |
//! | [`target`] | the table of targets and their bounds |
//! | [`mutate`] | inputs out of inputs, by seed |
//! | [`run`] | one input, one target: what it cost and whether it broke a promise |
//! | [`corpus`] | the inputs that are kept |
//!
//! [the wrappers]: https://rust-fuzz.github.io/book/cargo-fuzz.html

pub mod corpus;
pub mod mutate;
pub mod run;
pub mod target;
mod targets;

pub use targets::batch::batch;
pub use targets::bodies::bodies;
pub use targets::ext_fields::ext_fields;
pub use targets::frame::frame;
pub use targets::header::{header_json, header_rocketmq};
pub use targets::ids::ids;
pub use targets::properties::properties;
pub use targets::record::record;
pub use targets::registration::registration;
pub use targets::route::route;
pub use targets::scenario::scenario;
pub use targets::sweep_file::sweep_file;

//! What the mock servers of this workspace share, so that a rule means the same at a name server and
//! at a broker: which requests are answered differently and how ([`rules`]), how requests are
//! counted ([`count`]), and, with the feature `program`, the program around a server on a real port.

pub mod count;
pub mod rules;

#[cfg(feature = "program")]
pub mod program;

/// Compiles and runs the programs of README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! Does a preset do what the client does that it is named after?
//!
//! The cases are topologies, faults and client settings; the references are what the real Java
//! 5.3.3, Java 4.9.8 and Go 2.1.2 clients left on the wire of a scripted cluster, and what their
//! callers saw. A preset passes a case if its trace equals one of the recorded ones.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`], [`driver`] | the client's part of a case, over real TCP as in the laboratory |
//! | [`words`] | what each client calls an outcome |

pub mod driver;
pub mod settings;
pub mod words;

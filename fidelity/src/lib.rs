//! Does a preset do what the client does that it is named after?
//!
//! A case is a topology, a script of faults and a client's settings; a reference is what the real
//! Java 5.3.3, Java 4.9.8 or Go 2.1.2 client left on the wire of a scripted cluster, and what its
//! caller saw. A preset passes a case if its trace equals one of those recorded. Cases and
//! references are data, in `tests/fidelity`.
//!
//! ```text
//! cargo fidelity                                # every preset, every case, under virtual time
//! cargo fidelity --policy java_5_3 --case rabsno
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`case`] | cases and references as files |
//! | [`settings`], [`driver`] | the client's part of a case, over real TCP as in the laboratory |
//! | [`words`] | what each client calls an outcome |
//! | `script`, `scripted_server`, [`lab`] | the servers' part: the rules, who plays them, and the cluster under virtual time |
//! | [`log`], [`normal`] | what the servers saw, and the trace it makes |
//! | [`compare`] | the table |

pub mod case;
pub mod compare;
pub mod driver;
pub mod lab;
pub mod log;
pub mod normal;
pub mod settings;
pub mod words;

mod script;
mod scripted_server;

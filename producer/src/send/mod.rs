//! One send, from its call to its end.
//!
//! | module | holds |
//! |---|---|
//! | `operation` | the send: number, deadline, target; it ends exactly once |
//! | `prepare` | its message checked and encoded, its route found |
//! | `attempt_set` | its attempts as a state machine without I/O: which is due, what ends the send |
//! | `limits` | when the parts of an attempt end by themselves |
//! | `attempts` | the code around the set: polls, sleeps, tells what happened |
//! | `attempt`, `answer` | one request to one broker; what the broker's answer means |
//! | `oneway`, `background` | sends without an answer; sends with a callback |
//! | `target`, `rotation` | which queue is next; whose turn it is |
//! | `feedback`, `hooks` | what the end of an attempt teaches; the program's own code |
//! | `state`, `life`, `permits`, `compressor` | what the sends of one producer share |

mod answer;
mod attempt;
pub(crate) mod attempt_set;
pub(crate) mod attempts;
pub(crate) mod background;
pub(crate) mod compressor;
mod feedback;
mod hooks;
pub(crate) mod life;
pub(crate) mod limits;
pub(crate) mod oneway;
pub(crate) mod operation;
pub(crate) mod permits;
mod prepare;
pub(crate) mod rotation;
pub(crate) mod state;
mod target;

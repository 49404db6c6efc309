//! What producers of one program share: connections, routes, heartbeats and the counters that must
//! not repeat.
//!
//! There is no registry behind the scenes: a program that wants two producers to share a client
//! makes one and gives clones of it to both. Its background work starts with the first producer
//! and ends with the last handle.
//!
//! | module | holds |
//! |---|---|
//! | `handle`, `builder` | what a program holds: [`Client`]; how it is described |
//! | `state` | what the tasks of a client and the sends of its producers work on |
//! | `routes`, `find` | the table of routes, as data; how routes are found and kept fresh |
//! | `lookup`, `name_servers` | asking name servers for one route; the list of them |
//! | `pass` | one pass over that list as a state machine without I/O |
//! | `heartbeat`, `openings` | telling brokers of producer groups; connections that have opened |
//! | `single_flight`, `tasks` | work done once for all who want it; tasks that somebody owns |

mod builder;
pub(crate) mod find;
mod handle;
pub(crate) mod heartbeat;
mod lookup;
mod name_servers;
mod openings;
mod pass;
pub(crate) mod routes;
mod single_flight;
pub(crate) mod state;
pub(crate) mod tasks;

pub use self::builder::ClientBuilder;
pub use self::handle::Client;

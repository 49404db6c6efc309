//! The producer: what a program holds to send messages, how it is described, started and stopped.
//!
//! | module | holds |
//! |---|---|
//! | `handle`, `builder` | [`Producer`]; how it is described and started |
//! | `dispatch` | one send with a timeout or a target of its own |
//! | `ready` | whether a topic's route is known |
//! | `detector` | asking brokers whether they can be reached again |
//! | `stop` | the end, bounded and in order |

mod builder;
mod detector;
mod dispatch;
mod handle;
mod ready;
mod stop;

pub use self::builder::ProducerBuilder;
pub use self::dispatch::Dispatch;
pub use self::handle::{Gauges, Producer};

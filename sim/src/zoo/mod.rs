//! Planted bugs: is the search any good at finding what clients of RocketMQ really got wrong?
//!
//! A green sweep says little unless the same sweep is red for a producer with a bug. So each folder
//! of `zoo/` holds a bug that a published client once had, as a patch of a few lines, and where it
//! was reported. [`Workshop`] applies one to a copy of the sources and builds the laboratory there;
//! [`hunt()`] sweeps generic seeds with it, the same ones for every bug; [`specimen`] shrinks the first
//! seed that fails.

mod bug;
mod error;
mod hunt;
pub mod specimen;
mod workshop;

pub use bug::{Bug, catalogue, choose};
pub use error::ZooError;
pub use hunt::{Kill, Quarry, Spoiled, control, hunt};
pub use specimen::Specimen;
pub use workshop::Workshop;

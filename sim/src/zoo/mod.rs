//! Planted bugs: is the search any good at finding what clients of RocketMQ really got wrong?
//!
//! A green sweep says little unless the same sweep is red for a producer with a bug. So each folder
//! of `zoo/` holds a bug that a published client once had, as a patch of a few lines, and where it
//! was reported. [`BuildFolder`] applies one to a copy of the sources and builds the laboratory there;
//! [`search()`] sweeps generic seeds with it, the same ones for every bug; [`reproducer`] shrinks the first
//! seed that fails.

mod bug;
mod build_folder;
mod error;
pub mod reproducer;
mod search;

pub use bug::{Bug, catalogue, choose};
pub use build_folder::BuildFolder;
pub use error::ZooError;
pub use reproducer::Reproducer;
pub use search::{FailsAnyway, Kill, Mutant, control, search};

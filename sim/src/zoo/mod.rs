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
pub(crate) mod reproducer;
mod search;

pub(crate) use bug::choose;
pub use bug::{Bug, catalogue};
pub use build_folder::BuildFolder;
pub(crate) use error::{ZooError, tail};
pub(crate) use reproducer::Reproducer;
pub(crate) use search::Kill;
pub(crate) use search::control;
pub use search::{FailsAnyway, Mutant, search};

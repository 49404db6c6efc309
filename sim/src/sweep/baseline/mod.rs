//! What is kept of each seed's run so that another build can be compared with it, seed by seed.
//!
//! A change of the producer moves runs, and whoever makes it wants to know which ones, and how. A digest
//! says that a run is another one, and not whether that matters; a whole trace says everything, and a
//! thousand of them fill a disk. So a baseline has, for each seed, the digest of the trace, what became of
//! the sends, and a few figures of what they cost.
//!
//! - [`figures`]: what is kept of a run; [`mod@file`]: the file of a baseline; [`compare`]: two builds.

pub(crate) mod compare;
pub(crate) mod figures;
pub(crate) mod file;

pub(crate) use compare::{Comparison, SeedDifference, compare};
pub(crate) use figures::{Figure, SeedFigures};
pub(crate) use file::{Baseline, BaselineError};

//! `cargo sim bench`: what the laboratory costs on this machine.

use super::{CliError, print, stopwatch};
use crate::bench;
use crate::verdict::Class;

/// Measures, and prints each figure when it is there.
pub(super) fn bench() -> Result<Class, CliError> {
    bench::all(stopwatch, &mut |line| {
        print::to_stdout(&format!("{line}\n"));
    })?;
    Ok(Class::Pass)
}

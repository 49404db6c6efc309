//! `cargo sim bench`: what the laboratory costs on this machine.

use std::time::Duration;

use super::{CliError, print, stopwatch};
use crate::bench::{self, Moment};
use crate::verdict::Class;

/// Measures, and prints each figure when it is there.
pub(super) fn bench() -> Result<Class, CliError> {
    bench::all(moment, &mut |line| {
        print::to_stdout(&format!("{line}\n"));
    })?;
    Ok(Class::Pass)
}

fn moment() -> Moment {
    Moment {
        wall: stopwatch(),
        cpu: processor_time(),
    }
}

/// The processor time of this thread, as Linux counts it.
fn processor_time() -> Option<Duration> {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = line.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

//! `cargo sim bench`: what the laboratory costs on this machine.

use std::time::Duration;

use super::{CliError, print, stopwatch};
use crate::bench::{self, ClockReading};
use crate::verdict::Class;

/// Measures, and prints each figure when it is there.
pub(super) fn bench() -> Result<Class, CliError> {
    let mut failed = None;
    bench::all(clock_reading, &mut |line| {
        if let Err(error) = print::to_stdout(&format!("{line}\n")) {
            failed.get_or_insert(error);
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    print::to_stdout(&format!("  {}\n", allocations()))?;
    Ok(Class::Pass)
}

/// What the program with the counting allocator says, or how to ask it.
fn allocations() -> String {
    const ASK: [&str; 6] = [
        "bench",
        "--quiet",
        "-p",
        "rmq-sim",
        "--bench",
        "allocations",
    ];
    let by_hand = || {
        format!(
            "allocations a send: not counted; ask `cargo {}`",
            ASK.join(" ")
        )
    };
    // Set when Cargo runs this program.
    let Some(cargo) = std::env::var_os("CARGO") else {
        return by_hand();
    };
    print::to_stderr("building the program that counts allocations\n");
    match std::process::Command::new(cargo).args(ASK).output() {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => by_hand(),
    }
}

fn clock_reading() -> ClockReading {
    ClockReading {
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

//! Allocations per send, counted: a program of its own, because the counting allocator would slow
//! every other figure down. `cargo sim bench` runs it last.

use std::alloc::System;
use std::process::ExitCode;
use std::time::Instant;

use rmq_sim::internals::bench::{BenchError, ClockReading, sends};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[expect(
    clippy::disallowed_methods,
    reason = "the stopwatch of a benchmark; its result is not even printed"
)]
fn clock_reading() -> ClockReading {
    ClockReading {
        wall: Instant::now(),
        cpu: None,
    }
}

/// Allocations and bytes of a run with so many sends.
fn run(count: u64) -> Result<(usize, usize), BenchError> {
    let region = Region::new(COUNTED);
    sends(clock_reading, count)?;
    let change = region.change();
    Ok((change.allocations, change.bytes_allocated))
}

fn main() -> ExitCode {
    // The difference of two runs leaves out what a run costs before its first send.
    const FEW: u64 = 10_000;
    const MANY: u64 = 30_000;
    let measured = run(FEW).and_then(|few| Ok((few, run(MANY)?)));
    match measured {
        Ok((few, many)) => {
            let sends = usize::try_from(MANY - FEW).unwrap_or(usize::MAX);
            let (times, bytes) = ((many.0 - few.0) * 10 / sends, (many.1 - few.1) / sends);
            println!(
                "allocations a send, in client and broker together: {}.{}, of {bytes} bytes",
                times / 10,
                times % 10
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

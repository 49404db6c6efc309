//! The laboratory's program: see `rocketmq-sim --help`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A sweep makes and drops the megabytes of a trace hundreds of times a second. The C library gives
/// them back to the system each time, and a quarter of a sweep was spent on getting them again.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    rmq_sim::cli::main()
}

//! The laboratory's program: see `rocketmq-sim --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rmq_sim::cli::main()
}

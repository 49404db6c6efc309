//! Puts the producer under load and prints one line of figures.
//!
//! A producer is fast only beside another one on the same machine in the same minute. So this
//! driver takes the options and prints the line of the drivers that exist for the Java, Go and Rust
//! clients, and a matrix over all of them makes one table (`bench/README.md` has it).
//!
//! ```text
//! cargo run --release -p rmq-bench -- --namesrv 127.0.0.1:9876 --topic PerfTopic --mode sync --concurrency 16
//! ```

#[cfg(feature = "allocations")]
mod allocations;
mod load;
mod report;
mod window;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use rmq_producer::{Producer, StartError};
use serde::Serialize;
use tokio::runtime::{self, Runtime};
use tokio::time::sleep;

use crate::report::{Process, Report};
use crate::window::{Phase, Window};

/// Sends to a cluster as fast as it can, and prints one JSON line.
#[derive(Debug, Parser)]
#[command(name = "rmq-load")]
struct Arguments {
    /// The name servers, host:port separated by ';'.
    #[arg(long, default_value = "127.0.0.1:9876", value_name = "ADDRESSES")]
    namesrv: String,
    /// The topic.
    #[arg(long, default_value = "PerfTopic")]
    topic: String,
    /// How messages are sent.
    #[arg(long, value_enum, default_value_t = Mode::Sync)]
    mode: Mode,
    /// Tasks that send.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,
    /// The size of a body, in bytes.
    #[arg(long, default_value_t = 1024, value_name = "BYTES")]
    body: usize,
    /// How long to measure.
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,
    /// How long to send before that.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    warmup: f64,
    /// The most async sends without an answer.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    max_inflight: u32,
    /// Worker threads of the runtime; 1 is a runtime without workers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
}

/// How messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// Each task waits for the answer before its next send.
    Sync,
    /// A bounded number of sends is in the air, each with a callback.
    Async,
    /// Nobody waits for an answer.
    Oneway,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && (0.0..=86_400.0).contains(&value) => Ok(value),
        _ => Err("not a number of seconds".to_owned()),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match runtime(arguments.threads) {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!(
                "rmq-load: no runtime with {} threads: {error}",
                arguments.threads
            );
            return ExitCode::FAILURE;
        }
    };
    let measured = runtime.block_on(measure(&arguments));
    // Senders of a loop that never waits are not asked whether they have ended.
    runtime.shutdown_background();
    match measured {
        Ok(report) => {
            println!("{}", report.line());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("rmq-load: the producer did not start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn runtime(threads: u32) -> std::io::Result<Runtime> {
    if threads == 1 {
        return runtime::Builder::new_current_thread().enable_all().build();
    }
    let workers = usize::try_from(threads).unwrap_or(usize::MAX);
    runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
}

async fn measure(arguments: &Arguments) -> Result<Report, StartError> {
    let producer = Producer::builder("rmq-load")
        .name_servers(&arguments.namesrv)
        .send_timeout(Duration::from_secs(3))
        .retries(2)
        .policy(load::policy())
        .start()
        .await?;
    let window = Arc::new(Window::new());
    let senders = load::start(arguments, &producer, &window);
    sleep(Duration::from_secs_f64(arguments.warmup)).await;
    eprintln!("#start");
    let before = Process::now();
    window.enter(Phase::Measured);
    sleep(Duration::from_secs_f64(arguments.seconds)).await;
    window.enter(Phase::Over);
    let used = Process::now().since(&before);
    eprintln!("#end");
    for _ in 0..50 {
        sleep(Duration::from_millis(100)).await;
        if window.unanswered() == 0 {
            break;
        }
    }
    if arguments.mode == Mode::Oneway {
        sleep(Duration::from_secs(1)).await; // what is buffered still leaves
    }
    drop(senders);
    Ok(Report::new(arguments, &window, &used))
}

//! A producer, real TCP, and brokers that are killed, frozen and restarted at random for minutes.
//!
//! What a simulation cannot show shows here: threads, the kernel, descriptors, memory over time.
//! The servers are the mocks' own programs in processes of their own; each broker writes what it
//! stores to a file before it answers, so an acknowledged message that is in no file was lost.
//!
//! ```text
//! cargo build --release -p rmq-mock-broker -p rmq-mock-namesrv
//! cargo run --release -p rmq-bench --bin soak -- --minutes 10
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`plan`] | what happens to which server when: a function of the seed |
//! | [`cluster`] | the servers' processes |
//! | [`senders`] | the sends, at a steady rate |
//! | [`book`] | what became of each send |
//! | [`process`] | this process's memory and descriptors |
//! | [`verdict`] | what was promised, and whether it held |

mod book;
mod cluster;
mod plan;
mod process;
mod senders;
mod verdict;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use rmq_producer::Producer;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::book::Book;
use crate::cluster::Cluster;
use crate::plan::{Change, Plan};
use crate::process::Process;
use crate::senders::Rate;
use crate::verdict::{Evidence, Leaks};

/// Sends for minutes to brokers that are killed, frozen and restarted. Ends with 1 if a message is
/// lost or doubled, if an end comes late, or if memory, descriptors or tasks leak; with 2 if it
/// could not run. Everything happens on the loopback interface. Linux only.
#[derive(Debug, Parser)]
struct Options {
    /// For how long.
    #[arg(long, default_value_t = 10.0, value_parser = minutes)]
    minutes: f64,
    /// Sends a second: six of ten wait for their answer, three call back, one is one-way.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    rate: u32,
    /// How many brokers. At most all but one are down or frozen at a time.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
    brokers: u32,
    /// How many name servers.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=9))]
    name_servers: u32,
    /// Repeats the faults of another run; drawn otherwise.
    #[arg(long)]
    seed: Option<u64>,
    /// The servers' ports count up from here: name servers, then brokers. Free ones otherwise.
    #[arg(long)]
    first_port: Option<u16>,
    /// A send's time, in milliseconds.
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    timeout: u64,
    /// So much later than its deadline a send may end, in milliseconds: this machine's scheduler
    /// is not the producer's.
    #[arg(long, default_value_t = 500)]
    grace: u64,
    /// How often a line is printed, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 100_000.0 => Ok(value),
        _ => Err("not a number of minutes above 0".to_owned()),
    }
}

/// What keeps the soak from running.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(soak(&options)),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::from(2)
        }
    }
}

/// The topic of all sends.
const TOPIC: &str = "soak";
/// How often the figures of this process are looked at while it comes to rest after the end.
const REST: Duration = Duration::from_millis(100);

async fn soak(options: &Options) -> Result<bool, Failure> {
    let seed = options.seed.unwrap_or_else(plan::any_seed);
    let length = Duration::from_secs_f64(options.minutes * 60.0);
    println!("seed     {seed}");
    let mut cluster = Cluster::start(options.name_servers, options.brokers, options.first_port)?;
    println!("servers  {cluster}");
    cluster.serves(Duration::from_secs(20)).await?;
    // What the runtime itself needs for its first connections is no leak.
    let before = Process::now()?;
    let book = Arc::new(Book::default());
    let producer = Producer::builder("soak")
        .name_servers(cluster.name_servers())
        .send_timeout(Duration::from_millis(options.timeout))
        .retries(2)
        .start()
        .await?;
    let rate = Rate {
        a_second: options.rate,
        timeout: Duration::from_millis(options.timeout),
        grace: Duration::from_millis(options.grace),
    };
    let sending = senders::start(&producer, &book, rate);
    let faults = Plan::new(seed, options.name_servers, options.brokers);
    let (began, warm) = watch(options, &book, &mut cluster, faults, length).await?;

    // The end: nothing new is sent, every server works again, what is open ends.
    sending.end().await;
    cluster.heal()?;
    let patience = Duration::from_millis(options.timeout + options.grace);
    let open = Instant::now() + patience;
    while book.figures().open > 0 && Instant::now() < open {
        sleep(REST).await;
    }
    let stopped_in_time = timeout(Duration::from_secs(10), producer.stop())
        .await
        .is_ok();
    drop(producer);
    let after = at_rest(&before).await?;
    println!(
        "{}",
        verdict::line(began.elapsed(), &book.figures(), &after)
    );
    for (kind, (times, first)) in book.failures() {
        println!("failed   {times} by {kind}, the first: {first}");
    }
    let stored = cluster.stop()?;
    let evidence = Evidence {
        outcomes: book.outcomes(),
        stored,
        leaks: Leaks {
            before,
            warm,
            after,
            stopped_in_time,
        },
    };
    Ok(verdict::print(&evidence, began.elapsed(), seed))
}

/// Breaks servers by plan and prints figures, until the time is over or ctrl-c ends it. Tells when
/// it began, and the figures after a tenth of the time.
async fn watch(
    options: &Options,
    book: &Book,
    cluster: &mut Cluster,
    mut faults: Plan,
    length: Duration,
) -> Result<(Instant, Process), Failure> {
    let began = Instant::now();
    let mut warm = None;
    let mut next = faults.next();
    let mut print = began;
    let ctrl_c = tokio::signal::ctrl_c();
    tokio::pin!(ctrl_c);
    println!("{}", verdict::head());
    loop {
        let until = (began + length).min(print).min(began + next.at);
        tokio::select! {
            biased;
            _ = &mut ctrl_c => {
                println!("ctrl-c   the soak ends early");
                break;
            }
            () = sleep_until(until) => {}
        }
        let now = began.elapsed();
        if now >= length {
            break;
        }
        if warm.is_none() && now >= length / 10 {
            warm = Some(Process::now()?);
        }
        if Instant::now() >= print {
            println!("{}", verdict::line(now, &book.figures(), &Process::now()?));
            print += Duration::from_secs(options.every);
        }
        if now >= next.at {
            let Change { server, deed, .. } = &next;
            println!(
                "{:>6.1} s {}",
                now.as_secs_f64(),
                cluster.apply(*server, *deed)?
            );
            next = faults.next();
        }
    }
    let warm = match warm {
        Some(warm) => warm,
        None => Process::now()?,
    };
    Ok((began, warm))
}

/// The figures of this process when its tasks and descriptors are back where they were, or after
/// some seconds: connections end in tasks of the runtime.
async fn at_rest(before: &Process) -> Result<Process, Failure> {
    for _ in 0..50 {
        let now = Process::now()?;
        if now.tasks <= before.tasks && now.descriptors <= before.descriptors {
            return Ok(now);
        }
        sleep(REST).await;
    }
    Ok(Process::now()?)
}

//! Runs every fuzz target over its corpus and mutations of it, with memory counted.
//!
//! `cargo run -p rmq-fuzz --bin smoke` is part of the gate: 10,000 mutations for each target, the
//! same in every run. With `--executions` and `--release` it is a fuzzer for stable Rust: inputs
//! that make a target allocate as none before did are kept and mutated further, and `--stopwatch`
//! tells the longest time that an input took.

use std::alloc::System;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use rmq_fuzz::corpus;
use rmq_fuzz::mutate::Mutator;
use rmq_fuzz::run::{self, Allocated, Broken};
use rmq_fuzz::target::{ALL, Target};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// No input may take longer, by the stopwatch.
const LONGEST: Duration = Duration::from_millis(100);
/// Inputs that are kept beside the corpus, at most.
const KEPT: usize = 4_096;

/// Runs the fuzz targets on stable Rust. Ends with 1 if an input breaks a promise.
#[derive(Debug, Parser)]
struct Options {
    /// This target only.
    target: Option<String>,
    /// These inputs only, each in a file.
    inputs: Vec<PathBuf>,
    /// Mutations for each target.
    #[arg(long, default_value_t = 10_000)]
    executions: u64,
    /// Another seed makes other mutations.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Shares the targets out to so many processes.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Tells the longest time that an input took; above 100 ms it fails. A loaded machine is no
    /// reason: an input that took long is run again, and its shortest time counts.
    #[arg(long)]
    stopwatch: bool,
    /// Runs one share only, I/N.
    #[arg(long, hide = true)]
    share: Option<String>,
    /// The folder of corpus and regressions.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR")))]
    home: PathBuf,
    /// Where an input that breaks a promise is written.
    #[arg(long, default_value = "target/fuzz-findings")]
    findings: PathBuf,
}

fn meter() -> Allocated {
    let stats = COUNTED.stats();
    Allocated {
        times: (stats.allocations + stats.reallocations) as u64,
        bytes: stats.bytes_allocated as u64,
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match all(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("smoke: {error}");
            ExitCode::from(2)
        }
    }
}

/// What keeps the program from running.
type Failure = Box<dyn std::error::Error>;

fn all(options: &Options) -> Result<bool, Failure> {
    if options.jobs > 1 && options.share.is_none() {
        return shared_out(options.jobs);
    }
    let share = options.share.as_deref().map(share).transpose()?;
    let (index, of) = share.unwrap_or((0, 1));
    let chosen: Vec<Target> = match &options.target {
        None => ALL.iter().copied().skip(index).step_by(of).collect(),
        Some(name) => vec![Target::named(name).ok_or_else(|| unknown(name))?],
    };
    // A panic is reported once, with the input that caused it.
    std::panic::set_hook(Box::new(|_| {}));
    if index == 0 {
        println!(
            "{}",
            row([
                "target",
                "inputs",
                "executions",
                "kept",
                "most bytes",
                "longest"
            ])
        );
    }
    let mut sound = true;
    for target in chosen {
        sound &= search(&target, options)?;
    }
    Ok(sound)
}

fn unknown(name: &str) -> String {
    let names: Vec<&str> = ALL.iter().map(|target| target.name).collect();
    format!(
        "there is no target {name}\n  remedy: name one of {}",
        names.join(", ")
    )
}

fn share(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/');
    let parts = parts.and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
    parts
        .filter(|(_, of)| *of > 0)
        .ok_or_else(|| format!("\"{text}\" is no share\n  remedy: write I/N"))
}

/// Each share in a process of its own, because one allocator is counted for one target.
fn shared_out(jobs: usize) -> Result<bool, Failure> {
    let program = std::env::current_exe()?;
    let start = |index| {
        Command::new(&program)
            .args(std::env::args_os().skip(1))
            .arg(format!("--share={index}/{jobs}"))
            .spawn()
    };
    let mut children = (0..jobs).map(start).collect::<Result<Vec<_>, _>>()?;
    let mut sound = true;
    for child in &mut children {
        sound &= child.wait()?.success();
    }
    Ok(sound)
}

fn row(cells: [&str; 6]) -> String {
    let [name, rest @ ..] = cells;
    rest.iter().fold(format!("{name:16}"), |row, cell| {
        row + &format!(" {cell:>11}")
    })
}

/// What one target came to.
#[derive(Debug, Default)]
struct Tally {
    executions: u64,
    most: u64,
    longest: Duration,
    sound: bool,
}

fn search(target: &Target, options: &Options) -> Result<bool, Failure> {
    let given: Result<Vec<_>, _> = options.inputs.iter().map(fs::read).collect();
    let given = given?;
    let only = !given.is_empty();
    let mut inputs = if only {
        given
    } else {
        corpus::inputs(&options.home, target.name)?
    };
    let mut tally = Tally {
        sound: true,
        ..Tally::default()
    };
    let mut seen = BTreeSet::new();
    for input in &inputs {
        let spent = execute(target, input, options, &mut tally)?;
        seen.extend(spent.map(kind));
    }
    let corpus = inputs.len();
    let mut mutator = Mutator::new(options.seed, target.words);
    let mutations = if only { 0 } else { options.executions };
    for _ in 0..mutations {
        let input = mutator.mutation(&inputs);
        let Some(spent) = execute(target, &input, options, &mut tally)? else {
            // One finding of a target is worth looking at before the next.
            break;
        };
        if inputs.len() < corpus + KEPT && input.len() < 4_096 && seen.insert(kind(spent)) {
            inputs.push(input);
        }
    }
    let longest = if options.stopwatch {
        format!("{} us", tally.longest.as_micros())
    } else {
        "-".to_owned()
    };
    let cells = [
        target.name,
        &corpus.to_string(),
        &tally.executions.to_string(),
        &(inputs.len() - corpus).to_string(),
        &tally.most.to_string(),
        &longest,
    ];
    println!("{}", row(cells));
    Ok(tally.sound)
}

/// What tells one path through a decoder from another without instruments: how often it allocated,
/// and about how much.
fn kind(spent: Allocated) -> (u64, u32) {
    (spent.times.min(1 << 10), spent.bytes.max(1).ilog2())
}

/// Runs one input. Nothing if it breaks a promise, which is reported.
fn execute(
    target: &Target,
    input: &[u8],
    options: &Options,
    tally: &mut Tally,
) -> Result<Option<Allocated>, Failure> {
    tally.executions += 1;
    let (outcome, took) = timed(|| run::one(target, input, meter));
    let broken = match outcome {
        Ok(spent) => {
            tally.most = tally.most.max(spent.bytes);
            let took = if options.stopwatch && took > tally.longest {
                let again = (0..4).map(|_| timed(|| run::one(target, input, meter)).1);
                again.fold(took, Duration::min)
            } else {
                Duration::ZERO
            };
            tally.longest = tally.longest.max(took);
            if took <= LONGEST {
                return Ok(Some(spent));
            }
            format!("it takes {} ms", took.as_millis())
        }
        Err(broken) => Broken::to_string(&broken),
    };
    tally.sound = false;
    report(target, input, &broken, &options.findings)?;
    Ok(None)
}

#[expect(clippy::disallowed_methods, reason = "the command line's stopwatch")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = std::time::Instant::now();
    let done = work();
    (done, began.elapsed())
}

/// Writes an input that breaks a promise, and says how to run it again.
fn report(target: &Target, input: &[u8], broken: &str, folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder)?;
    let sum = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let file = folder.join(format!("{}-{sum:016x}", target.name));
    fs::write(&file, input)?;
    let file = file.display();
    println!("broken   {}, {} bytes: {broken}", target.name, input.len());
    println!("input    {file}");
    println!(
        "repeat   cargo run -p rmq-fuzz --bin smoke -- {} {file}",
        target.name
    );
    Ok(())
}

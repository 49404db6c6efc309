//! The command line of the laboratory: `cargo sim run`, `sweep`, `shrink`, `diff` and others.
//!
//! Results go to standard output, progress and errors to standard error, and the class of the
//! verdict into the exit code, so that a script and a person can both use it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::fault::EngineKind;
use crate::run::RunError;
use crate::scenario::ScenarioError;
use crate::sweep::ShardError;
use crate::sweep::baseline::BaselineError;
use crate::sweep::file::FileError;
use crate::sweep::revision::RevisionError;
use crate::verdict::Class;

mod baseline;
mod bench;
mod chosen;
mod colour;
mod compare;
mod diff;
mod digest;
mod diverge;
mod lists;
mod manual;
mod other_build;
mod pair;
mod print;
mod run;
mod shrink;
mod sweep;
mod whole;
mod zoo;

/// Runs the RocketMQ producer against a simulated cluster, breaks things, and says what happened.
#[derive(Debug, Parser)]
#[command(name = "rocketmq-sim", version, after_long_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  pass: every checked invariant and every expectation holds
   1  a file, a port or the terminal: nothing was checked
   2  the command line was not understood
  10  violation: an invariant or an expectation of the scenario does not hold
  11  no progress: something stays pending past its bound
  12  panic: a task panicked, or arithmetic overflowed
  13  nondeterminism: two runs that must be equal are not
  14  limit: a livelock, or the limit of events
  15  invalid scenario: it contradicts itself, or asks this engine for what it cannot do
 130  a sweep was told to stop: what it found until then is printed";

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a scenario once and prints what happened.
    #[command(after_long_help = EXIT_CODES)]
    Run(run::Args),
    /// Runs many seeds of a scenario, or of generated ones, and prints which fail.
    #[command(after_long_help = EXIT_CODES)]
    Sweep(sweep::Args),
    /// Makes the smallest scenario that fails in the same way, and writes it with its history.
    #[command(after_long_help = EXIT_CODES)]
    Shrink(shrink::Args),
    /// Compares two runs send by send.
    Diff(diff::Args),
    /// Runs one scenario under several policies and prints their figures side by side.
    Compare(compare::Args),
    /// Prints one digest for each seed, or checks a list of them.
    #[command(after_long_help = EXIT_CODES)]
    Digest(digest::Args),
    /// Names the first record in which two runs part: of one seed again, or of two seeds.
    #[command(after_long_help = EXIT_CODES)]
    Diverge(diverge::Args),
    /// Puts the files of a sweep's shards together.
    #[command(after_long_help = EXIT_CODES)]
    Merge(sweep::MergeArgs),
    /// Prints every fault there is: where it can be, what it is in the real world, its engines.
    Faults,
    /// Prints every invariant, what it objects to, and how often a sweep put it to the test.
    Invariants(lists::InvariantArgs),
    /// Measures what runs cost on this machine: sends, virtual time, scenarios, and the parts.
    Bench,
    /// Prints what a shell needs to complete this command line.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Prints the page of this program for `man`, or writes one for each command.
    Manual(manual::Args),
    /// Plants known bugs in a copy of the sources, and prints which of them generic seeds find.
    #[command(after_long_help = EXIT_CODES)]
    Zoo(zoo::Args),
}

/// An engine, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineName {
    /// The laboratory's own network model under virtual time.
    Event,
    /// The network model of turmoil, under virtual time.
    Turmoil,
    /// Real TCP on this machine, in real time.
    Tcp,
}

impl From<EngineName> for EngineKind {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Event => Self::Event,
            EngineName::Turmoil => Self::Turmoil,
            EngineName::Tcp => Self::Tcp,
        }
    }
}

/// Why a command came to no verdict.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error("{0}")]
    Scenario(#[from] ScenarioError),
    #[error("{0}")]
    Shard(#[from] ShardError),
    #[error("{0}")]
    Sweep(#[from] FileError),
    #[error("{0}")]
    Baseline(#[from] BaselineError),
    #[error("{0}")]
    Revision(#[from] RevisionError),
    #[error("{0}")]
    Bench(#[from] crate::bench::BenchError),
    #[error("{0}")]
    Zoo(#[from] crate::zoo::ZooError),
    #[error("{file}: {cause}")]
    Run { file: String, cause: RunError },
    #[error(
        "there is nothing to shrink: {scenario} passes on seed {seed}\n  remedy: give a seed that fails; a sweep names them"
    )]
    NothingToShrink { scenario: String, seed: u64 },
    #[error(
        "{scenario} has no passing neighbour on seed {seed}\n  remedy: compare it with another run: {} diff A B",
        print::program()
    )]
    NoNeighbour { scenario: String, seed: u64 },
    #[error(
        "{scenario} has no two runs to compare on seed {seed}\n  remedy: give one that is 0, 2, 4, 8, 12 or 16 more than a multiple of 20; 2 needs two brokers, and 16 an async workload"
    )]
    NoPair { scenario: String, seed: u64 },
    #[error("{}: {cause}\n  remedy: give a scenario's file (FILE.toml@SEED), a generated one (@SEED), or a trace made by run --jsonl", file.display())]
    Trace {
        file: PathBuf,
        cause: crate::trace::by_send::ReadError,
    },
    #[error("{}: {what}\n  remedy: give a list made by {} digest --seeds A..B", file.display(), print::program())]
    Digests { file: PathBuf, what: String },
    #[error(
        "no second process: {cause}\n  remedy: build again; the program's own file must be there"
    )]
    Child { cause: std::io::Error },
    #[error("{}: no run by this program: {cause}\n  remedy: name the program of another build of the laboratory; sweep --save-baseline keeps its own, and --baseline-rev makes one", program.display())]
    OtherProgram {
        program: PathBuf,
        cause: std::io::Error,
    },
    #[error("{}: is there already\n  remedy: give another name, or --force to replace it", file.display())]
    Exists { file: PathBuf },
    #[error(
        "cannot write to standard output: {cause}\n  remedy: make room, or send the output elsewhere"
    )]
    Output { cause: std::io::Error },
    #[error(
        "seed {seed} of {of}: the laboratory itself panicked, see above\n  remedy: this is a bug of the laboratory, not of the client; report the seed and the lines above"
    )]
    Panicked { of: String, seed: u64 },
    #[error("told to stop: the runs of the other seeds were not made")]
    Interrupted,
    #[error("cannot listen to signals: {cause}")]
    Signals { cause: ctrlc::Error },
    #[error("{}: {cause}\n  remedy: give a path in a folder that exists and is writable", file.display())]
    Write {
        file: PathBuf,
        cause: std::io::Error,
    },
}

impl CliError {
    fn exit_code(&self) -> u8 {
        match self {
            // A file that is not there is no scenario that could be invalid.
            Self::Scenario(error) if error.line.is_none() => 1,
            Self::Shard(_) => 2,
            Self::Panicked { .. } => Class::Panic.exit_code(),
            // As a shell says of a program that SIGINT ended.
            Self::Interrupted => 130,
            Self::Run {
                cause: RunError::Broken(_),
                ..
            }
            | Self::Bench(_)
            | Self::NothingToShrink { .. }
            | Self::NoNeighbour { .. }
            | Self::NoPair { .. }
            | Self::Trace { .. }
            | Self::Digests { .. }
            | Self::Child { .. }
            | Self::OtherProgram { .. }
            | Self::Baseline(_)
            | Self::Revision(_)
            | Self::Sweep(_)
            | Self::Exists { .. }
            | Self::Output { .. }
            | Self::Signals { .. }
            | Self::Zoo(_)
            | Self::Write { .. } => 1,
            Self::Scenario(_) | Self::Run { .. } => Class::InvalidScenario.exit_code(),
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(said) => {
            // Help that cannot be written was not given.
            let said = said.print().map(|()| said.exit_code());
            return said.map_or_else(
                |cause| failed(&CliError::Output { cause }),
                |code| ExitCode::from(u8::try_from(code).unwrap_or(1)),
            );
        }
    };
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Sweep(args) => sweep::sweep(&args),
        Command::Shrink(args) => shrink::shrink(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Digest(args) => digest::digest(&args),
        Command::Diverge(args) => diverge::diverge(&args),
        Command::Merge(args) => sweep::merge(&args),
        Command::Faults => lists::faults(),
        Command::Completions { shell } => completions(shell),
        Command::Manual(args) => manual::manual(&args),
        Command::Invariants(args) => lists::invariants(&args),
        Command::Bench => bench::bench(),
        Command::Zoo(args) => zoo::zoo(&args),
    };
    match done {
        Ok(class) => ExitCode::from(class.exit_code()),
        Err(error) => failed(&error),
    }
}

fn failed(error: &CliError) -> ExitCode {
    print::to_stderr(&format!("error: {error}\n"));
    ExitCode::from(error.exit_code())
}

/// Reads the command line. Help and errors call the program as it was called.
fn parse() -> Result<Cli, clap::Error> {
    let command = Cli::command().bin_name(print::program());
    Cli::from_arg_matches(&command.try_get_matches()?)
}

/// Prints the completions of the installed program for a shell.
fn completions(shell: Shell) -> Result<Class, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rocketmq-sim", &mut text);
    print::to_stdout(&String::from_utf8_lossy(&text))?;
    Ok(Class::Pass)
}

/// The stopwatch of the command line: wall time, never in a digest.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line's stopwatch: rates and wall time only"
)]
fn stopwatch() -> Instant {
    Instant::now()
}

/// The processor time of this process so far, all threads, as Linux counts it; nothing elsewhere.
fn processor_time() -> Duration {
    let counted = || {
        let line = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The program's name, in brackets, may contain anything.
        let (_, rest) = line.rsplit_once(')')?;
        let mut fields = rest.split_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        // Linux shows hundredths of a second, whatever it counts in.
        Some(Duration::from_millis((user + system) * 10))
    };
    counted().unwrap_or_default()
}

//! `cargo sim run`: one run, told.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;

use super::{CliError, EngineName, colour, pair, print, stopwatch, whole};
use crate::generate;
use crate::run::{self, Run};
use crate::scenario::Scenario;
use crate::trace::json;
use crate::verdict::Class;

/// What `run` is given.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario's file, for example scenarios/broker-crash.toml; without one, the scenario
    /// that the seed generates.
    scenario: Option<PathBuf>,
    /// The seed: the same seed gives the same run.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// What it runs on.
    #[arg(long, value_enum, default_value = "event")]
    engine: EngineName,
    /// How much of the trace is printed.
    #[arg(long, value_enum, default_value = "short")]
    trace: TraceForm,
    /// Writes every record of the trace to this file, one JSON value a line.
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
}

/// How much of a trace is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TraceForm {
    /// One line for each thing worth knowing.
    Short,
    /// Every record, as JSON lines.
    Full,
    /// Nothing.
    None,
}

/// Plays one scenario with one seed, and prints its trace and verdict.
pub(super) fn run(args: &Args) -> Result<Class, CliError> {
    if let Some(file) = &args.jsonl {
        whole::check(file)?;
    }
    let scenario = Arc::new(match &args.scenario {
        Some(file) => Scenario::load(file)?,
        None => {
            let knobs = generate::Knobs::draw(args.seed);
            print::to_stdout(&knobs.to_string())?;
            knobs.scenario()
        }
    });
    let engine = args.engine.into();
    print::to_stdout(&print::knobs(
        &scenario,
        run::RunConfig::draw(&scenario, args.seed, engine),
    ))?;
    let start = stopwatch();
    let run = run::run(&scenario, args.seed, engine).map_err(|cause| CliError::Run {
        file: match &args.scenario {
            Some(file) => file.display().to_string(),
            None => format!("the scenario that seed {} generates", args.seed),
        },
        cause,
    })?;
    let wall = start.elapsed();
    match args.trace {
        TraceForm::Short => print::to_stdout(&format!("\n{}\n", colour::trace(&run.trace)))?,
        TraceForm::Full => print::to_stdout(&String::from_utf8_lossy(&lines(&run)))?,
        TraceForm::None => {}
    }
    if let Some(file) = &args.jsonl {
        whole::write(file, &lines(&run))?;
    }
    print::to_stdout(&print::summary(&run, &scenario.faults))?;
    if let Some(runs) = &run.pair {
        if args.trace == TraceForm::Short {
            print::to_stdout(&format!("\n{}", pair::traces(runs)))?;
        }
        print::to_stdout(&pair::findings(runs, &side(args)))?;
    }
    print::to_stdout(&print::verdict(&run, wall))?;
    print::to_stdout(&format!("repeat   {}\n", repeat(args)))?;
    Ok(run.verdict.class)
}

/// The command that makes the same run.
fn repeat(args: &Args) -> String {
    let file = args.scenario.iter();
    let file: String = file
        .map(|file| format!(" {}", print::quoted(file)))
        .collect();
    let mut text = format!("{} run{file} --seed {}", print::program(), args.seed);
    match args.engine {
        EngineName::Event => {}
        EngineName::Turmoil => text.push_str(" --engine turmoil"),
        EngineName::Tcp => text.push_str(" --engine tcp"),
    }
    text
}

/// The run as `diff` names it.
fn side(args: &Args) -> String {
    let file = args.scenario.as_deref().map(print::quoted);
    format!("{}@{}", file.unwrap_or_default(), args.seed)
}

/// Every record, one JSON value a line.
fn lines(run: &Run) -> Vec<u8> {
    let mut lines = Vec::new();
    // Writing to memory cannot fail.
    let _ = json::write(&run.trace, &mut lines);
    lines
}

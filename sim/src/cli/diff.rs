//! `cargo sim diff`: two runs, aligned by send.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chosen::Chosen;
use super::shrink::{LIMIT, smallest};
use super::{CliError, other_build, pair, print};
use crate::fault::EngineKind;
use crate::run::{self, RunConfig};
use crate::scenario::Scenario;
use crate::trace::by_send::{ReadError, Sends, side_by_side};
use crate::trace::{Trace, json};
use crate::verdict::Class;

/// What `diff` is given.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A scenario's file with a seed, FILE.toml@SEED; a generated scenario, @SEED; or a trace made
    /// by `run --jsonl`.
    a: String,
    /// The other one. Without it A must fail: it is shrunk, and the smallest scenario that fails is
    /// compared with its nearest neighbour that passes, or, if a checker of two runs objects, its two
    /// runs with each other.
    b: Option<String>,
    /// Compares the two runs that A's seed plays beside its own, whatever their checker says.
    #[arg(long, conflicts_with_all = ["b", "program"])]
    pair: bool,
    /// Compares with A's run by this program instead, another build of the laboratory, which is a then.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "b")]
    program: Option<PathBuf>,
    /// Prints the sends that are equal, too.
    #[arg(long)]
    all: bool,
}

/// One of the two that are compared.
enum Side {
    Trace(PathBuf),
    Seed(Chosen, u64),
}

impl Side {
    fn parse(text: &str) -> Result<Self, CliError> {
        let (file, seed) = match text.rsplit_once('@') {
            Some((file, seed)) => (file, seed.parse().ok()),
            None => (text, Some(0)),
        };
        let is_scenario = Path::new(file).extension().is_some_and(|it| it == "toml");
        Ok(match seed {
            Some(seed) if file.is_empty() => Side::Seed(Chosen::Generated, seed),
            Some(seed) if is_scenario => Side::Seed(Chosen::new(Some(Path::new(file)))?, seed),
            _ => Side::Trace(PathBuf::from(text)),
        })
    }

    fn sends(&self) -> Result<Sends, CliError> {
        match self {
            Side::Trace(file) => read(file),
            Side::Seed(chosen, seed) => played(chosen, &chosen.of_seed(*seed), *seed),
        }
    }
}

/// Compares two runs, or the minimal failing scenario with its neighbour that passes.
pub(super) fn diff(args: &Args) -> Result<Class, CliError> {
    let a = Side::parse(&args.a)?;
    let refused = |file: &Path, why| Err(no_trace(file, ReadError::Io(io::Error::other(why))));
    let (a, b) = match (&args.program, &args.b, &a) {
        (None, None, Side::Seed(chosen, seed)) if args.pair => {
            paired(chosen, &chosen.of_seed(*seed), *seed)?
        }
        (Some(program), _, Side::Seed(chosen, seed)) => {
            (played_by(program, chosen, *seed)?, a.sends()?)
        }
        (Some(_), _, Side::Trace(file)) => {
            return refused(file, "a trace cannot be played by another program");
        }
        (None, Some(b), a) => (a.sends()?, Side::parse(b)?.sends()?),
        (None, None, Side::Seed(chosen, seed)) => with_neighbour(chosen, *seed)?,
        (None, None, Side::Trace(file)) => {
            return refused(file, "a trace alone cannot be shrunk");
        }
    };
    print::to_stdout(&side_by_side(&a, &b, args.all))?;
    Ok(Class::Pass)
}

/// The smallest scenario that fails, and the nearest one that passes; or its two runs.
fn with_neighbour(chosen: &Chosen, seed: u64) -> Result<(Sends, Sends), CliError> {
    let shrunk = smallest(chosen, seed, LIMIT)?;
    if shrunk.failure.is_of_pair() {
        let (failure, words) = (&shrunk.failure, shrunk.scenario.in_words());
        print::to_stdout(&format!("fails    {failure}: {words}\n"))?;
        return paired(chosen, &Arc::new(shrunk.scenario), seed);
    }
    let Some((step, passing)) = shrunk.passing else {
        return Err(CliError::NoNeighbour {
            scenario: chosen.name(),
            seed,
        });
    };
    print::to_stdout(&format!(
        "fails    {}: {}\npasses   {step}\n",
        shrunk.failure,
        shrunk.scenario.in_words()
    ))?;
    Ok((
        played(chosen, &Arc::new(shrunk.scenario), seed)?,
        played(chosen, &Arc::new(passing), seed)?,
    ))
}

/// The sends of a run that is made for it.
fn played(chosen: &Chosen, scenario: &Arc<Scenario>, seed: u64) -> Result<Sends, CliError> {
    let run = run::run(scenario, seed, EngineKind::Event).map_err(|cause| CliError::Run {
        file: chosen.name(),
        cause,
    })?;
    told(chosen, &run.trace)
}

/// The sends of both runs of the pair that a seed plays.
fn paired(
    chosen: &Chosen,
    scenario: &Arc<Scenario>,
    seed: u64,
) -> Result<(Sends, Sends), CliError> {
    let knobs = RunConfig::draw(scenario, seed, EngineKind::Event);
    let pair = run::pair_of(scenario, knobs).map_err(|cause| CliError::Run {
        file: chosen.name(),
        cause,
    })?;
    let Some(runs) = pair else {
        let scenario = chosen.name();
        return Err(CliError::NoPair { scenario, seed });
    };
    print::to_stdout(&pair::words(&runs))?;
    Ok((
        told(chosen, &runs.one.trace)?,
        told(chosen, &runs.other.trace)?,
    ))
}

/// The sends of a trace.
fn told(chosen: &Chosen, trace: &Trace) -> Result<Sends, CliError> {
    let mut lines = Vec::new();
    // Writing to memory cannot fail.
    let _ = json::write(trace, &mut lines);
    Sends::read(lines.as_slice()).map_err(|cause| no_trace(Path::new(&chosen.name()), cause))
}

/// The sends of a run that another program makes for it.
fn played_by(program: &Path, chosen: &Chosen, seed: u64) -> Result<Sends, CliError> {
    let lines = other_build::lines(program, chosen, seed)?.join("\n");
    Sends::read(lines.as_bytes()).map_err(|cause| no_trace(program, cause))
}

fn read(file: &Path) -> Result<Sends, CliError> {
    let open = File::open(file).map_err(|cause| no_trace(file, ReadError::Io(cause)))?;
    Sends::read(BufReader::new(open)).map_err(|cause| no_trace(file, cause))
}

fn no_trace(file: &Path, cause: ReadError) -> CliError {
    CliError::Trace {
        file: PathBuf::from(file),
        cause,
    }
}

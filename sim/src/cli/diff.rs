//! `cargo sim diff`: two runs, aligned by send.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::chosen::Chosen;
use super::{CliError, print};
use crate::fault::Engine;
use crate::run;
use crate::trace::by_send::{ReadError, Sends, side_by_side};
use crate::trace::json;
use crate::verdict::Class;

/// What `diff` is given.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A scenario's file, with a seed as FILE.toml@SEED, or a trace made by `run --jsonl`.
    a: String,
    /// The other one.
    b: String,
    /// Prints the sends that are equal, too.
    #[arg(long)]
    all: bool,
}

/// Runs the command.
pub(super) fn diff(args: &Args) -> Result<Class, CliError> {
    let (a, b) = (sends(&args.a)?, sends(&args.b)?);
    print::to_stdout(&side_by_side(&a, &b, args.all));
    Ok(Class::Pass)
}

/// The sends of a trace's file, or of a run that is made for it.
fn sends(what: &str) -> Result<Sends, CliError> {
    let (file, seed) = match what.rsplit_once('@') {
        Some((file, seed)) => (file, seed.parse().ok()),
        None => (what, Some(0)),
    };
    let (file, seed) = match seed {
        Some(seed) => (Path::new(file), seed),
        None => (Path::new(what), 0),
    };
    let lines = if file.extension().is_some_and(|it| it == "toml") {
        lines(&Chosen::new(file)?, seed)?
    } else {
        return read(file);
    };
    Sends::read(lines.as_slice()).map_err(|cause| no_trace(file, cause))
}

fn lines(chosen: &Chosen, seed: u64) -> Result<Vec<u8>, CliError> {
    let run = run::run(&chosen.of_seed(seed), seed, Engine::Event);
    let run = run.map_err(|cause| CliError::Run {
        file: chosen.name(),
        cause,
    })?;
    let mut lines = Vec::new();
    // Writing to memory cannot fail.
    let _ = json::write(&run.trace, &mut lines);
    Ok(lines)
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

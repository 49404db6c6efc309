//! Sweeps generic seeds with a program that may have a bug in it, until one fails.
//!
//! The honest build is swept first, over all of the seeds. A seed that it fails, too, says nothing
//! of a bug, so it kills none: a search that cries wolf would seem to find everything.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ZooError;
use super::build_folder::run;
use super::error::tail;
use crate::sweep::{FailedSeed, file};

/// The seeds of the first sweep; each further one has as many as all before it. Most bugs fail
/// soon, and what is built is not optimised for long sweeps.
const FIRST: u64 = 20;

/// A build of the laboratory that is swept: with a planted bug in it, or the honest one.
#[derive(Debug)]
pub struct Mutant<'a> {
    /// What it is called in errors.
    pub what: &'a str,
    /// The path of the laboratory's program.
    pub program: PathBuf,
    /// Its sources, in which it runs.
    pub sources: PathBuf,
    /// Where the files of its sweeps go.
    pub folder: PathBuf,
    /// How many seeds are swept, from 0 on.
    pub seeds: u64,
    /// How many threads a sweep has.
    pub jobs: usize,
    /// The scenario to sweep; none for generated ones.
    pub scenario: Option<&'a Path>,
}

/// The first seed that a mutant fails, and what says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill {
    /// The seed that fails.
    pub seed: u64,
    /// The invariant that says so, or the class of the verdict where none does.
    pub by: String,
    /// The text of what says so.
    pub reason: String,
}

/// The seeds that fail without a bug, each with what fails.
pub type FailsAnyway = BTreeMap<u64, Kill>;

/// Sweeps until a seed fails that is not `fails_anyway`; `None` if none does.
///
/// # Errors
/// A sweep came to no result.
pub fn search(mutant: &Mutant<'_>, fails_anyway: &FailsAnyway) -> Result<Option<Kill>, ZooError> {
    let (mut from, mut to) = (0, FIRST.min(mutant.seeds));
    while from < to {
        let kill = sweep(mutant, from, to)?
            .into_iter()
            .find(|kill| !fails_anyway.contains_key(&kill.seed));
        if kill.is_some() {
            return Ok(kill);
        }
        (from, to) = (to, mutant.seeds.min(to * 2));
    }
    Ok(None)
}

/// Sweeps every seed of the honest build, and gives those that fail.
///
/// # Errors
/// The sweep came to no result.
pub(crate) fn control(mutant: &Mutant<'_>) -> Result<FailsAnyway, ZooError> {
    let failing = sweep(mutant, 0, mutant.seeds)?;
    Ok(failing.into_iter().map(|kill| (kill.seed, kill)).collect())
}

/// The failing seeds of a sweep, as its file remembers them: the first ones of every portion.
fn sweep(mutant: &Mutant<'_>, from: u64, to: u64) -> Result<Vec<Kill>, ZooError> {
    let out = mutant.folder.join("sweep.jsonl");
    // The file of the sweep before; a new sweep would take it for its own, begun.
    let _ = fs::remove_file(&out);
    let swept = run(Command::new(&mutant.program)
        .current_dir(&mutant.sources)
        .arg("sweep")
        .args(mutant.scenario)
        .args(["--seeds", &format!("{from}..{to}")])
        .args(["--jobs", &mutant.jobs.to_string()])
        .arg("--out")
        .arg(&out))?;
    let failed = |text: String| ZooError::Sweep {
        what: mutant.what.to_owned(),
        tail: text,
    };
    let said = [swept.stdout, swept.stderr].concat();
    // Each mutant is a build of its own.
    let portions = file::read_of_any_build(&out)
        .map_err(|error| failed(format!("{error}\n{}", tail(&said))))?;
    let portions = portions.portions;
    if portions.last().is_none_or(|last| last.to != to) {
        return Err(failed(tail(&said)));
    }
    let failures = portions.into_iter().flat_map(|it| it.found.failures);
    Ok(failures.map(Kill::from).collect())
}

impl From<FailedSeed> for Kill {
    fn from(failure: FailedSeed) -> Self {
        Self {
            seed: failure.seed,
            by: failure.by,
            reason: failure.reason,
        }
    }
}

//! A killed bug's first failing seed, shrunk: what a person would look at first.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use super::build_folder::run;
use super::error::tail;
use super::{Kill, Mutant, ZooError};
use crate::scenario::Scenario;

/// How often the minimal scenario is run again.
pub(crate) const REPEATS: u32 = 100;

/// A minimal scenario, and what it is worth.
#[derive(Debug, Clone)]
pub(crate) struct Reproducer {
    /// The file that the minimal scenario is written to.
    pub file: PathBuf,
    /// The minimal scenario, as it was read from the file.
    pub scenario: Arc<Scenario>,
    /// So many of [`REPEATS`] runs, each in a process of its own, failed in the same way.
    pub fails: u32,
}

/// Shrinks the failing seed with the program that has the bug in it.
///
/// # Errors
/// The program does not shrink it.
pub(crate) fn shrink(mutant: &Mutant<'_>, kill: &Kill) -> Result<PathBuf, ZooError> {
    let file = mutant.folder.join(format!("{}.toml", mutant.what));
    let said = run(Command::new(&mutant.program)
        .current_dir(&mutant.sources)
        .args(["shrink", "--force"])
        .args(mutant.scenario)
        .args(["--seed", &kill.seed.to_string()])
        .arg("--out")
        .arg(&file))?;
    if String::from_utf8_lossy(&said.stdout).contains("\nwritten ") {
        return Ok(file);
    }
    Err(ZooError::Shrink {
        what: mutant.what.to_owned(),
        seed: kill.seed,
        tail: tail(&[said.stdout, said.stderr].concat()),
    })
}

/// Reads the minimal scenario, and runs it again and again.
///
/// # Errors
/// It cannot be read or run.
pub(crate) fn examine(
    mutant: &Mutant<'_>,
    kill: &Kill,
    file: PathBuf,
) -> Result<Reproducer, ZooError> {
    let scenario = Scenario::load(&file).map_err(ZooError::Reproducer)?;
    let mut fails = 0;
    for _ in 0..REPEATS {
        let said = run(Command::new(&mutant.program)
            .current_dir(&mutant.sources)
            .arg("run")
            .arg(&file)
            .args(["--seed", &kill.seed.to_string(), "--trace", "none"]))?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let verdict = said.lines().find_map(|line| line.strip_prefix("verdict  "));
        fails += u32::from(verdict.is_some_and(|verdict| is_by(verdict, &kill.by)));
    }
    Ok(Reproducer {
        file,
        scenario: Arc::new(scenario),
        fails,
    })
}

/// Whether a verdict, as `cargo sim run` prints it, is a failure that is named so.
fn is_by(verdict: &str, by: &str) -> bool {
    let mut words = verdict.split(": ");
    words.next().is_some_and(|class| class == by) || words.next() == Some(by)
}

#[cfg(test)]
mod tests {
    use super::is_by;

    #[test]
    fn a_verdict_is_the_same_failure_only_by_the_same_invariant() {
        assert!(is_by("violation: INV-09: a retry: again   3 ok", "INV-09"));
        assert!(is_by("no progress: liveness: p1 got 0 of 3", "liveness"));
        assert!(is_by("panic: a task: at INV-09", "panic"));
        assert!(!is_by("violation: INV-09: a retry", "INV-08"));
        assert!(!is_by("pass (28 invariants exercised)   58 ok", "INV-09"));
    }
}

//! The control: the program with every mutant in it, and none of them on, must do what the project does.
//!
//! The same sweep writes down which mutants' places it comes to. Runs are deterministic, so one that it does
//! not come to would change nothing: it survives without a sweep of its own.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::build_folder::run;
use crate::error::MutationError;
use crate::record::Record;
use crate::trial::{Outcome, Trial, millis, now};

/// Compares digests with those of the project, and sweeps; gives the mutants that the sweep comes to.
///
/// # Errors
/// A digest differs, a seed fails, or a file cannot be used.
pub(crate) fn control(
    trial: &Trial,
    digest: &str,
    record: &mut Record,
) -> Result<BTreeSet<usize>, MutationError> {
    let name = format!("{digest}-{}.reached.json", trial.seeds);
    let remembered = trial.results.join(name);
    let read = fs::read_to_string(&remembered).unwrap_or_default();
    if let Ok(reached) = serde_json::from_str(&read)
        && record.lines.contains_key(&0)
    {
        return Ok(reached);
    }
    same_digests(trial)?;
    let start = now();
    let outcome = trial.of(0)?;
    if let Outcome::Killed { by, reason, .. } = outcome {
        return Err(MutationError::Unlike {
            what: "sweep fails",
            text: format!("{by}: {reason}"),
        });
    }
    record.add(0, millis(start), outcome)?;
    let seen = trial.reached();
    let text = fs::read_to_string(&seen).map_err(MutationError::file(&seen))?;
    let reached: BTreeSet<usize> = text.lines().filter_map(|it| it.parse().ok()).collect();
    // A list of numbers is always JSON.
    let text = serde_json::to_string(&reached).unwrap_or_default();
    fs::write(&remembered, text).map_err(MutationError::file(&remembered))?;
    Ok(reached)
}

fn same_digests(trial: &Trial) -> Result<(), MutationError> {
    let seeds = format!("0..{}", trial.seeds);
    let compared = run(Command::new(&trial.program)
        .current_dir(&trial.sources)
        .args(["digest", "--check", "tests/digests.txt", "--seeds", &seeds]))?;
    let said = String::from_utf8_lossy(&compared.stdout).into_owned();
    if compared.status.success() {
        print!("no mutant: {said}");
        return Ok(());
    }
    Err(MutationError::Unlike {
        what: "runs have other digests",
        text: said,
    })
}

//! Sweeps generic seeds with a program that may have a bug in it, until one fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::ZooError;
use super::error::tail;
use super::workshop::run;

/// Most bugs fail within so many seeds: they are swept before the rest.
const FIRST: u64 = 20;

/// What is swept.
#[derive(Debug)]
pub struct Quarry<'a> {
    /// What it is called in errors.
    pub what: &'a str,
    /// The laboratory's program.
    pub program: PathBuf,
    /// Its sources, in which it runs.
    pub sources: PathBuf,
    /// Seeds, from 0 on.
    pub seeds: u64,
    /// The scenario to sweep; none for generated ones.
    pub scenario: Option<&'a Path>,
}

/// The first failing seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill {
    /// The seed.
    pub seed: u64,
    /// The invariant that says so, or the class of the verdict where none does.
    pub by: String,
    /// The rest of the finding.
    pub reason: String,
}

/// Sweeps until a seed fails; `None` if all pass.
///
/// # Errors
/// The sweep came to no result.
pub fn hunt(quarry: &Quarry<'_>) -> Result<Option<Kill>, ZooError> {
    let first = FIRST.min(quarry.seeds);
    for (from, to) in [(0, first), (first, quarry.seeds)] {
        if from == to {
            continue;
        }
        let swept = run(Command::new(&quarry.program)
            .current_dir(&quarry.sources)
            .arg("sweep")
            .args(quarry.scenario)
            .arg("--seeds")
            .arg(format!("{from}..{to}")))?;
        let text = String::from_utf8_lossy(&swept.stdout);
        if let Some(kill) = text.lines().find_map(read) {
            return Ok(Some(kill));
        }
        // A sweep in which an invariant was exercised too rarely is red, but no seed of it failed.
        if !text.lines().any(|line| line.starts_with("verdicts")) {
            let mut output = swept.stdout;
            output.extend(swept.stderr);
            return Err(ZooError::Sweep {
                what: quarry.what.to_owned(),
                tail: tail(&output),
            });
        }
    }
    Ok(None)
}

/// Reads `failed   seed 7: violation: INV-09: text`.
fn read(line: &str) -> Option<Kill> {
    let (seed, finding) = line.strip_prefix("failed")?.trim().split_once(": ")?;
    let seed = seed.strip_prefix("seed ")?.parse().ok()?;
    let (class, reason) = finding.split_once(": ").unwrap_or((finding, ""));
    let (by, reason) = match reason.split_once(": ") {
        Some((by, reason)) if by.starts_with("INV-") => (by, reason),
        _ => (class, reason),
    };
    Some(Kill {
        seed,
        by: by.to_owned(),
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_failed_seed_names_the_invariant_or_else_the_class() {
        let kill = read("failed   seed 7: violation: INV-09: a retry: again").unwrap();
        assert_eq!(
            (kill.seed, &*kill.by, &*kill.reason),
            (7, "INV-09", "a retry: again")
        );
        let kill = read("failed   seed 12: limit: livelock").unwrap();
        assert_eq!((kill.seed, &*kill.by), (12, "limit"));
        assert_eq!(read("verdicts 20 pass"), None);
    }
}

//! `cargo sim digest`: one number for each seed, to compare with another machine's or yesterday's.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::chosen::Chosen;
use super::sweep::seeds;
use super::{CliError, print};
use crate::digests;
use crate::verdict::Class;

/// What `digest` is given.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario's file; without one, the scenario that the seed generates.
    scenario: Option<PathBuf>,
    /// The seeds: from the first up to, and without, the second.
    #[arg(long, value_name = "A..B", value_parser = seeds, required_unless_present = "check")]
    seeds: Option<Range<u64>>,
    /// Instead of printing, compares with a list that this command printed.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

/// Prints the digest of each seed, or compares them with a list.
pub(super) fn digest(args: &Args) -> Result<Class, CliError> {
    let chosen = Chosen::new(args.scenario.as_deref())?;
    if let Some(list) = &args.check {
        return check(&chosen, list, args.seeds.clone().unwrap_or(0..u64::MAX));
    }
    print::to_stdout(&format!("{}\n", digests::heading()))?;
    for seed in args.seeds.clone().unwrap_or(0..0) {
        let listed = digests::of_seed(&|seed| chosen.of_seed(seed), seed);
        let listed = listed.map_err(|cause| CliError::Run {
            file: chosen.name(),
            cause,
        })?;
        print::to_stdout(&format!("{listed}\n"))?;
    }
    Ok(Class::Pass)
}

fn check(chosen: &Chosen, file: &Path, seeds: Range<u64>) -> Result<Class, CliError> {
    let broken = |what: String| CliError::Digests {
        file: file.to_owned(),
        what,
    };
    let text =
        fs::read_to_string(file).map_err(|cause| broken(format!("cannot be read: {cause}")))?;
    let list = digests::parse(&text)
        .map_err(|line| broken(format!("line {line} is no seed with its digest")))?;
    let (checked, moved) =
        digests::check(&list, &seeds, &|seed| chosen.of_seed(seed)).map_err(|cause| {
            CliError::Run {
                file: chosen.name(),
                cause,
            }
        })?;
    if checked == 0 {
        return Err(broken("has none of these seeds".to_owned()));
    }
    print::to_stdout(&format!(
        "digests  {checked} seeds of {}: {} as listed, {} moved\n",
        chosen.name(),
        checked - moved.len(),
        moved.len()
    ))?;
    for (listed, now) in moved.iter().take(5) {
        print::to_stdout(&format!(
            "moved    seed {}: listed {}, now {}\n",
            listed.seed, listed.digest, now.digest
        ))?;
    }
    if let Some(other) = list.other_tokio().filter(|_| !moved.is_empty()) {
        print::to_stdout(&format!("note     {other}\n"))?;
    }
    Ok(if moved.is_empty() {
        Class::Pass
    } else {
        Class::Nondeterminism
    })
}

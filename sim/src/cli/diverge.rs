//! `cargo sim diverge`: where two runs part, record by record.

use std::path::PathBuf;
use std::process::Command;

use super::chosen::Chosen;
use super::{CliError, other_build, print};
use crate::fault::EngineKind;
use crate::run::{self, Run};
use crate::trace::diverge::{first_difference, first_line};
use crate::trace::json;
use crate::verdict::Class;

/// What `diverge` is given.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario's file; without one, the scenario that the seed generates.
    scenario: Option<PathBuf>,
    /// The seed that is run twice here and once in another process.
    #[arg(long, default_value_t = 0, conflicts_with = "seeds")]
    seed: u64,
    /// Two seeds to compare instead.
    #[arg(long, value_name = "A,B", value_parser = two_seeds)]
    seeds: Option<(u64, u64)>,
    /// Compares with the run of this program instead, another build of the laboratory.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "seeds")]
    program: Option<PathBuf>,
}

/// Reads two seeds, written `7,8`.
fn two_seeds(text: &str) -> Result<(u64, u64), String> {
    let seeds = text
        .split_once(',')
        .and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    seeds.ok_or_else(|| "write two seeds: 7,8".to_owned())
}

/// Looks for the first record in which two runs differ, and prints what is around it.
pub(super) fn diverge(args: &Args) -> Result<Class, CliError> {
    let chosen = Chosen::new(args.scenario.as_deref())?;
    if let Some((a, b)) = args.seeds {
        let found = compare(&play(&chosen, a)?, &play(&chosen, b)?);
        print::to_stdout(&match found {
            Some(context) => format!("seeds    {a} (-) and {b} (+) part\n{context}"),
            None => format!("seeds    {a} and {b} give the same run\n"),
        })?;
        return Ok(Class::Pass);
    }
    if let Some(program) = &args.program {
        let theirs = other_build::lines(program, &chosen, args.seed)?;
        let ours = lines(&play(&chosen, args.seed)?);
        let found = first_line(&records(theirs.iter().map(String::as_str)), &ours);
        let (seed, program) = (args.seed, print::quoted(program));
        print::to_stdout(&match found {
            Some(context) => {
                format!("builds   {program} (-) and this one (+) part on seed {seed}\n{context}")
            }
            None => format!(
                "same     {} seed {seed}: {} records by {program} and by this one\n",
                chosen.name(),
                ours.len()
            ),
        })?;
        return Ok(Class::Pass);
    }
    let first = play(&chosen, args.seed)?;
    if let Some(context) = compare(&first, &play(&chosen, args.seed)?) {
        print::to_stdout(&format!(
            "again    the second run of seed {} parts\n{context}",
            args.seed
        ))?;
        return Ok(Class::Nondeterminism);
    }
    let (ours, theirs) = (lines(&first), child(&chosen, args.seed)?);
    if let Some(context) = first_line(&ours, &theirs) {
        print::to_stdout(&format!(
            "process  another process's run of seed {} parts\n{context}",
            args.seed
        ))?;
        return Ok(Class::Nondeterminism);
    }
    print::to_stdout(&format!(
        "same     {} seed {}: {} records, twice here and once in another process; digest {}\n",
        chosen.name(),
        args.seed,
        first.trace.records.len(),
        first.digest.short()
    ))?;
    Ok(Class::Pass)
}

fn play(chosen: &Chosen, seed: u64) -> Result<Run, CliError> {
    run::run(&chosen.of_seed(seed), seed, EngineKind::Event).map_err(|cause| CliError::Run {
        file: chosen.name(),
        cause,
    })
}

fn compare(a: &Run, b: &Run) -> Option<String> {
    let difference = first_difference(&a.trace, &b.trace)?;
    let header = &a.trace.header;
    Some(format!(
        "{}\n{}",
        difference.headline(header),
        difference.context(header)
    ))
}

/// The records as lines.
fn lines(run: &Run) -> Vec<String> {
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ = json::write(&run.trace, &mut text);
    records(String::from_utf8_lossy(&text).lines())
}

fn records<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let is_record = |line: &&str| line.starts_with("{\"ms\":");
    lines.filter(is_record).map(str::to_owned).collect()
}

/// The records of the same run in a process of its own.
fn child(chosen: &Chosen, seed: u64) -> Result<Vec<String>, CliError> {
    let failed = |cause: std::io::Error| CliError::Child { cause };
    let this = std::env::current_exe().map_err(failed)?;
    let output = Command::new(this)
        .arg("run")
        .args(chosen.arguments(seed))
        .args(["--trace", "full"])
        .output()
        .map_err(failed)?;
    // The codes of a run that was played, however it ended.
    if !matches!(output.status.code(), Some(0 | 10..=14)) {
        let said = String::from_utf8_lossy(&output.stderr);
        let text = format!("{}: {}", output.status, said.trim());
        return Err(failed(std::io::Error::other(text)));
    }
    Ok(records(String::from_utf8_lossy(&output.stdout).lines()))
}

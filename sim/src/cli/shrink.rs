//! `cargo sim shrink`: the smallest scenario that still fails, as a file with its history.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::chosen::Chosen;
use super::{CliError, pair, print, stopwatch, whole};
use crate::fault::{EngineKind, FaultEvent};
use crate::invariant;
use crate::run::{self, Run};
use crate::scenario::{PolicySource, Scenario};
use crate::shrink::{self, FailureId, Shrunk};
use crate::trace::NodeEvent;
use crate::verdict::Class;

/// Runs after which shrinking stops unless told otherwise.
pub(super) const LIMIT: u32 = 5_000;

/// What `shrink` is given.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario's file; without one, the scenario that the seed generates.
    scenario: Option<PathBuf>,
    /// The seed that fails.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the minimal scenario goes; beside the caller, named after both, unless given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Writes a neighbour of the minimal scenario that passes to this file, for `diff`.
    #[arg(long, value_name = "FILE")]
    passing: Option<PathBuf>,
    /// Replaces files that are there already.
    #[arg(long)]
    force: bool,
    /// Runs after which it stops with what it has.
    #[arg(long, value_name = "N", default_value_t = LIMIT)]
    limit: u32,
}

/// Shrinks a failing scenario, and writes what is left to a file.
pub(super) fn shrink(args: &Args) -> Result<Class, CliError> {
    let chosen = Chosen::new(args.scenario.as_deref())?;
    let out = args.out.clone().unwrap_or_else(|| default_name(args));
    for file in [Some(&out), args.passing.as_ref()].into_iter().flatten() {
        if !args.force && file.is_file() {
            return Err(CliError::Exists { file: file.clone() });
        }
        whole::check(file)?;
    }
    let start = stopwatch();
    let shrunk = smallest(&chosen, args.seed, args.limit)?;
    let wall = start.elapsed();
    let run = play(&chosen, &shrunk.scenario, args.seed)?;
    let (program, file) = (print::program(), print::quoted(&out));
    let repeat = format!("{program} run {file} --seed {}", args.seed);
    let explanation = explanation(&chosen, args.seed, &shrunk, &run, &repeat);
    write(
        &shrunk.scenario,
        &shrunk.scenario.to_toml_under(&explanation),
        &out,
    )?;
    if let (Some(file), Some((step, passing))) = (&args.passing, &shrunk.passing) {
        let comment = format!("It passes on seed {}: {} {step}.", args.seed, out.display());
        write(passing, &passing.to_toml_under(&comment), file)?;
    }
    let from = chosen.of_seed(args.seed);
    print::to_stdout(&report(args, &from, &shrunk, &run, wall))?;
    if let Some(runs) = run.pair.as_ref().filter(|_| shrunk.failure.is_of_pair()) {
        let side = format!("{}@{}", print::quoted(&out), args.seed);
        print::to_stdout(&pair::findings(runs, &side))?;
    }
    print::to_stdout(&format!("written  {}\nrepeat   {repeat}\n", out.display()))?;
    Ok(run.verdict.class)
}

/// The smallest scenario that fails as the chosen one does on this seed; shows its progress.
pub(super) fn smallest(chosen: &Chosen, seed: u64, limit: u32) -> Result<Shrunk, CliError> {
    let scenario = chosen.of_seed(seed);
    // Once in full, for a scenario that cannot run at all.
    play(chosen, &scenario, seed)?;
    let bar = progress_bar();
    let failing = shrink::failing(seed);
    let limit = shrink::Limit::of_runs(limit);
    let shrunk = shrink::shrink(&scenario, &failing, limit, &mut |progress| {
        let sign = if progress.kept { "kept" } else { "no" };
        bar.set_message(format!(
            "{} runs: {}; {} ({sign})",
            progress.runs,
            progress.best.in_words(),
            progress.step
        ));
        bar.tick();
    });
    bar.finish_and_clear();
    let shrunk = shrunk.map_err(|cause| CliError::Run {
        file: chosen.name(),
        cause,
    })?;
    shrunk.ok_or_else(|| CliError::NothingToShrink {
        scenario: chosen.name(),
        seed,
    })
}

fn play(chosen: &Chosen, scenario: &Scenario, seed: u64) -> Result<Run, CliError> {
    let scenario = Arc::new(scenario.clone());
    run::run(&scenario, seed, EngineKind::Event).map_err(|cause| CliError::Run {
        file: chosen.name(),
        cause,
    })
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    // On a template that cannot be read the bar keeps its ordinary look.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    bar
}

/// The file's name if none is given: `broker-crash-seed-7.toml`.
fn default_name(args: &Args) -> PathBuf {
    let stem = args.scenario.as_deref().and_then(Path::file_stem);
    let stem = stem.map_or("generated".into(), OsStr::to_string_lossy);
    PathBuf::from(format!("{stem}-seed-{}.toml", args.seed))
}

/// What fails, when, after which faults, and how to see it.
fn explanation(chosen: &Chosen, seed: u64, shrunk: &Shrunk, run: &Run, repeat: &str) -> String {
    let mut text = format!(
        "{} does not hold on seed {seed}.\n",
        titled(&shrunk.failure)
    );
    for (number, fault) in (1..).zip(&shrunk.scenario.faults) {
        let started = run.trace.records.iter().find(|record| {
            matches!(&record.what, NodeEvent::Fault(FaultEvent::On { fault, .. }) if *fault == number)
        });
        // Writing to a string cannot fail.
        let _ = match started {
            Some(record) => writeln!(text, "At {} ms: {fault}.", record.ms),
            None => writeln!(text, "Never in effect: {fault}."),
        };
    }
    if let Some(first) = run.verdict.findings.first() {
        let at = first.at.and_then(|at| run.trace.records.get(at));
        let when = at.map_or(run.trace.end_ms, |record| record.ms);
        let _ = writeln!(text, "Watch: at {when} ms: {first}");
    }
    if let Some(pair) = run.pair.as_ref().filter(|_| shrunk.failure.is_of_pair()) {
        let (one, other) = (&pair.one.played, &pair.other.played);
        let _ = writeln!(text, "Seen in two runs of the seed: {one}; {other}.");
    }
    if let Some((step, _)) = &shrunk.passing {
        let _ = writeln!(text, "One step further it passes: {step}.");
    }
    let end = if shrunk.complete {
        ""
    } else {
        ", which was the limit"
    };
    let _ = write!(
        text,
        "Shrunk from {} in {} runs{end}.\n{repeat}",
        chosen.name(),
        shrunk.runs
    );
    text
}

/// `INV-08 (a healthy broker is found)`
fn titled(failure: &FailureId) -> String {
    let all = invariant::all();
    match all.iter().find(|one| one.id == failure.by) {
        Some(one) => format!("{failure} ({})", one.title),
        None => failure.to_string(),
    }
}

fn report(args: &Args, from: &Scenario, shrunk: &Shrunk, run: &Run, wall: Duration) -> String {
    let mut text = format!(
        "fails    {} on seed {}\nbefore   {}\nafter    {}\n",
        shrunk.failure,
        args.seed,
        from.in_words(),
        shrunk.scenario.in_words()
    );
    for fault in &shrunk.scenario.faults {
        let _ = writeln!(text, "fault    {fault}, {}", fault.at);
    }
    let end = if shrunk.complete {
        "no step is left"
    } else {
        "the limit of runs ended it"
    };
    let _ = writeln!(
        text,
        "steps    {} kept in {} runs and {}; {end}\nverdict  {}",
        shrunk.steps.len(),
        shrunk.runs,
        print::seconds(wall),
        run.verdict
    );
    if let (Some(file), Some((step, _))) = (&args.passing, &shrunk.passing) {
        let _ = writeln!(text, "passes   {}: {step}", file.display());
    }
    text
}

/// Writes a scenario, and beside it the policy files that it names.
fn write(scenario: &Scenario, text: &str, to: &Path) -> Result<(), CliError> {
    let folder = to.parent().unwrap_or(Path::new(""));
    for plan in &scenario.producers {
        if let PolicySource::Text { file, text } = &plan.policy {
            beside(&folder.join(file), text)?;
        }
    }
    whole::write(to, text.as_bytes())
}

/// Writes a policy's file; one that is there must be the same.
fn beside(file: &Path, text: &str) -> Result<(), CliError> {
    let failed = |cause: io::Error| CliError::Write {
        file: file.to_owned(),
        cause,
    };
    match fs::read_to_string(file) {
        Ok(there) if there == text => Ok(()),
        Ok(_) => Err(failed(io::ErrorKind::AlreadyExists.into())),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            whole::write(file, text.as_bytes())
        }
        Err(cause) => Err(failed(cause)),
    }
}

//! `cargo sim sweep`: many seeds, and which of them fail.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{CliError, print, stopwatch};
use crate::scenario::Scenario;
use crate::sweep::{self, Sweep};
use crate::verdict::Class;

/// What `sweep` is given.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario's file.
    scenario: PathBuf,
    /// The seeds: from the first up to, and without, the second.
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Range<u64>,
    /// Threads; the result does not depend on it. One for each processor unless given.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

/// Reads `0..1000`.
pub(super) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text
        .split_once("..")
        .and_then(|(from, to)| Some(from.trim().parse().ok()?..to.trim().parse().ok()?));
    match range {
        Some(range) if range.start < range.end => Ok(range),
        _ => Err("write two numbers, the first one smaller: 0..1000".to_owned()),
    }
}

/// Runs the command.
pub(super) fn sweep(args: &Args) -> Result<Class, CliError> {
    let scenario = Arc::new(Scenario::load(&args.scenario)?);
    let jobs = args
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let bar = progress(args.seeds.end - args.seeds.start);
    let start = stopwatch();
    let done = sweep::sweep(&scenario, args.seeds.clone(), jobs, &|_| bar.inc(1));
    let wall = start.elapsed();
    bar.finish_and_clear();
    let sweep = done.map_err(|cause| CliError::Run {
        file: args.scenario.display().to_string(),
        cause,
    })?;
    print::to_stdout(&report(args, &sweep, jobs, wall));
    Ok(sweep.failures.first().map_or(Class::Pass, |one| one.class))
}

fn progress(runs: u64) -> ProgressBar {
    let bar = ProgressBar::new(runs);
    // On a template that cannot be read the bar keeps its ordinary look.
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {pos} of {len} seeds  {per_sec}  {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

fn report(args: &Args, sweep: &Sweep, jobs: usize, wall: Duration) -> String {
    let millis = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX).max(1);
    let mut text = format!(
        "sweep    {} seeds {}..{}: {} runs in {} on {jobs} threads, {} a second\n",
        args.scenario.display(),
        args.seeds.start,
        args.seeds.end,
        sweep.runs,
        print::seconds(wall),
        sweep.runs * 1_000 / millis,
    );
    text.push_str("verdicts ");
    for (class, runs) in &sweep.classes {
        let _ = write!(text, "{runs} {class}  ");
    }
    text.truncate(text.trim_end().len());
    let _ = writeln!(
        text,
        "\nsends    {} ok  {} failed  {} attempts",
        sweep.ok, sweep.failed, sweep.attempts
    );
    let exercised: Vec<String> = sweep
        .exercised
        .iter()
        .map(|(id, runs)| format!("{id} {}%", runs * 100 / sweep.runs.max(1)))
        .collect();
    for (line, chunk) in exercised.chunks(8).enumerate() {
        let title = if line == 0 { "judged   " } else { "         " };
        let _ = writeln!(text, "{title}{}", chunk.join("  "));
    }
    for failure in &sweep.failures {
        let _ = writeln!(
            text,
            "failed   seed {}: {}: {}\nrepeat   cargo sim run {} --seed {}",
            failure.seed,
            failure.class,
            failure.reason,
            args.scenario.display(),
            failure.seed,
        );
    }
    let _ = writeln!(text, "digest   {}", sweep.digest);
    text
}

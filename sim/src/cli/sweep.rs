//! `cargo sim sweep`: many seeds, and which of them fail; `cargo sim merge`: its shards as one.

use std::fmt::Write as _;
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;

use super::{CliError, baseline, print, processor_time, stopwatch, whole};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::sweep::baseline::SeedFigures;
use crate::sweep::file::{self, Out};
use crate::sweep::{self, Plan, Portion, SeedSource, Shard, Sweep, SweepError, Watcher};
use crate::verdict::Class;

/// What `sweep` is given.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The scenario's file; without one, each seed generates its own scenario.
    scenario: Option<PathBuf>,
    /// The seeds: from the first up to, and without, the second.
    #[arg(long, value_name = "A..B", value_parser = seeds, required_unless_present_any = ["time", "baseline"])]
    seeds: Option<Range<u64>>,
    /// Threads; the result does not depend on it. One for each processor unless given.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Only the I-th of N parts, from 0. `env/N` takes the number of an array job of Slurm or of
    /// an indexed job of Kubernetes.
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// Starts no more seeds after this time: 90s, 10m.
    #[arg(long = "for", id = "time", value_name = "DURATION", value_parser = duration)]
    time: Option<Duration>,
    /// Keeps the result in this file, one line for 20 seeds; the same command continues it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    baseline: baseline::BaselineArgs,
}

/// What `merge` is given.
#[derive(Debug, clap::Args)]
pub(super) struct MergeArgs {
    /// The files of all shards.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Writes the file that the unsharded sweep would have written.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Reads a range of seeds, written `0..1000`: from the first up to, and without, the second.
pub(super) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text
        .split_once("..")
        .and_then(|(from, to)| Some(from.trim().parse().ok()?..to.trim().parse().ok()?));
    match range {
        Some(range) if range.start < range.end => Ok(range),
        _ => Err("write two numbers, the first one smaller: 0..1000".to_owned()),
    }
}

/// Reads `90s` or `10m`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        _ => None,
    };
    let seconds = number.parse::<u64>().ok().zip(scale);
    seconds
        .and_then(|(number, scale)| number.checked_mul(scale))
        .map(Duration::from_secs)
        .ok_or_else(|| "write a whole number and a unit: 90s, 10m or 1h".to_owned())
}

/// Shows the progress of a sweep and keeps its result.
struct Keeper {
    bar: ProgressBar,
    /// Runs that failed, in this sitting.
    red: AtomicU64,
    kept: Mutex<(Sweep, Option<Out>)>,
    /// What a baseline has of each run; none unless there is one to write or to compare with.
    figures: Option<Mutex<Vec<SeedFigures>>>,
    until: Option<Instant>,
    /// Whoever started the sweep wants it to end.
    interrupted: Arc<AtomicBool>,
}

impl Watcher for Keeper {
    fn played(&self, seed: u64, scenario: &Scenario, run: &Run) {
        if let Some(figures) = &self.figures {
            let of_run = SeedFigures::of(seed, scenario, run);
            figures.lock().push(of_run);
        }
    }

    fn ran(&self, class: Class) {
        if class != Class::Pass {
            let red = self.red.fetch_add(1, Ordering::Relaxed) + 1;
            self.bar.set_message(format!("{red} failed"));
        }
        self.bar.inc(1);
    }

    fn portion(&self, portion: &Portion) -> std::io::Result<()> {
        let mut kept = self.kept.lock();
        if let Some(out) = &mut kept.1 {
            out.add(portion)?;
        }
        kept.0.add(portion);
        Ok(())
    }

    fn enough(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
            || self.until.is_some_and(|until| stopwatch() >= until)
    }
}

/// Runs the seeds of a sweep, or of one shard of it, and prints what they came to.
pub(super) fn sweep(args: &Args) -> Result<Class, CliError> {
    let mut plan = plan(args)?;
    let baselines = baseline::prepare(
        &args.baseline,
        args.scenario.as_deref(),
        args.seeds.as_ref(),
        &plan,
    )?;
    let mut args = args.clone();
    if let Some(seeds) = baselines.seeds() {
        // A baseline says which ones, unless the command line does.
        plan.seeds.clone_from(&seeds);
        args.seeds = Some(seeds);
    }
    let args = &args;
    let mut before = Sweep::default();
    let mut out = None;
    if let Some(path) = &args.out {
        let (file, portions) = Out::open(path, &plan)?;
        portions.iter().for_each(|portion| before.add(portion));
        plan.done = portions.len() as u64;
        out = Some(file);
    }
    let (start, worked) = (stopwatch(), processor_time());
    let keeper = Keeper {
        bar: progress(args.seeds.as_ref().map(|_| plan.left())),
        red: AtomicU64::new(0),
        // A time that the clock cannot show never comes.
        until: args.time.and_then(|time| start.checked_add(time)),
        interrupted: interrupted()?,
        kept: Mutex::new((before.clone(), out)),
        figures: baselines.are_asked_for().then(Mutex::default),
    };
    let done = sweep::carry_out(&plan, &keeper);
    let wall = start.elapsed();
    keeper.bar.finish_and_clear();
    plan.done = done.map_err(|error| ended_early(error, args))?;
    let stopped = keeper.interrupted.load(Ordering::Relaxed);
    let figures = keeper.figures.map(Mutex::into_inner).unwrap_or_default();
    let (sweep, _) = keeper.kept.into_inner();
    let ran = sweep.runs - before.runs;
    let threads = if plan.jobs == 1 { "thread" } else { "threads" };
    let mut text = format!(
        "sweep    {} {}: {ran} runs in {} on {} {threads}\nrate     {}\n",
        title(args.scenario.as_deref()),
        which(args, &plan),
        print::seconds(wall),
        plan.jobs,
        rate(ran, wall, processor_time().checked_sub(worked)),
    );
    if before.runs > 0 {
        let _ = writeln!(text, "before   {} runs were in the file", before.runs);
    }
    text.push_str(&report(args.scenario.as_deref(), &sweep));
    text.push_str(&baselines.compare(args.scenario.as_deref(), &figures));
    if stopped {
        let _ = writeln!(text, "resume   {}", resume(args, &plan));
    }
    print::to_stdout(&text)?;
    if stopped {
        return Err(CliError::Interrupted);
    }
    baselines.save(args.scenario.as_deref(), &plan, figures)?;
    Ok(class(&sweep, args.scenario.is_none()))
}

/// Why a sweep has no result.
fn ended_early(error: SweepError, args: &Args) -> CliError {
    match (error, &args.out) {
        (SweepError::Keep(cause), Some(file)) => CliError::Write {
            file: file.clone(),
            cause,
        },
        (SweepError::Run { seed, cause }, _) => CliError::Run {
            file: format!("{} seed {seed}", title(args.scenario.as_deref())),
            cause,
        },
        (SweepError::Panicked { seed }, _) => CliError::Panicked {
            of: title(args.scenario.as_deref()),
            seed,
        },
        (SweepError::Keep(cause), None) => {
            unreachable!("nothing is kept without --out, and yet: {cause}")
        }
    }
}

/// Set once the sweep is told to end, by ctrl-c or as a service is. The runs that are under way end
/// first; whoever tells it twice does not wait for them.
fn interrupted() -> Result<Arc<AtomicBool>, CliError> {
    let flag = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&flag);
    let handler = move || {
        if told.swap(true, Ordering::Relaxed) {
            std::process::exit(CliError::Interrupted.exit_code().into());
        }
    };
    ctrlc::set_handler(handler).map_err(|cause| CliError::Signals { cause })?;
    Ok(flag)
}

/// The command that runs what is left of a plan.
fn resume(args: &Args, plan: &Plan) -> String {
    let mut text = format!("{} sweep", print::program());
    if let Some(file) = &args.scenario {
        let _ = write!(text, " {}", print::quoted(file));
    }
    // A file knows what it has; without one, the seeds begin with the first that was not run. A baseline
    // has all of them.
    let mut seeds = args.seeds.clone();
    let from_the_start = args.out.is_some() || args.baseline.writes();
    if let (false, Some(next)) = (from_the_start, plan.portion(plan.done)) {
        seeds = Some(next.start..plan.seeds.end);
    }
    if let Some(seeds) = seeds {
        let _ = write!(text, " --seeds {}..{}", seeds.start, seeds.end);
    }
    if let Some(time) = args.time {
        let _ = write!(text, " --for {}s", time.as_secs());
    }
    if args.shard.is_some() {
        let _ = write!(text, " --shard {}/{}", plan.shard.index, plan.shard.of);
    }
    if let Some(out) = &args.out {
        let _ = write!(text, " --out {}", print::quoted(out));
    }
    text.push_str(&args.baseline.again());
    text
}

/// Puts the files of all shards of a sweep together, and prints what they came to.
pub(super) fn merge(args: &MergeArgs) -> Result<Class, CliError> {
    let (text, header, sweep) = file::merge(&args.files)?;
    if let Some(path) = &args.out {
        whole::write(path, text.as_bytes())?;
    }
    let generated = header.sweep == "generated";
    let scenario = header.sweep.split(' ').next().filter(|_| !generated);
    let scenario = scenario.map(|name| Path::new("scenarios").join(name));
    let (from, to) = header.seeds;
    print::to_stdout(&format!(
        "merged   {} seeds {from}..{to}: {} runs from {} files\n{}",
        header.sweep,
        sweep.runs,
        args.files.len(),
        report(scenario.as_deref(), &sweep),
    ))?;
    Ok(class(&sweep, generated))
}

fn plan(args: &Args) -> Result<Plan, CliError> {
    let source = match &args.scenario {
        Some(file) => SeedSource::Given(Arc::new(Scenario::load(file)?)),
        None => SeedSource::Generated,
    };
    let shard = match &args.shard {
        Some(text) => Shard::parse(text, &|name| std::env::var(name).ok())?,
        None => Shard::WHOLE,
    };
    Ok(Plan {
        source,
        seeds: args.seeds.clone().unwrap_or(0..u64::MAX),
        shard,
        done: 0,
        jobs: args.jobs.map_or_else(processors, NonZero::get),
    })
}

/// The processors of this machine.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Runs by the clock, and by the processor time spent on them, which other programs do not slow.
fn rate(runs: u64, wall: Duration, worked: Option<Duration>) -> String {
    let per_second = |time: Duration| {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        runs * 1_000 / millis
    };
    let mut text = format!("{} a second", per_second(wall));
    if let Some(worked) = worked.filter(|worked| !worked.is_zero()) {
        let _ = write!(
            text,
            ", {} in each second of one processor",
            per_second(worked)
        );
    }
    text
}

fn title(scenario: Option<&Path>) -> String {
    scenario.map_or("generated".to_owned(), |file| file.display().to_string())
}

fn which(args: &Args, plan: &Plan) -> String {
    let mut text = match &args.seeds {
        Some(seeds) => format!("seeds {}..{}", seeds.start, seeds.end),
        None => "seeds from 0 on".to_owned(),
    };
    if args.shard.is_some() {
        let _ = write!(text, ", shard {}/{}", plan.shard.index, plan.shard.of);
    }
    text
}

/// The class of a whole sweep. That of one scenario need not exercise every invariant.
fn class(sweep: &Sweep, generated: bool) -> Class {
    match sweep.failures.first() {
        Some(first) => first.class,
        None if generated && !(sweep.rare().is_empty() && sweep.below_floor().is_empty()) => {
            Class::Violation
        }
        None => Class::Pass,
    }
}

fn progress(runs: Option<u64>) -> ProgressBar {
    let Some(runs) = runs else {
        return ProgressBar::new_spinner();
    };
    let bar = ProgressBar::new(runs);
    // On a template that cannot be read the bar keeps its ordinary look.
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {pos} of {len} seeds  {per_sec}  {eta} left  {msg}")
    {
        bar.set_style(style);
    }
    bar
}

fn report(scenario: Option<&Path>, sweep: &Sweep) -> String {
    let classes = sweep.classes.iter();
    let classes: Vec<String> = classes
        .map(|(class, runs)| format!("{runs} {class}"))
        .collect();
    let mut text = format!("verdicts {}", classes.join("  "));
    if !sweep.failed_by.is_empty() {
        let by = sweep.failed_by.iter();
        let by: Vec<String> = by.map(|(by, runs)| format!("{by} {runs}")).collect();
        let _ = write!(text, "  (by {})", by.join(", "));
    }
    let _ = writeln!(
        text,
        "\nsends    {} ok  {} failed  {} attempts",
        sweep.ok, sweep.failed, sweep.attempts
    );
    if sweep.faults > 0 {
        let _ = writeln!(
            text,
            "faults   {} planned  {} never started  {} never struck",
            sweep.faults, sweep.never_started, sweep.never_struck
        );
    }
    text.push_str(&coverage(scenario.is_none(), sweep));
    let exercised: Vec<String> = sweep
        .exercised
        .iter()
        .map(|(id, runs)| format!("{id} {}", print::percent(*runs, sweep.runs)))
        .collect();
    for (line, chunk) in exercised.chunks(7).enumerate() {
        let title = if line == 0 { "checked  " } else { "         " };
        let _ = writeln!(text, "{title}{}", chunk.join("  "));
    }
    if scenario.is_none() {
        for rare in sweep.rare() {
            let _ = writeln!(
                text,
                "rare     {} had something to say in {}, and states {}",
                rare.id,
                print::percent(rare.runs, sweep.runs),
                print::percent(rare.rate_per_mille.into(), 1_000),
            );
        }
    }
    text.push_str(&failures(scenario, sweep));
    let _ = writeln!(text, "digest   {}", sweep.digest);
    text
}

/// What the runs have met, and what of it is too little.
fn coverage(generated: bool, sweep: &Sweep) -> String {
    let mut text = String::new();
    for (line, share) in sweep.coverage.shares().into_iter().enumerate() {
        let title = if line == 0 { "met      " } else { "         " };
        let _ = writeln!(
            text,
            "{title}{} {} ({} of {})",
            print::percent(share.met, share.of),
            share.what,
            share.met,
            share.of
        );
    }
    let rows = sweep.coverage.rows.len();
    let seldom = sweep
        .coverage
        .rows
        .values()
        .filter(|count| **count < 10)
        .count();
    let _ = writeln!(
        text,
        "rows     {rows} of the decision table, {seldom} of them fewer than ten times"
    );
    for share in sweep.below_floor().iter().filter(|_| generated) {
        let floor = print::percent(share.floor_per_mille.into(), 1_000);
        let _ = writeln!(text, "too few  {}: below {floor}", share.what);
    }
    text
}

/// The first failing seeds, each with the line that repeats it, and what to do next.
fn failures(scenario: Option<&Path>, sweep: &Sweep) -> String {
    let file = scenario.map_or(String::new(), |file| format!(" {}", print::quoted(file)));
    let program = print::program();
    let mut text = String::new();
    for failure in &sweep.failures {
        let seed = failure.seed;
        let _ = write!(text, "failed   seed {seed}: {}", failure.class);
        for part in [&failure.by, &failure.reason] {
            if !part.is_empty() && *part != failure.class.to_string() {
                let _ = write!(text, ": {part}");
            }
        }
        let _ = writeln!(text, "\nrepeat   {program} run{file} --seed {seed}");
    }
    if let Some(first) = sweep.failures.first() {
        let _ = writeln!(
            text,
            "smaller  {program} shrink{file} --seed {}",
            first.seed
        );
    }
    text
}

//! Mutation testing with the laboratory as the only test.
//!
//! A green sweep says little unless it turns red for a producer that does something else. The bugs of
//! `zoo/` are those that somebody once had; these are all of the small ones: each comparison, each call,
//! each arm of the producer, done wrong one at a time. A mutant that survives is a decision that no checker
//! looks at.
//!
//! A build for each mutant would take days, so all mutants are in one build (mutant schemata: Untch, Offutt
//! and Harrold, "Mutation analysis using mutant schemata", 1993), and a variable of the environment says
//! which one is on.
//!
//! ```text
//! cargo run --release -p rmq-mutation -- --sample 120 --table mutation/RESULTS.md
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`mutant`] | what a mutant is, and what it is known by |
//! | [`operators`] | the mutation operators, as tables |
//! | [`find`](mod@find) | the mutants of a source text |
//! | [`schemata`] | a text with all of its mutants in it |
//! | [`unviable`] | which mutants do not compile |
//! | [`build_folder`] | the copy of the project, and the program that is built of it |
//! | [`control`](mod@control) | the program without a mutant, and which places it comes to |
//! | [`trial`] | a mutant, swept until a seed fails |
//! | [`record`] | what came of each mutant so far |
//! | [`verdicts`] | what somebody found out about a survivor |
//! | [`table`] | the results as a page |

mod build_folder;
mod control;
mod error;
mod find;
mod mutant;
mod operators;
mod record;
mod schemata;
mod table;
mod trial;
mod unviable;
mod verdicts;

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;
use parking_lot::Mutex;

use crate::build_folder::BuildFolder;
use crate::control::control;
use crate::error::MutationError;
use crate::mutant::{Mutant, SourceFile};
use crate::record::Record;
use crate::table::Results;
use crate::trial::{Outcome, Trial, millis, now};

/// Tries mutants of the producer: does a sweep of the laboratory turn red for each? What has been tried
/// before is not tried again. Exit code 0 if every mutant that was chosen has been tried, 1 for an error.
#[derive(Debug, Parser)]
#[command(name = "rmq-mutation")]
struct Options {
    /// Tries every mutant.
    #[arg(long)]
    all: bool,
    /// Tries about so many mutants, which lie at the same distance from one another.
    #[arg(long, value_name = "K")]
    sample: Option<NonZero<usize>>,
    /// Tries the mutants with these numbers.
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    only: Vec<usize>,
    /// Only mutants of files whose path contains this; without another choice, all of them.
    #[arg(long, value_name = "TEXT")]
    file: Option<String>,
    /// Prints the mutants and what is left out, and tries none.
    #[arg(long)]
    list: bool,
    /// Writes everything that came of mutants so far to this Markdown file.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// How many seeds a mutant must pass to survive, from 0 on.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    seeds: u64,
    /// How many mutants are tried at the same time.
    #[arg(long, value_name = "N", default_value = "2")]
    jobs: NonZero<usize>,
    /// The longest time for 20 seeds, in seconds: a mutant that takes longer hangs.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    patience: u64,
    /// The most memory of a mutant's process, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 4_096)]
    memory: u64,
    /// Where the copy, its target and the results are; beside the system's temporary files unless given.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    match work(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Carries out a command line.
fn work(options: &Options) -> Result<(), MutationError> {
    let tries = options.all
        || options.sample.is_some()
        || !options.only.is_empty()
        || options.file.is_some();
    if !tries && !options.list && options.table.is_none() {
        return Err(MutationError::Nothing);
    }
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let own = || std::env::temp_dir().join("rmq-mutation");
    let folder = BuildFolder::new(root, &options.folder.clone().unwrap_or_else(own))?;
    let mut files = folder.under_test()?;
    let mutants = mutant::number(&mut files);
    if options.list {
        list(options, &files, &mutants);
        return Ok(());
    }
    let digest = folder.digest(&files);
    let (program, unviable) = build(&folder, &files, &digest)?;
    let results = folder.results()?;
    let kept = results.join(format!("{digest}.jsonl"));
    let mut record = Record::open(&kept, options.seeds)?;
    let trial = Trial {
        program,
        sources: folder.sources(),
        results,
        seeds: options.seeds,
        patience: Duration::from_secs(options.patience),
        memory: options.memory,
    };
    if tries {
        let chosen = choose(options, &mutants, &unviable)?;
        let reached = control(&trial, &digest, &mut record)?;
        record = never_reached(record, &chosen, &reached)?;
        record = try_all(options, &trial, record, &chosen)?;
    }
    let results = Results {
        files: &files,
        mutants: &mutants,
        unviable: &unviable,
        lines: &record.lines,
        verdicts: &verdicts::read(&root.join("mutation/verdicts.toml"))?,
        seeds: options.seeds,
    };
    println!("{} ({})", results.in_short(), kept.display());
    if let Some(file) = &options.table {
        fs::write(file, results.page()).map_err(MutationError::file(file))?;
    }
    Ok(())
}

fn is_in(options: &Options, path: &str) -> bool {
    options.file.as_ref().is_none_or(|part| path.contains(part))
}

fn list(options: &Options, files: &[SourceFile], mutants: &[Mutant]) {
    for file in files.iter().filter(|it| is_in(options, &it.path)) {
        for mutant in mutants.iter().filter(|it| it.key.file == file.path) {
            println!("{mutant}");
        }
        for it in &file.excluded {
            println!(
                "    -  {}:{}  left out by the rule {}: {}",
                file.path, it.line, it.rule, it.text
            );
        }
    }
}

/// Builds the program, and gives the mutants that are not in it. Which do not compile is remembered.
fn build(
    folder: &BuildFolder,
    files: &[SourceFile],
    digest: &str,
) -> Result<(PathBuf, BTreeSet<usize>), MutationError> {
    let remembered = folder.results()?.join(format!("{digest}.unviable.json"));
    let read = fs::read_to_string(&remembered).unwrap_or_default();
    // What cannot be read is found again.
    let mut unviable = serde_json::from_str(&read).unwrap_or_default();
    println!(
        "sources {digest}: building in {}; the first build takes some minutes",
        folder.sources().display()
    );
    let program = folder.build(files, &mut unviable)?;
    let text = serde_json::to_string(&unviable).unwrap_or_default();
    fs::write(&remembered, text).map_err(MutationError::file(&remembered))?;
    Ok((program, unviable))
}

/// The mutants that are asked for and compile, in order.
fn choose<'a>(
    options: &Options,
    mutants: &'a [Mutant],
    unviable: &BTreeSet<usize>,
) -> Result<Vec<&'a Mutant>, MutationError> {
    let known = |asked: &&usize| (1..=mutants.len()).contains(*asked);
    if let Some(&asked) = options.only.iter().find(|asked| !known(asked)) {
        return Err(MutationError::Unknown { asked });
    }
    for number in options.only.iter().filter(|it| unviable.contains(it)) {
        println!("mutant {number} does not compile");
    }
    let viable = mutants.iter().filter(|it| !unviable.contains(&it.number));
    let asked = viable.filter(|it| {
        let named = options.only.is_empty() || options.only.contains(&it.number);
        named && is_in(options, &it.key.file)
    });
    let asked: Vec<&Mutant> = asked.collect();
    let Some(sample) = options.sample else {
        return Ok(asked);
    };
    let stride = asked.len().div_ceil(sample.get()).max(1);
    Ok(asked.into_iter().step_by(stride).collect())
}

/// Writes down that those mutants survive whose places no run comes to.
fn never_reached(
    mut record: Record,
    chosen: &[&Mutant],
    reached: &BTreeSet<usize>,
) -> Result<Record, MutationError> {
    let Some(Outcome::Survived { digest, .. }) = record.lines.get(&0).map(|it| it.outcome.clone())
    else {
        return Ok(record);
    };
    for mutant in chosen.iter().filter(|it| !reached.contains(&it.number)) {
        if !record.lines.contains_key(&mutant.number) {
            let digest = digest.clone();
            let reached = false;
            record.add(mutant.number, 0, Outcome::Survived { reached, digest })?;
        }
    }
    Ok(record)
}

/// Tries all chosen mutants that have not been tried, some at the same time.
fn try_all(
    options: &Options,
    trial: &Trial,
    record: Record,
    chosen: &[&Mutant],
) -> Result<Record, MutationError> {
    let record = Mutex::new(record);
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), MutationError> {
        while let Some(mutant) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            if record.lock().lines.contains_key(&mutant.number) {
                continue;
            }
            let start = now();
            let outcome = trial.of(mutant.number)?;
            let took = millis(start);
            println!("{:<28} {:>6} ms  {mutant}", in_words(&outcome), took);
            record.lock().add(mutant.number, took, outcome)?;
        }
        Ok(())
    };
    thread::scope(|scope| -> Result<(), MutationError> {
        let workers: Vec<_> = (0..options.jobs.get()).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(done) => done?,
                Err(payload) => std::panic::resume_unwind(payload),
            }
        }
        Ok(())
    })?;
    Ok(record.into_inner())
}

fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Killed {
            by,
            seed: Some(seed),
            ..
        } => format!("killed by {by} at {seed}"),
        Outcome::Killed { by, .. } => format!("killed by {by}"),
        Outcome::Survived { .. } => "SURVIVED".to_owned(),
    }
}

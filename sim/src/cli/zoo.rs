//! `cargo sim zoo`: which planted bugs generic seeds find, and how soon.

use std::path::PathBuf;

use super::{CliError, print, stopwatch};
use crate::verdict::Class;
use crate::zoo::{Bug, Kill, Quarry, Workshop, ZooError, catalogue, choose, hunt};

/// What `zoo` is given.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only these bugs.
    #[arg(long, value_name = "Z06,Z12", value_delimiter = ',')]
    only: Vec<String>,
    /// How many seeds each bug gets, from 0 on.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Sweeps this scenario instead of generated ones. What it finds says nothing of the generator.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Where the copy of the sources and its target folder are kept.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Lists the bugs and ends.
    #[arg(long)]
    list: bool,
}

/// Runs the command.
pub(super) fn zoo(args: &Args) -> Result<Class, CliError> {
    let here = std::env::current_dir().map_err(|cause| ZooError::File {
        file: PathBuf::from("."),
        cause,
    })?;
    let workshop = Workshop::new(&here, args.folder.as_deref())?;
    let bugs = choose(catalogue(workshop.root())?, &args.only)?;
    if args.list {
        for bug in &bugs {
            let about = &bug.about;
            print::to_stdout(&format!(
                "{}  {} ({})\n     {}\n     breaks {}; seen in {}\n",
                bug.id,
                about.name,
                about.seam,
                about.story,
                about.invariants.join(", "),
                about.citation.join(", "),
            ));
        }
        return Ok(Class::Pass);
    }
    print::to_stderr(&format!(
        "planting in {}; the first build takes some minutes\n",
        workshop.sources().display()
    ));
    print::to_stdout("bug   result    by        seeds  seconds  name\n");
    let mut kills = Vec::new();
    for bug in &bugs {
        if let Some(kill) = row(args, &workshop, Some(bug))? {
            kills.push(kill.seed + 1);
        }
    }
    let control = row(args, &workshop, None)?;
    kills.sort_unstable();
    let median = kills.get(kills.len() / 2).copied().unwrap_or_default();
    print::to_stdout(&format!(
        "killed {} of {}, median {median} seeds; the honest build has {} violations\n",
        kills.len(),
        bugs.len(),
        u8::from(control.is_some()),
    ));
    let good = control.is_none() && kills.len() == bugs.len();
    Ok(if good { Class::Pass } else { Class::Violation })
}

/// Hunts one bug, or none in the honest build, and prints what came of it.
fn row(args: &Args, workshop: &Workshop, bug: Option<&Bug>) -> Result<Option<Kill>, ZooError> {
    let start = stopwatch();
    workshop.restore()?;
    let (what, name) = bug.map_or(("none", "the honest build"), |bug| {
        (&*bug.id, &*bug.about.name)
    });
    if let Some(bug) = bug {
        workshop.plant(bug, false)?;
    }
    let program = workshop.build(what)?;
    let scenario = args.scenario.as_deref();
    let kill = hunt(&Quarry {
        what,
        program,
        sources: workshop.sources(),
        seeds: args.seeds,
        scenario,
    })?;
    let took = start.elapsed().as_secs();
    let (result, by, seeds, reason) = match &kill {
        Some(kill) => ("killed", &*kill.by, kill.seed + 1, &*kill.reason),
        None if bug.is_some() => ("survived", "-", args.seeds, ""),
        None => ("clean", "-", args.seeds, ""),
    };
    let mut line = format!("{what:<5} {result:<9} {by:<9} {seeds:>5}  {took:>7}  {name}\n");
    if !reason.is_empty() {
        line.push_str(&format!("      {reason}\n"));
    }
    print::to_stdout(&line);
    Ok(kill)
}

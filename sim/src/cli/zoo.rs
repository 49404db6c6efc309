//! `cargo sim zoo`: which planted bugs generic seeds find, and how soon.

use std::fmt::Write as _;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use super::sweep::processors;
use super::{CliError, print, stopwatch};
use crate::verdict::Class;
use crate::zoo::reproducer::{self, REPEATS};
use crate::zoo::{
    Bug, BuildFolder, FailsAnyway, Kill, Mutant, Reproducer, ZooError, catalogue, choose, control,
    search,
};

/// What `zoo` is given.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only these bugs.
    #[arg(long, value_name = "Z06,Z12", value_delimiter = ',')]
    only: Vec<String>,
    /// How many seeds each bug gets, from 0 on.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Threads of the sweeps; one for each processor unless given.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Sweeps this scenario instead of generated ones. What it finds says nothing of the generator.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Shrinks the first failing seed of each killed bug, and runs what is left 100 times.
    #[arg(long)]
    shrink: bool,
    /// Where the copy of the sources, its target folder and the results are kept.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Lists the bugs and ends.
    #[arg(long)]
    list: bool,
}

/// Plants each bug in a copy of the sources and sweeps seeds until one fails.
pub(super) fn zoo(args: &Args) -> Result<Class, CliError> {
    let here = std::env::current_dir().map_err(|cause| ZooError::File {
        file: PathBuf::from("."),
        cause,
    })?;
    let build_folder = BuildFolder::new(&here, args.folder.as_deref())?;
    let bugs = choose(catalogue(build_folder.root())?, &args.only)?;
    if args.list {
        print::to_stdout(&bugs.iter().map(listed).collect::<String>())?;
        return Ok(Class::Pass);
    }
    // A patch that does not apply is told before anything is built.
    build_folder.restore()?;
    for bug in &bugs {
        build_folder.plant(bug, true)?;
    }
    print::to_stderr(&format!(
        "planting in {}; the first build takes some minutes\n",
        build_folder.sources().display()
    ));
    print::to_stdout("bug   result    by           seeds   build   sweep  name\n")?;
    let start = stopwatch();
    let mutant = mutant(args, &build_folder, None)?;
    let built = start.elapsed();
    let fails_anyway = control(&mutant)?;
    let swept = start.elapsed() - built;
    let mut found = Vec::new();
    for bug in &bugs {
        found.push(one(args, &build_folder, bug, &fails_anyway)?);
    }
    let first = fails_anyway.values().next();
    print::to_stdout(&row(args, None, first, built, swept))?;
    print::to_stdout(&summary(args, &bugs, &found, &fails_anyway))?;
    Ok(class(&bugs, &found, &fails_anyway))
}

fn listed(bug: &Bug) -> String {
    let about = &bug.about;
    let mut text = format!(
        "{}  {} ({})\n     {}\n     breaks {}; seen in {}\n",
        bug.id,
        about.name,
        about.seam,
        about.description,
        about.invariants.join(", "),
        about.citation.join(", "),
    );
    if let Some(why) = &about.explained {
        let _ = writeln!(text, "     generic seeds miss it: {why}");
    }
    text
}

/// What came of one bug.
struct Found {
    kill: Option<Kill>,
    shrunk: Option<(Reproducer, Duration)>,
}

/// Builds the copy as it is, with a bug or without.
fn mutant<'a>(
    args: &'a Args,
    build_folder: &BuildFolder,
    bug: Option<&'a Bug>,
) -> Result<Mutant<'a>, ZooError> {
    let what = bug.map_or("none", |bug| &*bug.id);
    Ok(Mutant {
        what,
        program: build_folder.build(what)?,
        sources: build_folder.sources(),
        folder: build_folder.results()?,
        seeds: args.seeds,
        jobs: args.jobs.map_or_else(processors, NonZero::get),
        scenario: args.scenario.as_deref(),
    })
}

/// Searches for one bug and prints what comes of it.
fn one(
    args: &Args,
    build_folder: &BuildFolder,
    bug: &Bug,
    fails_anyway: &FailsAnyway,
) -> Result<Found, CliError> {
    build_folder.restore()?;
    build_folder.plant(bug, false)?;
    let start = stopwatch();
    let mutant = mutant(args, build_folder, Some(bug))?;
    let built = start.elapsed();
    let kill = search(&mutant, fails_anyway)?;
    let swept = start.elapsed() - built;
    print::to_stdout(&row(args, Some(bug), kill.as_ref(), built, swept))?;
    let shrunk = match &kill {
        Some(kill) if args.shrink => smallest(&mutant, kill)?,
        _ => None,
    };
    Ok(Found { kill, shrunk })
}

/// Shrinks a bug's first failing seed. One that passes when it is run again does not shrink: that bug
/// made the run a matter of chance, and the others go on.
fn smallest(mutant: &Mutant<'_>, kill: &Kill) -> Result<Option<(Reproducer, Duration)>, CliError> {
    let start = stopwatch();
    let file = match reproducer::shrink(mutant, kill) {
        Ok(file) => file,
        Err(error @ ZooError::Shrink { .. }) => {
            let words = error.to_string().replace('\n', " ");
            print::to_stdout(&format!("      {words}\n"))?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let took = start.elapsed();
    let reproducer = reproducer::examine(mutant, kill, file)?;
    print::to_stdout(&format!(
        "      shrunk in {} to {}; fails {} of {REPEATS}: {}\n",
        print::seconds(took),
        reproducer.scenario.in_words(),
        reproducer.fails,
        reproducer.file.display(),
    ))?;
    Ok(Some((reproducer, took)))
}

fn row(
    args: &Args,
    bug: Option<&Bug>,
    kill: Option<&Kill>,
    built: Duration,
    swept: Duration,
) -> String {
    let (what, name) = bug.map_or(("none", "the honest build"), |bug| {
        (&*bug.id, &*bug.about.name)
    });
    let (result, by, seeds) = match (kill, bug) {
        (Some(kill), Some(_)) => ("killed", &*kill.by, kill.seed + 1),
        (Some(kill), None) => ("red", &*kill.by, kill.seed + 1),
        (None, Some(_)) => ("survived", "-", args.seeds),
        (None, None) => ("clean", "-", args.seeds),
    };
    let (built, swept) = (print::seconds(built), print::seconds(swept));
    let mut text =
        format!("{what:<5} {result:<9} {by:<11} {seeds:>6} {built:>7} {swept:>7}  {name}\n");
    if let Some(kill) = kill {
        let _ = writeln!(text, "      {}", kill.reason);
    } else if let Some(why) = bug.and_then(|bug| bug.about.explained.as_ref()) {
        let _ = writeln!(text, "      explained: {why}");
    }
    text
}

fn summary(args: &Args, bugs: &[Bug], found: &[Found], fails_anyway: &FailsAnyway) -> String {
    let kills: Vec<&Kill> = found.iter().filter_map(|it| it.kill.as_ref()).collect();
    let as_named = bugs
        .iter()
        .zip(found)
        .filter_map(|(bug, found)| Some((bug, found.kill.as_ref()?)))
        .filter(|(bug, kill)| bug.about.invariants.contains(&kill.by));
    let mut text = format!(
        "killed   {} of {}, median {} seeds; {} by an invariant that the bug's file names\n",
        kills.len(),
        bugs.len(),
        median(kills.iter().map(|kill| kill.seed + 1)).0,
        as_named.count(),
    );
    let seeds: Vec<String> = fails_anyway.keys().map(u64::to_string).collect();
    let _ = match seeds.is_empty() {
        true => writeln!(
            text,
            "control  the honest build passes all {} seeds",
            args.seeds
        ),
        false => writeln!(
            text,
            "control  the honest build fails the seeds {}: they kill no bug here",
            seeds.join(", ")
        ),
    };
    let shrunk: Vec<&(Reproducer, Duration)> =
        found.iter().filter_map(|it| it.shrunk.as_ref()).collect();
    if !shrunk.is_empty() {
        text.push_str(&distribution(&shrunk));
    }
    text
}

/// What is left of the killed bugs' first failing seeds, in figures.
fn distribution(shrunk: &[&(Reproducer, Duration)]) -> String {
    let figure = |what: &str, of: &dyn Fn(&Reproducer) -> u64| {
        let (median, most) = median(shrunk.iter().map(|(reproducer, _)| of(reproducer)));
        format!("         {what:<8} median {median}, at most {most}\n")
    };
    let length = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let (mid, most) = median(shrunk.iter().map(|(_, took)| took.as_millis()));
    let seconds = |millis: u128| {
        print::seconds(Duration::from_millis(
            u64::try_from(millis).unwrap_or(u64::MAX),
        ))
    };
    let sure = shrunk.iter().filter(|(it, _)| it.fails == REPEATS);
    let mut text = format!(
        "shrunk   {}, of which {} fail {REPEATS} times of {REPEATS}\n",
        shrunk.len(),
        sure.count()
    );
    let _ = writeln!(
        text,
        "         {:<8} median {}, at most {}",
        "time",
        seconds(mid),
        seconds(most)
    );
    text.push_str(&figure("faults", &|it| length(it.scenario.faults.len())));
    text.push_str(&figure("sends", &|it| {
        it.scenario.workloads.iter().map(|work| work.sends).sum()
    }));
    text.push_str(&figure("servers", &|it| {
        let cluster = &it.scenario.cluster;
        u64::from(cluster.name_servers) + length(cluster.brokers.len())
    }));
    text
}

/// The median and the greatest of some figures; nothing of none.
fn median<T: Ord + Copy + Default>(figures: impl Iterator<Item = T>) -> (T, T) {
    let mut figures: Vec<T> = figures.collect();
    figures.sort_unstable();
    let middle = figures.get(figures.len().saturating_sub(1) / 2);
    (
        middle.copied().unwrap_or_default(),
        figures.last().copied().unwrap_or_default(),
    )
}

/// A search that misses a bug without a reason is red, as is one that cries wolf.
fn class(bugs: &[Bug], found: &[Found], fails_anyway: &FailsAnyway) -> Class {
    let missed = |(bug, found): (&Bug, &Found)| {
        found.kill.is_none() && bug.about.explained.is_none()
            || found
                .shrunk
                .as_ref()
                .is_some_and(|(it, _)| it.fails != REPEATS)
    };
    match !fails_anyway.is_empty() || bugs.iter().zip(found).any(missed) {
        true => Class::Violation,
        false => Class::Pass,
    }
}

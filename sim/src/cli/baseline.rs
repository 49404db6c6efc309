//! `cargo sim sweep --save-baseline` and `--baseline`: which seeds another build plays otherwise, and how.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{CliError, print, whole};
use crate::digests::TOKIO;
use crate::sweep::baseline::{Baseline, Comparison, Figure, SeedDifference, SeedFigures, compare};
use crate::sweep::revision::{self, Revision};
use crate::sweep::{BUILD, Plan};

/// Seeds that differ and are shown, at most.
const SHOWN: usize = 10;

/// What `sweep` is given of baselines.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct BaselineArgs {
    /// Writes a few figures of each seed's run to this file, to compare a later build with, and keeps this
    /// program.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shard", "time", "out"])]
    save_baseline: Option<PathBuf>,
    /// Compares each seed's run with that of the build that wrote this file; all seeds that it has, unless
    /// given. A difference is no failure: the exit code is that of the sweep.
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    baseline: Option<PathBuf>,
    /// Compares each seed's run with that of the build of this revision (a branch, a tag or a commit of
    /// git), which is built for it once.
    #[arg(long, value_name = "REV", conflicts_with_all = ["baseline", "shard", "time", "out"])]
    baseline_rev: Option<String>,
    /// Where the programs of other builds are kept, and what they are built from: among the temporary
    /// files, unless given.
    #[arg(long, value_name = "FOLDER")]
    build: Option<PathBuf>,
}

impl BaselineArgs {
    /// Whether a baseline of the whole range is to be written.
    pub(super) fn writes(&self) -> bool {
        self.save_baseline.is_some()
    }

    /// The same arguments, for a command that goes on.
    pub(super) fn again(&self) -> String {
        let mut text = String::new();
        let files = [
            ("--save-baseline", &self.save_baseline),
            ("--baseline", &self.baseline),
            ("--build", &self.build),
        ];
        for (option, file) in files {
            if let Some(file) = file {
                let _ = write!(text, " {option} {}", print::quoted(file));
            }
        }
        if let Some(revision) = &self.baseline_rev {
            let _ = write!(
                text,
                " --baseline-rev {}",
                print::quoted(Path::new(revision))
            );
        }
        text
    }
}

/// What a sweep is compared with, and where its own figures go.
pub(super) struct Baselines {
    /// The file to write, and where this program is kept.
    save: Option<(PathBuf, PathBuf)>,
    against: Option<Against>,
}

/// Another build's runs.
struct Against {
    /// What the report calls it.
    title: String,
    baseline: Baseline,
    /// The seeds that are compared.
    seeds: Range<u64>,
    /// Its program, which may be gone.
    program: PathBuf,
}

/// Makes ready what can be said wrong before any seed is run: files that are to be written, the baseline,
/// and the build of a revision with its runs.
pub(super) fn prepare(
    args: &BaselineArgs,
    scenario: Option<&Path>,
    seeds: Option<&Range<u64>>,
    plan: &Plan,
) -> Result<Baselines, CliError> {
    let builds = revision::builds(args.build.as_deref())?;
    let mut baselines = Baselines {
        save: None,
        against: None,
    };
    if let Some(file) = &args.baseline {
        let baseline = Baseline::read(file)?;
        baselines.against = Some(Against {
            title: print::quoted(file),
            seeds: baseline.fits(file, &plan.source, seeds)?,
            program: revision::program_of(&builds, &baseline.header.build),
            baseline,
        });
    }
    if let Some(file) = &args.save_baseline {
        whole::check(file)?;
        baselines.save = Some((file.clone(), revision::keep_this(&builds)?));
    }
    if let Some(name) = &args.baseline_rev {
        baselines.against = Some(of_revision(name, builds, scenario, plan)?);
    }
    Ok(baselines)
}

/// Builds a revision and runs the seeds of a plan with it.
fn of_revision(
    name: &str,
    builds: PathBuf,
    scenario: Option<&Path>,
    plan: &Plan,
) -> Result<Against, CliError> {
    let here = Path::new(".");
    let revision = Revision::find(name, here, builds)?;
    if !revision.is_built() {
        print::to_stderr(&format!(
            "building {name} in {}; the first build takes some minutes\n",
            revision.folder().display()
        ));
    }
    let program = revision.build()?;
    print::to_stderr(&format!("running the seeds with {}\n", program.display()));
    let baseline = revision.sweep(&program, scenario, &plan.seeds, plan.jobs)?;
    let title = format!("{name} ({})", revision.short());
    Ok(Against {
        seeds: baseline.fits(Path::new(&title), &plan.source, Some(&plan.seeds))?,
        title,
        baseline,
        program,
    })
}

impl Baselines {
    /// Whether the figures of runs are needed.
    pub(super) fn are_asked_for(&self) -> bool {
        self.save.is_some() || self.against.is_some()
    }

    /// The seeds to run, if a baseline says which.
    pub(super) fn seeds(&self) -> Option<Range<u64>> {
        self.against.as_ref().map(|against| against.seeds.clone())
    }

    /// What the report says of the differences; nothing unless there is something to compare with.
    pub(super) fn compare(&self, scenario: Option<&Path>, runs: &[SeedFigures]) -> String {
        self.against.as_ref().map_or_else(String::new, |against| {
            against.report(scenario, &compare(&against.baseline, runs))
        })
    }

    /// Writes the baseline of a sweep that has run all of its seeds.
    pub(super) fn save(
        &self,
        scenario: Option<&Path>,
        plan: &Plan,
        runs: Vec<SeedFigures>,
    ) -> Result<(), CliError> {
        let Some((file, program)) = &self.save else {
            return Ok(());
        };
        let seeds = runs.len();
        let text = Baseline::of(&plan.source, &plan.seeds, runs).text();
        whole::write(file, text.as_bytes())?;
        print::to_stdout(&format!(
            "saved    {}: {seeds} seeds; this program is kept as {}\ncompare  {} sweep{} --baseline {}\n",
            print::quoted(file),
            print::quoted(program),
            print::program(),
            scenario.map_or(String::new(), |file| format!(" {}", print::quoted(file))),
            print::quoted(file),
        ))
    }
}

impl Against {
    fn report(&self, scenario: Option<&Path>, found: &Comparison) -> String {
        let compared = found.same + found.other_trace + found.other_figures;
        let header = &self.baseline.header;
        let mut text = format!(
            "baseline {}, build {}: {compared} seeds compared\n\
             same     {} have the same trace\n\
             trace    {} have equal figures and another trace\n\
             figures  {} have other figures\n",
            self.title, header.build, found.same, found.other_trace, found.other_figures,
        );
        text.push_str(&self.remarks(found, compared));
        if found.other_figures > 0 {
            text.push_str(&sums(&found.sums));
        }
        text.push_str(&self.seeds_that_differ(scenario, found));
        text
    }

    /// What else there is to know before the figures are believed.
    fn remarks(&self, found: &Comparison, compared: u64) -> String {
        let header = &self.baseline.header;
        let mut text = String::new();
        if found.other_scenario > 0 {
            let _ = writeln!(
                text,
                "skipped  {} have another scenario in this build; they are not compared",
                found.other_scenario
            );
        }
        if found.other_scenario > 0 && compared == 0 {
            text.push_str(
                "note     NOTHING was compared: the generator of this build makes other scenarios of these \
                 seeds; sweep a scenario's file with both builds\n",
            );
        }
        let differ = !found.different.is_empty();
        if differ && header.tokio != TOKIO {
            let _ = writeln!(
                text,
                "note     the baseline's build ran tokio {} and this one runs {TOKIO}, which may run tasks \
                 in another order",
                header.tokio
            );
        } else if differ && header.build == BUILD {
            text.push_str("note     both builds have the same sources, and yet they differ\n");
        }
        let shared = self.baseline.shared();
        let unknown = Figure::ALL.into_iter().filter(|it| !shared.contains(it));
        let unknown: Vec<&str> = unknown.map(Figure::words).collect();
        if !unknown.is_empty() {
            let _ = writeln!(
                text,
                "note     the baseline does not have: {}; that is not compared",
                unknown.join(", ")
            );
        }
        text
    }

    /// The first seeds that differ, each with what differs and the command that looks at it.
    fn seeds_that_differ(&self, scenario: Option<&Path>, found: &Comparison) -> String {
        let mut text = String::new();
        if found.different.is_empty() {
            return text;
        }
        let (us, kept) = (print::program(), self.program.is_file());
        let file = scenario.map_or(String::new(), |file| format!(" {}", print::quoted(file)));
        let other = print::quoted(&self.program);
        let shared = self.baseline.shared();
        for difference in found.different.iter().take(SHOWN) {
            let seed = difference.seed();
            let _ = writeln!(
                text,
                "differs  seed {seed}: {}",
                in_words(difference, &shared)
            );
            let _ = match kept {
                true => writeln!(
                    text,
                    "look     {us} diverge{file} --seed {seed} --program {other}"
                ),
                false => writeln!(text, "look     {us} run{file} --seed {seed}"),
            };
        }
        let more = found.different.len().saturating_sub(SHOWN);
        if more > 0 {
            let _ = writeln!(text, "more     {more} seeds differ, too");
        }
        let first = found.different.first().map_or(0, SeedDifference::seed);
        let name = scenario.map_or(String::new(), |file| file.display().to_string());
        let name = print::quoted(Path::new(&format!("{name}@{first}")));
        let _ = match kept {
            true => writeln!(text, "by send  {us} diff {name} --program {other}"),
            false => writeln!(
                text,
                "note     {other}, the program of the baseline, is gone; --baseline-rev makes one of a revision"
            ),
        };
        text
    }
}

/// What differs of a seed, in the order of the figures.
fn in_words(difference: &SeedDifference, shared: &[Figure]) -> String {
    let (before, after) = (&difference.before, &difference.after);
    let mut words = Vec::new();
    if before.verdict != after.verdict {
        words.push(format!("verdict {} -> {}", before.verdict, after.verdict));
    }
    if difference.has_other_outcomes() {
        words.push("other outcomes of sends".to_owned());
    }
    let changed = difference.changed(shared).into_iter();
    words.extend(
        changed.map(|(figure, before, after)| format!("{} {before} -> {after}", figure.words())),
    );
    if words.is_empty() {
        words.push("another trace".to_owned());
    }
    words.join(", ")
}

/// Each figure of all compared seeds together.
fn sums(sums: &[(Figure, u64, u64)]) -> String {
    let mut text = format!(
        "{:9}{:<20}{:>14}{:>14}{:>10}\n",
        "sums", "", "before", "after", "change"
    );
    for (figure, before, after) in sums {
        let _ = writeln!(
            text,
            "{:9}{:<20}{before:>14}{after:>14}{:>10}",
            "",
            figure.words(),
            change(*before, *after)
        );
    }
    text
}

/// A change in percent: `+1.50%`; `=` where there is none.
fn change(before: u64, after: u64) -> String {
    if before == after {
        return "=".to_owned();
    }
    if before == 0 {
        return "new".to_owned();
    }
    let sign = if after > before { '+' } else { '-' };
    let hundredths = u128::from(before.abs_diff(after)) * 10_000 / u128::from(before);
    format!("{sign}{}.{:02}%", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_in_percent_of_what_was() {
        assert_eq!(change(200, 203), "+1.50%");
        assert_eq!(change(203, 200), "-1.47%");
        assert_eq!(change(7, 7), "=");
        assert_eq!(
            (change(0, 0), change(0, 3)),
            ("=".to_owned(), "new".to_owned())
        );
        assert_eq!(change(3, 0), "-100.00%");
        assert!(change(1, u64::MAX).starts_with('+'), "no overflow");
    }
}

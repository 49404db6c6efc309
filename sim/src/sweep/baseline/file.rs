//! The file of a baseline: a line that says which build ran which seeds, then one line for each seed.
//!
//! The first line names the figures that the others have, in order, so a build that counts more than the
//! one before reads that one's file, and compares what both have counted.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::figures::{Figure, SeedFigures, ShortDigest};
use crate::digests::TOKIO;
use crate::sweep::{BUILD, SeedSource};
use crate::verdict::Class;

/// The version of the format.
const FORMAT: u32 = 1;

/// What is wrong with a baseline.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BaselineError {
    /// There is no such file.
    #[error(
        "{}: there is no such baseline\n  remedy: write one before the change, with sweep --seeds A..B --save-baseline {}, or compare with a revision that git knows: sweep --seeds A..B --baseline-rev REV",
        .0.display(), .0.display()
    )]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("{}: cannot be read: {cause}\n  remedy: give a baseline, written by sweep --save-baseline", .file.display())]
    Read {
        /// The file that was to be read.
        file: PathBuf,
        /// What reading it failed with.
        cause: io::Error,
    },
    /// Its text is something else, or damaged.
    #[error("{}:{line}: {what}\n  remedy: give a baseline as sweep --save-baseline wrote it, or write it anew", .file.display())]
    Form {
        /// The file that is no baseline.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What that line should be and is not.
        what: String,
    },
    /// It is of another sweep.
    #[error("{}: this is the baseline of {theirs}, and the sweep is of {ours}\n  remedy: sweep the same scenario, or write a baseline of this one", .file.display())]
    Other {
        /// The file that is of another sweep.
        file: PathBuf,
        /// What its seeds played.
        theirs: String,
        /// What the seeds of this sweep play.
        ours: String,
    },
    /// Seeds were asked for that it does not have.
    #[error(
        "{}: it has the seeds {}..{}, and {}..{} are to be compared\n  remedy: leave --seeds away for all that it has, or write a baseline of more",
        .file.display(), .has.start, .has.end, .asked.start, .asked.end
    )]
    Range {
        /// The file that has other seeds.
        file: PathBuf,
        /// The seeds that it has.
        has: Range<u64>,
        /// The seeds that were asked for.
        asked: Range<u64>,
    },
}

/// The first line of a baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BaselineHeader {
    /// The version of the format.
    baseline: u32,
    /// The build that ran the seeds: [`BUILD`].
    pub(crate) build: String,
    /// The version of Tokio that it ran: another one may run tasks in another order.
    pub(crate) tokio: String,
    /// The scenario's name and digest, or `generated`.
    pub(crate) sweep: String,
    /// The seeds: from the first up to, and without, the second.
    seeds: (u64, u64),
    /// The figures of each line, by their keys.
    figures: Vec<String>,
}

/// The line of one seed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedLine {
    seed: u64,
    scenario: ShortDigest,
    trace: ShortDigest,
    verdict: Class,
    outcomes: ShortDigest,
    figures: Vec<u64>,
}

/// The figures of a range of seeds, of one build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Baseline {
    /// Which build ran what.
    pub(crate) header: BaselineHeader,
    /// One for each seed of the range, in order. A figure that the file does not have is 0.
    pub(crate) seeds: Vec<SeedFigures>,
}

/// What a baseline says of where its seeds' scenarios come from.
pub(crate) fn sweep_of(source: &SeedSource) -> String {
    match source {
        SeedSource::Generated => "generated".to_owned(),
        SeedSource::Given(scenario) => {
            format!("{} {}", scenario.name, ShortDigest::of_scenario(scenario))
        }
    }
}

impl Baseline {
    /// The baseline of this build's runs; `runs` are those of `seeds`, each once, in any order.
    pub(crate) fn of(source: &SeedSource, seeds: &Range<u64>, mut runs: Vec<SeedFigures>) -> Self {
        runs.sort_unstable_by_key(|run| run.seed);
        let header = BaselineHeader {
            baseline: FORMAT,
            build: BUILD.to_owned(),
            tokio: TOKIO.to_owned(),
            sweep: sweep_of(source),
            seeds: (seeds.start, seeds.end),
            figures: Figure::ALL.map(|it| it.key().to_owned()).to_vec(),
        };
        Self {
            header,
            seeds: runs,
        }
    }

    /// The range of its seeds.
    pub(crate) fn range(&self) -> Range<u64> {
        self.header.seeds.0..self.header.seeds.1
    }

    /// What it says of a seed.
    pub(crate) fn seed(&self, seed: u64) -> Option<&SeedFigures> {
        let nth = seed.checked_sub(self.header.seeds.0)?;
        self.seeds.get(usize::try_from(nth).ok()?)
    }

    /// The figures that both its build and this one count.
    pub(crate) fn shared(&self) -> Vec<Figure> {
        let has = |it: &Figure| self.header.figures.iter().any(|key| key == it.key());
        Figure::ALL.into_iter().filter(has).collect()
    }

    /// Whether it can be compared with a sweep of these seeds, all of its own unless they are given; gives
    /// the seeds to run.
    ///
    /// # Errors
    ///
    /// It is of another scenario, or does not have all of the seeds. Errors name `file`.
    pub(crate) fn fits(
        &self,
        file: &Path,
        source: &SeedSource,
        seeds: Option<&Range<u64>>,
    ) -> Result<Range<u64>, BaselineError> {
        let ours = sweep_of(source);
        if self.header.sweep != ours {
            return Err(BaselineError::Other {
                file: file.to_owned(),
                theirs: self.header.sweep.clone(),
                ours,
            });
        }
        let has = self.range();
        let asked = seeds.cloned().unwrap_or_else(|| has.clone());
        if asked.start < has.start || asked.end > has.end {
            return Err(BaselineError::Range {
                file: file.to_owned(),
                has,
                asked,
            });
        }
        Ok(asked)
    }

    /// The text of its file.
    pub(crate) fn text(&self) -> String {
        let mut text = line(&self.header);
        for run in &self.seeds {
            text.push_str(&line(&SeedLine {
                seed: run.seed,
                scenario: run.scenario,
                trace: run.trace,
                verdict: run.verdict,
                outcomes: run.outcomes,
                figures: self
                    .columns()
                    .map(|it| it.map_or(0, |it| run.figure(it)))
                    .collect(),
            }));
        }
        text
    }

    /// The figures of its lines; `None` stands for one that this build does not know.
    fn columns(&self) -> impl Iterator<Item = Option<Figure>> {
        columns(&self.header)
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It is not there, cannot be read, or is no whole baseline.
    pub(crate) fn read(file: &Path) -> Result<Self, BaselineError> {
        let text = fs::read_to_string(file).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => BaselineError::Missing(file.to_owned()),
            _ => BaselineError::Read {
                file: file.to_owned(),
                cause,
            },
        })?;
        Self::parse(file, &text)
    }

    /// Reads the text of a file. Errors name `file`.
    ///
    /// # Errors
    ///
    /// It is no baseline, or not a whole one.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, BaselineError> {
        let form = |line, what: String| BaselineError::Form {
            file: file.to_owned(),
            line,
            what,
        };
        let mut lines = (1..).zip(text.lines());
        let header = match lines.next() {
            Some((_, first)) => header(first).map_err(|what| form(1, what))?,
            None => return Err(form(1, "the file is empty".to_owned())),
        };
        let (from, to) = header.seeds;
        let mut seeds = Vec::new();
        let mut expected = from..to;
        let mut last = 1;
        for (number, text) in lines {
            last = number;
            let run = seed(&header, text).map_err(|what| form(number, what))?;
            if expected.next() != Some(run.seed) {
                let what = format!("seed {} is out of order in {from}..{to}", run.seed);
                return Err(form(number, what));
            }
            seeds.push(run);
        }
        match expected.next() {
            Some(missing) => {
                let what = format!("the file ends before seed {missing} of {from}..{to}");
                Err(form(last, what))
            }
            None => Ok(Self { header, seeds }),
        }
    }
}

fn columns(header: &BaselineHeader) -> impl Iterator<Item = Option<Figure>> {
    let known = |key: &String| Figure::ALL.into_iter().find(|it| it.key() == key);
    header.figures.iter().map(known)
}

/// Reads the first line; an error says what is wrong with it.
fn header(text: &str) -> Result<BaselineHeader, String> {
    /// What the first line has in every version of the format.
    #[derive(Deserialize)]
    struct Format {
        baseline: u32,
    }
    let wrong = |error: serde_json::Error| format!("no header of a baseline: {error}");
    let format: Format = serde_json::from_str(text).map_err(wrong)?;
    if format.baseline != FORMAT {
        let theirs = format.baseline;
        return Err(format!("format {theirs} is not {FORMAT}, this build's"));
    }
    let header: BaselineHeader = serde_json::from_str(text).map_err(wrong)?;
    match header.seeds {
        (from, to) if from < to => Ok(header),
        (from, to) => Err(format!("{from}..{to} is no range of seeds")),
    }
}

/// Reads the line of a seed; an error says what is wrong with it.
fn seed(header: &BaselineHeader, text: &str) -> Result<SeedFigures, String> {
    let line: SeedLine =
        serde_json::from_str(text).map_err(|error| format!("no line of a seed: {error}"))?;
    if line.figures.len() != header.figures.len() {
        let (has, named) = (line.figures.len(), header.figures.len());
        return Err(format!("{has} figures, and the first line names {named}"));
    }
    let mut figures = [0; Figure::ALL.len()];
    for (column, figure) in columns(header).zip(line.figures) {
        if let Some(column) = column {
            figures[column as usize] = figure;
        }
    }
    Ok(SeedFigures {
        seed: line.seed,
        scenario: line.scenario,
        trace: line.trace,
        verdict: line.verdict,
        outcomes: line.outcomes,
        figures,
    })
}

/// A value as a line of JSON. These types are made of numbers and texts, which JSON can always hold.
fn line<T: Serialize>(value: &T) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text + "\n",
        Err(error) => unreachable!("a value is no JSON: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(seed: u64, numbers: [u64; 3], figures: [u64; 10]) -> SeedFigures {
        SeedFigures {
            seed,
            scenario: ShortDigest(numbers[0]),
            trace: ShortDigest(numbers[1]),
            verdict: Class::ALL[(numbers[1] % 7) as usize],
            outcomes: ShortDigest(numbers[2]),
            figures,
        }
    }

    fn baseline() -> Baseline {
        let runs = (5..8).map(|seed| run(seed, [1, 2, 3], [4; 10])).collect();
        Baseline::of(&SeedSource::Generated, &(5..8), runs)
    }

    fn refused(text: &str) -> String {
        Baseline::parse(Path::new("base.jsonl"), text)
            .unwrap_err()
            .to_string()
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_it_was(
            from in 0..u64::MAX - 9,
            runs in prop::collection::vec((any::<[u64; 3]>(), any::<[u64; 10]>()), 1..9),
        ) {
            let seeds = from..from + runs.len() as u64;
            let mut runs: Vec<SeedFigures> = seeds.clone().zip(runs)
                .map(|(seed, (numbers, figures))| run(seed, numbers, figures))
                .collect();
            runs.reverse();
            let written = Baseline::of(&SeedSource::Generated, &seeds, runs);
            let read = Baseline::parse(Path::new("base.jsonl"), &written.text()).unwrap();
            prop_assert_eq!(&read, &written);
            prop_assert_eq!(read.range(), seeds.clone());
            prop_assert_eq!(read.seed(from).map(|it| it.seed), Some(from));
            prop_assert_eq!(read.seed(seeds.end), None);
        }

        #[test]
        fn no_cut_of_a_file_is_taken_for_a_whole_one(cut in any::<prop::sample::Index>()) {
            let text = baseline().text();
            let cut = cut.index(text.trim_end().len());
            let told = refused(&text[..cut]);
            prop_assert!(told.starts_with("base.jsonl:"), "{}", told);
        }
    }

    #[test]
    fn a_damaged_line_is_named() {
        let text = baseline().text();
        let lines: Vec<&str> = text.lines().collect();
        let with = |at: usize, line: &str| {
            let mut lines = lines.clone();
            lines[at] = line;
            refused(&lines.join("\n"))
        };
        for (told, words) in [
            (refused(""), "base.jsonl:1: the file is empty"),
            (refused("hello\n"), "base.jsonl:1: no header of a baseline"),
            (
                with(0, "{\"baseline\":2}"),
                "base.jsonl:1: format 2 is not 1",
            ),
            (with(2, "{\"seed\":6}"), "base.jsonl:3: no line of a seed"),
            (
                with(2, lines[1]),
                "base.jsonl:3: seed 5 is out of order in 5..8",
            ),
            (
                refused(&lines[..3].join("\n")),
                "base.jsonl:3: the file ends before seed 7 of 5..8",
            ),
            (
                refused(&format!("{text}{}", lines[3])),
                "base.jsonl:5: seed 7 is out of order",
            ),
            (
                refused(&text.replacen("[5,8]", "[8,8]", 1)),
                "base.jsonl:1: 8..8 is no range of seeds",
            ),
            (
                refused(&text.replacen("[4,4,4", "[4,4", 1)),
                "base.jsonl:2: 9 figures, and the first line names 10",
            ),
        ] {
            assert!(told.starts_with(words), "{told}");
            assert!(told.contains("\n  remedy: "), "{told}");
        }
    }

    #[test]
    fn a_build_that_counts_other_figures_is_compared_in_those_that_both_have() {
        let text = "{\"baseline\":1,\"build\":\"9\",\"tokio\":\"1\",\"sweep\":\"generated\",\"seeds\":[3,4],\
            \"figures\":[\"attempts\",\"moods\",\"ok\"]}\n{\"seed\":3,\"scenario\":\"0000000000000001\",\
            \"trace\":\"0000000000000002\",\"verdict\":\"pass\",\"outcomes\":\"0000000000000003\",\
            \"figures\":[7,8,9]}\n";
        let read = Baseline::parse(Path::new("base.jsonl"), text).unwrap();
        assert_eq!(read.shared(), [Figure::Ok, Figure::Attempts]);
        let three = read.seed(3).unwrap();
        assert_eq!(three.figure(Figure::Attempts), 7);
        assert_eq!(three.figure(Figure::Ok), 9);
        assert_eq!(three.figure(Figure::Failed), 0);
        assert_eq!(read.seed(2), None);
    }

    #[test]
    fn a_baseline_fits_the_same_scenario_and_no_seeds_that_it_does_not_have() {
        let base = baseline();
        let fits = |source: &SeedSource, seeds: Option<Range<u64>>| {
            base.fits(Path::new("base.jsonl"), source, seeds.as_ref())
                .map_err(|error| error.to_string())
        };
        let generated = SeedSource::Generated;
        assert_eq!(fits(&generated, None).unwrap(), 5..8);
        assert_eq!(fits(&generated, Some(6..7)).unwrap(), 6..7);
        for more in [4..6, 7..9] {
            let told = fits(&generated, Some(more)).unwrap_err();
            assert!(told.contains("it has the seeds 5..8"), "{told}");
        }
        let scenario = crate::generate::generate(1);
        let told = fits(&SeedSource::Given(std::sync::Arc::new(scenario)), None).unwrap_err();
        assert!(told.contains("the baseline of generated, and"), "{told}");
    }
}

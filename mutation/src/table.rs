//! The results as a page: totals, files, checkers, and each survivor with what it means.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::mutant::{Key, Mutant, SourceFile};
use crate::record::Line;
use crate::trial::Outcome;
use crate::verdicts::{Meaning, Verdict};

/// Everything that the page is made of.
#[derive(Debug)]
pub(crate) struct Results<'a> {
    pub(crate) files: &'a [SourceFile],
    pub(crate) mutants: &'a [Mutant],
    pub(crate) unviable: &'a BTreeSet<usize>,
    pub(crate) lines: &'a BTreeMap<usize, Line>,
    pub(crate) verdicts: &'a BTreeMap<Key, Verdict>,
    pub(crate) seeds: u64,
}

/// Mutants, counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    mutants: usize,
    unviable: usize,
    killed: usize,
    survived: usize,
    equivalent: usize,
}

impl Counts {
    /// Killed mutants among those that can be, in thousandths.
    fn score(self) -> String {
        let of = self.killed + self.survived - self.equivalent;
        match (self.killed * 1_000).checked_div(of) {
            Some(score) => format!("{}.{} %", score / 10, score % 10),
            None => "-".to_owned(),
        }
    }
}

impl Results<'_> {
    fn counts(&self, of_file: impl Fn(&str) -> bool) -> Counts {
        let mut counts = Counts::default();
        for mutant in self.mutants.iter().filter(|it| of_file(&it.key.file)) {
            counts.mutants += 1;
            counts.unviable += usize::from(self.unviable.contains(&mutant.number));
            match self.lines.get(&mutant.number).map(|line| &line.outcome) {
                Some(Outcome::Killed { .. }) => counts.killed += 1,
                Some(Outcome::Survived { .. }) => {
                    let verdict = self.verdicts.get(&mutant.key);
                    let equal = verdict.is_some_and(|it| it.verdict == Meaning::Equivalent);
                    counts.survived += 1;
                    counts.equivalent += usize::from(equal);
                }
                None => {}
            }
        }
        counts
    }

    /// The page.
    pub(crate) fn page(&self) -> String {
        let mut text = format!(
            "# Mutants that the laboratory kills\n\nWritten by `rmq-mutation` ([how](README.md)), with the seeds 0..{} of generated scenarios.\n\n",
            self.seeds
        );
        self.totals(&mut text);
        self.by_file(&mut text);
        self.by_checker(&mut text);
        self.survivors(&mut text);
        self.stale(&mut text);
        text
    }

    /// The totals in one line, for a terminal.
    pub(crate) fn in_short(&self) -> String {
        let all = self.counts(|_| true);
        format!(
            "{} mutants, {} unviable, {} killed, {} survived ({} equivalent): score {}",
            all.mutants,
            all.unviable,
            all.killed,
            all.survived,
            all.equivalent,
            all.score()
        )
    }

    fn totals(&self, text: &mut String) {
        let all = self.counts(|_| true);
        let tried = all.killed + all.survived;
        let left_out: usize = self.files.iter().map(|it| it.excluded.len()).sum();
        let of_trace = |trace| {
            let survivors = self
                .mutants
                .iter()
                .filter(|it| self.trace(it) == Some(trace));
            survivors.count().to_string()
        };
        let rows = [
            ("mutants", all.mutants.to_string()),
            ("unviable (do not compile)", all.unviable.to_string()),
            ("tried", tried.to_string()),
            ("killed", all.killed.to_string()),
            ("survived", all.survived.to_string()),
            ("of these, traces differ", of_trace(Trace::Differs)),
            ("of these, no trace differs", of_trace(Trace::Same)),
            ("of these, never reached", of_trace(Trace::NeverReached)),
            (
                "of these, equivalent by verdict",
                all.equivalent.to_string(),
            ),
            ("score: killed of tried and not equivalent", all.score()),
            (
                "places left out by the rule `testimony`",
                left_out.to_string(),
            ),
        ];
        heading(text, &["", ""]);
        for (what, figure) in rows {
            row(text, &[what.to_owned(), figure]);
        }
    }

    fn by_file(&self, text: &mut String) {
        text.push_str("\n## Files\n\n");
        heading(
            text,
            &["file", "mutants", "unviable", "killed", "survived", "score"],
        );
        for file in self.files {
            let of = self.counts(|path| path == file.path);
            if of.killed + of.survived > 0 {
                let figures = [of.mutants, of.unviable, of.killed, of.survived];
                let mut cells = vec![file.path.clone()];
                cells.extend(figures.iter().map(usize::to_string));
                cells.push(of.score());
                row(text, &cells);
            }
        }
    }

    fn by_checker(&self, text: &mut String) {
        let mut killers: BTreeMap<&str, usize> = BTreeMap::new();
        for line in self.lines.values() {
            if let Outcome::Killed { by, .. } = &line.outcome {
                *killers.entry(by).or_default() += 1;
            }
        }
        text.push_str("\n## Killed by\n\n");
        heading(text, &["checker", "mutants"]);
        for (by, killed) in killers {
            row(text, &[by.to_owned(), killed.to_string()]);
        }
    }

    /// What surviving says of a mutant's runs, if it survived.
    fn trace(&self, mutant: &Mutant) -> Option<Trace> {
        let outcome = |number| self.lines.get(number).map(|line| &line.outcome);
        let Some(Outcome::Survived { reached, digest }) = outcome(&mutant.number) else {
            return None;
        };
        let own = match outcome(&0) {
            Some(Outcome::Survived { digest, .. }) => Some(digest),
            _ => None,
        };
        Some(match (reached, own == Some(digest)) {
            (false, _) => Trace::NeverReached,
            (true, true) => Trace::Same,
            (true, false) => Trace::Differs,
        })
    }

    fn survivors(&self, text: &mut String) {
        for trace in [Trace::Differs, Trace::Same, Trace::NeverReached] {
            let _ = writeln!(
                text,
                "\n## Survivors: {}\n\n{}\n",
                trace.title(),
                trace.means()
            );
            heading(text, &["number", "place", "function", "change", "verdict"]);
            let of_trace = |it: &&Mutant| self.trace(it) == Some(trace);
            for mutant in self.mutants.iter().filter(of_trace) {
                let key = &mutant.key;
                let verdict = self.verdicts.get(key);
                let cells = [
                    mutant.number.to_string(),
                    format!("{}:{}", key.file, mutant.line),
                    format!("`{}`", key.function),
                    key.change.clone(),
                    verdict.map_or_else(|| "hole (unjudged)".to_owned(), in_words),
                ];
                row(text, &cells);
            }
        }
    }

    /// Verdicts that are of no mutant any more.
    fn stale(&self, text: &mut String) {
        let known: BTreeSet<&Key> = self.mutants.iter().map(|it| &it.key).collect();
        let stale: Vec<&Key> = self
            .verdicts
            .keys()
            .filter(|it| !known.contains(it))
            .collect();
        if stale.is_empty() {
            return;
        }
        text.push_str(
            "\n## Verdicts of no mutant\n\nTheir code has changed; judge anew, or remove them.\n\n",
        );
        for key in stale {
            let _ = writeln!(
                text,
                "* {} `{}`: {} ({})",
                key.file, key.function, key.change, key.nth
            );
        }
    }
}

/// How the runs of a survivor differ from those without a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trace {
    Differs,
    Same,
    NeverReached,
}

impl Trace {
    fn title(self) -> &'static str {
        match self {
            Self::Differs => "traces differ",
            Self::Same => "no trace differs",
            Self::NeverReached => "never reached",
        }
    }

    fn means(self) -> &'static str {
        match self {
            Self::Differs => {
                "A run goes another way, and no checker minds: both ways are right, or a checker is missing."
            }
            Self::Same => {
                "A run comes to the place and goes the same way: equivalent, or no scenario makes the difference, or the trace does not show it."
            }
            Self::NeverReached => {
                "No run comes to the place: another test must, or a scenario is missing."
            }
        }
    }
}

fn in_words(verdict: &Verdict) -> String {
    let meaning = match verdict.verdict {
        Meaning::Equivalent => "equivalent",
        Meaning::Unreachable => "unreachable",
        Meaning::Hole => "hole",
    };
    format!("{meaning}: {}", verdict.reason)
}

fn heading(text: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|&it| it.to_owned()).collect();
    row(text, &cells);
    row(text, &vec!["---".to_owned(); cells.len()]);
}

/// A row; a bar in a cell would begin another one.
fn row(text: &mut String, cells: &[String]) {
    let cells: Vec<String> = cells.iter().map(|it| it.replace('|', "\\|")).collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests;

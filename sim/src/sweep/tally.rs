//! What is kept of the runs of a sweep.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::coverage::{Coverage, Share};
use crate::invariant;
use crate::run::{Missed, Run};
use crate::verdict::Class;

/// Failing seeds that a sweep remembers with their reason, beside the first one of every invariant.
const REMEMBERED: usize = 5;
/// A sweep of fewer runs says nothing about how often a precondition is true.
pub(crate) const RATED_RUNS: u64 = 1_000;

/// What the runs of a sweep, or of a part of it, came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// How many seeds were run.
    pub runs: u64,
    /// Runs by the class of their verdict.
    pub classes: BTreeMap<Class, u64>,
    /// Failing runs by what says so first: an invariant, `expect`, or the class where nothing does.
    pub failed_by: BTreeMap<String, u64>,
    /// The first failing seeds, and the first one of everything in `failed_by`, in order.
    pub failures: Vec<FailedSeed>,
    /// For each invariant: the runs in which it had something to say.
    pub exercised: BTreeMap<String, u64>,
    /// Sends that ended well, over all runs.
    pub ok: u64,
    /// Sends that failed, over all runs.
    pub failed: u64,
    /// Attempts of all sends, over all runs.
    pub attempts: u64,
    /// Faults that were planned, over all runs.
    pub faults: u64,
    /// Those that never started: what they wait for did not come.
    pub never_started: u64,
    /// Those that started and changed nothing.
    pub never_struck: u64,
    /// What the runs have met, added up.
    pub coverage: Coverage,
    /// One number for all runs: equal for equal programs, whatever the number of threads.
    pub digest: String,
}

/// A seed of a sweep that failed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedSeed {
    /// The seed that failed.
    pub seed: u64,
    /// The class of its verdict.
    pub class: Class,
    /// What says so: an invariant, `expect`, or the class where nothing does.
    pub by: String,
    /// The text of the first finding; empty if there is none.
    pub reason: String,
}

/// The runs of one portion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portion {
    /// The first seed of the portion.
    pub from: u64,
    /// The seed after the last.
    pub to: u64,
    /// What the runs of these seeds came to, added up.
    pub found: Sweep,
}

/// What is kept of one run.
#[derive(Debug)]
pub(super) struct Kept {
    class: Class,
    by: String,
    reason: String,
    exercised: Vec<&'static str>,
    ok: u64,
    failed: u64,
    attempts: u64,
    faults: u64,
    never_started: u64,
    never_struck: u64,
    coverage: Coverage,
    digest: [u8; 32],
}

impl Kept {
    pub(super) fn of(run: &Run) -> Self {
        let exercised = run.preconditions.iter().filter(|(_, count)| *count > 0);
        let class = run.verdict.class;
        let first = run.verdict.findings.first();
        let missed = |how| {
            let effects = run.effects.iter();
            effects.filter(|it| it.missed() == Some(how)).count() as u64
        };
        Self {
            class,
            by: first.map_or_else(|| class.to_string(), |first| first.by.to_owned()),
            reason: first.map_or(String::new(), |first| first.text.clone()),
            exercised: exercised.map(|(id, _)| *id).collect(),
            ok: run.summary.ok,
            failed: run.summary.failed,
            attempts: run.summary.attempts,
            faults: run.effects.len() as u64,
            never_started: missed(Missed::NeverStarted),
            never_struck: missed(Missed::NeverStruck),
            coverage: run.coverage.clone(),
            digest: *run.digest.bytes(),
        }
    }
}

impl Portion {
    pub(super) fn of(seeds: Range<u64>, runs: Vec<(u64, Kept)>) -> Self {
        let mut found = Sweep::default();
        let mut digest = blake3::Hasher::new();
        for (seed, kept) in runs {
            found.runs += 1;
            *found.classes.entry(kept.class).or_default() += 1;
            found.ok += kept.ok;
            found.failed += kept.failed;
            found.attempts += kept.attempts;
            found.faults += kept.faults;
            found.never_started += kept.never_started;
            found.never_struck += kept.never_struck;
            found.coverage.add(&kept.coverage);
            digest.update(&kept.digest);
            for id in kept.exercised {
                *found.exercised.entry(id.to_owned()).or_default() += 1;
            }
            if kept.class != Class::Pass {
                *found.failed_by.entry(kept.by.clone()).or_default() += 1;
                found.remember(FailedSeed {
                    seed,
                    class: kept.class,
                    by: kept.by,
                    reason: kept.reason,
                });
            }
        }
        found.digest = short(&digest);
        Self {
            from: seeds.start,
            to: seeds.end,
            found,
        }
    }
}

/// An invariant whose precondition was true too rarely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rare {
    /// The number of the invariant in the catalogue: `INV-09`.
    pub id: &'static str,
    /// In so many runs its precondition was true.
    pub runs: u64,
    /// So many of a thousand are demanded.
    pub rate_per_mille: u32,
}

impl Sweep {
    /// Adds the portion that follows. Counts end at the largest number there is: a portion may come
    /// from a file that says anything.
    pub fn add(&mut self, portion: &Portion) {
        let found = &portion.found;
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.runs, found.runs);
        for (class, runs) in &found.classes {
            add(self.classes.entry(*class).or_default(), *runs);
        }
        for (id, runs) in &found.exercised {
            add(self.exercised.entry(id.clone()).or_default(), *runs);
        }
        for (by, runs) in &found.failed_by {
            add(self.failed_by.entry(by.clone()).or_default(), *runs);
        }
        for failure in &found.failures {
            self.remember(failure.clone());
        }
        add(&mut self.ok, found.ok);
        add(&mut self.failed, found.failed);
        add(&mut self.attempts, found.attempts);
        add(&mut self.faults, found.faults);
        add(&mut self.never_started, found.never_started);
        add(&mut self.never_struck, found.never_struck);
        self.coverage.add(&found.coverage);
        let mut digest = blake3::Hasher::new();
        digest.update(self.digest.as_bytes());
        digest.update(found.digest.as_bytes());
        self.digest = short(&digest);
    }

    fn remember(&mut self, failure: FailedSeed) {
        let is_new = !self.failures.iter().any(|known| known.by == failure.by);
        if is_new || self.failures.len() < REMEMBERED {
            self.failures.push(failure);
        }
    }

    /// The shares of what the runs have met that are below their floors. A small sweep says nothing
    /// about that.
    pub fn below_floor(&self) -> Vec<Share> {
        let shares = self.coverage.shares().into_iter();
        let below = shares.filter(Share::is_below);
        below.filter(|_| self.runs >= RATED_RUNS).collect()
    }

    /// The invariants that this sweep has not tested: their precondition was true in fewer runs than
    /// they state. A small sweep says nothing about that.
    pub fn rare(&self) -> Vec<Rare> {
        if self.runs < RATED_RUNS {
            return Vec::new();
        }
        invariant::all()
            .iter()
            .map(|one| Rare {
                id: one.id,
                runs: self.exercised.get(one.id).copied().unwrap_or(0),
                rate_per_mille: one.rate_per_mille,
            })
            .filter(|rare| {
                u128::from(rare.runs) * 1_000
                    < u128::from(self.runs) * u128::from(rare.rate_per_mille)
            })
            .collect()
    }
}

fn short(digest: &blake3::Hasher) -> String {
    digest.finalize().to_hex().chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portion(failing: &[(u64, &str)]) -> Portion {
        let mut found = Sweep::default();
        for (seed, by) in failing {
            *found.failed_by.entry((*by).to_owned()).or_default() += 1;
            found.remember(FailedSeed {
                seed: *seed,
                class: Class::Violation,
                by: (*by).to_owned(),
                reason: String::new(),
            });
        }
        Portion {
            from: 0,
            to: 20,
            found,
        }
    }

    #[test]
    fn counts_of_a_file_that_says_anything_end_at_the_largest_number() {
        let mut portion = portion(&[]);
        portion.found.runs = u64::MAX;
        portion
            .found
            .exercised
            .insert("INV-01".to_owned(), u64::MAX);
        let mut sweep = Sweep::default();
        sweep.add(&portion);
        sweep.add(&portion);
        assert_eq!(
            (sweep.runs, sweep.exercised["INV-01"]),
            (u64::MAX, u64::MAX)
        );
        assert!(!sweep.rare().iter().any(|rare| rare.id == "INV-01"));
    }

    #[test]
    fn the_first_failing_seeds_are_remembered_and_the_first_of_every_invariant() {
        let mut failing: Vec<(u64, &str)> = (0..9).map(|seed| (seed, "INV-44")).collect();
        failing.push((9, "INV-08"));
        let seeds = |sweep: &Sweep| sweep.failures.iter().map(|it| it.seed).collect::<Vec<_>>();
        let whole = portion(&failing).found;
        assert_eq!(seeds(&whole), [0, 1, 2, 3, 4, 9]);
        assert_eq!(
            (whole.failed_by["INV-44"], whole.failed_by["INV-08"]),
            (9, 1)
        );
        for cut in 0..failing.len() {
            let mut parts = Sweep::default();
            parts.add(&portion(&failing[..cut]));
            parts.add(&portion(&failing[cut..]));
            assert_eq!(seeds(&parts), seeds(&whole), "cut at {cut}");
        }
    }
}

//! Two builds, seed by seed: which runs are others, in what, and which of them first.
//!
//! The seeds that differ are put in one order, so that whoever looks at ten of them looks at those that
//! matter: first those whose verdict is another, then those in which a caller was told another outcome,
//! then by how much the attempts have changed, relative to what they were; where that is equal, the stored
//! copies, and so on through lookups, dials, bytes and times. Seeds that are equal in all of it are in the
//! order of their numbers, and those of which only the trace is another are last.

use std::cmp::Reverse;

use super::figures::{Figure, SeedFigures};
use super::file::Baseline;

/// The figures by whose relative change seeds are put in order. Sends that fail are other outcomes.
const RANKED: [Figure; 8] = [
    Figure::Attempts,
    Figure::Stored,
    Figure::Lookups,
    Figure::Dials,
    Figure::Bytes,
    Figure::SendMs,
    Figure::P95Ms,
    Figure::MaxMs,
];

/// A seed whose run is another one in the new build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeedDifference {
    /// What the baseline says.
    pub(crate) before: SeedFigures,
    /// What this build's run came to.
    pub(crate) after: SeedFigures,
}

/// What became of all seeds that were run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Seeds with the same trace: the same run.
    pub(crate) same: u64,
    /// Seeds with equal figures, outcomes and verdict, and another trace.
    pub(crate) other_trace: u64,
    /// Seeds with another figure, other outcomes or another verdict.
    pub(crate) other_figures: u64,
    /// Seeds that play another scenario, which are not compared.
    pub(crate) other_scenario: u64,
    /// Each figure that both builds have, added up over the seeds that are compared: before and after.
    pub(crate) sums: Vec<(Figure, u64, u64)>,
    /// The seeds that differ, the largest difference first.
    pub(crate) different: Vec<SeedDifference>,
}

/// Compares the runs of this build with a baseline; runs that it does not have are left out.
pub(crate) fn compare(baseline: &Baseline, runs: &[SeedFigures]) -> Comparison {
    let shared = baseline.shared();
    let mut comparison = Comparison {
        sums: shared.iter().map(|figure| (*figure, 0, 0)).collect(),
        ..Comparison::default()
    };
    for after in runs {
        let Some(before) = baseline.seed(after.seed) else {
            continue;
        };
        if before.scenario != after.scenario {
            comparison.other_scenario += 1;
            continue;
        }
        for (figure, sum_before, sum_after) in &mut comparison.sums {
            // A file may say anything.
            *sum_before = sum_before.saturating_add(before.figure(*figure));
            *sum_after = sum_after.saturating_add(after.figure(*figure));
        }
        let difference = SeedDifference {
            before: before.clone(),
            after: after.clone(),
        };
        let other = difference.is_of_figures(&shared);
        let count = match (other, before.trace == after.trace) {
            (true, _) => &mut comparison.other_figures,
            (false, false) => &mut comparison.other_trace,
            (false, true) => {
                comparison.same += 1;
                continue;
            }
        };
        *count += 1;
        comparison.different.push(difference);
    }
    let different = &mut comparison.different;
    different.sort_by_cached_key(|difference| difference.rank(&shared));
    comparison
}

impl SeedDifference {
    /// The seed.
    pub(crate) fn seed(&self) -> u64 {
        self.after.seed
    }

    /// Whether callers were told other outcomes.
    pub(crate) fn has_other_outcomes(&self) -> bool {
        self.before.outcomes != self.after.outcomes
    }

    /// The figures that differ of those that are given: each before and after.
    pub(crate) fn changed(&self, shared: &[Figure]) -> Vec<(Figure, u64, u64)> {
        let both = |it: &Figure| (*it, self.before.figure(*it), self.after.figure(*it));
        let pairs = shared.iter().map(both);
        pairs.filter(|(_, before, after)| before != after).collect()
    }

    fn is_of_figures(&self, shared: &[Figure]) -> bool {
        self.before.verdict != self.after.verdict
            || self.has_other_outcomes()
            || !self.changed(shared).is_empty()
    }

    /// The place of this seed: smaller is further up.
    fn rank(&self, shared: &[Figure]) -> impl Ord + use<> {
        let change = |figure: Figure| {
            let (before, after) = (self.before.figure(figure), self.after.figure(figure));
            let known = shared.contains(&figure);
            Reverse(if known { relative(before, after) } else { 0 })
        };
        (
            Reverse(self.before.verdict != self.after.verdict),
            Reverse(self.has_other_outcomes()),
            RANKED.map(change),
            self.seed(),
        )
    }
}

/// How much a figure has changed, in millionths of what it was; of 1, where it was nothing.
fn relative(before: u64, after: u64) -> u128 {
    u128::from(before.abs_diff(after)) * 1_000_000 / u128::from(before.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::SeedSource;
    use crate::sweep::baseline::figures::ShortDigest;
    use crate::verdict::Class;

    fn run(seed: u64) -> SeedFigures {
        SeedFigures {
            seed,
            scenario: ShortDigest(1),
            trace: ShortDigest(2),
            verdict: Class::Pass,
            outcomes: ShortDigest(3),
            figures: [100; Figure::ALL.len()],
        }
    }

    fn baseline(runs: Vec<SeedFigures>) -> Baseline {
        let seeds = 0..runs.len() as u64;
        Baseline::of(&SeedSource::Generated, &seeds, runs)
    }

    /// A run of this seed that is changed in something; its trace is another, then.
    fn changed(seed: u64, change: impl FnOnce(&mut SeedFigures)) -> SeedFigures {
        let mut run = run(seed);
        run.trace = ShortDigest(9);
        change(&mut run);
        run
    }

    fn counts(it: &Comparison) -> [u64; 4] {
        [it.same, it.other_trace, it.other_figures, it.other_scenario]
    }

    #[test]
    fn equal_runs_have_no_difference() {
        let runs: Vec<SeedFigures> = (0..4).map(run).collect();
        let comparison = compare(&baseline(runs.clone()), &runs);
        assert_eq!(counts(&comparison), [4, 0, 0, 0]);
        assert!(comparison.different.is_empty());
        let equal = |sum: &(Figure, u64, u64)| (sum.1, sum.2) == (400, 400);
        assert!(comparison.sums.iter().all(equal));
        assert_eq!(comparison.sums.len(), Figure::ALL.len());
    }

    #[test]
    fn the_difference_of_each_figure_is_seen_and_no_other_one() {
        let base = baseline(vec![run(0)]);
        for figure in Figure::ALL {
            let after = changed(0, |run| run.figures[figure as usize] = 107);
            let comparison = compare(&base, &[after]);
            assert_eq!(counts(&comparison), [0, 0, 1, 0], "{figure:?}");
            let changed = comparison.different[0].changed(&base.shared());
            assert_eq!(changed, [(figure, 100, 107)]);
            assert!(!comparison.different[0].has_other_outcomes());
            for (of, before, after) in comparison.sums {
                let expected = if of == figure { 107 } else { 100 };
                assert_eq!((before, after), (100, expected), "{of:?}");
            }
        }
    }

    #[test]
    fn another_trace_other_outcomes_another_verdict_and_another_scenario_are_told_apart() {
        let base = baseline((0..4).map(run).collect());
        let runs = [
            changed(0, |_| {}),
            changed(1, |run| run.outcomes = ShortDigest(8)),
            changed(2, |run| run.verdict = Class::Violation),
            changed(3, |run| {
                run.scenario = ShortDigest(8);
                run.figures = [1; Figure::ALL.len()];
            }),
        ];
        let comparison = compare(&base, &runs);
        assert_eq!(counts(&comparison), [0, 1, 2, 1]);
        assert_eq!(comparison.sums[0], (Figure::Ok, 300, 300), "of three seeds");
        let order: Vec<u64> = comparison
            .different
            .iter()
            .map(SeedDifference::seed)
            .collect();
        assert_eq!(order, [2, 1, 0], "verdict, outcomes, trace");
    }

    #[test]
    fn a_verdict_of_the_same_trace_is_a_difference() {
        let after = SeedFigures {
            verdict: Class::Violation,
            ..run(0)
        };
        let comparison = compare(&baseline(vec![run(0)]), &[after]);
        assert_eq!(counts(&comparison), [0, 0, 1, 0], "a checker was changed");
    }

    #[test]
    fn the_largest_relative_change_is_first_and_figures_count_in_their_order() {
        let set = |figure: Figure, to: u64| {
            move |run: &mut SeedFigures| run.figures[figure as usize] = to
        };
        let runs = vec![
            changed(0, set(Figure::MaxMs, 9_000)),
            changed(1, set(Figure::Bytes, 900)),
            changed(2, set(Figure::Attempts, 103)),
            changed(3, set(Figure::Attempts, 90)),
            changed(4, set(Figure::Dials, 300)),
            changed(5, set(Figure::Attempts, 110)),
            changed(6, |run| {
                run.outcomes = ShortDigest(8);
                run.figures[Figure::Failed as usize] = 101;
            }),
            changed(7, set(Figure::Stored, 101)),
            changed(8, set(Figure::Lookups, 101)),
            changed(9, set(Figure::SendMs, 101)),
            changed(10, set(Figure::P95Ms, 900)),
        ];
        let base = baseline((0..11).map(run).collect());
        let comparison = compare(&base, &runs);
        let order: Vec<u64> = comparison
            .different
            .iter()
            .map(SeedDifference::seed)
            .collect();
        assert_eq!(order, [6, 3, 5, 2, 7, 8, 4, 1, 9, 10, 0]);
        let backwards: Vec<SeedFigures> = runs.into_iter().rev().collect();
        assert_eq!(compare(&base, &backwards).different, comparison.different);
    }

    #[test]
    fn what_was_nothing_is_compared_with_one() {
        assert_eq!(relative(0, 3), 3_000_000);
        assert_eq!(relative(4, 3), 250_000);
        assert!(relative(u64::MAX, 0) < relative(0, u64::MAX), "no overflow");
    }

    #[test]
    fn a_figure_that_the_baseline_does_not_have_is_not_compared() {
        let text = baseline(vec![run(0)])
            .text()
            .replacen("\"dials\"", "\"moods\"", 1);
        let file = std::path::Path::new("base.jsonl");
        let base = Baseline::parse(file, &text).unwrap();
        let comparison = compare(&base, &[run(0)]);
        assert_eq!(counts(&comparison), [1, 0, 0, 0]);
        assert!(!comparison.sums.iter().any(|sum| sum.0 == Figure::Dials));
    }
}

//! The fewest and mildest faults with which a seed still fails: what a person reads first.

use std::cell::Cell;
use std::io::{IsTerminal, Write as _, stderr};
use std::sync::Arc;

use super::Check;
use crate::fault::Fault;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::shrink::{self, FailureId, Limit, Progress};

/// The most runs that are spent on it.
const MOST_RUNS: u32 = 2_000;

/// What is left of the faults of a seed that fails.
#[derive(Debug)]
#[non_exhaustive]
pub struct ShrunkFaults {
    /// The faults without one of which, or with a milder one, the seed passes or fails otherwise.
    pub faults: Vec<Fault>,
    /// The run with these faults alone.
    pub run: Run,
    /// How many runs were made to find them.
    pub runs: u32,
    /// How many steps were kept.
    pub steps: usize,
    /// Whether nothing more can be taken away; if not, the time or the number of runs was up.
    pub complete: bool,
}

/// Makes the faults of a run that failed fewer and milder. `None`: nothing can be taken away.
pub(super) fn of(check: &Check<'_>, scenario: &Scenario, run: &Run) -> Option<ShrunkFaults> {
    let failure = FailureId::of(run, scenario)?;
    let shrinking = check.simulation.shrinking;
    if scenario.faults.is_empty() || shrinking.is_zero() {
        return None;
    }
    let records = run.trace.records.len() as u64;
    let knobs = crate::run::RunConfig {
        most_events: Some(shrink::most_events(records)),
        ..run.knobs
    };
    let last = Cell::new(None);
    let failing = |scenario: &Scenario| {
        let run = (check.play)(&Arc::new(scenario.clone()), knobs)?;
        let found = FailureId::of(&run, scenario);
        if found.as_ref() == Some(&failure) {
            last.set(Some(run));
        }
        Ok(found)
    };
    let limit = Limit {
        runs: MOST_RUNS,
        time: Some(shrinking),
    };
    let progress = ProgressLine::new();
    let shrink = || {
        let mut tell = |progress_now: &Progress<'_>| progress.tell(progress_now);
        shrink::shrink_faults(scenario, &failing, failure.clone(), limit, &mut tell)
    };
    // A panic that fails the check was printed once.
    let shrunk = dst_engine::quietly(shrink).ok()?;
    drop(progress);
    Some(ShrunkFaults {
        faults: shrunk.scenario.faults,
        // The last step that was kept is the last run that failed in this way.
        run: last.take()?,
        runs: shrunk.runs,
        steps: shrunk.steps.len(),
        complete: shrunk.complete,
    })
}

/// A line on the terminal that is written again and again, and wiped in the end. The test harness does not
/// catch what is written to the stream itself.
struct ProgressLine {
    is_seen: bool,
}

impl ProgressLine {
    fn new() -> Self {
        let is_seen = stderr().is_terminal();
        Self { is_seen }
    }

    fn tell(&self, progress: &Progress<'_>) {
        if self.is_seen {
            let faults = progress.best.faults.len();
            let text = format!(
                "\r\x1b[Kshrinking: {faults} faults after {} runs",
                progress.runs
            );
            // A terminal that is gone has no reader.
            let _ = stderr().write_all(text.as_bytes());
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.is_seen {
            let _ = stderr().write_all(b"\r\x1b[K");
        }
    }
}

//! How a check is carried out: its seeds on all processors, in an order that does not depend on their number,
//! up to the first one that fails; and what is told in the end.
//!
//! - [`seeds`]: plays seeds side by side and hands their ends on in order;
//! - [`tally`]: what was done by all of them, and which fault struck nobody;
//! - [`failure`]: the text of a failing seed; [`smallest`]: the fewest faults with which it fails;
//! - [`files`] and [`kept`]: what a failure leaves on disk.

use std::panic::Location;
use std::sync::Arc;
use std::time::Instant;

use super::plan::SeedPlan;
use super::{Simulation, replay};
use crate::fault::EngineKind;
use crate::run::{Run, RunConfig, RunError};
use crate::scenario::Scenario;
use crate::trace::{Digest, short};

mod failure;
mod files;
mod kept;
mod seeds;
mod smallest;
mod tally;

pub use failure::CheckFailure;
use kept::KeptSeeds;
pub use smallest::ShrunkFaults;
pub use tally::Checked;
use tally::{Passed, Tally};

/// Plays one run of a scenario with the check's program.
pub(super) type Play<'a> = dyn Fn(&Arc<Scenario>, RunConfig) -> Result<Run, RunError> + Sync + 'a;

/// A check that is to be carried out.
pub(super) struct Check<'a> {
    pub(super) simulation: &'a Simulation,
    pub(super) play: &'a Play<'a>,
    pub(super) plan: SeedPlan,
}

/// How one seed ended.
enum SeedEnd {
    Passed(Passed),
    /// A run of this scenario failed.
    Failed(Arc<Scenario>, Box<Run>),
    /// Two plays of it differ: how.
    NotTheSame(String),
    /// It could not be run.
    Refused(RunError),
}

impl Check<'_> {
    /// Plays the seeds up to the first that fails: `first` before all others.
    #[expect(
        clippy::disallowed_methods,
        reason = "the stopwatch of a check: its rate, and when its time is up"
    )]
    pub(super) fn carry_out(&self, first: &[u64]) -> Result<Checked, CheckFailure> {
        let sense = self.simulation.makes_sense();
        sense.map_err(CheckFailure::of_text)?;
        let began = Instant::now();
        let mut tally = Tally::of(&self.simulation.scenario.faults);
        let own = self.plan.seeds.clone();
        let others = own.filter(|seed| !first.contains(seed));
        let in_time = |_: &u64| self.plan.time.is_none_or(|most| began.elapsed() < most);
        let seeds = first.iter().copied().chain(others).take_while(in_time);
        let failed = seeds::in_order(
            seeds,
            self.plan.jobs,
            |seed| self.seed(seed),
            |seed, end| match end {
                SeedEnd::Passed(passed) => {
                    tally.add(&passed);
                    None
                }
                failed => Some((seed, failed)),
            },
        );
        if let Some((seed, end)) = failed {
            return Err(self.failure(seed, end));
        }
        let checked = tally.checked(self.name(), began.elapsed());
        match tally.vacuous(&self.simulation.judges) {
            Some(missed) if !self.plan.repeats => Err(CheckFailure::of_text(missed)),
            // One seed alone may well miss.
            missed => Ok(Checked { missed, ..checked }),
        }
    }

    fn seed(&self, seed: u64) -> SeedEnd {
        let scenario = Arc::new(self.simulation.scenario_of(seed));
        let play = || (self.play)(&scenario, knobs(&scenario, seed));
        let run = match self.plan.repeats {
            // Whoever repeats a seed may want the panic's backtrace.
            true => play(),
            // The failure's text has every panic. Others of later seeds would only stand in the way.
            false => dst_engine::quietly(play),
        };
        let run = match run {
            Ok(run) => run,
            Err(error) => return SeedEnd::Refused(error),
        };
        if self.plan.repeats {
            print(&short::render(&run.trace));
        }
        if !run.verdict.is_pass() {
            return SeedEnd::Failed(scenario, Box::new(run));
        }
        let passed = Passed::of(&scenario, &run);
        if self.plan.is_played_twice(seed) {
            // One run is held at a time: a flood makes a long trace.
            let first = run.digest;
            drop(run);
            if let Some(text) = self.difference(&scenario, seed, &first) {
                return SeedEnd::NotTheSame(text);
            }
        }
        SeedEnd::Passed(passed)
    }

    fn difference(&self, scenario: &Arc<Scenario>, seed: u64, first: &Digest) -> Option<String> {
        replay::difference(first, || (self.play)(scenario, knobs(scenario, seed)))
    }

    /// The name of the test.
    fn name(&self) -> &str {
        &self.simulation.scenario.name
    }

    fn failure(&self, seed: u64, end: SeedEnd) -> CheckFailure {
        match end {
            SeedEnd::Passed(_) => unreachable!("seed {seed} passed"),
            SeedEnd::Refused(error) => CheckFailure::of_text(error.to_string()),
            SeedEnd::NotTheSame(text) => CheckFailure::of_seed(seed, &text, self.name()),
            SeedEnd::Failed(scenario, run) => {
                // A failure that cannot be repeated cannot be made smaller either.
                let again = || self.difference(&scenario, seed, &run.digest);
                if let Some(text) = dst_engine::quietly(again) {
                    let text = format!("{}\nand {text}", run.verdict);
                    return CheckFailure::of_seed(seed, &text, self.name());
                }
                let shrunk = smallest::of(self, &scenario, &run);
                CheckFailure::of_run(&scenario, seed, run, shrunk)
            }
        }
    }
}

fn knobs(scenario: &Scenario, seed: u64) -> RunConfig {
    RunConfig::draw(scenario, seed, EngineKind::Event)
}

/// Carries a check out for a test: keeps a seed that fails, writes what a person looks at, and panics.
#[expect(
    clippy::panic,
    reason = "a failing check fails the test that called it"
)]
#[track_caller]
pub(super) fn or_panic(check: &Check<'_>) {
    let name = check.name();
    let kept = match KeptSeeds::beside(Location::caller(), name) {
        Ok(kept) => kept,
        Err(flaw) => panic!("{flaw}"),
    };
    let first = if check.plan.repeats {
        &[][..]
    } else {
        kept.seeds()
    };
    match check.carry_out(first) {
        Ok(checked) => {
            print(&format!("{checked}\n"));
            if let Some(missed) = &checked.missed {
                print(&format!("warning: {missed}\n"));
            }
        }
        Err(failure) => {
            let mut told = Vec::new();
            told.extend(files::write(name, &failure));
            told.extend(failure.seed.and_then(|seed| kept.keep(seed)));
            panic!("{}", failure.with(&told));
        }
    }
}

/// The one place where a library prints: what a check has done, and the trace of the one seed that was asked
/// for.
#[expect(
    clippy::print_stdout,
    reason = "the test harness shows it with a failure, or if it is asked to"
)]
fn print(text: &str) {
    print!("{text}");
}

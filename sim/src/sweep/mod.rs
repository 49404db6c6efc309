//! Many seeds, on several threads, in several shards, in several sittings.
//!
//! Each run has a world of its own on the thread it runs on, and results are put together in the
//! order of the seeds, so the outcome of a sweep depends neither on the number of threads nor on
//! how it was cut. The seeds are cut into portions at multiples of 20; a shard `I/N` takes every
//! N-th of them. A sweep's file has one line for each portion ([`mod@file`]), in order, so that it can
//! be continued and shards can be merged.
//!
//! - [`tally`]: what is kept of runs, and how two parts become one; [`mod@file`]: the file of a sweep.
//! - [`baseline`]: what is kept of each seed to compare another build with.
//! - [`revision`]: the program of another build, made from the sources that git has.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;

use crate::fault::EngineKind;
use crate::generate::generate;
use crate::run::{self, Run, RunError};
use crate::scenario::Scenario;
use crate::verdict::Class;

pub(crate) mod baseline;
pub mod file;
pub(crate) mod revision;
mod shard;
pub(crate) mod tally;

pub use shard::Shard;
pub(crate) use shard::ShardError;
pub(crate) use tally::FailedSeed;
pub use tally::{Portion, Sweep};

/// The build of this laboratory: its version, and a digest of the sources of generator, engine,
/// checkers, producer and mocks. A seed repeats its run, and a sweep's file can be continued, with the
/// same build only.
pub const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), " ", env!("RMQ_SIM_SOURCES"));

/// Seeds that a thread takes at a time, and a line of the file stands for.
pub(crate) const PORTION: u64 = 20;

/// Where the scenario of a seed comes from.
#[derive(Debug, Clone)]
pub enum SeedSource {
    /// One scenario for all seeds.
    Given(Arc<Scenario>),
    /// Each seed has its own.
    Generated,
}

impl SeedSource {
    /// The scenario of a seed.
    pub fn scenario(&self, seed: u64) -> Arc<Scenario> {
        match self {
            Self::Given(scenario) => Arc::clone(scenario),
            Self::Generated => Arc::new(generate(seed)),
        }
    }
}

/// What a sweep is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the scenario of each seed comes from.
    pub source: SeedSource,
    /// The seeds of the whole sweep.
    pub seeds: Range<u64>,
    /// The part of it that is run here.
    pub shard: Shard,
    /// Portions of this shard that are done already.
    pub done: u64,
    /// How many threads run seeds at the same time.
    pub jobs: usize,
}

impl Plan {
    /// The seeds of the shard's n-th portion, from 0; `None`: there are not so many.
    pub fn portion(&self, nth: u64) -> Option<Range<u64>> {
        let first = self.seeds.start / PORTION;
        let (index, of) = (self.shard.index, self.shard.of);
        // In twice the width: a shard may be of as many as there are numbers.
        let offset = (u128::from(index) + u128::from(of - first % of)) % u128::from(of);
        let number = first
            .checked_add(u64::try_from(offset).ok()?)?
            .checked_add(nth.checked_mul(of)?)?;
        let from = number.checked_mul(PORTION)?;
        if from >= self.seeds.end {
            return None;
        }
        let to = self.seeds.end.min(from.saturating_add(PORTION));
        Some(self.seeds.start.max(from)..to)
    }

    /// How many seeds are left to run.
    pub fn left(&self) -> u64 {
        let portions = (self.done..).map_while(|nth| self.portion(nth));
        portions.map(|seeds| seeds.end - seeds.start).sum()
    }
}

/// Whoever looks on while a sweep runs.
pub trait Watcher: Sync {
    /// A run is over; told from any thread.
    fn ran(&self, class: Class);
    /// The same run as a whole, for who keeps more of it than a portion does; told from any thread, before
    /// [`ran`](Self::ran).
    fn played(&self, _seed: u64, _scenario: &Scenario, _run: &Run) {}
    /// A portion is over; told in the order of the seeds, by one thread at a time.
    ///
    /// # Errors
    ///
    /// It could not be kept: the sweep ends.
    fn portion(&self, portion: &Portion) -> std::io::Result<()>;
    /// Whether no further portion is to be started.
    fn enough(&self) -> bool;
}

/// Why a sweep ended early.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The scenario of this seed cannot run at all.
    #[error("seed {seed}: {cause}")]
    Run {
        /// The seed whose scenario cannot run.
        seed: u64,
        /// Why the scenario cannot run.
        cause: RunError,
    },
    /// The laboratory itself panicked over this seed: a checker, the generator or a mock server. It is no
    /// verdict on the client.
    #[error("seed {seed}: the laboratory itself panicked")]
    Panicked {
        /// The seed whose run panicked.
        seed: u64,
    },
    /// A portion could not be kept.
    #[error("{0}")]
    Keep(#[from] std::io::Error),
}

/// Portions that wait for an earlier one.
#[derive(Debug, Default)]
struct ReorderBuffer {
    next: u64,
    done: BTreeMap<u64, Portion>,
    error: Option<SweepError>,
}

/// Runs what is left of a plan; gives the number of the first portion that was not run, which is where
/// the plan goes on if its watcher had enough.
///
/// # Errors
///
/// A scenario cannot run at all, or a portion cannot be kept; nothing more is started then.
pub fn carry_out(plan: &Plan, watcher: &dyn Watcher) -> Result<u64, SweepError> {
    let next = AtomicU64::new(plan.done);
    let stopped = AtomicBool::new(false);
    let waiting = Mutex::new(ReorderBuffer {
        next: plan.done,
        ..ReorderBuffer::default()
    });
    let work = || {
        while !stopped.load(Ordering::Relaxed) && !watcher.enough() {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let Some(seeds) = plan.portion(nth) else {
                return;
            };
            let result = portion(&plan.source, seeds, watcher);
            let mut waiting = waiting.lock();
            let kept = result.and_then(|portion| waiting.hand_on(nth, portion, watcher));
            if let Err(error) = kept {
                stopped.store(true, Ordering::Relaxed);
                waiting.error.get_or_insert(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..plan.jobs.max(1) {
            scope.spawn(work);
        }
    });
    let waiting = waiting.into_inner();
    match waiting.error {
        Some(error) => Err(error),
        None => Ok(waiting.next),
    }
}

impl ReorderBuffer {
    fn hand_on(
        &mut self,
        nth: u64,
        portion: Portion,
        watcher: &dyn Watcher,
    ) -> Result<(), SweepError> {
        self.done.insert(nth, portion);
        while let Some(portion) = self.done.remove(&self.next) {
            if self.error.is_some() {
                return Ok(());
            }
            watcher.portion(&portion)?;
            self.next += 1;
        }
        Ok(())
    }
}

fn portion(
    source: &SeedSource,
    seeds: Range<u64>,
    watcher: &dyn Watcher,
) -> Result<Portion, SweepError> {
    let mut runs = Vec::new();
    for seed in seeds.clone() {
        // A panic that went on from here would end the sweep without a word of the seed.
        let run = catch_unwind(AssertUnwindSafe(|| {
            let scenario = source.scenario(seed);
            let run = run::run(&scenario, seed, EngineKind::Event);
            (scenario, run)
        }));
        let (scenario, run) = run.map_err(|_| SweepError::Panicked { seed })?;
        let run: Run = run.map_err(|cause| SweepError::Run { seed, cause })?;
        watcher.played(seed, &scenario, &run);
        watcher.ran(run.verdict.class);
        runs.push((seed, tally::Kept::of(&run)));
    }
    Ok(Portion::of(seeds, runs))
}

/// Collects a whole sweep, for tests and other programs.
struct Collector<'a> {
    sweep: Mutex<Sweep>,
    progress: &'a (dyn Fn(Class) + Sync),
}

impl Watcher for Collector<'_> {
    fn ran(&self, class: Class) {
        (self.progress)(class);
    }

    fn portion(&self, portion: &Portion) -> std::io::Result<()> {
        self.sweep.lock().add(portion);
        Ok(())
    }

    fn enough(&self) -> bool {
        false
    }
}

/// Runs every seed of one scenario on `jobs` threads; `progress` is told of each finished run, from
/// any thread.
///
/// # Errors
///
/// The scenario cannot run at all; nothing more is started then.
pub fn sweep(
    scenario: &Arc<Scenario>,
    seeds: Range<u64>,
    jobs: usize,
    progress: &(dyn Fn(Class) + Sync),
) -> Result<Sweep, SweepError> {
    let collector = Collector {
        sweep: Mutex::default(),
        progress,
    };
    let plan = Plan {
        source: SeedSource::Given(Arc::clone(scenario)),
        seeds,
        shard: Shard::WHOLE,
        done: 0,
        jobs,
    };
    carry_out(&plan, &collector)?;
    Ok(collector.sweep.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds_of(seeds: Range<u64>, shard: Shard) -> Vec<u64> {
        let plan = Plan {
            source: SeedSource::Generated,
            seeds,
            shard,
            done: 0,
            jobs: 1,
        };
        (0..).map_while(|nth| plan.portion(nth)).flatten().collect()
    }

    #[test]
    fn the_shards_of_a_sweep_have_every_seed_once() {
        for of in 1..6 {
            let mut all: Vec<u64> = (0..of)
                .flat_map(|index| seeds_of(13..257, Shard { index, of }))
                .collect();
            all.sort_unstable();
            assert_eq!(all, (13..257).collect::<Vec<_>>(), "{of} shards");
        }
    }

    #[test]
    fn there_may_be_as_many_shards_as_there_are_numbers() {
        let of = u64::MAX;
        assert_eq!(
            seeds_of(0..100, Shard { index: 1, of }),
            (20..40).collect::<Vec<_>>()
        );
        assert!(seeds_of(0..100, Shard { index: of - 1, of }).is_empty());
    }
}

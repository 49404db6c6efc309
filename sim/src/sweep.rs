//! Many seeds of one scenario, on several threads.
//!
//! Each run has a world of its own on the thread it runs on, and results are put together in the
//! order of the seeds, so the outcome of a sweep does not depend on the number of threads.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;
use serde::Serialize;

use crate::fault::Engine;
use crate::run::{self, RunError};
use crate::scenario::Scenario;
use crate::trace::Digest;
use crate::verdict::Class;

/// Failing seeds that a sweep remembers with their reason.
const REMEMBERED: usize = 5;
/// Seeds that a thread takes at a time.
const PORTION: u64 = 8;

/// What a sweep found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sweep {
    /// Runs.
    pub runs: u64,
    /// Runs by the class of their verdict.
    pub classes: BTreeMap<Class, u64>,
    /// The first failing seeds, in order.
    pub failures: Vec<Failure>,
    /// For each invariant: the runs in which it had something to say.
    pub exercised: BTreeMap<&'static str, u64>,
    /// Sends that ended well, over all runs.
    pub ok: u64,
    /// Sends that failed.
    pub failed: u64,
    /// Attempts.
    pub attempts: u64,
    /// One number for all runs: equal for equal programs, whatever the number of threads.
    pub digest: String,
}

/// A seed that failed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The class of its verdict.
    pub class: Class,
    /// The first reason.
    pub reason: String,
}

/// What is kept of one run.
#[derive(Debug)]
struct Kept {
    class: Class,
    reason: Option<String>,
    exercised: Vec<&'static str>,
    ok: u64,
    failed: u64,
    attempts: u64,
    digest: Digest,
}

/// Runs every seed on `jobs` threads; `progress` is told of each finished run, from any thread.
///
/// # Errors
///
/// The scenario cannot run at all; nothing more is started then.
pub fn sweep(
    scenario: &Arc<Scenario>,
    seeds: Range<u64>,
    jobs: usize,
    progress: &(dyn Fn(Class) + Sync),
) -> Result<Sweep, RunError> {
    let next = AtomicU64::new(seeds.start);
    let stopped = AtomicBool::new(false);
    let results: Mutex<BTreeMap<u64, Kept>> = Mutex::default();
    let error: Mutex<Option<RunError>> = Mutex::default();
    let work = || {
        while !stopped.load(Ordering::Relaxed) {
            let from = next.fetch_add(PORTION, Ordering::Relaxed);
            if from >= seeds.end {
                return;
            }
            for seed in from..seeds.end.min(from + PORTION) {
                match keep(scenario, seed) {
                    Ok(kept) => {
                        progress(kept.class);
                        results.lock().insert(seed, kept);
                    }
                    Err(cause) => {
                        stopped.store(true, Ordering::Relaxed);
                        error.lock().get_or_insert(cause);
                        return;
                    }
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(work);
        }
    });
    match error.into_inner() {
        Some(error) => Err(error),
        None => Ok(put_together(results.into_inner())),
    }
}

fn keep(scenario: &Arc<Scenario>, seed: u64) -> Result<Kept, RunError> {
    let run = run::run(scenario, seed, Engine::Event)?;
    let exercised = run.antecedents.iter().filter(|(_, count)| *count > 0);
    Ok(Kept {
        class: run.verdict.class,
        reason: run.verdict.findings.first().map(ToString::to_string),
        exercised: exercised.map(|(id, _)| *id).collect(),
        ok: run.summary.ok,
        failed: run.summary.failed,
        attempts: run.summary.attempts,
        digest: run.digest,
    })
}

fn put_together(results: BTreeMap<u64, Kept>) -> Sweep {
    let mut sweep = Sweep::default();
    let mut digest = blake3::Hasher::new();
    for (seed, kept) in results {
        sweep.runs += 1;
        *sweep.classes.entry(kept.class).or_default() += 1;
        sweep.ok += kept.ok;
        sweep.failed += kept.failed;
        sweep.attempts += kept.attempts;
        digest.update(kept.digest.bytes());
        for id in kept.exercised {
            *sweep.exercised.entry(id).or_default() += 1;
        }
        if kept.class != Class::Pass && sweep.failures.len() < REMEMBERED {
            sweep.failures.push(Failure {
                seed,
                class: kept.class,
                reason: kept.reason.unwrap_or_default(),
            });
        }
    }
    sweep.digest = digest.finalize().to_hex().chars().take(16).collect();
    sweep
}

//! Tries a mutant: the laboratory sweeps its seeds with it until one of them fails.
//!
//! A mutant may loop without end, allocate without end, or end its process. So it runs in a process of its
//! own, which has a limit on memory and on the time between two portions of seeds; whoever looks on reads
//! the sweep's file, which has a line for each portion, and ends the process at the first failure.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::MutationError;

/// How long to wait before the sweep's file is looked at again.
const LOOK: Duration = Duration::from_millis(50);

/// What came of a mutant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Something failed.
    Killed {
        /// The checker, the class of the verdict where none says so, or what ended the process.
        by: String,
        /// The first seed that fails, or the first of the portion that came to no end.
        seed: Option<u64>,
        /// What says so, in its own words.
        reason: String,
    },
    /// Every seed passed.
    Survived {
        /// Whether its place was come to at all.
        reached: bool,
        /// The digest of all runs: another than without a mutant means that somebody could have seen it.
        digest: String,
    },
}

/// How mutants are tried.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    /// The program that has all mutants in it, and the folder that it runs in.
    pub(crate) program: PathBuf,
    pub(crate) sources: PathBuf,
    /// Where the files of sweeps go.
    pub(crate) results: PathBuf,
    /// How many seeds are swept, from 0 on.
    pub(crate) seeds: u64,
    /// The longest time between two portions of seeds.
    pub(crate) patience: Duration,
    /// The most memory of a process, in MiB.
    pub(crate) memory: u64,
}

/// A line of the sweep's file: so much of it as matters here.
#[derive(Debug, Deserialize)]
struct Portion {
    to: u64,
    found: Found,
}

#[derive(Debug, Deserialize)]
struct Found {
    failures: Vec<Failure>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    seed: u64,
    by: String,
    reason: String,
}

/// The files of one mutant's sweep.
struct Files {
    sweep: PathBuf,
    said: PathBuf,
    errors: PathBuf,
}

impl Files {
    fn remove(&self) {
        for file in [&self.sweep, &self.said, &self.errors] {
            // One that is not there is as good.
            let _ = fs::remove_file(file);
        }
    }
}

impl Trial {
    /// Where a sweep without a mutant writes whose places it came to.
    pub(crate) fn reached(&self) -> PathBuf {
        self.results.join("reached.txt")
    }

    /// Sweeps with one mutant on; 0 is none.
    ///
    /// # Errors
    /// The program cannot be started, or a file of its sweep cannot be made.
    pub(crate) fn of(&self, mutant: usize) -> Result<Outcome, MutationError> {
        let name = |what| self.results.join(format!("mutant-{mutant}.{what}"));
        let files = Files {
            sweep: name("jsonl"),
            said: name("out"),
            errors: name("err"),
        };
        files.remove();
        let mut child = self.start(mutant, &files)?;
        let outcome = self.watch(&mut child, &files);
        // Whether it has ended already or not, nothing of it stays.
        let _ = child.kill();
        let _ = child.wait();
        files.remove();
        outcome
    }

    fn start(&self, mutant: usize, files: &Files) -> Result<Child, MutationError> {
        let create = |file: &PathBuf| File::create(file).map_err(MutationError::file(file));
        let on = match mutant {
            0 => "reached".to_owned(),
            _ => mutant.to_string(),
        };
        let mut shell = Command::new("sh");
        shell
            .current_dir(&self.sources)
            .args(["-c", "ulimit -v \"$1\" && shift && exec \"$@\"", "sh"])
            .arg((self.memory * 1024).to_string())
            .arg(&self.program)
            .args([
                "sweep",
                "--jobs",
                "1",
                "--seeds",
                &format!("0..{}", self.seeds),
            ])
            .arg("--out")
            .arg(&files.sweep)
            .env("RMQ_MUTANT", on)
            .env("RMQ_MUTANT_REACHED", self.reached())
            .stdin(Stdio::null())
            .stdout(create(&files.said)?)
            .stderr(create(&files.errors)?);
        shell.spawn().map_err(|cause| MutationError::Program {
            program: "sh".to_owned(),
            cause,
        })
    }

    /// Waits for the first failure, or for the end.
    fn watch(&self, child: &mut Child, files: &Files) -> Result<Outcome, MutationError> {
        let mut done = 0;
        let mut moved = now();
        loop {
            let ended = child
                .try_wait()
                .map_err(MutationError::file(&self.program))?;
            let portions = portions(&files.sweep);
            if let Some(failure) = portions.iter().find_map(|it| it.found.failures.first()) {
                return Ok(killed(&failure.by, Some(failure.seed), &failure.reason));
            }
            let to = portions.last().map_or(0, |it| it.to);
            if let Some(status) = ended {
                return Ok(self.at_end(status, to, files));
            }
            if to > done {
                (done, moved) = (to, now());
            } else if moved.elapsed() > self.patience {
                let reason = format!("no portion of seeds in {} s", self.patience.as_secs());
                return Ok(killed("timeout", Some(to), &reason));
            }
            pause();
        }
    }

    /// What a sweep came to that ended by itself, without a seed that fails.
    fn at_end(&self, status: ExitStatus, to: u64, files: &Files) -> Outcome {
        let text = |file| fs::read_to_string(file).unwrap_or_default();
        let (said, errors) = (text(&files.said), text(&files.errors));
        let find = |title| said.lines().find_map(|line| line.strip_prefix(title));
        if to == self.seeds && status.success() {
            return Outcome::Survived {
                reached: true,
                digest: find("digest ").unwrap_or_default().trim().to_owned(),
            };
        }
        if let Some(rare) = find("rare ").filter(|_| to == self.seeds) {
            let checker = rare.split_whitespace().next().unwrap_or_default();
            return killed(&format!("rare {checker}"), None, rare.trim());
        }
        let last = errors.lines().last().unwrap_or_default();
        // A program that ends with a code has said why there is no run; a signal cuts it off.
        let by = match status.code() {
            Some(_) => "no run",
            None => "crash",
        };
        killed(by, Some(to), &format!("{status}: {last}"))
    }
}

fn killed(by: &str, seed: Option<u64>, reason: &str) -> Outcome {
    Outcome::Killed {
        by: by.to_owned(),
        seed,
        reason: reason.to_owned(),
    }
}

/// The whole lines of a sweep's file, without the first, which says which sweep it is.
fn portions(file: &Path) -> Vec<Portion> {
    // One that is not there yet, or not in whole letters, is looked at again.
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().skip(1);
    lines
        .map_while(|line| serde_json::from_str(line).ok())
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process of its own is waited for, outside any simulation"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The milliseconds since then.
pub(crate) fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process of its own is waited for, outside any simulation"
)]
fn pause() {
    thread::sleep(LOOK);
}

#[cfg(test)]
mod tests;

//! What came of each mutant so far: a file with a line for each, so that an interrupted command goes on.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::MutationError;
use crate::trial::Outcome;

/// A line of the file: a mutant, how far it was swept, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) mutant: usize,
    pub(crate) seeds: u64,
    pub(crate) millis: u64,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

impl Line {
    /// Whether a sweep of so many seeds would come to the same.
    fn holds_for(&self, seeds: u64) -> bool {
        match &self.outcome {
            Outcome::Killed {
                seed: Some(seed), ..
            } => *seed < seeds,
            _ => self.seeds == seeds,
        }
    }
}

/// The file, and what is in it.
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
    file: File,
    seeds: u64,
    pub(crate) lines: BTreeMap<usize, Line>,
}

impl Record {
    /// Opens the file of a build, and reads what holds for so many seeds.
    ///
    /// # Errors
    /// It cannot be read or made, or a line of it is something else.
    pub(crate) fn open(path: &Path, seeds: u64) -> Result<Self, MutationError> {
        let made = OpenOptions::new().create(true).append(true).open(path);
        let file = made.map_err(MutationError::file(path))?;
        let text = fs::read_to_string(path).map_err(MutationError::file(path))?;
        let mut lines = BTreeMap::new();
        for (at, line) in (1..).zip(text.lines()) {
            let line: Line =
                serde_json::from_str(line).map_err(|cause| MutationError::Results {
                    file: path.to_owned(),
                    line: at,
                    cause,
                })?;
            if line.holds_for(seeds) {
                lines.insert(line.mutant, line);
            }
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            seeds,
            lines,
        })
    }

    /// Writes down what came of a mutant.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn add(
        &mut self,
        mutant: usize,
        millis: u64,
        outcome: Outcome,
    ) -> Result<(), MutationError> {
        let line = Line {
            mutant,
            seeds: self.seeds,
            millis,
            outcome,
        };
        // A line of numbers and texts is always JSON.
        let mut text = serde_json::to_string(&line).unwrap_or_default();
        text.push('\n');
        let written = self.file.write_all(text.as_bytes());
        written.map_err(MutationError::file(&self.path))?;
        self.lines.insert(mutant, line);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_kill_holds_for_more_seeds_and_a_survival_for_as_many() {
        let killed = line(
            r#"{"mutant":1,"seeds":1000,"millis":5,"outcome":"killed","by":"INV-05","seed":99,"reason":"-"}"#,
        );
        assert!(killed.holds_for(100) && killed.holds_for(9_999) && !killed.holds_for(99));
        let survived = line(
            r#"{"mutant":2,"seeds":1000,"millis":5,"outcome":"survived","reached":true,"digest":"d"}"#,
        );
        assert!(survived.holds_for(1_000) && !survived.holds_for(2_000));
        let rare = line(
            r#"{"mutant":3,"seeds":1000,"millis":5,"outcome":"killed","by":"rare INV-30","seed":null,"reason":"-"}"#,
        );
        assert!(rare.holds_for(1_000) && !rare.holds_for(2_000));
        let again = serde_json::to_string(&killed).unwrap();
        assert_eq!(line(&again).outcome, killed.outcome);
    }
}

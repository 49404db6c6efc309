//! Which scenario a command is about: a file, or what the generator makes of a seed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CliError;
use crate::scenario::Scenario;

/// The scenario a command is about.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    file: PathBuf,
    scenario: Arc<Scenario>,
}

impl Chosen {
    /// Reads the file.
    pub(super) fn new(file: &Path) -> Result<Self, CliError> {
        Ok(Chosen {
            file: file.to_owned(),
            scenario: Arc::new(Scenario::load(file)?),
        })
    }

    /// The scenario for a seed.
    pub(super) fn of_seed(&self, _seed: u64) -> Arc<Scenario> {
        Arc::clone(&self.scenario)
    }

    /// What messages call it.
    pub(super) fn name(&self) -> String {
        self.file.display().to_string()
    }

    /// The arguments that choose it again, for a seed.
    pub(super) fn arguments(&self, seed: u64) -> Vec<String> {
        vec![self.name(), "--seed".to_owned(), seed.to_string()]
    }
}

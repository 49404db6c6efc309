//! Which scenario a command is about: a file, or what the generator makes of a seed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CliError;
use crate::generate;
use crate::scenario::Scenario;

/// The scenario a command is about.
#[derive(Debug, Clone)]
pub(super) enum Chosen {
    /// The same for every seed.
    File {
        /// The path of the scenario file.
        file: PathBuf,
        /// The scenario, as it was read.
        scenario: Arc<Scenario>,
    },
    /// Another one for each seed.
    Generated,
}

impl Chosen {
    /// Reads the file, if there is one.
    pub(super) fn new(file: Option<&Path>) -> Result<Self, CliError> {
        let Some(file) = file else {
            return Ok(Chosen::Generated);
        };
        Ok(Chosen::File {
            file: file.to_owned(),
            scenario: Arc::new(Scenario::load(file)?),
        })
    }

    /// The scenario for a seed.
    pub(super) fn of_seed(&self, seed: u64) -> Arc<Scenario> {
        match self {
            Chosen::File { scenario, .. } => Arc::clone(scenario),
            Chosen::Generated => Arc::new(generate::generate(seed)),
        }
    }

    /// What messages call it.
    pub(super) fn name(&self) -> String {
        match self {
            Chosen::File { file, .. } => file.display().to_string(),
            Chosen::Generated => "what the seed generates".to_owned(),
        }
    }

    /// The arguments that choose it again, for a seed.
    pub(super) fn arguments(&self, seed: u64) -> Vec<String> {
        let mut arguments = match self {
            Chosen::File { file, .. } => vec![file.display().to_string()],
            Chosen::Generated => Vec::new(),
        };
        arguments.extend(["--seed".to_owned(), seed.to_string()]);
        arguments
    }
}

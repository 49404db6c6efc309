//! Cases and references: files as the recording kit has them.

use std::fs;
use std::path::{Path, PathBuf};

use rmq_producer::Policy;
use rmq_producer::policy::Header;
use serde_json::{Map, Value};

use crate::words::Dialect;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It cannot be read.
    #[error("{}: {cause}", .path.display())]
    Read {
        /// The file or folder that cannot be read.
        path: PathBuf,
        /// What reading it failed with.
        cause: std::io::Error,
    },
    /// It is no JSON.
    #[error("{}: {cause}", .path.display())]
    Json {
        /// The file that is no JSON.
        path: PathBuf,
        /// Where its text stops being JSON, and why.
        cause: serde_json::Error,
    },
}

/// Reads a JSON file.
///
/// # Errors
/// The file cannot be read, or is no JSON.
pub fn read(path: &Path) -> Result<Value, CaseError> {
    let text = fs::read_to_string(path).map_err(|cause| CaseError::Read {
        path: path.to_owned(),
        cause,
    })?;
    serde_json::from_str(&text).map_err(|cause| CaseError::Json {
        path: path.to_owned(),
        cause,
    })
}

/// One case: a topology, a script of faults, and what a client does.
#[derive(Debug, Clone)]
pub struct Case {
    /// The name that the file gives the case; empty if it gives none.
    pub name: String,
    /// The whole file, as JSON.
    pub file: Value,
}

impl Case {
    /// All cases of a folder, by name.
    ///
    /// # Errors
    /// The folder or one of its files cannot be read.
    pub fn all(folder: &Path) -> Result<Vec<Self>, CaseError> {
        let failed = |cause| CaseError::Read {
            path: folder.to_owned(),
            cause,
        };
        let mut cases = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|kind| kind == "json") {
                let file = read(&path)?;
                let name = file["name"].as_str().unwrap_or_default().to_owned();
                cases.push(Self { name, file });
            }
        }
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(cases)
    }

    /// What this client is told: the case's settings, and for Go those that differ.
    #[must_use]
    pub fn client(&self, dialect: Dialect) -> Map<String, Value> {
        let mut client = self.file["client"].as_object().cloned().unwrap_or_default();
        if let (Dialect::Go, Some(own)) = (dialect, self.file["client_go"].as_object()) {
            client.extend(own.clone());
        }
        client.entry("startDelayMs").or_insert(250.into());
        client
    }

    /// The policy, with what the case sets outside the client's own settings.
    #[must_use]
    pub fn policy(&self, mut policy: Policy) -> Policy {
        let options = self.file["jvmOpts"].as_array().into_iter().flatten();
        let binary = "-Drocketmq.serialize.type=ROCKETMQ";
        if options.into_iter().any(|option| option == binary) {
            policy.wire.header = Header::Binary;
        }
        policy
    }

    /// Whether the measured part waits for a warm-up.
    #[must_use]
    pub fn is_gated(&self) -> bool {
        let client = &self.file["client"];
        client["pin"].is_object() || client["gate"] == true
    }

    /// Why the case says nothing of a preset, if so. `recorded` is the reference's folder name.
    #[must_use]
    pub fn cannot_apply(&self, recorded: &str, reference: Option<&Value>) -> Option<&'static str> {
        let client = &self.file["client"];
        let skipped = self.file["skip"].as_array().into_iter().flatten();
        if skipped.into_iter().any(|name| name == recorded) {
            return Some("the client has no such feature, so nothing was recorded");
        }
        if client["batch"].is_number() {
            return Some("needs batches, which come later");
        }
        if client["transaction"] == true {
            return Some("needs transactions, which come later");
        }
        let variants = reference.and_then(|file| file["variants"].as_array());
        let died = |variant: &Value| variant["trace"]["driver"] == "DIED";
        if variants.is_some_and(|all| !all.is_empty() && all.iter().all(died)) {
            return Some("an async timeout kills the Go client's process");
        }
        None
    }
}

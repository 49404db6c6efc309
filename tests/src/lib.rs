//! Helpers shared by the cross-crate tests: where the workspace is, and its sources as values.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rmq_sim::fault::EngineKind;
use rmq_sim::run::{self, Run};
use rmq_sim::scenario::Scenario;
use serde::Deserialize;

pub mod api;
pub mod circles;
pub mod rules;

/// The workspace's top folder.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The scenario files of the project, by name.
///
/// # Panics
///
/// If the folder or one of the files cannot be read.
#[expect(
    clippy::panic,
    reason = "a helper of tests: a broken scenario must fail them loudly"
)]
pub fn scenarios() -> Vec<Arc<Scenario>> {
    let folder = workspace().join("scenarios");
    let mut found: Vec<PathBuf> = fs::read_dir(&folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    found.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    found.sort();
    found.iter().map(|path| load(path)).collect()
}

/// One scenario file of the project.
///
/// # Panics
///
/// If it cannot be read.
pub fn scenario(file: &str) -> Arc<Scenario> {
    load(&workspace().join("scenarios").join(file))
}

#[expect(
    clippy::panic,
    reason = "a helper of tests: a broken scenario must fail them loudly"
)]
fn load(path: &Path) -> Arc<Scenario> {
    Arc::new(Scenario::load(path).unwrap_or_else(|error| panic!("{error}")))
}

/// Runs a scenario on the event engine.
///
/// # Panics
///
/// If it cannot run there.
pub fn play(scenario: &Arc<Scenario>, seed: u64) -> Run {
    play_on(scenario, seed, EngineKind::Event)
}

/// Runs a scenario on an engine.
///
/// # Panics
///
/// If it cannot run there.
#[expect(
    clippy::panic,
    reason = "a helper of tests: a run that cannot be must fail them loudly"
)]
pub fn play_on(scenario: &Arc<Scenario>, seed: u64, engine: EngineKind) -> Run {
    run::run(scenario, seed, engine).unwrap_or_else(|error| panic!("{}: {error}", scenario.name))
}

/// One source file of the workspace.
#[derive(Debug)]
pub struct Source {
    /// Its path from the workspace's top folder, with forward slashes.
    pub path: String,
    /// The whole text of the file.
    pub text: String,
}

impl Source {
    /// The lines with their numbers, without comments.
    pub fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line.split_once("//").map_or(line, |(code, _)| code)))
    }
}

/// The folders of the workspace's members, as its manifest lists them.
///
/// The list is read and not repeated here: a rule that is held over every member is held over one
/// that was added yesterday.
///
/// # Errors
///
/// The text is no manifest of a workspace, or a member is given by a pattern, which this does not
/// expand; the message says which.
pub fn members(manifest: &str) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct Manifest {
        workspace: Workspace,
    }
    #[derive(Deserialize)]
    struct Workspace {
        members: Vec<String>,
    }
    let manifest: Manifest = toml::from_str(manifest).map_err(|error| error.to_string())?;
    let members = manifest.workspace.members;
    match members
        .iter()
        .find(|member| member.contains(['*', '?', '[']))
    {
        Some(pattern) => Err(format!(
            "the member \"{pattern}\" is a pattern: name folders"
        )),
        None => Ok(members),
    }
}

/// Every Rust file of the workspace's members, in path order. A member inside another one's folder
/// is seen once.
///
/// # Panics
///
/// If a file of the workspace cannot be read: the tests that call this check nothing then.
#[expect(
    clippy::panic,
    reason = "a helper of tests: unreadable sources must fail them loudly"
)]
pub fn sources() -> Vec<Source> {
    let top = workspace();
    let manifest = fs::read_to_string(top.join("Cargo.toml"))
        .unwrap_or_else(|error| panic!("cannot read the workspace's manifest: {error}"));
    let members = members(&manifest)
        .unwrap_or_else(|error| panic!("the workspace's manifest has no members: {error}"));
    let mut found = Vec::new();
    for member in members {
        collect(&top, &top.join(&member), &mut found)
            .unwrap_or_else(|error| panic!("cannot read the sources of {member}: {error}"));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    found
}

fn collect(top: &Path, folder: &Path, found: &mut Vec<Source>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                collect(top, &path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(top).unwrap_or(&path);
            found.push(Source {
                path: relative.to_string_lossy().replace('\\', "/"),
                text: fs::read_to_string(&path)?,
            });
        }
    }
    Ok(())
}

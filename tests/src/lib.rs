//! Helpers shared by the cross-crate tests: where the workspace is, and its sources as values.

use std::fs;
use std::path::{Path, PathBuf};

/// The workspace's top folder.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// One source file of the workspace.
#[derive(Debug)]
pub struct Source {
    /// Its path from the workspace's top folder, with forward slashes.
    pub path: String,
    /// Its text.
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

    /// Whether it is a test, bench or example, or the part of the file behind `#[cfg(test)]` is not
    /// asked for.
    pub fn is_test(&self) -> bool {
        self.path
            .split('/')
            .any(|part| matches!(part, "tests" | "benches" | "examples"))
    }

    /// The text before the file's test module.
    pub fn before_tests(&self) -> &str {
        self.text
            .split_once("#[cfg(test)]")
            .map_or(self.text.as_str(), |(code, _)| code)
    }
}

/// Every Rust file of the workspace's members, in path order.
///
/// # Panics
///
/// If a file of the workspace cannot be read: the tests that call this judge nothing then.
#[expect(
    clippy::panic,
    reason = "a helper of tests: unreadable sources must fail them loudly"
)]
pub fn sources() -> Vec<Source> {
    let top = workspace();
    let members = [
        "remoting",
        "producer",
        "mock-namesrv",
        "mock-broker",
        "sim",
        "tests",
        "interop",
    ];
    let mut found = Vec::new();
    for member in members {
        collect(&top, &top.join(member), &mut found)
            .unwrap_or_else(|error| panic!("cannot read the sources of {member}: {error}"));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(top: &Path, folder: &Path, found: &mut Vec<Source>) -> std::io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
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

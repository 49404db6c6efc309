//! Why a bug could not be searched for.

use std::path::PathBuf;

use thiserror::Error;

use crate::scenario::ScenarioError;

/// Why a bug could not be searched for.
#[derive(Debug, Error)]
pub enum ZooError {
    /// There is no folder of bugs here.
    #[error("no zoo/ beside a Cargo.toml in {} or above\n  remedy: run it inside the project", .0.display())]
    NoZoo(PathBuf),
    /// Nobody knows this bug.
    #[error("unknown bug {asked}\n  remedy: name some of {known}")]
    Unknown {
        /// What was asked for.
        asked: String,
        /// Those that there are.
        known: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {cause}\n  remedy: give a --folder that exists and is writable, and run it inside the project", file.display())]
    File {
        /// The file or folder that cannot be used.
        file: PathBuf,
        /// What reading or writing it failed with.
        cause: std::io::Error,
    },
    /// A description is not as it should be.
    #[error("{}: {cause}", file.display())]
    Description {
        /// The `bug.toml` in question.
        file: PathBuf,
        /// What is wrong in it, and where.
        cause: toml::de::Error,
    },
    /// A program cannot be started.
    #[error("cannot start {program}: {cause}\n  remedy: install it, or put it on the PATH")]
    Program {
        /// The name of the program, as it is looked for on the `PATH`.
        program: String,
        /// Why the system does not start it.
        cause: std::io::Error,
    },
    /// The sources cannot be listed.
    #[error("git cannot list the sources: {0}\n  remedy: run it in a clone of the project")]
    Listing(String),
    /// The sources have moved on.
    #[error(
        "zoo/{bug}/patch.diff no longer applies to the sources: {text}\n  remedy: plant the bug again by hand, and write `git diff` to that file"
    )]
    Patch {
        /// The number of the bug in the catalogue: `Z06`.
        bug: String,
        /// The words of git.
        text: String,
    },
    /// The copy does not compile.
    #[error("{what} does not build; the compiler's last lines:\n{tail}")]
    Build {
        /// What was being built: the number of a bug, or the honest build.
        what: String,
        /// The end of its output.
        tail: String,
    },
    /// The sweep came to no result.
    #[error("the sweep of {what} came to no result; its last lines:\n{tail}")]
    Sweep {
        /// What was being swept: the number of a bug, or the honest build.
        what: String,
        /// The end of its output.
        tail: String,
    },
    /// A failing seed did not shrink.
    #[error("{what}: seed {seed} does not shrink; the last lines:\n{tail}")]
    Shrink {
        /// The bug whose failing seed it is.
        what: String,
        /// The seed that fails and does not shrink.
        seed: u64,
        /// The end of its output.
        tail: String,
    },
    /// The minimal scenario is none.
    #[error("the minimal scenario cannot be read: {0}")]
    Reproducer(ScenarioError),
}

/// The last lines of a program's output.
pub(crate) fn tail(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(20);
    lines[from..].join("\n")
}

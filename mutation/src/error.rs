//! Why no mutant could be tried.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why no mutant could be tried.
#[derive(Debug, Error)]
pub(crate) enum MutationError {
    #[error("{}: {cause}\n  remedy: give a --folder that exists and is writable", file.display())]
    File { file: PathBuf, cause: io::Error },
    #[error("cannot start {program}: {cause}\n  remedy: install it, or put it on the PATH")]
    Program { program: String, cause: io::Error },
    #[error("git cannot list the sources: {0}\n  remedy: run it in a clone of the project")]
    Listing(String),
    #[error("{file}: {cause}\n  remedy: the project must compile before it is mutated")]
    NoRust { file: String, cause: syn::Error },
    #[error(
        "{file} has no table [dependencies]\n  remedy: write it so, or teach src/build_folder.rs where a dependency goes"
    )]
    Manifest { file: String },
    #[error(
        "the copy does not compile, and no mutant is to blame:\n{0}\n  remedy: build the project itself; if it compiles, the rewriting (src/schemata.rs) changes what it must not"
    )]
    Build(String),
    #[error(
        "with no mutant on, the copy's {what}:\n{text}\n  remedy: sweep the project itself; if it passes, the rewriting (src/schemata.rs) changes what it must not"
    )]
    Unlike { what: &'static str, text: String },
    #[error(
        "there is no mutant {asked}\n  remedy: --list shows the numbers, which move with the sources"
    )]
    Unknown { asked: usize },
    #[error("{}:{line}: {cause}\n  remedy: remove the file; the mutants are tried again", file.display())]
    Results {
        file: PathBuf,
        line: usize,
        cause: serde_json::Error,
    },
    #[error("{}: {cause}\n  remedy: see the head of that file for its form", file.display())]
    Verdicts {
        file: PathBuf,
        cause: toml::de::Error,
    },
    #[error(
        "nothing to do\n  remedy: choose mutants by --all, --sample, --only or --file, or ask for --list or --table"
    )]
    Nothing,
}

impl MutationError {
    /// An error of reading or writing a file, for `map_err`.
    pub(crate) fn file(file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let file = file.into();
        |cause| Self::File { file, cause }
    }
}

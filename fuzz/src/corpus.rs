//! The inputs that are kept: a corpus to start from, and inputs that once broke a promise.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the corpus in {} cannot be read: {cause}\n  remedy: run it in the project, which brings fuzz/corpus", .folder.display())]
pub struct Unreadable {
    /// The folder that cannot be read.
    folder: PathBuf,
    /// What reading it failed with.
    #[source]
    cause: io::Error,
}

/// The inputs of a target: its corpus, and what it once failed on. In the order of their names.
///
/// # Errors
/// The corpus cannot be read.
pub fn inputs(home: &Path, target: &str) -> Result<Vec<Vec<u8>>, Unreadable> {
    let mut inputs = files(&home.join("corpus").join(target))?;
    let regressions = home.join("regressions").join(target);
    if regressions.is_dir() {
        inputs.extend(files(&regressions)?);
    }
    Ok(inputs)
}

fn files(folder: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
    let unreadable = |cause| Unreadable {
        folder: folder.to_owned(),
        cause,
    };
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(unreadable)?;
    paths.sort();
    let read: Result<Vec<_>, _> = paths.iter().map(fs::read).collect();
    read.map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_comes_first_and_what_once_failed_follows() {
        let home = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("corpus/a/2", "2"),
            ("corpus/a/1", "1"),
            ("regressions/a/0", "0"),
        ] {
            let file = home.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let inputs = inputs(home.path(), "a").unwrap();
        assert_eq!(inputs, [b"1", b"2", b"0"]);
    }

    #[test]
    fn a_missing_corpus_is_told_with_a_remedy() {
        let home = tempfile::tempdir().unwrap();
        let error = inputs(home.path(), "a").unwrap_err().to_string();
        assert!(error.contains("remedy"), "{error}");
    }
}

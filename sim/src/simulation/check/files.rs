//! What a failing check leaves under the folder `target`: its text and its traces, to be looked at with
//! ordinary tools.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::CheckFailure;
use crate::run::Run;
use crate::trace::{json, short};

/// The folder below the one that Cargo builds in.
const FOLDER: &str = "rocketmq-sim";

/// Writes the files of a failed seed, and says where they are. Nothing, if the test was not built by Cargo; and
/// that they cannot be written is no failure of the check.
pub(super) fn write(test: &str, failure: &CheckFailure) -> Option<String> {
    let (seed, run) = (failure.seed?, failure.run.as_ref()?);
    let target = target_folder(&std::env::current_exe().ok()?)?;
    let folder = target.join(FOLDER).join(test).join(seed.to_string());
    Some(match write_into(&folder, failure, run) {
        Ok(()) => format!("written  {}", folder.display()),
        Err(error) => format!("written  nothing: {}: {error}", folder.display()),
    })
}

fn write_into(folder: &Path, failure: &CheckFailure, run: &Run) -> io::Result<()> {
    // What an earlier failure of the seed has left is not this one's.
    if folder.is_dir() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join("failure.txt"), failure.to_string() + "\n")?;
    trace(folder, "trace", run)?;
    match &failure.shrunk {
        Some(shrunk) => trace(folder, "shrunk", &shrunk.run),
        None => Ok(()),
    }
}

/// A trace as text and as JSON lines.
fn trace(folder: &Path, name: &str, run: &Run) -> io::Result<()> {
    let text = short::render(&run.trace);
    fs::write(folder.join(format!("{name}.txt")), text)?;
    let mut lines = BufWriter::new(File::create(folder.join(format!("{name}.jsonl")))?);
    json::write(&run.trace, &mut lines)?;
    lines.flush()
}

/// The folder that Cargo builds in, which it marks with a tag for backup programs.
fn target_folder(program: &Path) -> Option<PathBuf> {
    let mut folders = program.ancestors().skip(1);
    let marked = folders.find(|folder| folder.join("CACHEDIR.TAG").is_file());
    marked.map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_build_is_known_by_its_tag() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder
            .path()
            .join("x86_64-unknown-linux-gnu/debug/deps/outbox-1");
        assert_eq!(target_folder(&program), None);
        fs::write(folder.path().join("CACHEDIR.TAG"), "").unwrap();
        assert_eq!(target_folder(&program).as_deref(), Some(folder.path()));
    }
}

//! Files that are there as a whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::CliError;

/// Writes a file under another name first, so that nobody ever reads half of it.
pub(super) fn write(file: &Path, text: &[u8]) -> Result<(), CliError> {
    if is_special(file) {
        return fs::write(file, text).map_err(|cause| unwritable(file, cause));
    }
    let part = part(file);
    let written = fs::write(&part, text).and_then(|()| fs::rename(&part, file));
    if written.is_err() {
        // What is half-written must not stay; that it cannot be removed says nothing new.
        let _ = fs::remove_file(&part);
    }
    written.map_err(|cause| unwritable(file, cause))
}

/// Whether [`write()`] will be possible: asked before work whose result would be lost otherwise.
pub(super) fn check(file: &Path) -> Result<(), CliError> {
    if file.is_dir() {
        return Err(unwritable(file, io::ErrorKind::IsADirectory.into()));
    }
    if is_special(file) {
        let opened = fs::OpenOptions::new().write(true).open(file);
        return opened.map(drop).map_err(|cause| unwritable(file, cause));
    }
    let part = part(file);
    let made = fs::File::create(&part).and_then(|_| fs::remove_file(&part));
    made.map_err(|cause| unwritable(file, cause))
}

/// A device or a pipe, such as `/dev/stdout`: it is written, and not replaced by a file.
fn is_special(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|it| !it.is_file() && !it.is_dir())
}

fn part(file: &Path) -> PathBuf {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    PathBuf::from(part)
}

fn unwritable(file: &Path, cause: io::Error) -> CliError {
    CliError::Write {
        file: file.to_owned(),
        cause,
    }
}

//! Gives the crate one number for the sources that decide what a seed means: of the laboratory, its
//! engine, the host, the producer, the protocol and the mocks. A sweep's file names it. And the version
//! of Tokio, whose scheduler decides in which order tasks run: a list of digests names that.
//!
//! Built from an archive of this package, as from a registry, there are no other crates beside it. Then
//! the lock file of the application says which versions they have, and a published version never changes.
//! Where no lock file is found (`cargo install` builds in a folder of its own), neither is known, and both
//! results say so: `…-partial` counts this crate's sources only, and Tokio's version is `unknown`.

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Folders that take part in a run, in the project, and the packages they belong to.
const SOURCES: [(&str, &str); 8] = [
    ("src", "rmq-sim"),
    ("engine/src", "dst-engine"),
    ("../host/src", "rmq-host"),
    ("../producer/src", "rmq-producer"),
    ("../remoting/src", "rmq-remoting"),
    ("../mock-server/src", "rmq-mock-server"),
    ("../mock-namesrv/src", "rmq-mock-namesrv"),
    ("../mock-broker/src", "rmq-mock-broker"),
];

fn main() -> io::Result<()> {
    let home = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    println!("cargo::rerun-if-changed=build.rs");
    let lock = lock_file(&home)?;
    let (sources, whole) = sources(&home, lock.as_deref())?;
    let partial = if whole { "" } else { "-partial" };
    println!("cargo::rustc-env=RMQ_SIM_SOURCES={sources:016x}{partial}");
    let tokio = lock.as_deref().and_then(|lock| locked(lock, "tokio"));
    let version = tokio.and_then(|entry| entry.split('"').nth(1));
    println!(
        "cargo::rustc-env=RMQ_SIM_TOKIO={}",
        version.unwrap_or("unknown")
    );
    Ok(())
}

/// The number of the sources, and whether it is of all of them.
fn sources(home: &Path, lock: Option<&str>) -> io::Result<(u64, bool)> {
    // Its keys are fixed. Another compiler may have another algorithm, and is another build.
    let mut digest = DefaultHasher::new();
    let mut whole = true;
    for (folder, package) in SOURCES {
        if !home.join(folder).is_dir() {
            let entry = lock.and_then(|lock| locked(lock, package));
            // What has no checksum is somebody's folder, and changes without its version.
            match entry.filter(|it| it.contains("checksum = ")) {
                Some(entry) => digest.write(entry.as_bytes()),
                None => whole = false,
            }
            continue;
        }
        println!("cargo::rerun-if-changed={folder}");
        let mut files = Vec::new();
        collect(&home.join(folder), &mut files)?;
        files.sort();
        for file in files {
            let name = file.strip_prefix(home).unwrap_or(&file);
            for part in name {
                digest.write(part.as_encoded_bytes());
                digest.write_u8(b'/');
            }
            let text = fs::read(&file)?;
            digest.write_u64(text.len() as u64);
            digest.write(&text);
        }
    }
    Ok((digest.finish(), whole))
}

/// The lock file of the workspace that is built: the one above the build folder, which is the
/// application's, or else the one above this crate. An archive brings a lock file of its own, which counts
/// for nobody who depends on it.
fn lock_file(home: &Path) -> io::Result<Option<String>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let archive = home.join("Cargo.toml.orig").is_file();
    let own = home.ancestors().filter(|_| !archive);
    let mut locks = out.ancestors().chain(own).map(|it| it.join("Cargo.lock"));
    let Some(lock) = locks.find(|it| it.is_file()) else {
        return Ok(None);
    };
    println!("cargo::rerun-if-changed={}", lock.display());
    fs::read_to_string(&lock).map(Some)
}

/// What a lock file says of a package, from its version on: the version, the registry, the checksum.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let head = format!("name = \"{package}\"\n");
    let mut entries = lock.split("[[package]]");
    entries.find_map(|entry| entry.trim_start().strip_prefix(head.as_str()))
}

/// Every Rust source below a folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|is| is == "rs" || is == "toml")
        {
            files.push(path);
        }
    }
    Ok(())
}

//! Gives the crate one number for the sources that decide what a seed means: of the laboratory, its
//! engine, the host, the producer, the protocol and the mocks. A sweep's file names it. And the version
//! of Tokio, whose scheduler decides in which order tasks run: a list of digests names that.

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Folders beside this crate's that take part in a run; what is not there does not count.
const SOURCES: [&str; 8] = [
    "src",
    "engine/src",
    "../host/src",
    "../producer/src",
    "../remoting/src",
    "../mock-server/src",
    "../mock-namesrv/src",
    "../mock-broker/src",
];

fn main() -> io::Result<()> {
    let home = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    // Its keys are fixed. Another compiler may have another algorithm, and is another build.
    let mut digest = DefaultHasher::new();
    println!("cargo::rerun-if-changed=build.rs");
    for folder in SOURCES {
        println!("cargo::rerun-if-changed={folder}");
        let mut files = Vec::new();
        collect(&home.join(folder), &mut files)?;
        files.sort();
        for file in files {
            let name = file.strip_prefix(&home).unwrap_or(&file);
            for part in name {
                digest.write(part.as_encoded_bytes());
                digest.write_u8(b'/');
            }
            let text = fs::read(&file)?;
            digest.write_u64(text.len() as u64);
            digest.write(&text);
        }
    }
    println!("cargo::rustc-env=RMQ_SIM_SOURCES={:016x}", digest.finish());
    let tokio = tokio_version(&home)?;
    println!("cargo::rustc-env=RMQ_SIM_TOKIO={tokio}");
    Ok(())
}

/// The version of Tokio that this build uses, as the lock file of its workspace says: the one above the
/// build folder, which is the application's, or else the one above this crate.
fn tokio_version(home: &Path) -> io::Result<String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let folders = out.ancestors().chain(home.ancestors());
    let Some(lock) = folders
        .map(|it| it.join("Cargo.lock"))
        .find(|it| it.is_file())
    else {
        return Ok("unknown".to_owned());
    };
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = fs::read_to_string(&lock)?;
    let version = text.split("[[package]]").find_map(|package| {
        let rest = package
            .trim_start()
            .strip_prefix("name = \"tokio\"\nversion = \"")?;
        rest.split('"').next()
    });
    Ok(version.unwrap_or("unknown").to_owned())
}

/// Every Rust source below a folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
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

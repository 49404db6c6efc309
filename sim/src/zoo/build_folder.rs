//! A copy of the sources in which bugs are planted, one at a time, and what is built of it.
//!
//! The copy and its target folder stay from bug to bug and from command to command, and only files
//! that differ are written: so a build compiles what the patch has changed, and what depends on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::error::tail;
use super::{Bug, ZooError};

/// The folder of a copy, its sources and its target.
#[derive(Debug)]
pub struct BuildFolder {
    root: PathBuf,
    folder: PathBuf,
    /// The sources as they were in the beginning: whoever edits them meanwhile changes no build.
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl BuildFolder {
    /// A build folder in `folder` for the project around the folder `from`.
    ///
    /// # Errors
    /// No project is there, git cannot list its files, or one cannot be read.
    pub fn new(from: &Path, folder: Option<&Path>) -> Result<Self, ZooError> {
        let is_root = |at: &&Path| at.join("zoo").is_dir() && at.join("Cargo.toml").is_file();
        let root = from.ancestors().find(is_root);
        let root = root.ok_or_else(|| ZooError::NoZoo(from.to_path_buf()))?;
        let listed = run(Command::new("git").current_dir(root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        if !listed.status.success() {
            return Err(ZooError::Listing(tail(&listed.stderr)));
        }
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        let mut files = Vec::new();
        for name in names.split('\0').filter(|name| !name.is_empty()) {
            let file = root.join(name);
            // One that is not there is deleted, and not committed yet.
            if file.is_file() {
                let text = fs::read(&file).map_err(|cause| ZooError::File { file, cause })?;
                files.push((PathBuf::from(name), text));
            }
        }
        let of_root = blake3::hash(root.as_os_str().as_encoded_bytes()).to_hex();
        let own = || std::env::temp_dir().join(format!("rocketmq-sim-zoo-{}", &of_root[..8]));
        let folder = folder.map_or_else(own, Path::to_path_buf);
        Ok(Self {
            root: root.to_path_buf(),
            // Programs run in the copy, and are given files in this folder.
            folder: std::path::absolute(&folder).map_err(|cause| ZooError::File {
                file: folder,
                cause,
            })?,
            files,
        })
    }

    /// The project that is copied.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the copy is.
    #[must_use]
    pub fn sources(&self) -> PathBuf {
        self.folder.join("source")
    }

    /// Where results are: the files of sweeps, and minimal scenarios.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn results(&self) -> Result<PathBuf, ZooError> {
        let results = self.folder.join("results");
        match fs::create_dir_all(&results) {
            Ok(()) => Ok(results),
            Err(cause) => Err(ZooError::File {
                file: results,
                cause,
            }),
        }
    }

    /// Makes the copy equal to the sources again.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn restore(&self) -> Result<(), ZooError> {
        let sources = self.sources();
        for (name, wanted) in &self.files {
            let to = sources.join(name);
            if fs::read(&to).is_ok_and(|there| there == *wanted) {
                continue;
            }
            let made = to.parent().map_or(Ok(()), fs::create_dir_all);
            made.and_then(|()| fs::write(&to, wanted))
                .map_err(|cause| ZooError::File { file: to, cause })?;
        }
        Ok(())
    }

    /// Applies a bug's patch to the copy; with `only_check` tells only whether that is possible.
    ///
    /// # Errors
    /// The patch does not fit the sources.
    pub fn plant(&self, bug: &Bug, only_check: bool) -> Result<(), ZooError> {
        let mut git = Command::new("git");
        git.current_dir(self.sources()).arg("apply");
        // A repository around the folder would make git look for the files there.
        git.env("GIT_CEILING_DIRECTORIES", &self.folder);
        git.args(only_check.then_some("--check")).arg(&bug.patch);
        let applied = run(&mut git)?;
        if applied.status.success() {
            return Ok(());
        }
        Err(ZooError::Patch {
            bug: bug.id.clone(),
            text: tail(&applied.stderr),
        })
    }

    /// Builds the copy and returns the laboratory's program.
    ///
    /// # Errors
    /// It does not compile.
    pub fn build(&self, what: &str) -> Result<PathBuf, ZooError> {
        let target = self.folder.join("target");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = run(Command::new(cargo)
            .current_dir(self.sources())
            .args([
                "build",
                "--quiet",
                "--package",
                "rmq-sim",
                "--features",
                "cli",
            ])
            .args(["--bin", "rocketmq-sim"])
            // A hundred seeds take seconds either way, and what depends on a patch compiles in a
            // fraction of the time. Dependencies keep the optimisation that the profile gives them.
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
            .env("CARGO_TARGET_DIR", &target))?;
        if !built.status.success() {
            return Err(ZooError::Build {
                what: what.to_owned(),
                tail: tail(&built.stderr),
            });
        }
        let name = format!("rocketmq-sim{}", std::env::consts::EXE_SUFFIX);
        Ok(target.join("debug").join(name))
    }
}

/// Runs a program to its end.
pub(super) fn run(command: &mut Command) -> Result<Output, ZooError> {
    command.output().map_err(|cause| ZooError::Program {
        program: command.get_program().to_string_lossy().into_owned(),
        cause,
    })
}

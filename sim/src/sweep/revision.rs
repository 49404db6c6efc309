//! The program of another build: the sources of a revision, as git has them, built beside one's own.
//!
//! Whoever compares a change with what was before has the old sources in git and no program of them. Here
//! they are put into a folder that stays from command to command, as does its target folder, so that a
//! second revision compiles only what differs. The repository is read and never written: the folder has an
//! index of its own, and git writes only the files that differ from those of the revision before, which
//! leaves the others with the time of day that cargo goes by. Each revision's program is kept under the
//! number of its commit, so it is built once, and what was printed of it goes on to work.
//!
//! A baseline that this build writes has its program kept there, too: cargo puts the next one in its place.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::BUILD;
use super::baseline::{Baseline, BaselineError};
use crate::zoo::tail;

/// The folder in which programs of other builds are kept: `folder`, or one among the temporary files.
///
/// # Errors
///
/// There is no current folder that `folder` could be relative to.
pub(crate) fn builds(folder: Option<&Path>) -> Result<PathBuf, RevisionError> {
    let own = || std::env::temp_dir().join("rocketmq-sim-builds");
    let folder = folder.map_or_else(own, Path::to_path_buf);
    // Programs run elsewhere, and their paths are printed.
    std::path::absolute(&folder).map_err(|cause| file_error(&folder, cause))
}

/// Where the program of a build is kept that wrote a baseline.
pub(crate) fn program_of(builds: &Path, build: &str) -> PathBuf {
    let plain = |it: char| {
        if it.is_ascii_alphanumeric() || it == '.' {
            it
        } else {
            '-'
        }
    };
    program(builds, &build.chars().map(plain).collect::<String>())
}

/// Keeps the program that runs now for those who compare with its baseline later.
///
/// # Errors
///
/// Its file is not there any more, or the folder cannot be written.
pub(crate) fn keep_this(builds: &Path) -> Result<PathBuf, RevisionError> {
    let kept = program_of(builds, BUILD);
    if kept.is_file() {
        return Ok(kept);
    }
    let this = std::env::current_exe().map_err(|cause| file_error(&kept, cause))?;
    put(&this, &kept)?;
    Ok(kept)
}

fn program(builds: &Path, of: &str) -> PathBuf {
    let name = format!("rocketmq-sim-{of}{}", std::env::consts::EXE_SUFFIX);
    builds.join("programs").join(name)
}

/// Copies a program under another name first: one that is there is whole.
fn put(from: &Path, to: &Path) -> Result<(), RevisionError> {
    let mut part = to.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let made = to.parent().map_or(Ok(()), fs::create_dir_all);
    let copied = made.and_then(|()| fs::copy(from, &part));
    let put = copied.and_then(|_| fs::rename(&part, to));
    if put.is_err() {
        // What is half-written must not stay; that it cannot be removed says nothing new.
        let _ = fs::remove_file(&part);
    }
    put.map_err(|cause| file_error(to, cause))
}

/// Why a revision could not be compared with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevisionError {
    /// A program cannot be started.
    #[error("cannot start {program}: {cause}\n  remedy: install it, or put it on the PATH")]
    Program {
        /// The name of the program, as it is looked for on the `PATH`.
        program: String,
        /// Why the system does not start it.
        cause: io::Error,
    },
    /// There is no repository here.
    #[error(
        "--baseline-rev: no repository of git here: {0}\n  remedy: run it in a clone of the project, or compare with a file: --baseline FILE"
    )]
    NoRepository(String),
    /// Git does not know the revision.
    #[error(
        "--baseline-rev {0}: git knows no such commit\n  remedy: name a branch, a tag or a commit that `git log --all --oneline` lists; a shallow clone lacks older ones, which `git fetch --unshallow` gets"
    )]
    Unknown(String),
    /// The sources cannot be put into the folder.
    #[error("--baseline-rev {revision}: git cannot put its sources into {}: {tail}\n  remedy: remove the folder, or give another --build", .folder.display())]
    Sources {
        /// The revision that was asked for.
        revision: String,
        /// The folder of the sources.
        folder: PathBuf,
        /// The end of git's output.
        tail: String,
    },
    /// A file or folder cannot be used.
    #[error("{}: {cause}\n  remedy: give a --build that exists and is writable", .file.display())]
    File {
        /// The file or folder in question.
        file: PathBuf,
        /// What using it failed with.
        cause: io::Error,
    },
    /// The sources do not compile.
    #[error("--baseline-rev {revision}: it does not build in {}; the compiler's last lines:\n{tail}\n  remedy: name a revision that builds", .folder.display())]
    Build {
        /// The revision that was asked for.
        revision: String,
        /// The folder of the sources.
        folder: PathBuf,
        /// The end of its output.
        tail: String,
    },
    /// The build knows no baselines.
    #[error("--baseline-rev {revision}: the sweep of that build has no --save-baseline yet\n  remedy: name a later revision, or compare digests: {} digest{scenario} --seeds {}..{} > old.txt, and then with this build: digest{scenario} --check old.txt", .program.display(), .seeds.start, .seeds.end)]
    TooOld {
        /// The revision that was asked for.
        revision: String,
        /// Its program.
        program: PathBuf,
        /// The scenario's file, behind a space; nothing for generated ones.
        scenario: String,
        /// The seeds that were to be compared.
        seeds: Range<u64>,
    },
    /// The sweep came to no result.
    #[error("--baseline-rev {revision}: the sweep of {} came to no result; its last lines:\n{tail}\n  remedy: what these lines say is of that build; name another revision where it has no remedy", .program.display())]
    Sweep {
        /// The revision that was asked for.
        revision: String,
        /// Its program.
        program: PathBuf,
        /// The end of its output.
        tail: String,
    },
    /// The sweep's baseline cannot be read.
    #[error("--baseline-rev: {0}")]
    Baseline(#[from] BaselineError),
}

/// A revision and where its program is built.
#[derive(Debug)]
pub(crate) struct Revision {
    /// As it was asked for.
    name: String,
    commit: String,
    /// The repository's own folder, which is only read.
    repository: PathBuf,
    folder: PathBuf,
}

impl Revision {
    /// The revision `name` of the repository around the folder `from`, to be built in the folder `builds`.
    pub(crate) fn find(name: &str, from: &Path, builds: PathBuf) -> Result<Self, RevisionError> {
        let git = |arguments: &[&str]| run(Command::new("git").current_dir(from).args(arguments));
        let found = git(&["rev-parse", "--absolute-git-dir"])?;
        if !found.status.success() {
            return Err(RevisionError::NoRepository(tail(&found.stderr)));
        }
        let repository = PathBuf::from(first_line(&found));
        // What begins with a dash would be an option.
        let commit = format!("{name}^{{commit}}");
        let known = match name.starts_with('-') {
            true => None,
            false => Some(git(&["rev-parse", "--verify", "--quiet", &commit])?),
        };
        let known = known.filter(|it| it.status.success());
        let known = known.ok_or_else(|| RevisionError::Unknown(name.to_owned()))?;
        Ok(Self {
            name: name.to_owned(),
            commit: first_line(&known),
            repository,
            folder: builds,
        })
    }

    /// The revision in a few digits.
    pub(crate) fn short(&self) -> &str {
        self.commit.get(..12).unwrap_or(&self.commit)
    }

    /// Where everything of it is kept.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where its program is, or will be.
    fn program(&self) -> PathBuf {
        program(&self.folder, self.short())
    }

    /// Whether it was built already.
    pub(crate) fn is_built(&self) -> bool {
        self.program().is_file()
    }

    /// Builds its program, unless it was built already. Two commands build one after the other.
    pub(crate) fn build(&self) -> Result<PathBuf, RevisionError> {
        let program = self.program();
        let sources = self.folder.join("source");
        fs::create_dir_all(&sources).map_err(|cause| file_error(&sources, cause))?;
        let lock = self.folder.join("lock");
        let held = File::create(&lock).map_err(|cause| file_error(&lock, cause))?;
        match held.lock() {
            // A file system without locks guards nothing.
            Err(cause) if cause.kind() != io::ErrorKind::Unsupported => {
                return Err(file_error(&lock, cause));
            }
            _ => {}
        }
        if self.is_built() {
            return Ok(program);
        }
        self.take_sources(&sources)?;
        let built = self.compile(&sources)?;
        put(&built, &program)?;
        Ok(program)
    }

    /// Makes a folder equal to the revision.
    fn take_sources(&self, sources: &Path) -> Result<(), RevisionError> {
        let taken = run(Command::new("git")
            .current_dir(sources)
            .env("GIT_DIR", &self.repository)
            .env("GIT_WORK_TREE", sources)
            .env("GIT_INDEX_FILE", self.folder.join("index"))
            .args(["read-tree", "--reset", "-u", &self.commit]))?;
        match taken.status.success() {
            true => Ok(()),
            false => Err(RevisionError::Sources {
                revision: self.name.clone(),
                folder: sources.to_path_buf(),
                tail: tail(&taken.stderr),
            }),
        }
    }

    fn compile(&self, sources: &Path) -> Result<PathBuf, RevisionError> {
        let target = self.folder.join("target");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = run(Command::new(cargo)
            .current_dir(sources)
            .args(["build", "--quiet", "--release", "--package", "rmq-sim"])
            .args(["--features", "cli", "--bin", "rocketmq-sim"])
            .env("CARGO_TARGET_DIR", &target))?;
        if !built.status.success() {
            return Err(RevisionError::Build {
                revision: self.name.clone(),
                folder: sources.to_path_buf(),
                tail: tail(&built.stderr),
            });
        }
        let name = format!("rocketmq-sim{}", std::env::consts::EXE_SUFFIX);
        Ok(target.join("release").join(name))
    }

    /// Runs seeds with its program, on so many threads, and gives what they came to. `scenario` is a file
    /// of one's own sources, not of the revision's.
    pub(crate) fn sweep(
        &self,
        program: &Path,
        scenario: Option<&Path>,
        seeds: &Range<u64>,
        jobs: usize,
    ) -> Result<Baseline, RevisionError> {
        let results = self.folder.join("results");
        // Another command may run the same program now.
        let results = results.join(std::process::id().to_string());
        fs::create_dir_all(&results).map_err(|cause| file_error(&results, cause))?;
        let file = results.join(format!("{}.jsonl", self.short()));
        let swept = run(Command::new(program)
            .arg("sweep")
            .args(scenario)
            .args(["--seeds", &format!("{}..{}", seeds.start, seeds.end)])
            .args(["--jobs", &jobs.to_string()])
            .arg("--save-baseline")
            .arg(&file));
        let read = swept.and_then(|swept| self.read(program, scenario, seeds, &swept, &file));
        // It was read, or there is nothing to read; that it cannot be removed says nothing new.
        let _ = fs::remove_dir_all(&results);
        read
    }

    /// What a sweep left, if it came to a result.
    fn read(
        &self,
        program: &Path,
        scenario: Option<&Path>,
        seeds: &Range<u64>,
        swept: &Output,
        file: &Path,
    ) -> Result<Baseline, RevisionError> {
        let said = String::from_utf8_lossy(&swept.stderr);
        match swept.status.code() {
            // Seeds that fail are a result.
            Some(0 | 10..=14) => Ok(Baseline::read(file)?),
            Some(2) if said.contains("--save-baseline") => Err(RevisionError::TooOld {
                revision: self.name.clone(),
                program: program.to_path_buf(),
                scenario: scenario.map_or_else(String::new, |it| format!(" {}", it.display())),
                seeds: seeds.clone(),
            }),
            _ => Err(RevisionError::Sweep {
                revision: self.name.clone(),
                program: program.to_path_buf(),
                tail: tail(&swept.stderr),
            }),
        }
    }
}

fn file_error(file: &Path, cause: io::Error) -> RevisionError {
    RevisionError::File {
        file: file.to_path_buf(),
        cause,
    }
}

/// The only line of a program's output.
fn first_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().unwrap_or_default().to_owned()
}

/// Runs a program to its end.
fn run(command: &mut Command) -> Result<Output, RevisionError> {
    command.output().map_err(|cause| RevisionError::Program {
        program: command.get_program().to_string_lossy().into_owned(),
        cause,
    })
}

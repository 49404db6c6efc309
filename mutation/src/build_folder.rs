//! A copy of the project in which every mutant is written, and the one program that is built of it.
//!
//! The copy and its target folder stay from command to command, and only files that differ are written. So
//! a second command builds nothing, and an edit of the project builds what depends on it. (The folder of
//! `rocketmq-sim zoo` is alike; this crate builds without the laboratory, which it judges.)

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::error::MutationError;
use crate::find::find;
use crate::mutant::SourceFile;
use crate::schemata::{self, Mark};
use crate::unviable::{Diagnostic, Line, culprits};

/// The crate of the question which mutant is on.
const SWITCH: &str = include_str!("switch.txt");
/// Its manifest, and what the crates under test call it by.
const SWITCH_MANIFEST: &str =
    "[package]\nname = \"rmq-mutant\"\nversion = \"0.0.0\"\nedition = \"2024\"\n";
const DEPENDENCY: &str = "[dependencies]\nrmq-mutant = { path = \"../mutant-switch\" }\n";
/// The crates under test, and the folders of theirs that are mutated.
const UNDER_TEST: [(&str, &str); 2] = [
    ("producer", "producer/src/"),
    ("remoting", "remoting/src/client/"),
];
/// What the laboratory's program is made of, beside the lock file: results hold as long as this stays.
const LABORATORY: [&str; 7] = [
    "host/",
    "mock-broker/",
    "mock-namesrv/",
    "mock-server/",
    "producer/",
    "remoting/",
    "sim/",
];

/// The folder of a copy, its sources and its target.
#[derive(Debug)]
pub(crate) struct BuildFolder {
    folder: PathBuf,
    /// The sources as they were in the beginning: whoever edits them meanwhile changes no build.
    files: BTreeMap<String, Vec<u8>>,
}

impl BuildFolder {
    /// A build folder for the project in the folder `root`.
    ///
    /// # Errors
    /// Git cannot list the project's files, or one cannot be read.
    pub(crate) fn new(root: &Path, folder: &Path) -> Result<Self, MutationError> {
        let mut git = Command::new("git");
        git.current_dir(root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let listed = run(&mut git)?;
        if !listed.status.success() {
            let said = String::from_utf8_lossy(&listed.stderr).into_owned();
            return Err(MutationError::Listing(said));
        }
        let mut files = BTreeMap::new();
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        for name in names.split('\0').filter(|name| !name.is_empty()) {
            let file = root.join(name);
            // One that is not there is deleted, and not committed yet.
            if file.is_file() {
                let text = fs::read(&file).map_err(MutationError::file(file))?;
                files.insert(name.to_owned(), text);
            }
        }
        let folder = std::path::absolute(folder).map_err(MutationError::file(folder))?;
        Ok(Self { folder, files })
    }

    /// Where the copy is.
    pub(crate) fn sources(&self) -> PathBuf {
        self.folder.join("source")
    }

    /// Where results are, made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn results(&self) -> Result<PathBuf, MutationError> {
        let results = self.folder.join("results");
        fs::create_dir_all(&results).map_err(MutationError::file(&results))?;
        Ok(results)
    }

    /// The files under test, in order, with their sites.
    ///
    /// # Errors
    /// One is no Rust.
    pub(crate) fn under_test(&self) -> Result<Vec<SourceFile>, MutationError> {
        let is_under_test = |name: &&String| {
            let is_test = name.ends_with("/tests.rs") || name.contains("/tests/");
            let mutated = UNDER_TEST
                .iter()
                .any(|(_, folder)| name.starts_with(folder));
            mutated && name.ends_with(".rs") && !is_test
        };
        let names = self.files.keys().filter(is_under_test);
        let files = names.map(|name| {
            find(name, &self.text(name)).map_err(|cause| MutationError::NoRust {
                file: name.clone(),
                cause,
            })
        });
        files.collect()
    }

    fn text(&self, name: &str) -> String {
        let bytes = self.files.get(name).map_or(&[][..], |it| it);
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// A number for the laboratory and everything in it, with its mutants.
    pub(crate) fn digest(&self, mutated: &[SourceFile]) -> String {
        let mut digest = blake3::Hasher::new();
        let is_in = |name: &str| LABORATORY.iter().any(|it| name.starts_with(it));
        for (name, text) in self.files.iter().filter(|(name, _)| is_in(name)) {
            digest.update(name.as_bytes()).update(text);
        }
        // What this crate itself depends on is in no run.
        let lock = self.text("Cargo.lock");
        let is_own = |entry: &&str| entry.contains(concat!('"', env!("CARGO_PKG_NAME"), '"'));
        for entry in lock.split("\n\n").filter(|entry| !is_own(entry)) {
            digest.update(entry.as_bytes());
        }
        for file in mutated {
            let schema = schemata::write(file, &BTreeSet::new());
            digest.update(schema.text.as_bytes());
        }
        digest.finalize().to_hex().chars().take(12).collect()
    }

    /// Writes the copy with all mutants but the `dropped` ones; gives what is where in each file.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn write(
        &self,
        mutated: &[SourceFile],
        dropped: &BTreeSet<usize>,
    ) -> Result<BTreeMap<String, Vec<Mark>>, MutationError> {
        let mut files = self.files.clone();
        let mut marks = BTreeMap::new();
        for file in mutated {
            let schema = schemata::write(file, dropped);
            files.insert(file.path.clone(), schema.text.into_bytes());
            marks.insert(file.path.clone(), schema.marks);
        }
        for (krate, _) in UNDER_TEST {
            let name = format!("{krate}/Cargo.toml");
            let manifest = self.text(&name);
            if !manifest.contains("[dependencies]\n") {
                return Err(MutationError::Manifest { file: name });
            }
            let with = manifest.replacen("[dependencies]\n", DEPENDENCY, 1);
            files.insert(name, with.into_bytes());
        }
        files.insert(
            "mutant-switch/Cargo.toml".to_owned(),
            SWITCH_MANIFEST.into(),
        );
        files.insert("mutant-switch/src/lib.rs".to_owned(), SWITCH.into());
        let sources = self.sources();
        for (name, text) in &files {
            let to = sources.join(name);
            if fs::read(&to).is_ok_and(|there| without_switch(there) == *text) {
                continue;
            }
            let made = to.parent().map_or(Ok(()), fs::create_dir_all);
            made.and_then(|()| fs::write(&to, text))
                .map_err(MutationError::file(to))?;
        }
        Ok(marks)
    }

    /// Builds the program with all mutants that compile. Those that do not are added to `dropped`.
    ///
    /// # Errors
    /// The copy does not compile for another reason.
    pub(crate) fn build(
        &self,
        mutated: &[SourceFile],
        dropped: &mut BTreeSet<usize>,
    ) -> Result<PathBuf, MutationError> {
        for command in ["check", "build"] {
            loop {
                let marks = self.write(mutated, dropped)?;
                let errors = self.cargo(command)?;
                if errors.is_empty() {
                    break;
                }
                let of_file = |name: &str| marks.get(name).map(Vec::as_slice);
                let found = errors.iter().flat_map(|error| culprits(error, of_file));
                let before = dropped.len();
                dropped.extend(found);
                println!(
                    "{command}: {} errors, {} mutants unviable",
                    errors.len(),
                    dropped.len()
                );
                if dropped.len() == before {
                    let words = errors.into_iter().filter_map(|it| it.rendered);
                    return Err(MutationError::Build(words.take(5).collect()));
                }
            }
        }
        let name = format!("rocketmq-sim{}", std::env::consts::EXE_SUFFIX);
        Ok(self.folder.join("target/release").join(name))
    }

    /// Compiles the laboratory's program, and gives the compiler's errors.
    fn cargo(&self, command: &str) -> Result<Vec<Diagnostic>, MutationError> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let done = run(Command::new(cargo)
            .current_dir(self.sources())
            .args([
                command,
                "--release",
                "--package",
                "rmq-sim",
                "--bin",
                "rocketmq-sim",
            ])
            .args(["--keep-going", "--message-format=json"])
            // Generated code offends against taste everywhere.
            .env("RUSTFLAGS", "-Awarnings")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .stdin(Stdio::null()))?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let lines = said
            .lines()
            .filter_map(|it| serde_json::from_str::<Line>(it).ok());
        let messages = lines.filter(|line| line.reason == "compiler-message");
        let messages = messages.filter_map(|line| line.message);
        // The last error only counts the others, and points nowhere.
        let errors = messages.filter(|it| it.level == "error" && !it.spans.is_empty());
        let errors: Vec<Diagnostic> = errors.collect();
        if errors.is_empty() && !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            return Err(MutationError::Build(said));
        }
        Ok(errors)
    }
}

/// The text of a file as the project has it: in the copy's lock file, cargo has listed the switch.
fn without_switch(text: Vec<u8>) -> Vec<u8> {
    const LISTED: [&str; 2] = [
        " \"rmq-mutant\",\n",
        "[[package]]\nname = \"rmq-mutant\"\nversion = \"0.0.0\"\n\n",
    ];
    match String::from_utf8(text) {
        Ok(text) => LISTED
            .iter()
            .fold(text, |text, it| text.replace(it, ""))
            .into_bytes(),
        Err(error) => error.into_bytes(),
    }
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Result<Output, MutationError> {
    command.output().map_err(|cause| MutationError::Program {
        program: command.get_program().to_string_lossy().into_owned(),
        cause,
    })
}

//! Seeds that failed, kept beside the test, so that each is tried first from then on.
//!
//! One file for each source file of tests, one line for each seed of a test, in order: two branches that
//! each found a seed merge without a word.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};

/// What a file begins with.
const HEAD: &str = "# Seeds with which a check of the source file beside this one has failed: test and seed. Its test tries\n\
                    # them first. Keep this file in version control, and take a line out when its test is gone.\n";

/// The seeds of one test, and the file that they are in.
#[derive(Debug)]
pub(super) struct KeptSeeds {
    /// `None`: the source file is not here, or it is no test that runs.
    file: Option<PathBuf>,
    test: String,
    seeds: Vec<u64>,
}

impl KeptSeeds {
    /// The seeds that are kept for a test of this source file, or what is wrong with their file.
    pub(super) fn beside(source: &Location<'_>, test: &str) -> Result<Self, String> {
        // A program of its own has no harness that says what the test is called.
        let source = (test != "main")
            .then(|| find(Path::new(source.file())))
            .flatten();
        let mut kept = Self {
            file: source.map(|source| source.with_extension("failing-seeds")),
            test: test.to_owned(),
            seeds: Vec::new(),
        };
        if let Some(file) = &kept.file {
            let here = |(line, text): (usize, String)| {
                format!(
                    "{}:{line}: {text}\n  remedy: write the name of a test and a seed, or remove the line",
                    file.display()
                )
            };
            let lines = read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let all = parse(&lines).map_err(here)?;
            let own = all.into_iter().filter(|(name, _)| name == test);
            kept.seeds = own.map(|(_, seed)| seed).collect();
        }
        Ok(kept)
    }

    /// In ascending order.
    pub(super) fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// Keeps a further seed, and says where. That it cannot be kept is no failure of the check.
    pub(super) fn keep(&self, seed: u64) -> Option<String> {
        let file = self.file.as_ref()?;
        if self.seeds.contains(&seed) {
            return Some(format!("kept     {} has this seed", file.display()));
        }
        Some(match self.add(file, seed) {
            Ok(()) => format!("kept     {}: it is tried first from now on", file.display()),
            Err(error) => format!("kept     not: {}: {error}", file.display()),
        })
    }

    fn add(&self, file: &Path, seed: u64) -> io::Result<()> {
        // Another test of the file may have added one since.
        let all = parse(&read(file)?);
        let mut all = all.map_err(|(_, flaw)| io::Error::other(flaw))?;
        all.insert((self.test.clone(), seed));
        let lines = all.iter().map(|(test, seed)| format!("{test} {seed}\n"));
        let text = HEAD.to_owned() + &lines.collect::<String>();
        let part = file.with_extension("failing-seeds.part");
        fs::write(&part, text)?;
        fs::rename(&part, file)
    }
}

/// The file's text; nothing if it is not there.
fn read(file: &Path) -> io::Result<String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text,
    }
}

/// Every test with every seed; or a line that has neither, with its number.
fn parse(text: &str) -> Result<BTreeSet<(String, u64)>, (usize, String)> {
    let lines = (1..).zip(text.lines().map(str::trim));
    let seeds = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let seed = |(number, line): (usize, &str)| {
        let pair = line.split_once(' ');
        let pair = pair.and_then(|(test, seed)| Some((test.to_owned(), seed.parse().ok()?)));
        pair.ok_or_else(|| (number, format!("\"{line}\" is no kept seed")))
    };
    seeds.map(seed).collect()
}

/// The source file as this process finds it: the compiler names it from the workspace, a test runs in its
/// package.
fn find(source: &Path) -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let folders = here.ancestors();
    let mut files = folders.map(|folder| folder.join(source));
    files.find(|it| it.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_folder(folder: &Path, test: &str) -> KeptSeeds {
        let file = folder.join("orders.failing-seeds");
        let all = parse(&read(&file).unwrap()).unwrap();
        let seeds = all.into_iter().filter(|(name, _)| name == test);
        KeptSeeds {
            seeds: seeds.map(|(_, seed)| seed).collect(),
            file: Some(file),
            test: test.to_owned(),
        }
    }

    #[test]
    fn seeds_are_kept_in_order_and_once_each() {
        let folder = tempfile::tempdir().unwrap();
        for (test, seed) in [("lost", 20), ("doubled", 7), ("lost", 3), ("lost", 20)] {
            let told = in_folder(folder.path(), test).keep(seed).unwrap();
            assert!(told.contains("orders.failing-seeds"), "{told}");
        }
        let text = fs::read_to_string(folder.path().join("orders.failing-seeds")).unwrap();
        assert_eq!(text, format!("{HEAD}doubled 7\nlost 3\nlost 20\n"));
        assert_eq!(in_folder(folder.path(), "lost").seeds(), [3, 20]);
        assert_eq!(in_folder(folder.path(), "other").seeds(), [] as [u64; 0]);
    }

    #[test]
    fn a_line_that_is_no_seed_is_told_with_its_number() {
        for (text, line) in [("# head\n\nlost x\n", 3), ("lost\n", 1), ("lost 1 2\n", 1)] {
            assert_eq!(parse(text).unwrap_err().0, line, "{text}");
        }
    }

    #[test]
    fn a_source_file_is_found_from_the_folder_of_its_package() {
        let found = find(Path::new(file!())).unwrap();
        assert!(found.ends_with(file!()));
        assert_eq!(find(Path::new("nowhere/orders.rs")), None);
    }
}

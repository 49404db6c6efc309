//! What is wrong with a scenario file, said so that a person can mend it at once.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use rmq_remoting::settings::explain;

/// A scenario that cannot be run: where, what, and the remedy. All that is wrong with a file is told at
/// once: this is the first thing, and [`others`](Self::others) has the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1, if one line is to blame.
    pub line: Option<usize>,
    /// The character in the line, from 1, if one line is to blame.
    pub column: Option<usize>,
    /// What is wrong at that place, in words.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// What else is wrong with the file, in its order. These have no others.
    pub others: Box<[ScenarioError]>,
}

impl ScenarioError {
    /// One error of all that is wrong with a file, in its order; none if nothing is.
    pub(super) fn of(mut flaws: Vec<ScenarioError>) -> Option<Self> {
        flaws.sort_by_key(|flaw| (flaw.line, flaw.column));
        flaws.dedup();
        let mut flaws = flaws.into_iter();
        let mut first = flaws.next()?;
        first.others = flaws.collect();
        Some(first)
    }
}

impl std::error::Error for ScenarioError {}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}\n  remedy: {}", self.what, self.remedy)?;
        self.others
            .iter()
            .try_for_each(|other| write!(f, "\n{other}"))
    }
}

/// What was found wrong with a file so far.
pub(super) type Flaws = RefCell<Vec<ScenarioError>>;

/// The text of a file, which turns byte positions into lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    /// Where what is wrong is noted, so that the reader can go on to the rest.
    pub(super) flaws: &'a Flaws,
}

impl Source<'_> {
    /// Takes note of what is wrong, and goes on with another value: nothing is made of a file that has a
    /// flaw.
    pub(super) fn or<T>(&self, read: Result<T, ScenarioError>, instead: T) -> T {
        read.unwrap_or_else(|flaw| {
            self.flaws.borrow_mut().push(flaw);
            instead
        })
    }

    /// Checks something of which a part could not be read: what is wrong with the rest is not told, as it
    /// may be no fault of the file.
    pub(super) fn checked<T>(&self, suspect: bool, check: impl FnOnce() -> T) -> T {
        let before = self.flaws.borrow().len();
        let checked = check();
        if suspect {
            self.flaws.borrow_mut().truncate(before);
        }
        checked
    }

    /// As [`or`](Self::or), for what may be left out.
    pub(super) fn maybe<T>(&self, read: Option<Result<T, ScenarioError>>) -> Option<T> {
        read.and_then(|read| self.or(read.map(Some), None))
    }

    /// What was noted, as the error of the file.
    pub(super) fn refusal(&self) -> ScenarioError {
        ScenarioError::of(self.flaws.take()).unwrap_or_else(|| {
            let what = "this file has more mistakes than one sees at once";
            self.error(0..0, what, "begin with scenarios/healthy.toml")
        })
    }

    /// An error at a position of the text.
    pub(super) fn error(
        &self,
        at: Range<usize>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ScenarioError {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        ScenarioError {
            file: self.file.to_owned(),
            line: Some(before.bytes().filter(|byte| *byte == b'\n').count() + 1),
            column: Some(before.chars().rev().take_while(|it| *it != '\n').count() + 1),
            what: what.into(),
            remedy: remedy.into(),
            others: Box::default(),
        }
    }

    /// An error of the TOML reader.
    pub(super) fn toml_error(&self, error: &toml::de::Error) -> ScenarioError {
        // An error without a place is told of the first line.
        let at = error.span().unwrap_or(0..0);
        let (what, remedy) = explain(error.message(), "scenarios/healthy.toml");
        self.error(at, what, remedy)
    }
}

/// An error of reading the file itself.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> ScenarioError {
    let (what, remedy) = match error.kind() {
        std::io::ErrorKind::NotFound => (
            "there is no such file".to_owned(),
            "give the path of a scenario file, for example scenarios/healthy.toml",
        ),
        _ => (
            format!("cannot be read: {error}"),
            "give the path of a text file that this user may read",
        ),
    };
    ScenarioError {
        file: path.display().to_string(),
        line: None,
        column: None,
        what,
        remedy: remedy.to_owned(),
        others: Box::default(),
    }
}

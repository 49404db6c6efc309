//! What is wrong with a scenario file, said so that a person can mend it at once.

use std::fmt;
use std::ops::Range;
use std::path::Path;

/// A scenario that cannot be run: where, what, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1, if one line is to blame.
    pub line: Option<usize>,
    /// What is wrong at that place, in words.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl std::error::Error for ScenarioError {}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}\n  remedy: {}", self.what, self.remedy)
    }
}

/// The text of a file, which turns byte positions into lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
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
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// An error of the TOML reader.
    pub(super) fn toml_error(&self, error: &toml::de::Error) -> ScenarioError {
        // An error without a place is told of the first line.
        let at = error.span().unwrap_or(0..0);
        let (what, remedy) = explain(error.message());
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
        what,
        remedy: remedy.to_owned(),
    }
}

/// Splits a reader's message into what is wrong and what to do. Messages of this crate's own
/// types already consist of these two lines.
fn explain(message: &str) -> (String, String) {
    if let Some((what, remedy)) = message.split_once('\n') {
        return (what.to_owned(), remedy.to_owned());
    }
    if let Some(rest) = message.strip_prefix("unknown field `")
        && let Some((key, expected)) = rest.split_once("`, expected ")
    {
        let known = expected.replace("one of ", "").replace('`', "");
        return (
            format!("there is no key \"{key}\" here"),
            format!("remove it, or use one of: {known}"),
        );
    }
    if let Some(rest) = message.strip_prefix("missing field `") {
        let key = rest.trim_end_matches('`');
        return (
            format!("the key \"{key}\" is missing"),
            format!("add a line `{key} = …` to this table"),
        );
    }
    if let Some((what, expected)) = message.split_once(", expected ") {
        return (what.to_owned(), format!("write {expected} here"));
    }
    (
        message.to_owned(),
        "mend the TOML here; scenarios/healthy.toml shows the form".to_owned(),
    )
}

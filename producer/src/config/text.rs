//! Settings in TOML, and where in them something is wrong.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Config;
use crate::policy::{KeyError, Policy, with_differences};

/// Settings that cannot be read.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings of a producer from {}", .path.display())]
    Read {
        /// The file that was read.
        path: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// A key is unknown, missing or has a value that it cannot have, or the text is no TOML.
    #[error("{place}: {problem}")]
    Invalid {
        /// Where that is written.
        place: Place,
        /// What is wrong there, in words.
        problem: String,
    },
}

/// A place in a text of settings, written as `app.toml:7:1: policy.periods.poll`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct Place {
    /// The file, if the text is one's.
    pub file: Option<PathBuf>,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// The key with those of the tables around it; empty where the text is no TOML.
    pub key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, .. } = self;
        match &self.file {
            Some(file) => write!(f, "{}:{line}:{column}", file.display())?,
            None => write!(f, "line {line}, column {column}")?,
        }
        if self.key.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.key)
    }
}

impl ConfigError {
    /// The same error, of a text that is this file's.
    fn in_file(mut self, path: &Path) -> Self {
        if let Self::Invalid { place, .. } = &mut self {
            place.file = Some(path.to_owned());
        }
        self
    }
}

impl Config {
    /// Reads settings from a text.
    ///
    /// # Errors
    /// A key is unknown, has a wrong type or is missing, or the policy makes no sense. The error names
    /// the line, the column and the key.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        /// The one table whose errors know their key.
        #[derive(Deserialize)]
        struct PolicyOnly {
            #[serde(default)]
            policy: Map<String, Value>,
        }

        let PolicyOnly { policy } = toml::from_str(text).map_err(|error| at_error(text, &error))?;
        with_differences(policy).map_err(|error| at_key(text, &["policy"], &error))?;
        toml::from_str(text).map_err(|error| at_error(text, &error))
    }

    /// Reads settings from a file.
    ///
    /// # Errors
    /// The file cannot be read, or as [`from_toml`](Self::from_toml); the error names the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_toml(&text).map_err(|error| error.in_file(path))
    }
}

impl Policy {
    /// Reads a policy: a preset, `preset = "strict"` unless written, and what differs from it.
    ///
    /// ```
    /// use rmq_producer::Policy;
    ///
    /// let patient = Policy::from_toml("preset = 'java_5_3'\n[attempts]\nsync = 5")?;
    /// assert_eq!(patient.attempts.sync, 5);
    /// assert_eq!(Policy::from_toml(&patient.to_toml())?, patient);
    /// # Ok::<(), rmq_producer::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// A key is unknown or has a value that it cannot have. The error names the line, the column and
    /// the key.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let written = toml::from_str(text).map_err(|error| at_error(text, &error))?;
        with_differences(written).map_err(|error| at_key(text, &[], &error))
    }

    /// Writes the whole policy, as [`from_toml`](Self::from_toml) reads it.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "numbers, names and lists of them have a form in TOML, whatever they are"
    )]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a policy can be written")
    }
}

/// What TOML says of a text, with the key that it is said of.
fn at_error(text: &str, error: &toml::de::Error) -> ConfigError {
    let span = error.span().unwrap_or_default();
    let tree = DeTable::parse(text).ok();
    let key = tree.and_then(|tree| keys_around(tree.get_ref(), &span));
    invalid(
        text,
        span.start,
        key.unwrap_or_default().join("."),
        error.message(),
    )
}

/// What is wrong with a key of the table at `table`.
fn at_key(text: &str, table: &[&str], error: &KeyError) -> ConfigError {
    let inner = error.key.split('.').filter(|key| !key.is_empty());
    let key: Vec<_> = table.iter().copied().chain(inner).collect();
    let tree = DeTable::parse(text);
    let at = tree.map_or(0, |tree| place_of(tree.get_ref(), &key));
    invalid(text, at, key.join("."), &error.problem)
}

fn invalid(text: &str, at: usize, key: String, problem: &str) -> ConfigError {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    ConfigError::Invalid {
        place: Place {
            file: None,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key,
        },
        problem: problem.replace('\n', "; "),
    }
}

/// The keys that lead to a place, if there are any.
fn keys_around(table: &DeTable<'_>, span: &Range<usize>) -> Option<Vec<String>> {
    let holds = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    table.iter().find_map(|(key, value)| {
        // The keys of a table may stand anywhere below its heading, which is all that it spans.
        let inner = match value.get_ref() {
            DeValue::Table(inner) => keys_around(inner, span),
            _ => None,
        };
        let here = || (holds(key.span()) || holds(value.span())).then(Vec::new);
        let mut keys = inner.or_else(here)?;
        keys.insert(0, key.get_ref().to_string());
        Some(keys)
    })
}

/// Where the last key of a path is written, or the last that is.
fn place_of(table: &DeTable<'_>, path: &[&str]) -> usize {
    let mut at = 0;
    let mut table = Some(table);
    for key in path {
        let entry = table.and_then(|table| table.iter().find(|(known, _)| known.get_ref() == key));
        let Some((known, value)) = entry else {
            break;
        };
        at = Spanned::span(known).start;
        table = value.get_ref().as_table();
    }
    at
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;
    use crate::policy::PRESETS;

    #[test]
    fn a_group_alone_is_the_default_producer() {
        let config = Config::from_toml("group = 'g'").unwrap();
        assert_eq!(config, Config::new("g"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_key() {
        for (text, told) in [
            ("", "line 1, column 1: missing field `group`"),
            (
                "group = 'g'\n\nretry = 2",
                "line 3, column 1: retry: unknown field `retry`, expected one of",
            ),
            (
                "group = 'g'\nretries = 'x'",
                "line 2, column 11: retries: invalid type: string \"x\", expected u32",
            ),
            (
                "group = 'g'\n[limits]\nwhen-full = 'drop'",
                "line 3, column 13: limits.when-full: unknown variant `drop`",
            ),
            (
                "group = 'g'\nname-servers = [3]",
                "line 2, column 17: name-servers: invalid type: integer `3`",
            ),
            (
                "group = 'g'\n[policy]\npreset = 'x'",
                "line 3, column 1: policy.preset: no preset `x`",
            ),
            (
                "group = 'g'\n[policy]\nmax-bodi = 3",
                "line 3, column 1: policy.max-bodi: unknown key, expected",
            ),
            (
                "[policy.periods]\nforget = 1\n poll = 0\n[policy]",
                "line 3, column 2: policy.periods.poll: policy `strict`: periods.poll is 0",
            ),
            (
                "group = 'g'\nsend-timeout = 'soon'",
                "line 2, column 16: send-timeout: \"soon\" is no duration; write a number of milliseconds",
            ),
            ("group = 'g'\nretries 2", "line 2, column 9: "),
        ] {
            let error = Config::from_toml(text).unwrap_err().to_string();
            assert!(error.starts_with(told), "{error}");
        }
        let policy = Policy::from_toml("[periods]\npoll = 'x'").unwrap_err();
        let told = "line 2, column 1: periods.poll: \"x\" is no duration; write a number";
        assert!(policy.to_string().starts_with(told), "{policy}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_and_its_cause_kept() {
        let error = Config::from_file("no/such/file.toml").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the settings of a producer from no/such/file.toml"
        );
        assert!(error.source().unwrap().is::<std::io::Error>());
    }

    #[test]
    fn every_policy_can_be_written_and_is_read_as_it_was() {
        let mut policies = PRESETS.map(|name| Policy::preset(name).unwrap()).to_vec();
        policies.push(Policy::strict().with(|policy| {
            policy.send_timeout = u64::MAX;
            policy.name = "a \"name\"\n".to_owned();
            policy.retry.sync_codes = vec![i32::MIN, i32::MAX];
        }));
        for policy in policies {
            assert_eq!(Policy::from_toml(&policy.to_toml()).unwrap(), policy);
        }
    }
}

//! What is said of a run in the end, by class.
//!
//! A script, a batch job and a person must be able to tell "the producer broke a promise" from
//! "the scenario makes no sense" without reading text, so each class has an exit code of its own.
//!
//! | class | code | meaning |
//! |---|---|---|
//! | pass | 0 | every checked invariant and every expectation holds |
//! | (other error) | 1 | a file, a port, the terminal: nothing was checked |
//! | (usage) | 2 | the command line was not understood |
//! | violation | 10 | an invariant or an expectation of the scenario does not hold |
//! | no progress | 11 | after the faults ended, something stays pending past its bound |
//! | panic | 12 | a task panicked, or arithmetic overflowed |
//! | nondeterminism | 13 | two runs that must be equal are not |
//! | limit | 14 | a livelock, or the limit of events |
//! | invalid scenario | 15 | the scenario contradicts itself, or asks this engine for what it cannot do |

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that was found wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What says so: an invariant's id (`INV-09`), or `expect` for a scenario's own figures.
    pub by: &'static str,
    /// The record it was noticed at, as an index into the trace; none for what is missing at the
    /// end.
    pub at: Option<usize>,
    /// One sentence for a person, with names and figures.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.by, self.text)
    }
}

/// The class of a verdict.
///
/// ```
/// use rmq_sim::verdict::Class;
///
/// let codes = Class::ALL.map(Class::exit_code);
/// assert_eq!(codes, [0, 10, 11, 12, 13, 14, 15]);
/// assert_eq!(Class::NoProgress.to_string(), "no progress");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Every checked invariant and every expectation holds.
    Pass,
    /// A checker found a promise broken, or a figure is not as the scenario expects.
    Violation,
    /// Something hangs in a healed cluster.
    NoProgress,
    /// A task panicked, of the program or of the laboratory.
    Panic,
    /// Two runs that must be equal differ.
    Nondeterminism,
    /// A livelock, or the limit of events.
    Limit,
    /// The scenario cannot be run as it is.
    InvalidScenario,
}

impl Class {
    /// Every class, in the order of the table above.
    pub const ALL: [Class; 7] = [
        Class::Pass,
        Class::Violation,
        Class::NoProgress,
        Class::Panic,
        Class::Nondeterminism,
        Class::Limit,
        Class::InvalidScenario,
    ];

    /// The exit code of a command whose run ended so.
    pub fn exit_code(self) -> u8 {
        match self {
            Class::Pass => 0,
            Class::Violation => 10,
            Class::NoProgress => 11,
            Class::Panic => 12,
            Class::Nondeterminism => 13,
            Class::Limit => 14,
            Class::InvalidScenario => 15,
        }
    }

    /// The name of the class, in words.
    pub fn name(self) -> &'static str {
        match self {
            Class::Pass => "pass",
            Class::Violation => "violation",
            Class::NoProgress => "no progress",
            Class::Panic => "panic",
            Class::Nondeterminism => "nondeterminism",
            Class::Limit => "limit",
            Class::InvalidScenario => "invalid scenario",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a run came to: its class, and the findings that explain it.
///
/// ```
/// use rmq_sim::verdict::{Class, Verdict};
///
/// let verdict = Verdict::of(Class::Violation, "INV-09", "p1 gave up with a broker left");
/// assert!(!verdict.is_pass());
/// assert_eq!(verdict.to_string(), "violation: INV-09: p1 gave up with a broker left");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The class of the verdict, which is the exit code of `cargo sim run`.
    pub class: Class,
    /// The reasons, the first one first; empty for a pass.
    pub findings: Vec<Finding>,
    /// Invariants whose precondition was true at least once.
    pub exercised: usize,
    /// Invariants that a check has left out, in the order in which it did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_judged: Vec<NotJudged>,
}

/// An invariant that a check has left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotJudged {
    /// Its id: `INV-42`.
    pub id: String,
    /// Why it is not judged, in the words of the check.
    pub reason: String,
}

impl Verdict {
    /// A verdict of a class that one sentence explains.
    pub fn of(class: Class, by: &'static str, text: impl Into<String>) -> Self {
        let finding = Finding {
            by,
            at: None,
            text: text.into(),
        };
        Verdict {
            class,
            findings: vec![finding],
            exercised: 0,
            not_judged: Vec::new(),
        }
    }

    /// Adds what somebody else than a checker found, in front of all.
    pub(crate) fn add(&mut self, by: &'static str, text: String) {
        if self.is_pass() {
            self.class = Class::Violation;
        }
        let at = None;
        self.findings.insert(0, Finding { by, at, text });
    }

    /// Whether every checked invariant and every expectation holds.
    pub fn is_pass(&self) -> bool {
        self.class == Class::Pass
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.findings.first() {
            None => write!(
                f,
                "{} ({} invariants exercised)",
                self.class, self.exercised
            )?,
            Some(first) => write!(f, "{}: {first}", self.class)?,
        }
        for NotJudged { id, reason } in &self.not_judged {
            write!(f, " (not judged: {id}, {reason})")?;
        }
        Ok(())
    }
}

/// An error with all of its causes, each on a line of its own.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!("\n  caused by: {cause}"));
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_an_exit_code_of_its_own_and_none_is_the_one_for_usage() {
        let codes: std::collections::BTreeSet<u8> =
            Class::ALL.iter().map(|class| class.exit_code()).collect();
        assert_eq!(codes.len(), Class::ALL.len());
        assert!(!codes.contains(&1) && !codes.contains(&2));
    }
}

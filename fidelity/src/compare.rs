//! Compares presets with the clients they are named after, case by case.

use std::fmt::{self, Write as _};
use std::path::Path;

use rmq_producer::Policy;
use serde_json::Value;

use crate::case::{Case, CaseError, read};
use crate::lab;

/// The presets that imitate a client, and the name of its recordings.
pub const CLIENTS: [(&str, &str); 3] = [
    ("java_5_3", "java533"),
    ("java_4_9", "java498"),
    ("go_2_1", "go212"),
];

/// What a case says of a preset.
#[derive(Debug, Clone, PartialEq)]
pub enum CaseVerdict {
    /// The trace is one of those recorded.
    Equal,
    /// The trace is none of those recorded.
    Differs {
        /// The trace of the preset, in the form of the recordings.
        got: Box<Value>,
        /// The traces that were recorded of the real client.
        wanted: Vec<Value>,
    },
    /// The case cannot apply; the text says why.
    NotOurs(&'static str),
    /// The run did not come to its end.
    Broken(String),
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The name of the case.
    pub case: String,
    /// What the case says of the preset.
    pub verdict: CaseVerdict,
}

/// One preset against one client.
#[derive(Debug, Clone)]
pub struct PresetComparison {
    /// The name of the preset.
    pub preset: String,
    /// The name of the client's recordings: `java533`.
    pub recorded: String,
    /// One line for each case, in the order of the cases' names.
    pub lines: Vec<Line>,
}

impl PresetComparison {
    /// Plays the cases of a folder with a preset and compares them with the recordings of a
    /// client; only those whose name contains `only`.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn of(
        folder: &Path,
        preset: &Policy,
        recorded: &str,
        only: &str,
    ) -> Result<Self, CaseError> {
        let cases = Case::all(&folder.join("cases"))?;
        let chosen = cases.iter().filter(|case| case.name.contains(only));
        let line = |case: &Case| {
            let path = folder
                .join("reference")
                .join(recorded)
                .join(format!("{}.json", case.name));
            let reference = if path.exists() {
                Some(read(&path)?)
            } else {
                None
            };
            Ok(Line {
                case: case.name.clone(),
                verdict: verdict_of(case, preset, recorded, reference.as_ref()),
            })
        };
        Ok(Self {
            preset: preset.name.clone(),
            recorded: recorded.to_owned(),
            lines: chosen.map(line).collect::<Result<_, CaseError>>()?,
        })
    }

    /// Equal, different, not applicable.
    #[must_use]
    pub fn totals(&self) -> (usize, usize, usize) {
        let count = |is: fn(&CaseVerdict) -> bool| {
            let lines = self.lines.iter();
            lines.filter(|line| is(&line.verdict)).count()
        };
        (
            count(|verdict| matches!(verdict, CaseVerdict::Equal)),
            count(|verdict| {
                matches!(
                    verdict,
                    CaseVerdict::Differs { .. } | CaseVerdict::Broken(_)
                )
            }),
            count(|verdict| matches!(verdict, CaseVerdict::NotOurs(_))),
        )
    }
}

fn verdict_of(
    case: &Case,
    preset: &Policy,
    recorded: &str,
    reference: Option<&Value>,
) -> CaseVerdict {
    if let Some(reason) = case.cannot_apply(recorded, reference) {
        return CaseVerdict::NotOurs(reason);
    }
    let variants = reference.and_then(|file| file["variants"].as_array());
    let wanted: Vec<Value> = variants
        .into_iter()
        .flatten()
        .map(|variant| variant["trace"].clone())
        .collect();
    match lab::play(case, preset) {
        Ok(got) if wanted.contains(&got) => CaseVerdict::Equal,
        Ok(got) => CaseVerdict::Differs {
            got: Box::new(got),
            wanted,
        },
        Err(problem) => CaseVerdict::Broken(problem),
    }
}

/// Differences at length, what cannot apply with its reason, and a line of totals.
impl fmt::Display for PresetComparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut equal = String::new();
        for Line { case, verdict } in &self.lines {
            match verdict {
                CaseVerdict::Equal => write!(equal, " {case}")?,
                CaseVerdict::NotOurs(reason) => writeln!(f, "  n/a     {case}: {reason}")?,
                CaseVerdict::Broken(problem) => writeln!(f, "  BROKEN  {case}: {problem}")?,
                CaseVerdict::Differs { got, wanted } => {
                    writeln!(f, "  DIFFERS {case}\n    got    {got}")?;
                    for one in wanted {
                        writeln!(f, "    wanted {one}")?;
                    }
                }
            }
        }
        if self.lines.len() < 10 && !equal.is_empty() {
            writeln!(f, "  equal  {equal}")?;
        }
        let (equal, differs, not_ours) = self.totals();
        write!(
            f,
            "{:<9} like {}: {equal} of {} cases equal, {not_ours} not applicable",
            self.preset,
            self.recorded,
            equal + differs
        )
    }
}

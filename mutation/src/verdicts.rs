//! What somebody has found out about a survivor: the file `mutation/verdicts.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::MutationError;
use crate::mutant::Key;

/// What a survivor means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Meaning {
    /// No test could tell it from the original.
    Equivalent,
    /// The laboratory's program never comes there: another test must.
    Unreachable,
    /// A checker or a fault is missing.
    Hole,
}

/// A judgement, and why.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) verdict: Meaning,
    pub(crate) reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Judged {
    file: String,
    function: String,
    change: String,
    #[serde(default = "one")]
    nth: usize,
    verdict: Meaning,
    reason: String,
}

fn one() -> usize {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Verdicts {
    #[serde(default)]
    mutant: Vec<Judged>,
}

/// Reads the file; without one, nothing is judged.
///
/// # Errors
/// It cannot be read, or has another form.
pub(crate) fn read(file: &Path) -> Result<BTreeMap<Key, Verdict>, MutationError> {
    if !file.is_file() {
        return Ok(BTreeMap::new());
    }
    let text = fs::read_to_string(file).map_err(MutationError::file(file))?;
    parse(&text).map_err(|cause| MutationError::Verdicts {
        file: file.to_owned(),
        cause,
    })
}

fn parse(text: &str) -> Result<BTreeMap<Key, Verdict>, toml::de::Error> {
    let judged = toml::from_str::<Verdicts>(text)?.mutant;
    let entries = judged.into_iter().map(|it| {
        let key = Key {
            file: it.file,
            function: it.function,
            change: it.change,
            nth: it.nth,
        };
        (
            key,
            Verdict {
                verdict: it.verdict,
                reason: it.reason,
            },
        )
    });
    Ok(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_found_by_what_was_changed_and_not_by_its_line() {
        let text = r#"
            [[mutant]]
            file = "producer/src/a.rs"
            function = "A::f"
            change = "`a < b`: < → <="
            nth = 2
            verdict = "equivalent"
            reason = "a is never b"
        "#;
        let key = Key {
            file: "producer/src/a.rs".to_owned(),
            function: "A::f".to_owned(),
            change: "`a < b`: < → <=".to_owned(),
            nth: 2,
        };
        let verdicts = parse(text).unwrap();
        assert_eq!(verdicts[&key].verdict, Meaning::Equivalent);
        assert!(parse(&text.replace("equivalent", "fine")).is_err());
    }
}

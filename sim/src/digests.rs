//! Digests of many seeds as a list that can be committed and checked.
//!
//! A digest that is equal on two machines, in two builds and next month is the proof that a run is
//! a function of its scenario and seed. The list is text, one seed a line, so that a change shows
//! in a diff; it is made anew only in a commit that says why. Its first line names the version of Tokio
//! that it was made with: another one may run tasks in another order, and move digests by that alone.

use std::ops::Range;
use std::sync::Arc;

use crate::fault::EngineKind;
use crate::run::{self, RunError};
use crate::scenario::Scenario;

/// The version of Tokio that this build runs.
pub const TOKIO: &str = env!("RMQ_SIM_TOKIO");

/// What the first line of a list begins with; the version follows.
const MADE_WITH: &str = "# tokio ";

/// The first line of a list that this build makes.
pub fn heading() -> String {
    format!("{MADE_WITH}{TOKIO}")
}

/// Digests of many seeds, and what they were made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestList {
    /// The version of Tokio; none if the list does not name it.
    pub tokio: Option<String>,
    /// The digests, in the order of the list.
    pub listed: Vec<Listed>,
}

impl DigestList {
    /// What to know of a moved digest, if the list was made with another Tokio than this build's.
    pub fn other_tokio(&self) -> Option<String> {
        let tokio = self.tokio.as_deref().filter(|tokio| *tokio != TOKIO)?;
        Some(format!(
            "the list was made with tokio {tokio} and this program runs tokio {TOKIO}, which may run \
             tasks in another order: compare with the version of the list, or make it anew"
        ))
    }
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The seed that was run.
    pub seed: u64,
    /// The first 16 digits of its run's digest.
    pub digest: String,
}

impl std::fmt::Display for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.seed, self.digest)
    }
}

/// The digest of one seed; `scenario` gives the scenario of a seed.
///
/// # Errors
///
/// The scenario cannot run.
pub fn of_seed(scenario: &dyn Fn(u64) -> Arc<Scenario>, seed: u64) -> Result<Listed, RunError> {
    let run = run::run(&scenario(seed), seed, EngineKind::Event)?;
    Ok(Listed {
        seed,
        digest: run.digest.short(),
    })
}

/// Reads a list. Lines that begin with `#` are comments; one of them may name the version of Tokio.
///
/// # Errors
///
/// The number of the line that is neither a comment nor a seed with its digest.
pub fn parse(text: &str) -> Result<DigestList, usize> {
    let is_digest = |word: &str| word.len() == 16 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let mut list = DigestList {
        tokio: None,
        listed: Vec::new(),
    };
    for (at, line) in text.lines().enumerate() {
        if let Some(version) = line.strip_prefix(MADE_WITH) {
            list.tokio = Some(version.trim().to_owned());
        }
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let words = line.split_once(' ').filter(|(_, digest)| is_digest(digest));
        let seed = words.and_then(|(seed, _)| seed.parse().ok());
        let (Some((_, digest)), Some(seed)) = (words, seed) else {
            return Err(at + 1);
        };
        list.listed.push(Listed {
            seed,
            digest: digest.to_owned(),
        });
    }
    Ok(list)
}

/// Runs the seeds of a list that are in `seeds` again; gives how many there were and those that
/// have another digest now, as (listed, now).
///
/// # Errors
///
/// The scenario cannot run.
pub fn check(
    list: &DigestList,
    seeds: &Range<u64>,
    scenario: &dyn Fn(u64) -> Arc<Scenario>,
) -> Result<(usize, Vec<(Listed, Listed)>), RunError> {
    let (mut checked, mut moved) = (0, Vec::new());
    for listed in list.listed.iter().filter(|it| seeds.contains(&it.seed)) {
        let now = of_seed(scenario, listed.seed)?;
        checked += 1;
        if now != *listed {
            moved.push((listed.clone(), now));
        }
    }
    Ok((checked, moved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_as_it_is_written_and_a_broken_line_is_named() {
        let list = "# made by hand\n0 0123456789abcdef\n7 fedcba9876543210\n";
        let read = parse(list).unwrap().listed;
        assert_eq!(read.iter().map(|it| it.seed).collect::<Vec<_>>(), [0, 7]);
        assert_eq!(read[1].to_string(), "7 fedcba9876543210");
        assert_eq!(parse("0 0123456789abcdef\n1 short\n"), Err(2));
    }

    #[test]
    fn a_list_of_another_tokio_says_so_and_one_of_this_does_not() {
        let heading = heading();
        assert!(TOKIO.starts_with("1."), "{TOKIO}: read from the lock file");
        let this = parse(&format!("{heading}\n0 0123456789abcdef\n")).unwrap();
        assert_eq!(this.tokio.as_deref(), Some(TOKIO));
        assert_eq!(this.other_tokio(), None);
        let other = parse("# tokio 1.0.0\n0 0123456789abcdef\n").unwrap();
        let told = other.other_tokio().unwrap();
        assert!(told.contains("1.0.0") && told.contains(TOKIO), "{told}");
        assert_eq!(parse("").unwrap().other_tokio(), None, "nothing is known");
    }

    #[test]
    fn a_moved_digest_is_found_and_seeds_outside_the_range_are_left_out() {
        let text = "format = 2\nseconds = 2\n[cluster]\nbrokers = [\"broker-a\"]\n";
        let scenario = Scenario::parse("s.toml", text, &|_| Ok(String::new())).unwrap();
        let scenario = Arc::new(scenario);
        let of = |_| Arc::clone(&scenario);
        let mut list = DigestList {
            tokio: Some(TOKIO.to_owned()),
            listed: (0..3).map(|seed| of_seed(&of, seed).unwrap()).collect(),
        };
        assert_eq!(check(&list, &(0..9), &of).unwrap(), (3, vec![]));
        list.listed[1].digest = "0".repeat(16);
        let (checked, moved) = check(&list, &(1..3), &of).unwrap();
        assert_eq!((checked, moved.len(), moved[0].0.seed), (2, 1, 1));
    }
}

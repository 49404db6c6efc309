//! Whether a program is deterministic: two plays of one seed are one run.
//!
//! A failure that a person cannot repeat is worth little, and a program that asks the operating system for
//! the time, for randomness or for a thread cannot be repeated. It is told so, and where it first shows.

use crate::run::{Run, RunError};
use crate::trace::Digest;
use crate::trace::diverge::first_difference;

/// What to do about it.
const REMEDY: &str = "ask the host for time (unix_millis) and randomness (draw), write `biased;` first in \
                      select!, use BTreeMap where an order is seen, and start no threads";

/// In which event two plays of one seed differ first, with a remedy; nothing if another play is the run with
/// this digest once more.
pub(super) fn difference(
    first: &Digest,
    play: impl Fn() -> Result<Run, RunError>,
) -> Option<String> {
    let second = match play() {
        Ok(second) if second.digest == *first => return None,
        Ok(second) => second,
        Err(error) => return Some(format!("nondeterminism: a second play has no run: {error}")),
    };
    // The first one is gone, and whatever the program draws makes a third one another run again.
    let third = play().ok();
    let header = &second.trace.header;
    let differs = third.and_then(|third| first_difference(&second.trace, &third.trace));
    let said = match differs {
        Some(difference) => difference.headline(header),
        None => "they differ where a third play did not".to_owned(),
    };
    Some(format!(
        "nondeterminism: two plays of the seed differ\n{said}\n  remedy: {REMEDY}"
    ))
}

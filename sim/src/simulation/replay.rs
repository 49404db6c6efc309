//! Whether a program is deterministic: two plays of one seed are one run.
//!
//! A failure that a person cannot repeat is worth little, and a program that asks the operating system for
//! the time, for randomness or for a thread cannot be repeated. It is told so, and where it first shows.

use crate::run::Run;
use crate::trace::diverge::first_difference;

/// What to do about it.
const REMEDY: &str = "ask the host for time (unix_millis) and randomness (draw), write `biased;` first in \
                      select!, use BTreeMap where an order is seen, and start no threads";

/// In which event two plays of one seed differ first, with a remedy; nothing if they are one run.
pub(super) fn difference(first: &Run, second: &Run) -> Option<String> {
    if first.digest == second.digest {
        return None;
    }
    let header = &first.trace.header;
    let said = match first_difference(&first.trace, &second.trace) {
        Some(difference) => difference.headline(header),
        // The clients of the program are others: a policy, a number of nodes.
        None => "the producers of the two plays differ".to_owned(),
    };
    Some(format!(
        "nondeterminism: two plays of the seed differ\n{said}\n  remedy: {REMEDY}"
    ))
}

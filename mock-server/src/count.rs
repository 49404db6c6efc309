//! How many requests a server has read, over all and by code.

use std::collections::BTreeMap;

/// A request of one server process, numbered from 1 in the order of arrival.
pub type RequestNumber = u64;

/// So many different request codes are counted apart; there are some two hundred.
const MAX_CODES: usize = 1_024;

/// Stands for all others. No request has this code on the wire of a real client.
const OTHER_CODE: i32 = i32::MIN;

/// How many requests came in.
///
/// ```
/// use rmq_mock_server::count::RequestCounts;
///
/// let mut counts = RequestCounts::default();
/// let nth = [310, 105, 310].map(|code| counts.count(code).1);
/// assert_eq!(nth, [1, 1, 2], "each code is counted for itself");
/// ```
#[derive(Debug, Default)]
pub struct RequestCounts {
    all: RequestNumber,
    by_code: BTreeMap<i32, u64>,
}

impl RequestCounts {
    /// Counts a request: its number, and its number among those with its code. Codes that nobody
    /// heard of are counted together once there are many, so that a hostile client cannot make the
    /// counts grow.
    pub fn count(&mut self, code: i32) -> (RequestNumber, u64) {
        self.all += 1;
        let known = self.by_code.len() < MAX_CODES || self.by_code.contains_key(&code);
        let nth = self
            .by_code
            .entry(if known { code } else { OTHER_CODE })
            .or_default();
        *nth += 1;
        (self.all, *nth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_over_all_and_by_code() {
        let mut counts = RequestCounts::default();
        assert_eq!(
            [310, 34, 310].map(|code| counts.count(code)),
            [(1, 1), (2, 1), (3, 2)]
        );
    }

    #[test]
    fn codes_that_a_client_invents_are_counted_within_bounds() {
        let mut counts = RequestCounts::default();
        for code in 0..10_000 {
            counts.count(code);
        }
        assert!(counts.by_code.len() <= MAX_CODES + 1);
        assert_eq!(counts.count(7).1, 2, "an early code keeps its own count");
        assert!(counts.count(99_999).1 > 1, "late ones share theirs");
    }
}

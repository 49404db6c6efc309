//! The pauses between dials that come to nothing, as a function of how many there were.

use std::time::Duration;

/// How dials of one address are spaced while they come to nothing: nobody listens, or the connection
/// ends before a whole frame has come. All requests to the address wait for the same next dial. The
/// second dial follows the first one at once, which may have met a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause before the third dial; it doubles with each one that follows.
    pub first: Duration,
    /// The longest pause before a dial, however many came to nothing.
    pub most: Duration,
}

impl Backoff {
    /// The pause after so many dials that came to nothing.
    pub(super) fn pause(self, times: u32) -> Option<Duration> {
        let doublings = times.checked_sub(2)?;
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        Some(self.first.saturating_mul(factor).min(self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dials_in_vain_are_spaced_further_and_further_up_to_a_limit() {
        let backoff = Backoff {
            first: Duration::from_millis(20),
            most: Duration::from_millis(500),
        };
        let pauses = [0, 1, 2, 3, 4, 6, 7, 40, u32::MAX].map(|times| {
            let pause = backoff.pause(times);
            pause.map(|pause| pause.as_millis())
        });
        let expected = [
            None,
            None,
            Some(20),
            Some(40),
            Some(80),
            Some(320),
            Some(500),
        ];
        assert_eq!(pauses[..7], expected);
        assert_eq!(pauses[7..], [Some(500), Some(500)]);
    }
}

//! Whether a peer is still there, seen by what its connection hears.
//!
//! A host that lost its power or its network sends no FIN, and TCP goes on repeating what it
//! wrote for a quarter of an hour. Until then every request would choose the dead connection. So
//! a connection counts what it asked since it last heard a whole frame: a peer that is merely slow
//! goes on answering, if late, and keeps its connection. Bytes alone do not count: behind half a
//! frame every later answer is read as the rest of it.
//!
//! A value without I/O: what happens at which time is told to it.

use tokio::time::{Duration, Instant};

/// How much silence a connection takes for the peer's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// So many requests, at least, were not answered by a whole frame.
    pub requests: u32,
    /// The silence lasts so long, at least.
    pub silence: Duration,
}

/// An answer may take this long before its absence says anything: what was asked a moment ago must not be
/// lost because of what was asked before.
const LEAST: Duration = Duration::from_millis(100);

/// What was asked of a peer since it was last heard.
#[derive(Debug, Default)]
pub(super) struct Silence {
    requests: u32,
    /// Those of a moment, and when the first of them was asked.
    recent: Option<(Instant, u32)>,
    since: Option<Instant>,
    /// When the connection opened or a whole frame came last.
    heard: Option<Instant>,
    /// A request had its time and no frame came in it, nor since.
    doubted: bool,
}

impl Silence {
    /// A request that must be answered leaves; its call began at `began`.
    pub(super) fn asked(&mut self, began: Instant) {
        let heard = self.heard.unwrap_or(began);
        self.since.get_or_insert(began.max(heard));
        match &mut self.recent {
            Some((first, count)) if began < *first + LEAST => *count = count.saturating_add(1),
            recent => {
                let before = recent.replace((began, 1));
                let count = before.map_or(0, |(_, count)| count);
                self.requests = self.requests.saturating_add(count);
            }
        }
    }

    /// The peer was heard, or the connection opened; `waiting` requests still wait.
    pub(super) fn heard(&mut self, now: Instant, waiting: usize) {
        self.heard = Some(now);
        self.doubted = false;
        self.since = (waiting > 0).then_some(now);
        self.requests = u32::try_from(waiting).unwrap_or(u32::MAX);
        self.recent = None;
    }

    /// A request that was given to the connection at `given` has had its time without an answer.
    pub(super) fn doubt(&mut self, given: Instant) {
        self.doubted |= self.heard.is_none_or(|heard| heard <= given);
    }

    /// Whether the connection is as good as one that was opened at `since`: a whole frame came then or
    /// later, or it was opened then, and no request had its time without an answer after that.
    pub(super) fn trusted(&self, since: Option<Instant>) -> bool {
        let fresh = |since| self.heard.is_some_and(|heard| heard >= since);
        !self.doubted && since.is_none_or(fresh)
    }

    /// Whether the silence is longer than that.
    pub(super) fn exceeds(&self, patience: Patience, now: Instant) -> bool {
        let lasted = self.since.map(|since| now.saturating_duration_since(since));
        let recent = self.recent.filter(|(first, _)| now >= *first + LEAST);
        let requests = recent.map_or(0, |(_, count)| count);
        let requests = self.requests.saturating_add(requests);
        requests >= patience.requests && lasted.is_some_and(|it| it >= patience.silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        requests: 3,
        silence: Duration::from_secs(10),
    };

    fn times() -> impl Fn(u64) -> Instant {
        let start = Instant::now();
        move |seconds| start + Duration::from_secs(seconds)
    }

    #[test]
    fn three_unanswered_requests_and_ten_silent_seconds_are_too_much() {
        let (mut silence, at) = (Silence::default(), times());
        for second in [0, 4, 8] {
            silence.asked(at(second));
        }
        assert!(!silence.exceeds(PATIENCE, at(9)));
        assert!(silence.exceeds(PATIENCE, at(10)));
    }

    #[test]
    fn a_request_of_a_moment_ago_is_not_silent_yet() {
        let (mut silence, at) = (Silence::default(), times());
        for second in [0, 4, 12] {
            silence.asked(at(second));
        }
        assert!(!silence.exceeds(PATIENCE, at(12)));
        assert!(silence.exceeds(PATIENCE, at(12) + LEAST));
    }

    #[test]
    fn two_requests_are_too_few_however_long_the_silence() {
        let (mut silence, at) = (Silence::default(), times());
        silence.asked(at(0));
        silence.asked(at(30));
        assert!(!silence.exceeds(PATIENCE, at(60)));
    }

    #[test]
    fn a_connection_without_requests_is_not_silent() {
        let (mut silence, at) = (Silence::default(), times());
        silence.heard(at(0), 0);
        assert!(!silence.exceeds(PATIENCE, at(3600)));
    }

    #[test]
    fn one_byte_starts_the_count_anew_with_what_still_waits() {
        let (mut silence, at) = (Silence::default(), times());
        for second in 0..9 {
            silence.asked(at(second));
        }
        silence.heard(at(9), 3);
        assert!(!silence.exceeds(PATIENCE, at(18)));
        assert!(silence.exceeds(PATIENCE, at(19)));
        silence.heard(at(20), 2);
        assert!(!silence.exceeds(PATIENCE, at(60)));
    }

    #[test]
    fn a_connection_is_doubted_from_a_request_without_an_answer_until_a_frame_comes() {
        let (mut silence, at) = (Silence::default(), times());
        silence.heard(at(0), 0);
        assert!(silence.trusted(None));
        assert!(silence.trusted(Some(at(0))));
        assert!(!silence.trusted(Some(at(1))), "nothing was heard since");
        silence.doubt(at(0));
        assert!(!silence.trusted(None));
        silence.heard(at(5), 1);
        assert!(silence.trusted(Some(at(5))));
        silence.doubt(at(4));
        assert!(silence.trusted(None), "a frame came in the request's time");
    }

    #[test]
    fn the_time_before_the_connection_opened_is_no_silence() {
        let (mut silence, at) = (Silence::default(), times());
        silence.heard(at(5), 0);
        for _ in 0..3 {
            silence.asked(at(2));
        }
        assert!(!silence.exceeds(PATIENCE, at(14)));
        assert!(silence.exceeds(PATIENCE, at(15)));
    }
}

//! The time of a send and of its attempts: what they are measured by, and when their parts end by
//! themselves. All of it follows from values; nothing here reads a clock.

use tokio::time::{Duration, Instant};

use crate::decide::Millis;
use crate::decide::budget::{self, AtAttemptTimeout, Unanswered};
use crate::event::Mode;
use crate::policy::Policy;

/// What a send has from its call on: everything that its attempts are measured by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'p> {
    pub(crate) policy: &'p Policy,
    pub(crate) mode: Mode,
    /// The whole time of the send, T.
    pub(crate) timeout: Millis,
    /// How many attempts the send has, N.
    pub(crate) attempts: u32,
    /// When no attempt starts any more.
    pub(crate) deadline: Instant,
    /// When the client started: a policy that notices timeouts periodically counts its periods from
    /// here.
    pub(crate) epoch: Instant,
}

impl Terms<'_> {
    /// The time until the deadline, in whole milliseconds.
    pub(crate) fn left(&self, now: Instant) -> Millis {
        millis(self.deadline.saturating_duration_since(now))
    }

    /// Whether an attempt has failed when its timeout is over, instead of being hedged.
    pub(crate) fn gives_up(&self) -> bool {
        budget::at_attempt_timeout(self.policy, Unanswered::default()) == AtAttemptTimeout::GiveUp
    }
}

/// The instants at which the parts of an attempt end by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// When it may be hedged, if it can be.
    pub(crate) hedge: Option<Instant>,
    /// Until when its connection may be opened.
    pub(crate) dial: Instant,
    /// Until when its request may be written.
    pub(crate) write: Instant,
    /// Until when its answer counts.
    pub(crate) answer: Instant,
}

impl Limits {
    /// The limits of an attempt that starts `now` with this timeout.
    pub(crate) fn of(terms: &Terms<'_>, now: Instant, timeout: Millis) -> Self {
        let policy = terms.policy;
        let timed_out = now + Duration::from_millis(timeout);
        let gives_up = terms.gives_up();
        let write = if gives_up {
            timed_out.min(terms.deadline)
        } else {
            terms.deadline
        };
        let due = millis(write.saturating_duration_since(terms.epoch));
        let late = if write <= now {
            0 // there was no time to begin with
        } else {
            budget::noticed(policy, terms.mode, due).saturating_sub(due)
        };
        let answer = write + Duration::from_millis(late);
        let longer = budget::dial_time(policy, timeout).saturating_sub(timeout);
        let dial = if longer > 0 {
            answer.max(now + Duration::from_millis(timeout + longer))
        } else {
            answer
        };
        Self {
            hedge: (!gives_up).then_some(timed_out),
            dial,
            write,
            answer,
        }
    }

    /// When the attempt has ended at the latest.
    pub(crate) fn latest(&self) -> Instant {
        self.answer.max(self.dial)
    }
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

//! How much time and how many attempts a send has.
//!
//! A timeout is only worth something if every configured retry can happen within it. So an attempt
//! gets a share, and one that used up its share is overtaken by the next one without being given
//! up. Overtaking doubles requests, so it has a budget of its own, the [`Bucket`]: a cluster that
//! is slow as a whole sees a tenth more load, not three times as much.

use crate::event::Mode;
use crate::policy::{Deadline, Dial, Lookup, Overtaken, Policy, Share, TimeoutScan};

use super::Millis;

/// The least time an attempt is started with.
pub const LEAST: Millis = 1;

/// What a token weighs in the bucket.
const TOKEN: u32 = 10;

/// The whole time of a send: the call's own, or the policy's.
#[must_use]
pub fn timeout(policy: &Policy, asked: Option<Millis>) -> Millis {
    asked.unwrap_or(policy.send_timeout)
}

/// How many attempts a send has.
#[must_use]
pub fn attempts(policy: &Policy, mode: Mode, pinned: bool) -> u32 {
    let of = &policy.attempts;
    match (mode, pinned) {
        (Mode::Sync, false) => of.sync,
        (Mode::Sync, true) => of.pinned_sync,
        (Mode::Async, false) => of.async_,
        (Mode::Async, true) => of.pinned_async,
        (Mode::Oneway, _) => 1,
    }
}

/// What an attempt's share depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// How the message is sent.
    pub mode: Mode,
    /// The send's whole timeout, T.
    pub timeout: Millis,
    /// Attempts the send has, N.
    pub attempts: u32,
    /// Attempts not started, this one included.
    pub attempts_left: u32,
    /// Time until the send's deadline.
    pub left: Millis,
    /// Whether a broker other than this attempt's could be tried.
    pub other_candidate: bool,
    /// Whether the bucket has a token for overtaking.
    pub token: bool,
}

/// How long an attempt may take before the next one starts.
#[must_use]
pub fn share(policy: &Policy, now: Situation) -> Millis {
    let last = now.attempts_left <= 1;
    let share = match policy.share {
        Share::Equal if last || !now.other_candidate || !now.token => now.left,
        Share::Equal => {
            let by_plan = now.timeout / Millis::from(now.attempts.max(1));
            let by_rest = now.left / Millis::from(now.attempts_left.max(1));
            by_plan.min(by_rest)
        }
        Share::Cap(_) if last => now.left,
        Share::Cap(cap) if now.mode == Mode::Sync => now.left.min(cap),
        Share::Cap(_) | Share::Whole => now.left.min(now.timeout),
    };
    share.max(LEAST)
}

/// When a send ends at the latest, measured from its call.
#[must_use]
pub fn deadline(policy: &Policy, timeout: Millis, attempts: u32) -> Millis {
    match policy.deadline {
        Deadline::OverAll => timeout,
        Deadline::PerAttempt => timeout.saturating_mul(Millis::from(attempts)),
    }
}

/// What happens to an attempt that is unanswered when its share is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtShareEnd {
    /// It is overtaken, which takes a token: it stays open beside the next attempt.
    Overtake,
    /// It goes on alone until it has used up the time left.
    KeepOn,
    /// It has failed.
    GiveUp,
}

/// Decides what happens to an attempt that is unanswered when its share is used up.
#[must_use]
pub fn at_share_end(policy: &Policy, attempts_left: u32, token: bool) -> AtShareEnd {
    match policy.overtaken {
        Overtaken::Ignore => AtShareEnd::GiveUp,
        Overtaken::Accept if attempts_left > 0 && token => AtShareEnd::Overtake,
        Overtaken::Accept => AtShareEnd::KeepOn,
    }
}

/// How long opening a connection may take for an attempt with this share.
#[must_use]
pub fn dial_time(policy: &Policy, share: Millis) -> Millis {
    match policy.dial {
        Dial::OutsideBudget => policy.dial_timeout.max(share),
        Dial::InsideBudget => share,
    }
}

/// Whether a lookup ends with its send's time, and how often a send looks a topic up whose lookup
/// fails.
#[must_use]
pub fn lookup_budget(policy: &Policy, attempts: u32) -> (bool, u32) {
    match policy.lookup {
        Lookup::InsideBudget => (true, 1),
        Lookup::OutsideBudget => (false, 1),
        Lookup::EachAttempt => (false, attempts),
    }
}

/// When it is noticed that a request was not answered by `due`, both measured from the client's
/// start.
#[must_use]
pub fn noticed(policy: &Policy, mode: Mode, due: Millis) -> Millis {
    match policy.timeout_scan {
        TimeoutScan::Every {
            period,
            first,
            grace,
        } if mode == Mode::Async => {
            let due = due.saturating_add(grace);
            let after_first = due.saturating_sub(first);
            let scans = after_first.div_ceil(period.max(1));
            first.saturating_add(scans.saturating_mul(period))
        }
        TimeoutScan::Every { .. } | TimeoutScan::Exact => due,
    }
}

/// The tokens for overtaking, in tenths. Belongs to one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    tenths: u32,
    full: u32,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn full(policy: &Policy) -> Self {
        let full = policy.overtake_tokens.saturating_mul(TOKEN);
        Self { tenths: full, full }
    }

    /// A send puts its part back.
    #[must_use]
    pub fn refill(self, policy: &Policy) -> Self {
        let tenths = self.tenths.saturating_add(policy.overtake_refill_tenths);
        Self {
            tenths: tenths.min(self.full),
            ..self
        }
    }

    /// Whether a token can be taken.
    #[must_use]
    pub fn has_token(self) -> bool {
        self.tenths >= TOKEN
    }

    /// The bucket with one token less, if it has one.
    #[must_use]
    pub fn take(self) -> Option<Self> {
        let tenths = self.tenths.checked_sub(TOKEN)?;
        Some(Self { tenths, ..self })
    }

    /// What is in it, in tenths of a token.
    #[must_use]
    pub fn tenths(self) -> u32 {
        self.tenths
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST_OF_THREE: Situation = Situation {
        mode: Mode::Sync,
        timeout: 3000,
        attempts: 3,
        attempts_left: 3,
        left: 3000,
        other_candidate: true,
        token: true,
    };

    #[test]
    fn an_equal_share_is_a_third_of_three_seconds() {
        assert_eq!(share(&Policy::strict(), FIRST_OF_THREE), 1000);
    }

    #[test]
    fn a_slow_lookup_shrinks_the_shares_equally() {
        let late = Situation {
            left: 1500,
            ..FIRST_OF_THREE
        };
        assert_eq!(share(&Policy::strict(), late), 500);
    }

    #[test]
    fn an_attempt_never_gets_more_than_its_part_of_the_whole_timeout() {
        let quick_failure = Situation {
            attempts_left: 2,
            left: 2998,
            ..FIRST_OF_THREE
        };
        assert_eq!(share(&Policy::strict(), quick_failure), 1000);
    }

    #[test]
    fn the_last_attempt_the_only_candidate_and_one_without_a_token_get_the_time_left() {
        let strict = Policy::strict();
        let last = Situation {
            attempts_left: 1,
            left: 990,
            ..FIRST_OF_THREE
        };
        let only = Situation {
            other_candidate: false,
            ..FIRST_OF_THREE
        };
        let broke = Situation {
            token: false,
            ..FIRST_OF_THREE
        };
        assert_eq!(share(&strict, last), 990);
        assert_eq!(share(&strict, only), 3000);
        assert_eq!(share(&strict, broke), 3000);
    }

    #[test]
    fn a_share_is_never_below_one_millisecond() {
        let hasty = Situation {
            timeout: 2,
            left: 0,
            ..FIRST_OF_THREE
        };
        assert_eq!(share(&Policy::strict(), hasty), 1);
    }

    #[test]
    fn java_gives_the_first_attempt_everything() {
        assert_eq!(share(&Policy::java_5_3(), FIRST_OF_THREE), 3000);
    }

    #[test]
    fn the_full_timeout_for_each_attempt_takes_attempts_times_the_timeout() {
        let mut policy = Policy::java_5_3();
        policy.deadline = Deadline::PerAttempt;
        let whole = deadline(&policy, 3000, 3);
        let first = Situation {
            left: whole,
            ..FIRST_OF_THREE
        };
        assert_eq!(whole, 9000);
        assert_eq!(share(&policy, first), 3000);
        assert_eq!(deadline(&Policy::strict(), 3000, 3), 3000);
    }

    #[test]
    fn a_cap_holds_for_all_but_the_last_attempt() {
        let mut policy = Policy::java_5_3();
        policy.share = Share::Cap(1000);
        let last = Situation {
            attempts_left: 1,
            left: 1500,
            ..FIRST_OF_THREE
        };
        assert_eq!(share(&policy, FIRST_OF_THREE), 1000);
        assert_eq!(share(&policy, last), 1500);
        let background = Situation {
            mode: Mode::Async,
            ..FIRST_OF_THREE
        };
        assert_eq!(share(&policy, background), 3000);
    }

    #[test]
    fn a_oneway_send_has_one_attempt_whatever_is_configured() {
        assert_eq!(attempts(&Policy::strict(), Mode::Oneway, false), 1);
        assert_eq!(attempts(&Policy::strict(), Mode::Sync, false), 3);
        assert_eq!(attempts(&Policy::java_5_3(), Mode::Sync, true), 1);
    }

    #[test]
    fn twenty_tokens_then_one_for_every_ten_sends() {
        let policy = Policy::strict();
        let mut bucket = Bucket::full(&policy);
        for _ in 0..20 {
            bucket = bucket.take().unwrap();
        }
        assert_eq!(bucket.take(), None);
        for _ in 0..9 {
            bucket = bucket.refill(&policy);
            assert!(!bucket.has_token());
        }
        assert!(bucket.refill(&policy).has_token());
    }

    #[test]
    fn a_full_bucket_does_not_overflow() {
        let policy = Policy::strict();
        assert_eq!(Bucket::full(&policy).refill(&policy).tenths(), 200);
    }

    #[test]
    fn without_a_token_an_attempt_keeps_on_and_without_overtaking_it_fails() {
        let strict = Policy::strict();
        assert_eq!(at_share_end(&strict, 1, true), AtShareEnd::Overtake);
        assert_eq!(at_share_end(&strict, 1, false), AtShareEnd::KeepOn);
        assert_eq!(at_share_end(&strict, 0, true), AtShareEnd::KeepOn);
        let java = Policy::java_5_3();
        assert_eq!(at_share_end(&java, 2, true), AtShareEnd::GiveUp);
    }

    #[test]
    fn javas_scan_notices_an_async_timeout_one_to_two_seconds_late() {
        let java = Policy::java_5_3();
        assert_eq!(noticed(&java, Mode::Async, 3000), 4000);
        assert_eq!(noticed(&java, Mode::Async, 3001), 5000);
        assert_eq!(noticed(&java, Mode::Async, 10), 3000);
        assert_eq!(noticed(&java, Mode::Sync, 3001), 3001);
        assert_eq!(noticed(&Policy::strict(), Mode::Async, 3001), 3001);
    }

    #[test]
    fn java_waits_for_a_dial_beyond_its_time() {
        assert_eq!(dial_time(&Policy::java_5_3(), 50), 3000);
        assert_eq!(dial_time(&Policy::strict(), 50), 50);
    }

    #[test]
    fn go_looks_a_topic_up_for_each_attempt() {
        assert_eq!(lookup_budget(&Policy::go_2_1(), 4), (false, 4));
        assert_eq!(lookup_budget(&Policy::java_5_3(), 3), (false, 1));
        assert_eq!(lookup_budget(&Policy::strict(), 3), (true, 1));
    }

    proptest! {
        #[test]
        fn shares_of_a_silent_cluster_fit_into_the_deadline_and_use_every_attempt(
            timeout in 3_u64..100_000,
            attempts in 1_u32..10,
        ) {
            prop_assume!(timeout >= u64::from(attempts));
            let mut left = timeout;
            for attempts_left in (1..=attempts).rev() {
                let now = Situation {
                    mode: Mode::Sync,
                    timeout, attempts, attempts_left, left, other_candidate: true, token: true,
                };
                let budget = share(&Policy::strict(), now);
                prop_assert!(budget >= LEAST && budget <= left);
                left -= budget;
            }
            prop_assert_eq!(left, 0);
        }
    }
}

//! How much time and how many attempts a send has.
//!
//! A timeout is only worth something if every configured retry can happen within it. So an attempt
//! has a timeout of its own, and one that is not answered within it is *hedged*: the next one starts,
//! and the silent one stays open beside it (gRPC's proposal A6, "The Tail at Scale").
//!
//! Hedging doubles requests, so it has a budget, the [`HedgingBudget`]: a cluster that is slow as a
//! whole sees a tenth more load, not three times as much. It must not make a send fail beside healthy
//! brokers, however many sends are made. So a hedged attempt at a broker that is known to answer, by
//! its last results, takes no token; an attempt that brought an answer promptly gives its token back;
//! and an attempt that may not be hedged yet asks again, ten times in the time of its timeout.

use crate::event::Mode;
use crate::policy::{
    AttemptTimeout, Deadline, Dial, HedgeOver, HedgedAnswer, Lookup, Policy, TimeoutScan,
};

use super::Millis;

/// The least time an attempt is started with.
pub const LEAST: Millis = 1;

/// What a token weighs in the budget.
const TOKEN: u32 = 10;

/// The whole time of a send: the call's own, or the policy's.
#[must_use]
pub fn timeout(policy: &Policy, asked: Option<Millis>) -> Millis {
    asked.unwrap_or(policy.send_timeout)
}

/// How many attempts a send has.
#[must_use]
pub fn attempts(policy: &Policy, mode: Mode, has_target_queue: bool) -> u32 {
    let of = &policy.attempts;
    match (mode, has_target_queue) {
        (Mode::Sync, false) => of.sync,
        (Mode::Sync, true) => of.target_queue_sync,
        (Mode::Async, false) => of.async_,
        (Mode::Async, true) => of.target_queue_async,
        (Mode::Oneway, _) => 1,
    }
}

/// What the timeout of an attempt depends on.
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
}

/// How long an attempt may take before the next one starts.
#[must_use]
pub fn attempt_timeout(policy: &Policy, now: Situation) -> Millis {
    let last = now.attempts_left <= 1;
    let alone = !now.other_candidate && hedge_over(policy) == HedgeOver::First;
    let timeout = match policy.attempt_timeout {
        AttemptTimeout::Equal if last || alone => now.left,
        AttemptTimeout::Equal => equal(now),
        AttemptTimeout::Cap(_) if last => now.left,
        AttemptTimeout::Cap(cap) if now.mode == Mode::Sync => now.left.min(cap),
        AttemptTimeout::Cap(_) | AttemptTimeout::Whole => now.left.min(now.timeout),
    };
    timeout.max(LEAST)
}

/// An attempt's equal part of the whole time, and of what is left of it.
fn equal(now: Situation) -> Millis {
    let by_plan = now.timeout / Millis::from(now.attempts.max(1));
    let by_rest = now.left / Millis::from(now.attempts_left.max(1));
    by_plan.min(by_rest)
}

/// Which connection an attempt takes that hedges a silent one.
#[must_use]
pub fn hedge_over(policy: &Policy) -> HedgeOver {
    policy.hedge_over
}

/// How long the next attempt waits before it starts at a broker that has just refused a connection
/// of this send, while there is no other one: until its equal part of the whole time begins, but no
/// longer than the policy says.
#[must_use]
pub fn pause(policy: &Policy, now: Situation) -> Millis {
    let later = Millis::from(now.attempts_left) * (now.timeout / Millis::from(now.attempts.max(1)));
    let pause = now.left.saturating_sub(later).min(policy.refused_spacing);
    pause.min(now.left.saturating_sub(LEAST))
}

/// When a send ends at the latest, measured from its call.
#[must_use]
pub fn deadline(policy: &Policy, timeout: Millis, attempts: u32) -> Millis {
    match policy.deadline {
        Deadline::OverAll => timeout,
        Deadline::PerAttempt => timeout.saturating_mul(Millis::from(attempts)),
    }
}

/// What happens to an attempt that is not answered within its timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtAttemptTimeout {
    /// It is hedged without a token: it stays open beside the next attempt.
    HedgeFree,
    /// It is hedged, which takes a token.
    HedgeForToken,
    /// It goes on alone. While attempts are left the question is asked again after
    /// [`ask_again`].
    KeepOn,
    /// The attempt has failed, and the next one follows.
    GiveUp,
}

/// What decides on an attempt that is not answered within its timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unanswered {
    /// Attempts of the send that are not started yet.
    pub attempts_left: u32,
    /// Whether the broker of the next attempt is known to answer.
    pub known: bool,
    /// Whether the budget has a token.
    pub token: bool,
}

/// Decides what happens to an attempt that is not answered within its timeout.
#[must_use]
pub fn at_attempt_timeout(policy: &Policy, now: Unanswered) -> AtAttemptTimeout {
    match policy.hedged_answer {
        HedgedAnswer::Ignore => AtAttemptTimeout::GiveUp,
        HedgedAnswer::Accept if now.attempts_left == 0 => AtAttemptTimeout::KeepOn,
        HedgedAnswer::Accept if now.known => AtAttemptTimeout::HedgeFree,
        HedgedAnswer::Accept if now.token => AtAttemptTimeout::HedgeForToken,
        HedgedAnswer::Accept => AtAttemptTimeout::KeepOn,
    }
}

/// After how long an attempt that goes on alone asks again whether it is hedged.
#[must_use]
pub fn ask_again(timeout: Millis) -> Millis {
    (timeout / 10).max(LEAST)
}

/// How long opening a connection may take for an attempt with this timeout.
#[must_use]
pub fn dial_time(policy: &Policy, timeout: Millis) -> Millis {
    match policy.dial {
        Dial::OutsideBudget => policy.dial_timeout.max(timeout),
        Dial::InsideBudget => timeout,
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

/// The tokens of hedged attempts, in tenths. Belongs to one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HedgingBudget {
    tenths: u32,
    full: u32,
}

impl HedgingBudget {
    /// The budget with all tokens that the policy gives it.
    #[must_use]
    pub fn full(policy: &Policy) -> Self {
        let full = policy.hedging_tokens.saturating_mul(TOKEN);
        Self { tenths: full, full }
    }

    /// A send puts its part back.
    #[must_use]
    pub fn refill(self, policy: &Policy) -> Self {
        let tenths = self.tenths.saturating_add(policy.hedging_refill_tenths);
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

    /// The budget with one token less, if it has one.
    #[must_use]
    pub fn take(self) -> Option<Self> {
        let tenths = self.tenths.checked_sub(TOKEN)?;
        Some(Self { tenths, ..self })
    }

    /// The budget with a token that was not needed.
    #[must_use]
    pub fn give_back(self) -> Self {
        let tenths = self.tenths.saturating_add(TOKEN).min(self.full);
        Self { tenths, ..self }
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
    };

    #[test]
    fn an_equal_timeout_is_a_third_of_three_seconds() {
        assert_eq!(attempt_timeout(&Policy::strict(), FIRST_OF_THREE), 1000);
    }

    #[test]
    fn a_slow_lookup_shrinks_the_timeouts_equally() {
        let late = Situation {
            left: 1500,
            ..FIRST_OF_THREE
        };
        assert_eq!(attempt_timeout(&Policy::strict(), late), 500);
    }

    #[test]
    fn an_attempt_never_gets_more_than_its_part_of_the_whole_timeout() {
        let quick_failure = Situation {
            attempts_left: 2,
            left: 2998,
            ..FIRST_OF_THREE
        };
        assert_eq!(attempt_timeout(&Policy::strict(), quick_failure), 1000);
    }

    #[test]
    fn the_last_attempt_gets_the_time_left_and_so_does_the_only_candidate_without_a_second_connection()
     {
        let mut policy = Policy::strict();
        let last = Situation {
            attempts_left: 1,
            left: 990,
            ..FIRST_OF_THREE
        };
        let only = Situation {
            other_candidate: false,
            ..FIRST_OF_THREE
        };
        assert_eq!(attempt_timeout(&policy, last), 990);
        assert_eq!(attempt_timeout(&policy, only), 1000);
        policy.hedge_over = HedgeOver::First;
        assert_eq!(attempt_timeout(&policy, only), 3000);
    }

    #[test]
    fn attempts_at_a_broker_that_refuses_start_with_their_part_of_the_time_or_after_two_seconds() {
        let at = |timeout, attempts_left, left| {
            let now = Situation {
                timeout,
                attempts_left,
                left,
                ..FIRST_OF_THREE
            };
            pause(&Policy::strict(), now)
        };
        assert_eq!(at(3000, 2, 2998), 998);
        assert_eq!(
            at(3000, 1, 2998),
            1998,
            "the last one: two others were quick"
        );
        assert_eq!(at(60_000, 2, 59_998), 2000);
        assert_eq!(at(3000, 1, 700), 0, "its part has begun");
        assert_eq!(at(1, 2, 1), 0, "and there is time left for it");
        let refused = Situation {
            attempts_left: 2,
            ..FIRST_OF_THREE
        };
        assert_eq!(pause(&Policy::java_5_3(), refused), 0);
    }

    #[test]
    fn an_attempt_timeout_is_never_below_one_millisecond() {
        let hasty = Situation {
            timeout: 2,
            left: 0,
            ..FIRST_OF_THREE
        };
        assert_eq!(attempt_timeout(&Policy::strict(), hasty), 1);
    }

    #[test]
    fn java_gives_the_first_attempt_everything() {
        assert_eq!(attempt_timeout(&Policy::java_5_3(), FIRST_OF_THREE), 3000);
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
        assert_eq!(attempt_timeout(&policy, first), 3000);
        assert_eq!(deadline(&Policy::strict(), 3000, 3), 3000);
    }

    #[test]
    fn a_cap_holds_for_all_but_the_last_attempt() {
        let mut policy = Policy::java_5_3();
        policy.attempt_timeout = AttemptTimeout::Cap(1000);
        let last = Situation {
            attempts_left: 1,
            left: 1500,
            ..FIRST_OF_THREE
        };
        assert_eq!(attempt_timeout(&policy, FIRST_OF_THREE), 1000);
        assert_eq!(attempt_timeout(&policy, last), 1500);
        let background = Situation {
            mode: Mode::Async,
            ..FIRST_OF_THREE
        };
        assert_eq!(attempt_timeout(&policy, background), 3000);
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
        let mut budget = HedgingBudget::full(&policy);
        for _ in 0..20 {
            budget = budget.take().unwrap();
        }
        assert_eq!(budget.take(), None);
        for _ in 0..9 {
            budget = budget.refill(&policy);
            assert!(!budget.has_token());
        }
        assert!(budget.refill(&policy).has_token());
    }

    #[test]
    fn a_full_budget_does_not_overflow() {
        let policy = Policy::strict();
        assert_eq!(HedgingBudget::full(&policy).refill(&policy).tenths(), 200);
    }

    #[test]
    fn a_token_that_was_not_needed_comes_back_and_the_budget_holds_no_more_than_it_can() {
        let policy = Policy::strict();
        let full = HedgingBudget::full(&policy);
        assert_eq!(full.give_back(), full);
        assert_eq!(full.take().unwrap().give_back(), full);
    }

    #[test]
    fn hedging_is_free_at_a_known_broker_takes_a_token_at_another_and_ends_with_the_attempts() {
        let strict = Policy::strict();
        let at = |policy: &Policy, attempts_left, known, token| {
            let now = Unanswered {
                attempts_left,
                known,
                token,
            };
            at_attempt_timeout(policy, now)
        };
        assert_eq!(at(&strict, 1, true, false), AtAttemptTimeout::HedgeFree);
        assert_eq!(at(&strict, 1, true, true), AtAttemptTimeout::HedgeFree);
        assert_eq!(at(&strict, 1, false, true), AtAttemptTimeout::HedgeForToken);
        assert_eq!(at(&strict, 1, false, false), AtAttemptTimeout::KeepOn);
        assert_eq!(at(&strict, 0, true, true), AtAttemptTimeout::KeepOn);
        let java = Policy::java_5_3();
        assert_eq!(at(&java, 2, true, true), AtAttemptTimeout::GiveUp);
    }

    #[test]
    fn an_attempt_that_goes_on_alone_asks_ten_times_in_its_timeout() {
        assert_eq!(ask_again(1000), 100);
        assert_eq!(ask_again(3), 1);
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
        fn timeouts_of_a_silent_cluster_fit_into_the_deadline_and_use_every_attempt(
            timeout in 3_u64..100_000,
            attempts in 1_u32..10,
        ) {
            prop_assume!(timeout >= u64::from(attempts));
            let mut left = timeout;
            for attempts_left in (1..=attempts).rev() {
                let now = Situation {
                    mode: Mode::Sync,
                    timeout, attempts, attempts_left, left, other_candidate: true,
                };
                let budget = attempt_timeout(&Policy::strict(), now);
                prop_assert!(budget >= LEAST && budget <= left);
                left -= budget;
            }
            prop_assert_eq!(left, 0);
        }
    }
}

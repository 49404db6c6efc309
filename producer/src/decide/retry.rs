//! Whether a send goes on after an attempt ended.
//!
//! One table for every mode: (stage, response code) decides, and the modes differ only in numbers
//! and lists that the [`Policy`] holds.

use rmq_remoting::event::CloseCause;

use crate::event::{Mode, Stage};
use crate::policy::{Denied, Drain, Late, NotSafe, OnLost, OnTimeout, Oneway, Policy};

use super::Millis;

/// The response code by which a broker announces its shutdown.
pub const GO_AWAY: i32 = 1500;

/// The response code by which a broker refuses a client, or says that it takes no messages.
const NO_PERMISSION: i32 = 16;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How far the attempt had come when it ended.
    pub stage: Stage,
    /// The response code, where a broker answered.
    pub code: Option<i32>,
}

/// Where the send stands when an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Attempts of the send that are not started yet.
    pub attempts_left: u32,
    /// Time until the send's deadline.
    pub left: Millis,
    /// Whether the attempt that ended is the one started last.
    pub newest: bool,
    /// Attempts still open beside it.
    pub open: usize,
}

/// What the send does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The message is stored: the send is done.
    Succeed,
    /// The message is stored but not safe: keep this result and try for a better one.
    KeepAndRetry,
    /// Start the next attempt.
    Retry,
    /// Wait for the attempts that are still open.
    Wait,
    /// The send has failed.
    Fail,
    /// The send has failed, and a queue is chosen for the attempt that comes too late.
    ChooseAndFail,
}

/// Decides what a send does after one of its attempts ended.
#[must_use]
pub fn after(policy: &Policy, mode: Mode, ended: Ended, standing: Standing) -> Next {
    let in_time = standing.left >= super::budget::LEAST;
    let can_start = standing.attempts_left > 0 && (in_time || late(policy, mode) == Late::Start);
    if ended.stage == Stage::Accepted {
        let unsafe_yet = ended.code.is_some_and(|code| code != 0);
        return if unsafe_yet && can_start && try_for_safe(policy, mode) {
            Next::KeepAndRetry
        } else {
            Next::Succeed
        };
    }
    if !retryable(policy, mode, ended) {
        return Next::Fail;
    }
    // A successor of a hedged attempt runs already: its end starts none.
    if standing.newest && can_start {
        Next::Retry
    } else if standing.open > 0 {
        Next::Wait
    } else if standing.attempts_left > 0 && late(policy, mode) == Late::ChooseOnly {
        Next::ChooseAndFail
    } else {
        Next::Fail
    }
}

/// What happens to an attempt for which there is no time.
#[must_use]
pub fn late(policy: &Policy, mode: Mode) -> Late {
    let out_of_time = policy.out_of_time;
    match mode {
        Mode::Sync => out_of_time.sync,
        Mode::Async => out_of_time.async_,
        Mode::Oneway => Late::Stop,
    }
}

/// Whether a copy that is stored but not safe is not the end of the send.
#[must_use]
pub fn try_for_safe(policy: &Policy, mode: Mode) -> bool {
    match policy.not_safe {
        NotSafe::Done => false,
        NotSafe::RetrySync => mode == Mode::Sync,
        NotSafe::Retry => true,
    }
}

/// Whether an attempt that ended so may be followed by another one.
#[must_use]
pub fn retryable(policy: &Policy, mode: Mode, ended: Ended) -> bool {
    let table = &policy.retry;
    match (ended.stage, ended.code) {
        (Stage::Refused, Some(GO_AWAY)) if drained(policy) => true,
        (Stage::Refused, Some(code)) => match mode {
            Mode::Sync => table.sync_codes.contains(&code),
            Mode::Async => table.async_codes.contains(&code),
            Mode::Oneway => false,
        },
        (Stage::Vetoed, _) => table.vetoed.contains(&mode),
        (stage, _) => table.stages.contains(&stage),
    }
}

/// Whether a refusal of the client itself ends the send.
#[must_use]
pub fn denied(policy: &Policy) -> bool {
    policy.denied == Denied::Final
}

/// Whether a broker's refusal is of the client and not of its message. The check of credentials
/// comes before the one that handles sends: what it says has words, but lacks the fields (`bare`)
/// that every refusal of a send carries. Otherwise code 16 is a broker or a topic that takes no
/// messages now ("sending message is forbidden"), and another broker may. Older brokers say the
/// exception's name.
#[must_use]
pub fn denies(policy: &Policy, code: i32, remark: &str, bare: bool) -> bool {
    let of_message = remark.trim().is_empty() || remark.contains("forbidden");
    let unknown = code == NO_PERMISSION && bare && !of_message;
    denied(policy) && (unknown || remark.starts_with("org.apache.rocketmq.acl."))
}

/// Whether the announcement of a shutdown is retried whatever the table of codes says.
#[must_use]
pub fn drained(policy: &Policy) -> bool {
    drain(policy) != Drain::ByCode
}

/// What the announcement of a shutdown means for the attempt that got it.
#[must_use]
pub fn drain(policy: &Policy) -> Drain {
    policy.drain
}

/// Whether the caller of a request waits on, though its connection ended in this way.
#[must_use]
pub fn waits_on(policy: &Policy, cause: CloseCause) -> bool {
    match policy.on_lost {
        OnLost::Fail => false,
        OnLost::WaitAfterClose => cause == CloseCause::PeerClosed,
        OnLost::Wait => true,
    }
}

/// Whether a one-way send waits until its request is in a connection's buffer.
#[must_use]
pub fn waits_for_write(policy: &Policy) -> bool {
    match policy.oneway {
        Oneway::Written => true,
        Oneway::Dispatched => false,
    }
}

/// Whether the connection of an unanswered attempt is closed.
///
/// `had` is the time the attempt had once it was connected.
#[must_use]
pub fn closes_connection(policy: &Policy, mode: Mode, had: Millis, timeout: Millis) -> bool {
    match policy.on_timeout {
        OnTimeout::Keep => false,
        OnTimeout::Close => mode == Mode::Sync && (had > 100 || had > timeout / 4),
        OnTimeout::CloseAlways => mode == Mode::Sync,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWEST: Standing = Standing {
        attempts_left: 2,
        left: 1000,
        newest: true,
        open: 0,
    };

    fn refused(code: i32) -> Ended {
        Ended {
            stage: Stage::Refused,
            code: Some(code),
        }
    }

    fn at(stage: Stage) -> Ended {
        Ended { stage, code: None }
    }

    #[test]
    fn a_busy_broker_is_left_in_both_modes() {
        let strict = Policy::strict();
        for mode in [Mode::Sync, Mode::Async] {
            assert_eq!(after(&strict, mode, refused(2), NEWEST), Next::Retry);
        }
    }

    #[test]
    fn javas_async_send_ends_at_any_refusal() {
        let java = Policy::java_5_3();
        assert_eq!(after(&java, Mode::Async, refused(2), NEWEST), Next::Fail);
        assert_eq!(after(&java, Mode::Sync, refused(2), NEWEST), Next::Retry);
    }

    #[test]
    fn a_code_outside_the_table_ends_the_send_even_with_attempts_open() {
        let strict = Policy::strict();
        let standing = Standing { open: 2, ..NEWEST };
        for code in [3, 13, 26, 29, 215, 604, -1, i32::MIN, i32::MAX] {
            assert_eq!(
                after(&strict, Mode::Sync, refused(code), standing),
                Next::Fail
            );
        }
    }

    #[test]
    fn every_stage_before_an_answer_is_retried_and_an_unreadable_answer_is_not() {
        let strict = Policy::strict();
        let before = [
            Stage::Address,
            Stage::Dial,
            Stage::Write,
            Stage::Lost,
            Stage::Silent,
        ];
        for stage in before {
            assert_eq!(after(&strict, Mode::Sync, at(stage), NEWEST), Next::Retry);
        }
        assert_eq!(
            after(&strict, Mode::Sync, at(Stage::Decode), NEWEST),
            Next::Fail
        );
    }

    #[test]
    fn a_refusal_of_the_client_is_final_and_one_of_a_read_only_broker_is_not() {
        let (strict, java) = (Policy::strict(), Policy::java_5_3());
        let acl = "org.apache.rocketmq.acl.common.AclException: No acl config for user";
        for (code, remark, bare, client) in [
            (16, "User:x is not found.", true, true),
            (
                16,
                "the broker[a] sending message is forbidden",
                false,
                false,
            ),
            (
                16,
                "the broker[a] sending message is forbidden",
                true,
                false,
            ),
            (16, "no permission", false, false),
            (16, "", true, false),
            (1, acl, true, true),
            (1, "java.lang.NullPointerException", true, false),
            (2, "[REJECTREQUEST]system busy", true, false),
        ] {
            assert_eq!(denies(&strict, code, remark, bare), client, "{remark}");
            assert!(!denies(&java, code, remark, bare));
        }
        let standing = Standing { open: 1, ..NEWEST };
        let next = after(&strict, Mode::Sync, at(Stage::Denied), standing);
        assert_eq!(next, Next::Fail);
        assert_eq!(after(&strict, Mode::Sync, refused(16), NEWEST), Next::Retry);
    }

    #[test]
    fn the_last_attempts_failure_waits_for_those_still_open() {
        let strict = Policy::strict();
        let none_left = Standing {
            attempts_left: 0,
            ..NEWEST
        };
        let one_open = Standing {
            open: 1,
            ..none_left
        };
        let lost = at(Stage::Lost);
        assert_eq!(after(&strict, Mode::Sync, lost, none_left), Next::Fail);
        assert_eq!(after(&strict, Mode::Sync, lost, one_open), Next::Wait);
    }

    #[test]
    fn a_hedged_attempts_failure_starts_no_second_successor() {
        let strict = Policy::strict();
        let hedged = Standing {
            newest: false,
            open: 1,
            ..NEWEST
        };
        assert_eq!(
            after(&strict, Mode::Sync, at(Stage::Lost), hedged),
            Next::Wait
        );
    }

    #[test]
    fn no_attempt_starts_with_nothing_left() {
        let strict = Policy::strict();
        let late = Standing { left: 0, ..NEWEST };
        assert_eq!(
            after(&strict, Mode::Sync, at(Stage::Lost), late),
            Next::Fail
        );
    }

    #[test]
    fn a_stored_message_is_a_success_unless_the_policy_wants_it_safe() {
        let mut policy = Policy::strict();
        let not_flushed = Ended {
            stage: Stage::Accepted,
            code: Some(10),
        };
        assert_eq!(
            after(&policy, Mode::Sync, not_flushed, NEWEST),
            Next::Succeed
        );
        policy.not_safe = NotSafe::Retry;
        assert_eq!(
            after(&policy, Mode::Sync, not_flushed, NEWEST),
            Next::KeepAndRetry
        );
        let none_left = Standing {
            attempts_left: 0,
            ..NEWEST
        };
        assert_eq!(
            after(&policy, Mode::Sync, not_flushed, none_left),
            Next::Succeed
        );
    }

    #[test]
    fn a_drain_notice_is_retried_though_javas_async_table_is_empty() {
        let mut policy = Policy::java_5_3();
        assert!(retryable(&policy, Mode::Async, refused(GO_AWAY)));
        policy.drain = Drain::ByCode;
        assert!(!retryable(&policy, Mode::Async, refused(GO_AWAY)));
        assert!(!retryable(
            &Policy::java_4_9(),
            Mode::Sync,
            refused(GO_AWAY)
        ));
    }

    #[test]
    fn a_veto_ends_javas_async_send_and_a_hook_that_refuses_a_request_every_send() {
        let next = |policy: &Policy, mode, stage| after(policy, mode, at(stage), NEWEST);
        let (strict, java) = (Policy::strict(), Policy::java_5_3());
        assert_eq!(next(&java, Mode::Sync, Stage::Vetoed), Next::Retry);
        assert_eq!(next(&java, Mode::Async, Stage::Vetoed), Next::Fail);
        for mode in [Mode::Sync, Mode::Async] {
            assert_eq!(next(&strict, mode, Stage::Vetoed), Next::Retry);
            for policy in [&strict, &java] {
                assert_eq!(next(policy, mode, Stage::Hook), Next::Fail);
            }
        }
    }

    #[test]
    fn out_of_time_java_chooses_a_queue_in_vain_and_4_9_starts_an_async_retry() {
        let late = Standing { left: 0, ..NEWEST };
        let silent = at(Stage::Silent);
        let next = |policy: &Policy, mode| after(policy, mode, silent, late);
        let (five, four) = (Policy::java_5_3(), Policy::java_4_9());
        assert_eq!(next(&five, Mode::Sync), Next::ChooseAndFail);
        assert_eq!(next(&five, Mode::Async), Next::Fail);
        assert_eq!(next(&four, Mode::Sync), Next::ChooseAndFail);
        assert_eq!(next(&four, Mode::Async), Next::Retry);
        let last = Standing {
            attempts_left: 0,
            ..late
        };
        assert_eq!(after(&five, Mode::Sync, silent, last), Next::Fail);
    }

    #[test]
    fn java_4_9_does_not_notice_a_close_and_go_not_even_a_reset() {
        let (four, go) = (Policy::java_4_9(), Policy::go_2_1());
        assert!(waits_on(&four, CloseCause::PeerClosed));
        assert!(!waits_on(&four, CloseCause::Broken));
        assert!(waits_on(&go, CloseCause::Broken));
        assert!(!waits_on(&Policy::java_5_3(), CloseCause::PeerClosed));
    }

    #[test]
    fn javas_async_send_is_content_with_an_unsafe_copy() {
        let mut policy = Policy::java_5_3();
        policy.not_safe = NotSafe::RetrySync;
        let not_flushed = Ended {
            stage: Stage::Accepted,
            code: Some(10),
        };
        let next = |mode| after(&policy, mode, not_flushed, NEWEST);
        assert_eq!(next(Mode::Sync), Next::KeepAndRetry);
        assert_eq!(next(Mode::Async), Next::Succeed);
    }

    #[test]
    fn java_closes_the_connection_of_a_silent_sync_attempt_with_time_enough() {
        let java = Policy::java_5_3();
        assert!(closes_connection(&java, Mode::Sync, 101, 3000));
        assert!(!closes_connection(&java, Mode::Sync, 100, 3000));
        assert!(closes_connection(&java, Mode::Sync, 60, 200));
        assert!(!closes_connection(&java, Mode::Async, 3000, 3000));
        assert!(!closes_connection(
            &Policy::strict(),
            Mode::Sync,
            3000,
            3000
        ));
    }
}

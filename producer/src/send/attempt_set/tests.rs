//! The attempt set, played without a runtime: time is a number of milliseconds after the call.

use super::*;
use crate::event::Mode;
use crate::policy::Policy;
use crate::send::limits::millis;

/// A send of three attempts, three seconds, and as many brokers as the test names.
struct Played<'p> {
    set: AttemptSet<'p, u32>,
    called: Instant,
}

/// The timeout of the first attempts of a `strict` send of three attempts and three seconds.
const TIMEOUT: u64 = 1_000;

/// Nobody is known to answer, and the hedging budget has a token.
const WITH_TOKEN: Outlook = Outlook {
    known: false,
    token: true,
};

/// Nobody is known to answer, and the hedging budget is used up.
const WITHOUT_TOKEN: Outlook = Outlook {
    known: false,
    token: false,
};

fn refused(code: i32) -> Ended {
    Ended {
        stage: Stage::Refused,
        code: Some(code),
    }
}

fn at_stage(stage: Stage) -> Ended {
    Ended { stage, code: None }
}

fn accepted(code: i32) -> Ended {
    Ended {
        stage: Stage::Accepted,
        code: Some(code),
    }
}

/// A refusal that `strict` retries: the broker is busy.
const BUSY: i32 = 2;
/// A refusal that no policy retries: the message is illegal.
const ILLEGAL: i32 = 13;

impl<'p> Played<'p> {
    fn new(policy: &'p Policy) -> Self {
        Self::in_mode(policy, Mode::Sync)
    }

    fn in_mode(policy: &'p Policy, mode: Mode) -> Self {
        let called = Instant::now();
        let terms = Terms {
            policy,
            mode,
            timeout: 3_000,
            attempts: 3,
            deadline: called + Duration::from_millis(3_000),
            epoch: called,
        };
        let set = AttemptSet::new(terms);
        Self { set, called }
    }

    fn at(&self, ms: u64) -> Instant {
        self.called + Duration::from_millis(ms)
    }

    /// Starts an attempt at a broker that is one of several.
    fn start(&mut self, ms: u64, broker: &str, origin: Origin) -> Limits {
        let broker = Name::from(broker);
        let candidate = Candidate {
            broker: &broker,
            has_other: true,
        };
        let timeout = self.set.attempt_timeout(self.at(ms), candidate);
        self.set.start(self.at(ms), &broker, timeout, origin)
    }

    /// The next timer, and at which millisecond after the call it fires.
    fn timer(&self) -> (u64, Timer) {
        let (at, timer) = self.set.next_timer();
        (millis(at - self.called), timer)
    }

    fn end(&mut self, ms: u64, at: usize, ended: Ended) -> Next {
        self.set.end(self.at(ms), at, ended).1
    }

    /// Whether the next attempt starts at once after one that ended so, if only `broker` is left.
    fn follows_at(&mut self, ms: u64, ended: Ended, broker: &str) -> bool {
        let broker = Name::from(broker);
        let candidate = Candidate {
            broker: &broker,
            has_other: false,
        };
        self.set.follow(self.at(ms), ended, Some(candidate))
    }

    /// What becomes of the attempt that waits for its time, if only `broker` could be next.
    fn delayed_at(&mut self, ms: u64, broker: &str) -> Due {
        let broker = Name::from(broker);
        let candidate = Candidate {
            broker: &broker,
            has_other: false,
        };
        self.set.delayed_is_due(self.at(ms), Some(candidate))
    }

    fn open(&self) -> Vec<u32> {
        self.set.open.iter().map(|attempt| attempt.number).collect()
    }

    fn failed(&self) -> Vec<&str> {
        self.set.failed().iter().map(|broker| &**broker).collect()
    }
}

/// A `strict` send whose first attempt, at broker-a, was hedged by a second one at broker-b.
fn hedged(policy: &Policy) -> Played<'_> {
    let mut send = Played::new(policy);
    send.start(0, "broker-a", Origin::Call);
    let hedge = send.set.hedge(send.at(TIMEOUT), WITH_TOKEN).unwrap();
    send.start(TIMEOUT, "broker-b", hedge.origin);
    send
}

#[test]
fn a_silent_attempt_is_hedged_when_its_timeout_is_over_and_stays_open() {
    let strict = Policy::strict();
    let mut send = Played::new(&strict);
    send.start(0, "broker-a", Origin::Call);
    assert_eq!(send.timer(), (TIMEOUT, Timer::AttemptTimeout));
    let silent = send.set.falls_silent().unwrap();
    assert_eq!((silent.number, &*silent.broker), (1, "broker-a"));
    let failed: Vec<_> = send.set.failed_if_hedged().into_vec();
    assert_eq!(failed, [Name::from("broker-a")]);
    assert_eq!(send.failed(), [""; 0], "nothing is decided yet");

    let hedge = send.set.hedge(send.at(TIMEOUT), WITH_TOKEN).unwrap();
    assert_eq!(hedge.silent, 1);
    let since = Some(send.called);
    let for_token = true;
    assert_eq!(hedge.origin, Origin::Hedge { since, for_token });
    send.start(TIMEOUT, "broker-b", hedge.origin);
    assert_eq!((send.open(), send.failed()), (vec![1, 2], vec!["broker-a"]));
    assert_eq!(send.timer(), (2 * TIMEOUT, Timer::AttemptTimeout));
    let newest = send.set.open.last().unwrap();
    assert!(newest.for_token && !newest.hedged && send.set.open[0].hedged);
}

#[test]
fn a_hedge_to_a_broker_that_is_known_to_answer_takes_no_token() {
    let strict = Policy::strict();
    let mut send = Played::new(&strict);
    send.start(0, "broker-a", Origin::Call);
    let known = Outlook {
        known: true,
        token: false,
    };
    let hedge = send.set.hedge(send.at(TIMEOUT), known).unwrap();
    assert!(!hedge.origin.took_token());
}

#[test]
fn without_budget_a_silent_attempt_goes_on_alone_and_asks_again_until_there_is_some() {
    let strict = Policy::strict();
    let mut send = Played::new(&strict);
    send.start(0, "broker-a", Origin::Call);
    assert!(send.set.falls_silent().is_some());
    let again = send.set.hedge(send.at(TIMEOUT), WITHOUT_TOKEN);
    assert_eq!(again, None);
    assert_eq!((send.open(), send.failed()), (vec![1], vec![]));
    assert_eq!(send.timer(), (1_100, Timer::AttemptTimeout));
    assert!(
        send.set.falls_silent().is_none(),
        "its silence was told before"
    );
    assert!(send.set.hedge(send.at(1_100), WITH_TOKEN).is_some());
}

#[test]
fn the_last_attempt_is_not_hedged_and_has_the_time_left() {
    let strict = Policy::strict();
    let mut send = hedged(&strict);
    let hedge = send.set.hedge(send.at(2_000), WITH_TOKEN).unwrap();
    send.start(2_000, "broker-c", hedge.origin);
    assert_eq!(send.timer(), (3_000, Timer::Deadline));
    assert_eq!(send.set.hedge(send.at(2_999), WITH_TOKEN), None);
    assert_eq!(send.timer(), (3_000, Timer::Deadline));
}

#[test]
fn the_first_success_of_any_attempt_ends_the_send_and_the_others_were_open() {
    let strict = Policy::strict();
    let mut send = hedged(&strict);
    // Late: the silent one answers after all.
    assert_eq!(send.end(1_500, 0, accepted(0)), Next::Succeed);
    let left: Vec<_> = send.set.close().iter().map(|it| it.number).collect();
    assert_eq!(left, [2]);

    let mut send = hedged(&strict);
    assert_eq!(send.end(1_500, 1, accepted(0)), Next::Succeed);
    let left: Vec<_> = send.set.close().iter().map(|it| it.number).collect();
    assert_eq!(left, [1]);
}

#[test]
fn a_final_refusal_ends_the_send_whichever_attempt_got_it() {
    let strict = Policy::strict();
    for at in [0, 1] {
        let mut send = hedged(&strict);
        assert_eq!(send.end(1_500, at, refused(ILLEGAL)), Next::Fail);
        let done = send.set.give_up(send.at(1_500), Stage::Refused);
        assert_eq!(done, Done::Failed(Failure::Attempts(Stage::Refused)));
    }
}

#[test]
fn a_retryable_end_starts_the_next_attempt_at_once_where_another_broker_is_left() {
    let strict = Policy::strict();
    let mut send = Played::new(&strict);
    send.start(0, "broker-a", Origin::Call);
    assert_eq!(send.end(5, 0, refused(BUSY)), Next::Retry);
    assert!(send.follows_at(5, refused(BUSY), "broker-b"));
    send.start(5, "broker-b", Origin::Failure);
    assert_eq!((send.open(), send.failed()), (vec![2], vec!["broker-a"]));
    assert_eq!(send.timer(), (1_005, Timer::AttemptTimeout));
}

#[test]
fn the_end_of_a_hedged_attempt_starts_none_for_its_successor_runs() {
    let strict = Policy::strict();
    let mut send = hedged(&strict);
    assert_eq!(send.end(1_200, 0, refused(BUSY)), Next::Wait);
    assert_eq!((send.open(), send.failed()), (vec![2], vec!["broker-a"]));
}

#[test]
fn a_retryable_end_without_attempts_left_waits_for_one_that_is_open() {
    let strict = Policy::strict();
    let mut send = hedged(&strict);
    let hedge = send.set.hedge(send.at(2_000), WITH_TOKEN).unwrap();
    send.start(2_000, "broker-c", hedge.origin);
    assert_eq!(send.end(2_100, 2, refused(BUSY)), Next::Wait);
    assert_eq!(send.end(2_200, 1, at_stage(Stage::Lost)), Next::Wait);
    assert_eq!(send.timer(), (3_000, Timer::Deadline));
    assert_eq!(send.end(2_300, 0, refused(BUSY)), Next::Fail);
    let done = send.set.give_up(send.at(2_300), Stage::Refused);
    assert_eq!(done, Done::Failed(Failure::Attempts(Stage::Refused)));
}

#[test]
fn at_the_deadline_everything_open_has_been_silent() {
    let strict = Policy::strict();
    let mut send = hedged(&strict);
    assert_eq!(send.set.hedge(send.at(2_000), WITHOUT_TOKEN), None);
    assert_eq!(send.set.out_of_time(), OutOfTime::EndsAll);
    assert_eq!(send.set.close().len(), 2);
    let done = send.set.give_up(send.at(3_000), Stage::Silent);
    assert_eq!(done, Done::Failed(Failure::Deadline));
}

#[test]
fn javas_only_attempt_sees_the_end_of_its_time_itself() {
    let java = Policy::java_5_3();
    let mut send = Played::new(&java);
    send.start(0, "broker-a", Origin::Call);
    assert_eq!(send.timer().1, Timer::Deadline);
    assert!(send.set.falls_silent().is_none());
    assert_eq!(send.set.out_of_time(), OutOfTime::EndsOne(0));
}

#[test]
fn javas_async_attempt_may_end_after_the_deadline_when_its_scan_sees_it() {
    let java = Policy::java_5_3();
    let mut send = Played::in_mode(&java, Mode::Async);
    let limits = send.start(0, "broker-a", Origin::Call);
    assert_eq!(millis(limits.write - send.called), 3_000);
    assert_eq!(millis(limits.answer - send.called), 4_000);
    assert_eq!(send.timer(), (4_000, Timer::Deadline));
}

#[test]
fn a_send_without_time_makes_no_attempt_and_javas_chooses_a_queue_in_vain() {
    let (strict, java) = (Policy::strict(), Policy::java_5_3());
    let send = Played::new(&strict);
    assert_eq!(send.set.first(send.at(2_999)), First::Start);
    let choose = false;
    assert_eq!(send.set.first(send.at(3_000)), First::TooLate { choose });
    let send = Played::new(&java);
    let choose = retry::late(&java, Mode::Sync) == Late::ChooseOnly;
    assert_eq!(send.set.first(send.at(3_000)), First::TooLate { choose });
}

#[test]
fn attempts_at_the_only_broker_which_refuses_connections_are_spread_over_the_time() {
    let strict = Policy::strict();
    let mut send = Played::new(&strict);
    send.start(0, "broker-a", Origin::Call);
    let dial = at_stage(Stage::Dial);
    assert_eq!(send.end(2, 0, dial), Next::Retry);
    assert!(!send.follows_at(2, dial, "broker-a"));
    assert_eq!(send.timer(), (102, Timer::Delayed), "the route may change");
    assert_eq!(send.delayed_at(102, "broker-a"), Due::Wait);
    assert_eq!(send.timer(), (202, Timer::Delayed));
    assert_eq!(send.delayed_at(202, "broker-b"), Due::Start, "another one");

    assert!(!send.follows_at(202, dial, "broker-a"));
    assert_eq!(send.delayed_at(1_000, "broker-a"), Due::Start, "its time");
}

#[test]
fn one_lost_connection_may_be_an_old_one_and_delays_nothing_but_two_do() {
    let strict = Policy::strict();
    let mut send = Played::new(&strict);
    let lost = at_stage(Stage::Lost);
    send.start(0, "broker-a", Origin::Call);
    assert_eq!(send.end(2, 0, lost), Next::Retry);
    assert!(send.follows_at(2, lost, "broker-a"));
    send.start(2, "broker-a", Origin::Failure);
    assert_eq!(send.end(4, 0, lost), Next::Retry);
    assert!(!send.follows_at(4, lost, "broker-a"));
}

#[test]
fn an_attempt_that_waits_for_its_time_is_as_good_as_open_and_ends_with_the_send() {
    let strict = Policy::strict();
    let mut send = hedged(&strict);
    let dial = at_stage(Stage::Dial);
    assert_eq!(send.end(1_001, 1, dial), Next::Retry);
    assert!(!send.follows_at(1_001, dial, "broker-b"));
    assert_eq!(send.end(1_010, 0, refused(BUSY)), Next::Wait);
    assert_eq!(send.delayed_at(3_000, "broker-b"), Due::OutOfTime);
}

#[test]
fn a_closed_send_has_nothing_open_and_starts_nothing() {
    let strict = Policy::strict();
    let mut send = hedged(&strict);
    let dial = at_stage(Stage::Dial);
    assert_eq!(send.end(1_001, 1, dial), Next::Retry);
    assert!(!send.follows_at(1_001, dial, "broker-b"));
    assert_eq!(send.set.close().len(), 1);
    assert_eq!(send.timer(), (3_000, Timer::Deadline));
    assert!(send.set.hedge(send.at(2_000), WITH_TOKEN).is_none());
}

#[test]
fn a_copy_that_is_not_safe_is_kept_while_a_better_one_is_tried_for() {
    let mut policy = Policy::strict();
    policy.not_safe = crate::policy::NotSafe::Retry;
    let mut send = Played::new(&policy);
    send.start(0, "broker-a", Origin::Call);
    assert_eq!(send.end(5, 0, accepted(10)), Next::KeepAndRetry);
    send.set.keep(1);
    assert_eq!(send.failed(), ["broker-a"]);
    send.start(5, "broker-b", Origin::Failure);
    assert_eq!(send.end(9, 0, refused(ILLEGAL)), Next::Fail);
    let done = send.set.give_up(send.at(9), Stage::Refused);
    assert_eq!(done, Done::Stored(1));
}

#[test]
fn a_producer_that_closes_fails_its_sends_unless_a_copy_was_kept() {
    let mut policy = Policy::strict();
    policy.not_safe = crate::policy::NotSafe::Retry;
    let mut send = Played::new(&policy);
    send.start(0, "broker-a", Origin::Call);
    assert_eq!(send.set.producer_closed(), Done::Failed(Failure::Closed));
    send.set.keep(1);
    assert_eq!(send.set.producer_closed(), Done::Stored(1));
}

#[test]
fn of_timers_that_fire_together_the_end_of_the_send_comes_first() {
    let mut policy = Policy::strict();
    policy.attempt_timeout = crate::policy::AttemptTimeout::Whole;
    let mut send = Played::new(&policy);
    send.start(0, "broker-a", Origin::Call);
    assert_eq!(send.timer(), (3_000, Timer::Deadline));
}

//! The attempts of one send, as a state machine without I/O.
//!
//! Which attempts are open, which timer is next, what the end of an attempt leads to and what ends
//! the send is decided here, from values: every method that depends on time takes `now`, nothing
//! waits, draws or talks to anybody. So a test plays hours of hedging in a microsecond, without a
//! runtime. The code around it ([`attempts`](super::attempts)) polls the requests, sleeps until
//! [`next_timer`](AttemptSet::next_timer), and carries values between the set, the route, the health
//! table and the hedging budget.
//!
//! Only the attempt that was started last has a timer of its own. When it fires, the attempt is
//! *hedged*: the next one starts beside it, and both stay open until one of them ends the send.

use rmq_remoting::client::Over;
use rmq_remoting::observe::Name;
use smallvec::SmallVec;
use tokio::time::{Duration, Instant};

use super::limits::{Limits, Terms};
use crate::decide::Millis;
use crate::decide::budget::{self, AtAttemptTimeout, Situation, Unanswered};
use crate::decide::retry::{self, Ended, Next, Standing};
use crate::event::{Failure, Stage};
use crate::policy::{HedgeOver, Late};

/// How often an attempt that waits for its time looks at the route.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The broker that the next attempt would go to, as the route and the health table have it now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) broker: &'a Name,
    /// Whether the route has another broker that could be tried.
    pub(crate) has_other: bool,
}

/// What an attempt follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The program's call: it is the first attempt.
    Call,
    /// The failure of another attempt.
    Failure,
    /// The silence of another attempt: it hedges that one.
    Hedge {
        /// When the silent attempt began, if a connection on which nobody was heard since is not
        /// trusted.
        since: Option<Instant>,
        /// Whether it took a token of the hedging budget.
        for_token: bool,
    },
}

impl Origin {
    /// The connection that the attempt takes. What made a silent attempt silent may have cut other
    /// connections, too.
    pub(crate) fn over(self) -> Over {
        match self {
            Self::Hedge {
                since: Some(since), ..
            } => Over::HeardSince(since),
            Self::Call | Self::Failure | Self::Hedge { .. } => Over::First,
        }
    }

    pub(crate) fn took_token(self) -> bool {
        matches!(
            self,
            Self::Hedge {
                for_token: true,
                ..
            }
        )
    }
}

/// An attempt that has not ended.
#[derive(Debug, Clone)]
pub(crate) struct OpenAttempt {
    pub(crate) number: u32,
    pub(crate) broker: Name,
    pub(crate) began: Instant,
    /// How long it may take before the next one starts.
    pub(crate) timeout: Millis,
    /// When it may be hedged, if ever.
    due: Option<Instant>,
    /// Whether its timeout was over before it was answered.
    pub(crate) silent: bool,
    /// Whether another attempt has started because of its silence.
    pub(crate) hedged: bool,
    /// Whether a token of the hedging budget was taken to start it.
    pub(crate) for_token: bool,
}

/// An attempt that waits for its time, because there is only a broker that refuses connections.
#[derive(Debug, Clone, Copy)]
struct Delayed {
    /// When the route is looked at again: it may have another broker by then.
    look: Instant,
    /// When the attempt starts at the latest.
    start: Instant,
    /// How the attempt before it ended.
    after: Ended,
}

/// What a timer of the set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The attempt that waits for its time: see [`AttemptSet::delayed_is_due`].
    Delayed,
    /// The newest attempt was not answered within its timeout: see [`AttemptSet::hedge`].
    AttemptTimeout,
    /// The send has no time left: see [`AttemptSet::out_of_time`].
    Deadline,
}

/// What a send does before its first attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// Its first attempt starts.
    Start,
    /// There is no time for one.
    TooLate {
        /// Whether a queue is chosen all the same, which steps the rotation on.
        choose: bool,
    },
}

/// What becomes of an attempt that waits for its time, when its timer fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// The attempt starts now.
    Start,
    /// The attempt goes on waiting for its time.
    Wait,
    /// The send has no time left for it.
    OutOfTime,
}

/// What is known about the next attempt when the newest one's timeout is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outlook {
    /// Whether the broker of the next attempt is known to answer.
    pub(crate) known: bool,
    /// Whether the hedging budget has a token.
    pub(crate) token: bool,
}

/// How the set meets the end of the send's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutOfTime {
    /// The only open attempt, at this place, ends as if it had seen the end of its time itself.
    EndsOne(usize),
    /// All open attempts end unanswered, and the send with them.
    EndsAll,
}

/// How a send ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done<C> {
    /// With this copy, which a broker has confirmed.
    Stored(C),
    /// Without a copy that a broker has confirmed; the class of the error is this.
    Failed(Failure),
}

/// The attempts of one send. `C` is what the caller gets of a copy that a broker has stored.
#[derive(Debug)]
pub(crate) struct AttemptSet<'p, C> {
    terms: Terms<'p>,
    /// How many attempts were started so far.
    started: u32,
    /// In the order in which they were started.
    open: SmallVec<[OpenAttempt; 3]>,
    /// The brokers that the next attempt avoids, in the order in which they failed or fell silent.
    failed: SmallVec<[Name; 3]>,
    /// Where and how attempts ended without success.
    failures: SmallVec<[(Name, Stage); 3]>,
    delayed: Option<Delayed>,
    /// A copy that is stored but not safe, while a better one is tried for.
    kept: Option<C>,
    /// When the send ends whatever is open.
    end: Instant,
}

impl<'p, C> AttemptSet<'p, C> {
    pub(crate) fn new(terms: Terms<'p>) -> Self {
        Self {
            end: terms.deadline,
            terms,
            started: 0,
            open: SmallVec::new(),
            failed: SmallVec::new(),
            failures: SmallVec::new(),
            delayed: None,
            kept: None,
        }
    }

    /// How many attempts were started so far.
    pub(crate) fn started(&self) -> u32 {
        self.started
    }

    /// The brokers that failed or fell silent in this send, in that order.
    pub(crate) fn failed(&self) -> &[Name] {
        &self.failed
    }

    /// The brokers that an attempt avoids that hedges the newest one.
    pub(crate) fn failed_if_hedged(&self) -> SmallVec<[Name; 3]> {
        let newest = self.open.last().map(|newest| &newest.broker);
        self.failed.iter().chain(newest).cloned().collect()
    }

    fn attempts_left(&self) -> u32 {
        self.terms.attempts - self.started
    }

    /// Whether the send has time for an attempt at all.
    pub(crate) fn first(&self, now: Instant) -> First {
        if self.terms.left(now) >= budget::LEAST {
            return First::Start;
        }
        let late = retry::late(self.terms.policy, self.terms.mode);
        First::TooLate {
            choose: late == Late::ChooseOnly,
        }
    }

    /// The time of an attempt at this broker, if it started now.
    fn situation(&self, now: Instant, candidate: Candidate<'_>) -> Situation {
        Situation {
            mode: self.terms.mode,
            timeout: self.terms.timeout,
            attempts: self.terms.attempts,
            attempts_left: self.attempts_left(),
            left: self.terms.left(now),
            other_candidate: candidate.has_other,
        }
    }

    /// The timeout of an attempt at this broker, if it started now.
    pub(crate) fn attempt_timeout(&self, now: Instant, candidate: Candidate<'_>) -> Millis {
        budget::attempt_timeout(self.terms.policy, self.situation(now, candidate))
    }

    /// An attempt starts; its number is then [`started`](Self::started).
    pub(crate) fn start(
        &mut self,
        now: Instant,
        broker: &Name,
        timeout: Millis,
        origin: Origin,
    ) -> Limits {
        let limits = Limits::of(&self.terms, now, timeout);
        self.started += 1;
        self.end = self.end.max(limits.latest());
        self.open.push(OpenAttempt {
            number: self.started,
            broker: Name::clone(broker),
            began: now,
            timeout,
            due: limits.hedge.filter(|due| *due < self.end),
            silent: false,
            hedged: false,
            for_token: origin.took_token(),
        });
        limits
    }

    /// When the set wants to be asked again if no attempt ends before, and for what. Of timers that
    /// fire together the send's own end comes first: nothing starts that has no time.
    pub(crate) fn next_timer(&self) -> (Instant, Timer) {
        let due = self.open.last().and_then(|newest| newest.due);
        let delayed = self.delayed.map(|delayed| delayed.look);
        let mut next = (self.end, Timer::Deadline);
        for (at, timer) in [(due, Timer::AttemptTimeout), (delayed, Timer::Delayed)] {
            if let Some(at) = at.filter(|at| *at < next.0) {
                next = (at, timer);
            }
        }
        next
    }

    /// The open attempt at this place has ended. Tells what the send does next; the attempt leaves
    /// the set.
    pub(crate) fn end(&mut self, now: Instant, at: usize, ended: Ended) -> (OpenAttempt, Next) {
        let newest = at + 1 == self.open.len();
        let attempt = self.open.remove(at);
        let standing = Standing {
            attempts_left: self.attempts_left(),
            left: self.terms.left(now),
            newest: newest && !attempt.hedged,
            // One that waits for its time is as good as open.
            open: self.open.len() + usize::from(self.delayed.is_some()),
        };
        let next = retry::after(self.terms.policy, self.terms.mode, ended, standing);
        if ended.stage == Stage::Accepted {
            if next == Next::KeepAndRetry {
                self.failed.push(Name::clone(&attempt.broker));
            }
        } else {
            // A hedged one is avoided since then.
            if !attempt.hedged {
                self.failed.push(Name::clone(&attempt.broker));
            }
            let broker = Name::clone(&attempt.broker);
            self.failures.push((broker, ended.stage));
        }
        (attempt, next)
    }

    /// Keeps a copy that is stored but not safe: it is the send's result if no better one comes.
    pub(crate) fn keep(&mut self, copy: C) {
        self.kept = Some(copy);
    }

    /// Whether the attempt that follows one that ended so starts now. If not, it waits for its time:
    /// while there is only a broker that has just refused a connection, the attempts are spread over
    /// the send's time.
    pub(crate) fn follow(
        &mut self,
        now: Instant,
        ended: Ended,
        candidate: Option<Candidate<'_>>,
    ) -> bool {
        let pause = self.pause(now, ended, candidate).unwrap_or(0);
        if pause == 0 {
            return true;
        }
        let start = now + Duration::from_millis(pause);
        self.delayed = Some(Delayed {
            look: start.min(now + LOOK_AGAIN),
            start,
            after: ended,
        });
        false
    }

    /// The timer of the attempt that waits for its time has fired. It starts if its time has come, or
    /// if there is another broker by now.
    pub(crate) fn delayed_is_due(&mut self, now: Instant, candidate: Option<Candidate<'_>>) -> Due {
        let Some(delayed) = self.delayed.take() else {
            return Due::Wait;
        };
        if self.terms.left(now) < budget::LEAST {
            return Due::OutOfTime;
        }
        if now >= delayed.start || self.pause(now, delayed.after, candidate).is_none() {
            return Due::Start;
        }
        let look = delayed.start.min(now + LOOK_AGAIN);
        self.delayed = Some(Delayed { look, ..delayed });
        Due::Wait
    }

    /// How long an attempt waits that follows one that ended so, if it is for a broker that has just
    /// refused a connection.
    fn pause(
        &self,
        now: Instant,
        ended: Ended,
        candidate: Option<Candidate<'_>>,
    ) -> Option<Millis> {
        let candidate = candidate?;
        let failures = |stages: &[Stage]| {
            let of = self.failures.iter();
            let of =
                of.filter(|(broker, stage)| broker == candidate.broker && stages.contains(stage));
            of.count()
        };
        // One lost connection may have been an old one; two are none any more.
        let refused = match ended.stage {
            Stage::Dial => failures(&[Stage::Dial]) > 0,
            Stage::Lost | Stage::Write => failures(&[Stage::Lost, Stage::Write]) > 1,
            _ => false,
        };
        refused.then(|| budget::pause(self.terms.policy, self.situation(now, candidate)))
    }

    /// The newest attempt was not answered within its timeout. Returns it the first time, so that its
    /// silence teaches something once.
    pub(crate) fn falls_silent(&mut self) -> Option<OpenAttempt> {
        if self.terms.gives_up() {
            return None;
        }
        let newest = self.open.last_mut()?;
        let known = std::mem::replace(&mut newest.silent, true);
        (!known).then(|| newest.clone())
    }

    /// What becomes of the newest attempt, which was not answered within its timeout. If it is hedged,
    /// the caller starts the attempt that is returned; if not, it asks again later.
    pub(crate) fn hedge(&mut self, now: Instant, outlook: Outlook) -> Option<Hedge> {
        let in_time = self.terms.left(now) >= budget::LEAST;
        let silent = Unanswered {
            attempts_left: if in_time { self.attempts_left() } else { 0 },
            known: outlook.known,
            token: outlook.token,
        };
        let more = self.attempts_left() > 0;
        let end = self.end;
        let newest = self.open.last_mut()?;
        newest.due = None;
        let for_token = match budget::at_attempt_timeout(self.terms.policy, silent) {
            AtAttemptTimeout::HedgeFree => false,
            AtAttemptTimeout::HedgeForToken => true,
            AtAttemptTimeout::KeepOn if more => {
                let again = now + Duration::from_millis(budget::ask_again(newest.timeout));
                newest.due = Some(again).filter(|due| *due < end);
                return None;
            }
            AtAttemptTimeout::KeepOn | AtAttemptTimeout::GiveUp => return None,
        };
        newest.hedged = true;
        self.failed.push(Name::clone(&newest.broker));
        let heard = budget::hedge_over(self.terms.policy) == HedgeOver::Heard;
        Some(Hedge {
            silent: newest.number,
            origin: Origin::Hedge {
                since: heard.then_some(newest.began),
                for_token,
            },
        })
    }

    /// The send has no time left: what is open was not answered in time. If attempts end with their
    /// timeout, this is the end of the only open one.
    pub(crate) fn out_of_time(&self) -> OutOfTime {
        if self.terms.gives_up() && self.open.len() == 1 {
            OutOfTime::EndsOne(0)
        } else {
            OutOfTime::EndsAll
        }
    }

    /// No attempt will succeed any more; the last one ended at this stage. A copy that is stored, if
    /// not safely, is a success.
    pub(crate) fn give_up(&mut self, now: Instant, stage: Stage) -> Done<C> {
        if let Some(copy) = self.kept.take() {
            Done::Stored(copy)
        } else if stage == Stage::Silent && now >= self.terms.deadline {
            Done::Failed(Failure::Deadline)
        } else {
            Done::Failed(Failure::Attempts(stage))
        }
    }

    /// The producer closes before an attempt has succeeded. What is true of a copy that is stored, if not
    /// safely, is true now, too.
    pub(crate) fn producer_closed(&mut self) -> Done<C> {
        let kept = self.kept.take().map(Done::Stored);
        kept.unwrap_or(Done::Failed(Failure::Closed))
    }

    /// The send is over: returns what was still open, and nothing follows any more.
    pub(crate) fn close(&mut self) -> SmallVec<[OpenAttempt; 3]> {
        self.delayed = None;
        std::mem::take(&mut self.open)
    }
}

/// A silent attempt is hedged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hedge {
    /// The number of the silent attempt.
    pub(crate) silent: u32,
    /// What the next attempt follows.
    pub(crate) origin: Origin,
}

#[cfg(test)]
mod tests;

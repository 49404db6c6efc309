//! What is in the hedging budget of each producer, by what went over the wire.
//!
//! A hedge costs a token, each message puts a part of one back, and so does a hedge that was answered
//! promptly; a hedge to a broker that is known to answer costs nothing. The producer tells with each hedge what
//! it has left. Nobody has to believe it: from the sends and the answers follow two bounds, between which the
//! truth is whatever the producer learnt from what only it has seen.

use rmq_producer::event::{Mode, Stage};
use rmq_remoting::observe::Name;

use super::CheckedRun;
use crate::trace::PolicyFacts;
use crate::trace::history::{AttemptHistory, ProducerKey, SendHistory, Timestamp};
use crate::trace::record::HedgingFacts;

/// What a hedge takes, in tenths of a token.
pub(super) const TOKEN: u64 = 10;

/// The least and the most that can be in a budget, in tenths of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) least: u64,
    pub(super) most: u64,
}

/// What happened to a budget.
#[derive(Debug, Clone, Copy)]
enum Change<'h, 't> {
    /// A message was built.
    Refill,
    /// An answer may have brought a token back.
    GiveBack,
    /// The attempt was hedged, by the next one.
    Hedge(&'h AttemptHistory<'t>, Option<&'h AttemptHistory<'t>>),
}

/// A hedge as it was, and what the budget must have had after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hedge {
    /// When the silent attempt was hedged.
    pub(super) at: Timestamp,
    /// What could be in the budget before it.
    pub(super) before: Bounds,
    /// What can be in the budget after it.
    pub(super) after: Bounds,
    /// What the producer says is left.
    pub(super) says: u64,
    /// Whether its broker was surely not one that is known to answer.
    pub(super) costs: bool,
}

/// The budget of one producer, from the first message to the end of the run.
#[derive(Debug)]
pub(super) struct HedgingBudget {
    full: u64,
    /// What could be in it from each moment on.
    course: Vec<(Timestamp, Bounds)>,
    pub(super) hedges: Vec<Hedge>,
}

impl HedgingBudget {
    /// The budget of a producer; none if its policy does not hedge, or if it was started again, with a new one.
    pub(super) fn of(run: &CheckedRun<'_>, producer: ProducerKey<'_>) -> Option<Self> {
        let policy = run.policy_of(producer)?;
        let facts = policy.hedging?;
        let end = Timestamp {
            at: usize::MAX,
            ms: run.trace.end_ms,
        };
        if run.truth.was_gone(producer.0, 0, end.ms) || run.starts_before(producer, end) > 1 {
            return None;
        }
        let full = u64::from(facts.tokens) * TOKEN;
        let mut budget = Self {
            full,
            course: Vec::new(),
            hedges: Vec::new(),
        };
        let mut now = Bounds {
            least: full,
            most: full,
        };
        let refill = u64::from(facts.refill_tenths);
        for (at, change) in changes(run, producer) {
            now = match change {
                Change::Refill => budget.with(now, (refill, refill)),
                Change::GiveBack => budget.with(now, (0, TOKEN)),
                Change::Hedge(silent, next) => {
                    budget.hedge(run, (policy, facts), now, (at, silent, next))
                }
            };
            budget.course.push((at, now));
        }
        Some(budget)
    }

    fn with(&self, now: Bounds, (least, most): (u64, u64)) -> Bounds {
        Bounds {
            least: (now.least + least).min(self.full),
            most: (now.most + most).min(self.full),
        }
    }

    fn hedge(
        &mut self,
        run: &CheckedRun<'_>,
        (policy, facts): (&PolicyFacts, HedgingFacts),
        before: Bounds,
        (at, silent, next): (Timestamp, &AttemptHistory<'_>, Option<&AttemptHistory<'_>>),
    ) -> Bounds {
        let to = next.map(|next| &next.to.broker);
        let results = to.map(|to| Results::of(run, policy, to, at));
        let known = results.is_some_and(|it| it.surely >= facts.known_after);
        let costs = results.is_some_and(|it| it.perhaps < facts.known_after);
        let (known, costs) = match facts.known_after {
            0 => (false, true),
            _ => (known, costs),
        };
        let after = Bounds {
            least: before.least.saturating_sub(if known { 0 } else { TOKEN }),
            most: before.most.saturating_sub(if costs { TOKEN } else { 0 }),
        };
        self.hedges.push(Hedge {
            at,
            before,
            after,
            says: silent.tokens_left.map_or(0, u64::from),
            costs,
        });
        after
    }

    /// Whether it may have had no token for another hedge at this millisecond.
    pub(super) fn was_low(&self, ms: u64) -> bool {
        let before = self.course.partition_point(|(at, _)| at.ms < ms);
        let within = self.course.iter().skip(before.saturating_sub(1));
        let mut within = within.take_while(|(at, _)| at.ms <= ms);
        within.any(|(_, bounds)| bounds.least < TOKEN)
    }

    /// Until when, from `from_ms` on and before `until`, it may have had no token for another hedge; `from_ms` if
    /// it surely had one all the time.
    pub(super) fn low_until(&self, from_ms: u64, until: Timestamp) -> u64 {
        let mut changes = self.course.iter().rev().filter(|(at, _)| *at < until);
        let mut next = until.ms;
        // The last change that left it low was in force until the next one.
        for (at, bounds) in &mut changes {
            if bounds.least < TOKEN {
                return next.max(from_ms);
            }
            if at.ms <= from_ms {
                break;
            }
            next = at.ms;
        }
        from_ms
    }
}

/// All that changes a producer's budget, in its order.
fn changes<'h, 't>(
    run: &'h CheckedRun<'t>,
    producer: ProducerKey<'_>,
) -> Vec<(Timestamp, Change<'h, 't>)> {
    let mut all = Vec::new();
    let own = run
        .history
        .sends
        .iter()
        .filter(|send| send.producer() == producer);
    for send in own {
        all.extend(send.built.map(|built| (built.timestamp, Change::Refill)));
        for (index, attempt) in send.attempts.iter().enumerate() {
            let next = send.attempts.get(index + 1);
            let hedge = attempt.hedged;
            all.extend(hedge.map(|at| (at, Change::Hedge(attempt, next))));
            let hedges = index > 0 && send.attempts[index - 1].hedged.is_some();
            let answer = attempt.reply.map(|(at, _)| at).or(attempt.late);
            // A slow process looks at an answer later, when the budget may have room again.
            let seen = attempt.ended.map(|end| end.timestamp);
            let seen = seen.filter(|seen| answer.is_some_and(|at| at.ms < seen.ms));
            let brought = answer.into_iter().chain(seen).filter(|_| hedges);
            all.extend(brought.map(|at| (at, Change::GiveBack)));
        }
    }
    all.sort_by_key(|(at, _)| *at);
    all
}

/// How many prompt answers in a row a broker has given to a producer.
#[derive(Debug, Clone, Copy)]
struct Results {
    /// Since the last time that anything else can have been learnt.
    surely: u32,
    /// Since the last time that something else was learnt for certain.
    perhaps: u32,
}

impl Results {
    fn of(run: &CheckedRun<'_>, policy: &PolicyFacts, broker: &Name, now: Timestamp) -> Self {
        let Some(isolation) = &policy.isolation else {
            // Nothing is learnt of any broker.
            return Self {
                surely: 0,
                perhaps: 0,
            };
        };
        let own = (policy.node, policy.group.as_ref());
        let ours = |(send, attempt): &(&SendHistory<'_>, &AttemptHistory<'_>)| {
            send.producer() == own && attempt.to.broker == *broker && attempt.started < now
        };
        let health = run.history.health.iter();
        let isolated =
            health.filter(|it| it.producer() == own && it.broker == broker && it.timestamp < now);
        let isolated = isolated.map(|it| it.timestamp).max();
        // Whatever else was heard of it may have ended the row.
        let mut doubtful = isolated;
        let mut prompt = Vec::new();
        let mut answered = 0;
        for (send, attempt) in run.attempts().filter(ours) {
            let end = attempt.ended.filter(|end| end.timestamp < now);
            let late = attempt.late.filter(|late| *late < now);
            let took = |at: Timestamp| at.ms.saturating_sub(attempt.started.ms);
            match end {
                Some(end)
                    if end.stage == Stage::Accepted
                        && took(end.timestamp) < isolation.slow_ms.min(attempt.timeout_ms)
                        && attempt.hedged.is_none()
                        && send.mode != Mode::Oneway
                        && send.target_queue.is_none() =>
                {
                    prompt.push(end.timestamp);
                }
                _ => doubtful = doubtful.max(end.map(|end| end.timestamp)).max(late),
            }
            let answer = attempt.reply.map(|(at, _)| at).or(late);
            let heard = answer.or(end.map(|end| end.timestamp));
            let counts = heard.is_some_and(|at| at < now && Some(at) > isolated);
            answered += u32::from(counts);
        }
        let surely = prompt.iter().filter(|at| Some(**at) > doubtful).count();
        let surely = u32::try_from(surely).unwrap_or(u32::MAX);
        Self {
            surely,
            // An answer may have come before the isolation, and have been looked at after it.
            perhaps: answered.max(surely),
        }
    }
}

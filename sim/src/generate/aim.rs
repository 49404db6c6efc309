//! Faults that aim at one row of the decision table.
//!
//! What happens after an attempt depends on the mode, on how the attempt ended, on whether the caller chose
//! the queue, and on the attempts left. Faults drawn freely reach the common rows thousands of times and the
//! rare ones never. So in most runs some sends of one workload, which has a mode and a target of
//! its own, get attempts that end in a drawn way at a drawn place of their row: every end is equally
//! frequent, and a later attempt is reached because those before it are made to fail.

use rmq_remoting::code::{request, response};
use rmq_remoting::observe::Name;

use super::draw::Draw;
use super::knobs::{Knobs, Reached};
use crate::fault::rule::delay::Delay;
use crate::fault::rule::{Answer, Since, StoreThenAnswer, near_a_deadline};
use crate::fault::{Fault, FaultKind, Place, Position, Rule, RuleAction, TARGET};

use crate::scenario::{ProducerPlan, SendMode};

/// The codes that brokers refuse a send with; one that no release has stands for all others.
const REFUSALS: [i32; 14] = [
    response::SYSTEM_ERROR,
    response::SYSTEM_BUSY,
    response::REQUEST_CODE_NOT_SUPPORTED,
    response::MESSAGE_ILLEGAL,
    response::SERVICE_NOT_AVAILABLE,
    response::NO_PERMISSION,
    response::TOPIC_NOT_EXIST,
    response::SUBSCRIPTION_GROUP_NOT_EXIST,
    response::NO_BUYER_ID,
    response::NOT_IN_CURRENT_UNIT,
    response::FLOW_CONTROL,
    response::ILLEGAL_OPERATION,
    response::GO_AWAY,
    29,
];
/// Stored, and not flushed or replicated in time.
const NOT_SAFE: [i32; 3] = [
    response::FLUSH_DISK_TIMEOUT,
    response::SLAVE_NOT_AVAILABLE,
    response::FLUSH_SLAVE_TIMEOUT,
];
/// What becomes of the request or of its answer otherwise.
const ACTIONS: [RuleAction; 14] = [
    RuleAction::DropRequest,
    RuleAction::DropReply,
    RuleAction::CloseBefore,
    RuleAction::CloseAfter,
    RuleAction::ResetBefore,
    RuleAction::ResetAfter,
    RuleAction::ReplyTwice,
    RuleAction::UnknownOpaque,
    RuleAction::HalfFrame,
    RuleAction::HalfFrameClose,
    RuleAction::Garbage,
    RuleAction::AnswerThenClose,
    RuleAction::EmptyAnswer,
    RuleAction::TlsAlert,
];

/// The faults that make some attempts of a run end in a drawn way.
pub(super) fn faults(draw: &Draw, knobs: &Knobs) -> Vec<Fault> {
    let draw = draw.part("aim", 0);
    let mut faults = Vec::new();
    if knobs.near {
        faults.extend(near(&draw, knobs));
    }
    if !draw.coin("aims", 850) {
        return faults;
    }
    let reached = draw.pick("workload", &retrying(&draw, knobs));
    let number = reached.workload;
    let work = &knobs.workloads[number];
    let owner = knobs.producers.iter().find(|it| it.name == work.producer);
    let (_, most) = owner.map_or((3_000, 3), ProducerPlan::timeout_and_attempts);
    let sends = reached.last - reached.first + 1;
    let count = draw.one_of("sends", [5, 20, 40, 60, 100, 100]).min(sends);
    let count = count.min(knobs.in_a_row(number));
    let send = draw.between("send", reached.first, reached.last - count + 1);
    // A row that is reached: those before it fail in a way that every policy retries.
    let most = if work.mode == SendMode::Oneway {
        1
    } else {
        most
    };
    let last = draw.one_of("attempt", [1, 2, 2, 2, 3, 3]).min(most);
    for attempt in 1..=last {
        let draw = draw.part("attempt", attempt as usize);
        let then = match attempt == last {
            true => end(&draw),
            false => draw.one_of(
                "before",
                [
                    RuleAction::ResetBefore,
                    RuleAction::ResetAfter,
                    RuleAction::ResetAfter,
                    answer(response::SYSTEM_ERROR),
                    answer(response::SERVICE_NOT_AVAILABLE),
                ],
            ),
        };
        faults.push(fault(
            (number, send, count),
            Some(attempt as u32),
            None,
            then,
        ));
    }
    faults
}

/// The sends to aim at: of one-way workloads, which have the fewest rows, in a part of the runs.
fn retrying(draw: &Draw, knobs: &Knobs) -> Vec<Reached> {
    let mut reached = knobs.reached();
    let is_oneway = |it: &Reached| knobs.workloads[it.workload].mode == SendMode::Oneway;
    if !draw.coin("oneway", 400) && !reached.iter().all(is_oneway) {
        reached.retain(|it| !is_oneway(it));
    }
    reached
}

/// Any end, each equally often.
fn end(draw: &Draw) -> RuleAction {
    let all = REFUSALS.len() + NOT_SAFE.len() + ACTIONS.len();
    let nth = draw.index("end", all);
    let stored = |code| RuleAction::StoreThenAnswer(StoreThenAnswer { code });
    if let Some(code) = REFUSALS.get(nth) {
        return answer(*code);
    }
    let nth = nth - REFUSALS.len();
    match NOT_SAFE.get(nth) {
        Some(code) => stored(*code),
        None => ACTIONS[nth - NOT_SAFE.len()].clone(),
    }
}

/// Answers to first attempts that come within a millisecond of the attempt's end, or of the send's: for
/// a part of the sends of each workload.
fn near<'k>(draw: &'k Draw, knobs: &'k Knobs) -> impl Iterator<Item = Fault> + 'k {
    knobs.reached().into_iter().map(move |reached| {
        let number = reached.workload;
        let work = &knobs.workloads[number];
        let draw = draw.part("near", number);
        let owner = knobs.producers.iter().find(|it| it.name == work.producer);
        let (timeout, attempts) = owner.map_or((3_000, 3), ProducerPlan::timeout_and_attempts);
        let then = RuleAction::Delay(Delay {
            ms: near_a_deadline(&draw, (work.timeout_ms.unwrap_or(timeout), attempts)),
            jitter_ms: 0,
            since: Since::Attempt,
        });
        let count = reached.last - reached.first + 1;
        fault((number, reached.first, count), Some(1), Some(250), then)
    })
}

fn answer(code: i32) -> RuleAction {
    RuleAction::Answer(Answer { code, remark: None })
}

/// A rule for some attempts of `count` sends of a workload, from one on, wherever they come to.
fn fault(
    (number, send, count): (usize, u64, u64),
    attempt: Option<u32>,
    per_mille: Option<u32>,
    then: RuleAction,
) -> Fault {
    Fault {
        kind: FaultKind::Rule(Rule {
            codes: vec![request::SEND_MESSAGE, request::SEND_MESSAGE_V2],
            topic: None,
            queue: None,
            per_mille,
            times: None,
            then,
        }),
        place: Place::Node(Name::from(TARGET)),
        at: Position::Send {
            workload: number as u32 + 1,
            send,
            attempt,
            sends: count,
            after_ms: 0,
        },
        for_ms: None,
        may_miss: false,
    }
}

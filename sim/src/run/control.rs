//! How the faults of a scenario reach the servers: as the script each of them asks about every
//! request.
//!
//! A rule's chance is addressed by (rule, message, attempt), never by a shared count, so that
//! taking one fault away moves no other. A fault that waits for a request ("its fifth send") starts
//! here too, because only here the request has been read and nothing has been done about it yet.

use std::ops::Range;
use std::sync::Arc;

use dst_engine::chance::happens;
use rmq_mock_namesrv::control::RouteAlteration;
use rmq_mock_server::rules;
use rmq_remoting::observe::Name;

use super::controller::{Phase, Progress, RunController, number};
use crate::fault::{Fault, FaultKind, Place, Position, Rule, RuleAction};

/// The script of one server.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) controller: Arc<RunController>,
    /// The name of the server whose requests the script decides about.
    pub(super) server: Name,
}

/// What any server can tell of a request.
struct Request<'a> {
    code: i32,
    topic: Option<&'a Name>,
    queue: Option<i32>,
    /// What identifies the message: the workload's name for it, or its unique key.
    message: Option<&'a Name>,
    /// How many requests for this message this server has read, this one included.
    attempt: u32,
    /// How many requests for this message all servers have read, this one included.
    attempt_anywhere: u32,
}

/// What happens to a request because of a fault.
enum Decision {
    /// A rule says so, with a number drawn for this use of it.
    Rule(u32, RuleAction, u64),
    /// A fault starts with it and takes the process away, so that it is not handled.
    Lost(u32),
    /// A fault starts with it; it is handled a moment later, under that fault.
    Later(u32),
}

impl Script {
    fn decide(&self, request: &Request<'_>) -> Option<Decision> {
        let mut decision = None;
        let mut starts = Vec::new();
        let mut ends = Vec::new();
        {
            let mut faults = self.controller.faults.lock();
            for (index, fault) in faults.iter_mut().enumerate() {
                if !self.is_at(&fault.data) {
                    continue;
                }
                let data = Arc::clone(&fault.data);
                match &data.kind {
                    FaultKind::Rule(rule) => {
                        if !rule.is_about(request) || !due(fault, &data.at, request, self) {
                            continue;
                        }
                        if decision.is_some() || !self.by_chance(index, rule, request) {
                            continue;
                        }
                        fault.applied += 1;
                        let drawn = self.draw(index, "use", request);
                        let then = self.action(rule, request);
                        decision = Some(Decision::Rule(number(index), then, drawn));
                        starts.push(index);
                        if rule.times == Some(fault.applied) {
                            ends.push(index);
                        }
                    }
                    kind => {
                        if fault.phase != Phase::Waiting || !counts(fault, &data.at, request) {
                            continue;
                        }
                        starts.push(index);
                        let lost = kind.behaviour().loses_the_request();
                        decision.get_or_insert(if lost {
                            Decision::Lost(number(index))
                        } else {
                            Decision::Later(number(index))
                        });
                    }
                }
            }
        }
        // Outside the lock: starting a fault writes a record and asks the engine.
        starts
            .into_iter()
            .for_each(|index| self.controller.start(index));
        ends.into_iter()
            .for_each(|index| self.controller.end(index));
        decision
    }

    /// Whether a fault is at this server, or at whichever a send comes to.
    fn is_at(&self, fault: &Fault) -> bool {
        match &fault.place {
            Place::Node(node) => {
                let any = fault.place.has_target() && matches!(fault.kind, FaultKind::Rule(_));
                *node == self.server || any
            }
            Place::Link { .. } | Place::Pair { .. } => false,
        }
    }

    /// What a rule does with this request, whose attempt may have started some time ago.
    fn action(&self, rule: &Rule, request: &Request<'_>) -> RuleAction {
        let started = request
            .message
            .and_then(|keys| self.controller.sends.attempted_ms(keys));
        let now_ms = self.controller.recorder.now_ms();
        let ago_ms = started.map_or(0, |started| now_ms.saturating_sub(started));
        let back_ms = self.controller.scenario.network.latency_ms;
        rule.then.since_attempt(ago_ms.saturating_add(back_ms))
    }

    fn by_chance(&self, index: usize, rule: &Rule, request: &Request<'_>) -> bool {
        let Some(per_mille) = rule.per_mille else {
            return true;
        };
        happens(self.draw(index, "rule", request), per_mille)
    }

    /// A number that belongs to (rule, message, attempt).
    fn draw(&self, index: usize, what: &str, request: &Request<'_>) -> u64 {
        let site = request.message.or(request.topic).map_or("", |name| name);
        let field = self.controller.chance.part(what, index as u64);
        field.draw(site, u64::from(request.attempt))
    }
}

impl Rule {
    fn is_about(&self, request: &Request<'_>) -> bool {
        self.codes.contains(&request.code)
            && self
                .topic
                .as_ref()
                .is_none_or(|topic| Some(topic) == request.topic)
            && self.queue.is_none_or(|queue| Some(queue) == request.queue)
    }
}

/// Whether a rule's position includes this request, which is one of the rule's.
fn due(fault: &mut Progress, at: &Position, request: &Request<'_>, script: &Script) -> bool {
    match at {
        Position::Time { .. } => fault.phase == Phase::On,
        Position::Received { .. } => match fault.phase {
            Phase::Waiting => counts(fault, at, request),
            Phase::On => true,
            Phase::Over => false,
        },
        Position::Send {
            attempt, workload, ..
        } => {
            let is_of = |(_, mut sends): (u32, Range<u64>)| {
                let keys_of = |send| script.controller.scenario.keys_of(*workload, send);
                sends.any(|send| request.message == Some(&keys_of(send)))
            };
            fault.phase != Phase::Over
                && attempt.is_none_or(|attempt| attempt == request.attempt_anywhere)
                && at.sends().is_some_and(is_of)
        }
        Position::Stored { .. } => false,
    }
}

/// Counts a request for a position that waits for the n-th, and tells whether this is the one.
fn counts(fault: &mut Progress, at: &Position, request: &Request<'_>) -> bool {
    match at {
        Position::Received { code, n } if *code == request.code => {
            fault.counted += 1;
            fault.counted == *n
        }
        // Other positions are no request's to reach.
        Position::Received { .. }
        | Position::Time { .. }
        | Position::Stored { .. }
        | Position::Send { .. } => false,
    }
}

/// A decision as a server's rules have it; `at` says what a rule's action is at such a server.
fn ruled<A>(
    decision: Decision,
    at: impl FnOnce(&RuleAction, u32, u64) -> rules::Action<A>,
) -> rules::Ruled<A> {
    let (number, action) = match decision {
        Decision::Rule(number, action, drawn) => (number, at(&action, number, drawn)),
        Decision::Lost(number) => (number, rules::Action::DropRequest),
        Decision::Later(number) => (number, rules::Action::delay(1)),
    };
    rules::Ruled {
        rule: Name::from(format!("fault {number}")),
        action,
    }
}

impl rules::Control for Script {
    fn decide(&self, seen: &rules::Seen<'_>) -> Option<rules::Ruled> {
        let by_workload = !self.controller.scenario.workloads.is_empty();
        let request = Request {
            code: seen.code,
            topic: seen.topic,
            queue: seen.queue,
            message: if by_workload {
                seen.keys
            } else {
                seen.unique_key
            },
            attempt: seen.nth_of_key,
            attempt_anywhere: self.controller.sends.read(seen.keys),
        };
        let decision = Script::decide(self, &request)?;
        let at_broker = |it: &RuleAction, _, drawn| it.action().at_broker(drawn);
        Some(ruled(decision, at_broker))
    }
}

impl rules::Control<RouteAlteration> for Script {
    fn decide(&self, seen: &rules::Seen<'_>) -> Option<rules::Ruled<RouteAlteration>> {
        let request = Request {
            code: seen.code,
            topic: seen.topic,
            queue: None,
            message: None,
            // A number to draw by: it need not go on after four thousand million requests.
            attempt: u32::try_from(seen.nth).unwrap_or(u32::MAX),
            attempt_anywhere: 0,
        };
        let decision = Script::decide(self, &request)?;
        let at_name_server =
            |it: &RuleAction, number, drawn| it.action().at_name_server(number, drawn);
        Some(ruled(decision, at_name_server))
    }
}

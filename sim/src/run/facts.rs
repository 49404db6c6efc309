//! The policy of a producer, and what the checkers must know of it.

use std::error::Error;
use std::time::Duration;

use rmq_producer::Policy;
use rmq_producer::decide::{auto_create, peer, retry};
use rmq_producer::event::Stage;
use rmq_producer::policy::{
    AttemptTimeout, Avoid, DeadPeer, Deadline, Dial, Drain, Fallback, HedgeOver, HedgedAnswer,
    Lookup, NameServers, NotSafe, Oneway, Retarget, TimeoutScan,
};

use crate::scenario::ProducerPlan;
use crate::trace::{Form, HedgingFacts, IsolationFacts, NodeId, PatienceFacts, PolicyFacts};

/// The policy that a producer of a scenario has.
pub(crate) fn policy_of(plan: &ProducerPlan) -> Result<Policy, Box<dyn Error>> {
    let mut policy = plan.policy.with_changes(plan.changes.as_deref())?;
    if let Some(timeout) = plan.timeout_ms {
        policy.send_timeout = timeout;
    }
    if let Some(enabled) = plan.fault_tolerance {
        policy.health.enabled = enabled;
    }
    if let Some(retries) = plan.retries {
        policy = policy.with_retries(retries);
    }
    policy.check()?;
    Ok(policy)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a checker must know of a policy.
pub fn facts_of(node: NodeId, policy: &Policy) -> PolicyFacts {
    let timeout_ms = policy.send_timeout;
    let scan_ms = match policy.timeout_scan {
        TimeoutScan::Exact => 0,
        TimeoutScan::Every { period, grace, .. } => period + grace,
    };
    let deadline_covers_all = policy.deadline == Deadline::OverAll
        && policy.lookup == Lookup::InsideBudget
        && policy.dial == Dial::InsideBudget;
    let strict =
        deadline_covers_all && scan_ms == 0 && policy.attempt_timeout == AttemptTimeout::Equal;
    PolicyFacts {
        node,
        form: if strict { Form::Strict } else { Form::Parity },
        attempts_sync: policy.attempts.sync,
        attempts_async: policy.attempts.async_,
        attempts_target_queue_sync: policy.attempts.target_queue_sync,
        attempts_target_queue_async: policy.attempts.target_queue_async,
        attempt_timeout_ms: attempt_timeout(policy),
        timeout_ms,
        second_connections: policy.hedge_over == HedgeOver::Heard,
        least_silence_ms: millis(peer::LEAST_SILENCE),
        longest_redial_pause_ms: peer::redial(policy).map_or(0, |redial| millis(redial.most)),
        refused_spacing_ms: policy.refused_spacing,
        hedged_accepted: policy.hedged_answer == HedgedAnswer::Accept,
        scan_ms,
        deadline_covers_all,
        deadline_of_attempt: policy.deadline == Deadline::PerAttempt,
        retry_stages: policy.retry.stages.clone(),
        retry_vetoed: policy.retry.vetoed.clone(),
        retry_codes_sync: retried(policy, &policy.retry.sync_codes),
        retry_codes_async: retried(policy, &policy.retry.async_codes),
        retries_unsafe: policy.not_safe != NotSafe::Done,
        avoids_last: policy.avoid != Avoid::None,
        avoids_all_failed: policy.avoid == Avoid::AllFailed,
        retargets_queue: policy.retarget == Retarget::QueueAndBroker,
        on_lost: policy.on_lost,
        isolation: isolation(policy),
        refreshes_on_failure: policy.refresh_on_failure,
        refresh_spacing_ms: policy.periods.refresh_spacing,
        forget_ms: policy.periods.forget,
        poll_ms: policy.periods.poll,
        heartbeat_ms: policy.periods.heartbeat,
        name_server_timeout_ms: policy.name_server_timeout,
        asks_all_name_servers: policy.name_servers == NameServers::WholeList,
        idle_ms: policy.periods.idle,
        patience: patience(policy),
        hedging: hedging(policy),
        default_topic_queues: policy.default_queues.unsigned_abs(),
        creates_everywhere: auto_create::everywhere(policy),
        stop_ms: policy.periods.stop,
        compress_over: policy.compress_over.into(),
        dial_ms: policy.dial_timeout,
        first_redial_pause_ms: policy.redial.first,
        resends_drained: policy.drain == Drain::Resend,
        beats_on_open: policy.presence.heartbeat_on_open,
        unregisters: policy.presence.unregister,
        oneway_waits: policy.oneway == Oneway::Written,
        oneway_flag: policy.wire.oneway_flag,
        most_sends: None,
        most_bytes: None,
        refuses: false,
        of_scenario: false,
        group: None,
        client_outlives: false,
        namespace: None,
        heartbeat_timeout_ms: policy.periods.heartbeat_timeout,
    }
}

/// The time of an attempt that is not the last.
fn attempt_timeout(policy: &Policy) -> u64 {
    let whole = policy.send_timeout;
    match policy.attempt_timeout {
        AttemptTimeout::Equal => whole / u64::from(policy.attempts.sync.max(1)),
        AttemptTimeout::Whole => whole,
        AttemptTimeout::Cap(cap) => cap.min(whole),
    }
}

/// When a producer gives a silent peer up.
fn patience(policy: &Policy) -> Option<PatienceFacts> {
    match policy.dead_peer {
        DeadPeer::Keep => None,
        DeadPeer::Replace { unanswered, silent } => Some(PatienceFacts {
            requests: unanswered,
            silence_ms: silent,
        }),
    }
}

/// What a producer may spend on hedges.
fn hedging(policy: &Policy) -> Option<HedgingFacts> {
    (policy.hedged_answer == HedgedAnswer::Accept).then_some(HedgingFacts {
        tokens: policy.hedging_tokens,
        refill_tenths: policy.hedging_refill_tenths,
        known_after: policy.hedge_known,
    })
}

/// A table of codes, with the one that announces a shutdown if that is retried in any case.
fn retried(policy: &Policy, codes: &[i32]) -> Vec<i32> {
    let mut codes = codes.to_vec();
    if retry::drained(policy) && !codes.contains(&retry::GO_AWAY) {
        codes.push(retry::GO_AWAY);
    }
    codes
}

/// What the health table remembers, and for how long: as the policy says it, and not as the producer's
/// decisions read it.
fn isolation(policy: &Policy) -> Option<IsolationFacts> {
    let rules = &policy.health;
    if !rules.enabled {
        return None;
    }
    let of = |latency: u64| {
        let row = rules.table.iter().rfind(|(least, _)| latency >= *least);
        row.map_or(0, |(_, isolated)| *isolated)
    };
    let slow = rules.table.iter().find(|(_, isolated)| *isolated > 0);
    Some(IsolationFacts {
        failures: rules.failures.clone(),
        failed_ms: of(rules.failure),
        longest_ms: rules.table.iter().map(|(_, isolated)| *isolated).max()?,
        slow_ms: slow.map_or(u64::MAX, |(least, _)| *least),
        counts_target_queue_sync: rules.counts_target_queue_sync,
        table: rules.table.clone(),
        overwrites: rules.overwrites,
        prefers_reachable: rules.fallback == Fallback::Reachable
            && rules.unreachable == [Stage::Dial]
            && !rules.detector.enabled,
        forgets_absent: rules.detector.enabled,
    })
}

//! Puts a run on an engine, and takes its trace out whatever the end.

use std::sync::Arc;

use dst_engine::{EngineConfig, Limits, NetworkConfig, ReadyOrder, RunEnd, RunReport, WaitingTask};
use rmq_remoting::observe::Name;

use super::facts::policy_of;
use super::play::{RunHandle, RunningCluster};
use super::seal::Left;
use super::{Played, RunConfig, RunError};
use crate::backend::{self, SharedBackend};
use crate::fault::FaultKind;
use crate::scenario::{Order, Scenario};
use crate::trace::{NodeId, Trace, TraceEnd, UnfinishedTask};

/// How long after a scenario's end its open sends may still take, beside their timeout.
const GRACE_MS: u64 = 30_000;

/// What a run left, and what its main future returned if it came to its end.
#[derive(Debug)]
pub(crate) struct Outcome<T> {
    pub(crate) played: Played,
    pub(crate) value: Option<T>,
}

/// Plays a scenario; `act` is what the callers do, and the run ends when it returns.
pub(crate) fn carry_out<T>(
    scenario: &Arc<Scenario>,
    knobs: RunConfig,
    act: impl AsyncFnOnce(RunningCluster) -> T,
) -> Result<Outcome<T>, RunError> {
    let config = config(scenario, knobs);
    let run = RunHandle::default();
    let main = async |backend: SharedBackend| {
        let value = {
            let cluster = RunningCluster::set(scenario, knobs, backend, &run);
            let trouble = cluster.controller.trouble();
            let act = std::pin::pin!(act(cluster));
            tokio::select! {
                biased;
                value = act => Some(value),
                () = trouble => None,
            }
        };
        run.seal(knobs);
        value
    };
    let events = Arc::clone(&run.engine_events);
    // A run that main did not end is sealed where it stands.
    let report = backend::run(knobs.engine, &config, events, main, || run.seal(knobs));
    let report = report.map_err(|error| {
        RunError::Broken(format!("the engine {} cannot start: {error}", knobs.engine))
    })?;
    let left = run.take();
    let left = left.ok_or_else(|| RunError::Broken("the run left no trace".to_owned()))?;
    finish(left, report, knobs)
}

fn finish<T>(
    left: Left,
    report: RunReport<Option<T>>,
    knobs: RunConfig,
) -> Result<Outcome<T>, RunError> {
    if let Some(broken) = left.broken {
        return Err(RunError::Broken(broken));
    }
    if let Some(not_modelled) = left.not_modelled {
        return Err(RunError::Impossible {
            engine: knobs.engine,
            fault: not_modelled.what.to_owned(),
            reason: not_modelled.reason.to_owned(),
            remedy: "run it on the engine event, or remove the fault",
        });
    }
    let end_ms = report.stats.virtual_ms;
    let played = Played {
        trace: Trace {
            header: left.header,
            records: left.records,
            end: end(report.end),
            end_ms,
        },
        ledger: left.ledger,
        links: left.links,
        effects: left.effects,
        program: left.program,
    };
    Ok(Outcome {
        played,
        value: report.value.flatten(),
    })
}

fn config(scenario: &Scenario, knobs: RunConfig) -> EngineConfig {
    // A policy that makes no sense was refused before; a check's own producers are not known yet.
    let policies = scenario.producers.iter().flat_map(policy_of);
    let timeout = policies.fold(0, |most, policy| most.max(policy.send_timeout));
    EngineConfig {
        seed: knobs.seed,
        ready_order: match knobs.ready_order {
            Order::Seeded => ReadyOrder::Seeded,
            Order::Fifo | Order::Drawn => ReadyOrder::Fifo,
        },
        limits: Limits {
            horizon_ms: longest(scenario, timeout),
            events: knobs.most_events.unwrap_or(Limits::default().events),
            ..Limits::default()
        },
        network: NetworkConfig {
            latency_ms: scenario.network.latency_ms,
            jitter_ms: scenario.network.jitter_ms,
            ..NetworkConfig::default()
        },
        ..EngineConfig::default()
    }
}

/// The time by which a run is over unless something hangs: each sync send may delay the next by its
/// timeout, a frozen producer by as long as it stands still.
fn longest(scenario: &Scenario, timeout: u64) -> u64 {
    let workloads = scenario.workloads.iter();
    let work = workloads.map(|one| one.start_ms + one.sends * one.every_ms.max(timeout));
    let planned = scenario.seconds * 1_000;
    let frozen: u64 = scenario
        .faults
        .iter()
        .filter(|fault| matches!(fault.kind, FaultKind::Freeze))
        .filter_map(|fault| fault.for_ms)
        .sum();
    let liveness = scenario.liveness_ms.map_or(0, |bound| bound + 2 * timeout);
    work.fold(planned, u64::max) + frozen + timeout + liveness + GRACE_MS
}

fn end(end: RunEnd) -> TraceEnd {
    let waits = |one: WaitingTask| UnfinishedTask {
        // What runs on no node is the laboratory's own.
        node: one.node.unwrap_or(NodeId::OUTSIDE),
        task: Name::from(one.task),
    };
    let all = |list: Vec<WaitingTask>| list.into_iter().map(waits).collect();
    match end {
        RunEnd::Finished => TraceEnd::Finished,
        RunEnd::Horizon { waiting } => TraceEnd::Horizon {
            waiting: all(waiting),
        },
        RunEnd::Deadlock { waiting, .. } => TraceEnd::Deadlock {
            waiting: all(waiting),
        },
        RunEnd::Livelock { last, .. } => {
            let last = waits(last);
            TraceEnd::Livelock {
                node: last.node,
                task: last.task,
            }
        }
        RunEnd::EventLimit { .. } => TraceEnd::EventLimit,
        RunEnd::Panicked { task, message } => {
            let task = waits(task);
            TraceEnd::Panicked {
                node: task.node,
                task: task.task,
                message,
            }
        }
    }
}

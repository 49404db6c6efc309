//! Less to do: fewer sends, a shorter run, plainer sends on a plainer network.

use rmq_remoting::profile::Profile;

use super::{Shrinker, fits};
use crate::fault::Position;
use crate::scenario::{
    Callback, Hooks, Limits, Order, ProducerPlan, Scenario, SendMode, Target, Workload,
};

/// Fewer sends and a shorter run.
pub(super) fn lessen(shrinker: &mut Shrinker<'_>) {
    if shrinker.failure.too_few {
        return;
    }
    for index in 0..shrinker.best.workloads.len() {
        let sends = move |scenario: &Scenario| Some(scenario.workloads[index].sends);
        shrinker.lower("sends", 1, sends, move |scenario, to| {
            change(scenario, index, |workload| workload.sends = to);
            cut_positions(scenario, index, to);
        });
        // The sends before the one that matters: the rest keep their time.
        shrinker.lower("sends", 1, sends, move |scenario, to| {
            let mut fewer = 0;
            change(scenario, index, |workload| {
                fewer = workload.sends - to;
                workload.start_ms += fewer * workload.every_ms;
                workload.sends = to;
            });
            shift_positions(scenario, index, fewer);
        });
        shrinker.lower(
            "first send at second",
            0,
            move |scenario| Some(scenario.workloads[index].start_ms.div_ceil(1_000)),
            move |scenario, to| change(scenario, index, |it| it.start_ms = to * 1_000),
        );
    }
    shrinker.lower(
        "seconds",
        1,
        |scenario| Some(scenario.seconds),
        |scenario, to| scenario.seconds = to,
    );
}

/// Everything a reader would otherwise have to think about.
pub(super) fn simplify(shrinker: &mut Shrinker<'_>) {
    shrinker.attempt("nothing demanded after the faults", |scenario| {
        scenario.liveness_ms = None;
    });
    shrinker.attempt("ready order fifo", |scenario| {
        scenario.network.ready_order = Order::Fifo;
    });
    shrinker.attempt("servers of the current release", |scenario| {
        scenario.cluster.profile = Profile::default();
    });
    shrinker.lower(
        "jitter",
        0,
        |scenario| Some(scenario.network.jitter_ms),
        |scenario, to| scenario.network.jitter_ms = to,
    );
    shrinker.lower(
        "latency",
        1,
        |scenario| Some(scenario.network.latency_ms),
        |scenario, to| scenario.network.latency_ms = to,
    );
    for index in 0..shrinker.best.workloads.len() {
        let changes: [(&str, Change<Workload>); 14] = [
            ("sync sends", |it| {
                it.mode = SendMode::Sync;
                it.callback = Callback::Plain;
            }),
            ("any queue", |it| it.target = Target::Any),
            ("a body of 16 bytes", |it| it.body_bytes = 16),
            ("one caller", |it| it.callers = 1),
            ("the producer's timeout", |it| it.timeout_ms = None),
            ("no tag", |it| it.tag = None),
            ("no delay level", |it| it.delay_level = None),
            ("no flag", |it| it.flag = 0),
            ("no property", |it| it.property = None),
            ("waiting until it is stored", |it| it.waits_stored = true),
            ("ids of the producer", |it| it.own_ids = false),
            ("no drop", |it| it.drop_after_ms = None),
            ("a plain callback", |it| it.callback = Callback::Plain),
            ("one send a second", |it| it.every_ms = 1_000),
        ];
        for (step, plainer) in changes {
            shrinker.attempt(step, |scenario| change(scenario, index, plainer));
        }
    }
    producers(shrinker);
}

/// Producers with the settings that they have if nobody says otherwise.
fn producers(shrinker: &mut Shrinker<'_>) {
    for index in 0..shrinker.best.producers.len() {
        let changes: [(&str, Change<ProducerPlan>); 16] = [
            ("the default group", |it| {
                it.group = format!("group-{}", it.name);
            }),
            ("the policy's timeout", |it| it.timeout_ms = None),
            ("the policy's retries", |it| it.retries = None),
            ("any first queue", |it| it.first_queue = None),
            ("any first name server", |it| it.first_name_server = None),
            ("any id", |it| it.id_constant = None),
            ("the first request's id", |it| it.first_opaque = None),
            ("the first message's id", |it| it.first_message = None),
            ("the policy's memory", |it| it.fault_tolerance = None),
            ("no early stop", |it| it.stop_ms = None),
            ("a stop at the end", |it| it.dropped = false),
            ("a client of its own", |it| it.client = None),
            ("the policy as it is", |it| it.changes = None),
            ("no limits", |it| it.limits = Limits::default()),
            ("no namespace", |it| it.namespace = None),
            ("no hooks", |it| it.hooks = Hooks::None),
        ];
        for (step, plainer) in changes {
            shrinker.attempt(step, |scenario| {
                plainer(&mut scenario.producers[index]);
                scenario.agree();
            });
        }
    }
}

/// Makes one part plainer.
type Change<T> = fn(&mut T);

fn change(scenario: &mut Scenario, index: usize, change: impl FnOnce(&mut Workload)) {
    change(&mut scenario.workloads[index]);
}

/// The sends that faults of a workload wait for: the first one, and how many.
fn positions(scenario: &mut Scenario, index: usize) -> impl Iterator<Item = (&mut u64, &mut u64)> {
    let number: u32 = fits(index as u64 + 1);
    scenario
        .faults
        .iter_mut()
        .filter_map(move |fault| match &mut fault.at {
            Position::Send {
                workload,
                send,
                sends,
                ..
            } if *workload == number => Some((send, sends)),
            _ => None,
        })
}

/// A fault at a send that is gone goes to the last one there is.
fn cut_positions(scenario: &mut Scenario, index: usize, sends: u64) {
    positions(scenario, index).for_each(|(send, count)| {
        *send = (*send).min(sends);
        *count = (*count).min(sends - *send + 1);
    });
}

/// The first sends are gone: a fault at a later one stays at that send.
fn shift_positions(scenario: &mut Scenario, index: usize, fewer: u64) {
    positions(scenario, index).for_each(|(send, count)| {
        let last = (*send + *count - 1).saturating_sub(fewer).max(1);
        *send = send.saturating_sub(fewer).max(1);
        *count = last - *send + 1;
    });
}

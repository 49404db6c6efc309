//! What a run has met: faults that struck, sends that were tried again, answers close to a deadline, rows
//! of the decision table.
//!
//! A sweep that passes says as much as its runs have met. A fault during which nobody sends, a rule for a
//! topic that is not there, an attempt that is answered at once: they all pass, and test nothing. So every
//! sweep counts from the traces what came together, prints it, and is red below a floor.

use std::collections::BTreeMap;

use rmq_producer::event::{Mode, Stage};
use rmq_remoting::observe::Name;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FaultEvent, FaultKind, Place};
use crate::invariant::CheckedRun;
use crate::scenario::Scenario;
use crate::trace::{NodeEvent, NodeId};

/// A fault that strikes once is felt for so long: a dial, and the sends that wait for it.
const FELT_MS: u64 = 1_000;
/// An answer this close to a deadline came together with it.
const NEAR_MS: u64 = 2;

/// What one run, or the runs of a sweep, have met.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// Faults that were planned.
    pub faults: u64,
    /// Those that met an attempt, a lookup or a dial of a producer, or, of a rule, a request.
    pub struck: u64,
    /// Sends that were called.
    pub sends: u64,
    /// Those with two attempts or more.
    pub retried: u64,
    /// Attempts that were accepted.
    pub accepted: u64,
    /// Those that were accepted within 2 ms of the end of their own time or of their send's.
    pub near: u64,
    /// How often each row of the decision table was met: mode, target, stage, code, attempts left.
    pub rows: BTreeMap<String, u64>,
    /// The runs in which a producer's policy differs in this key from its preset.
    pub changes: BTreeMap<String, u64>,
}

/// A share that is demanded of every long sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// What it is the share of, as a sweep prints it.
    pub what: &'static str,
    /// So many were met.
    pub met: u64,
    /// Of so many.
    pub of: u64,
    /// So many of a thousand are demanded.
    pub floor_per_mille: u32,
}

impl Share {
    /// Whether fewer were met than is demanded.
    #[must_use]
    pub fn is_below(&self) -> bool {
        u128::from(self.met) * 1_000 < u128::from(self.of) * u128::from(self.floor_per_mille)
    }
}

impl Coverage {
    /// Counts what a run has met.
    pub(crate) fn of(run: &CheckedRun<'_>, scenario: &Scenario) -> Self {
        let mut coverage = Self {
            faults: scenario.faults.len() as u64,
            struck: struck(run),
            ..Self::default()
        };
        for send in &run.history.sends {
            coverage.sends += 1;
            coverage.retried += u64::from(send.attempts.len() > 1);
            let policy = run.policy_of(send.producer());
            let allowed =
                policy.map_or(1, |it| it.attempts(send.mode, send.target_queue.is_some()));
            for attempt in &send.attempts {
                let Some(end) = attempt.ended else { continue };
                if end.stage == Stage::Accepted {
                    let own = attempt.started.ms.saturating_add(attempt.timeout_ms);
                    let is_near = |deadline: u64| end.timestamp.ms.abs_diff(deadline) <= NEAR_MS;
                    coverage.accepted += 1;
                    coverage.near += u64::from(is_near(own) || is_near(send.deadline_ms()));
                }
                let row = row(
                    (send.mode, send.target_queue.is_some()),
                    (end.stage, end.code),
                    allowed.saturating_sub(attempt.number),
                );
                *coverage.rows.entry(row).or_default() += 1;
            }
        }
        for changes in scenario
            .producers
            .iter()
            .filter_map(|it| it.changes.as_ref())
        {
            *coverage.changes.entry(changes.clone()).or_default() += 1;
        }
        coverage
    }

    /// Adds what other runs have met. Counts end at the largest number there is.
    pub fn add(&mut self, other: &Self) {
        let Self {
            faults,
            struck,
            sends,
            retried,
            accepted,
            near,
            rows,
            changes,
        } = other;
        let add = |sum: &mut u64, more: &u64| *sum = sum.saturating_add(*more);
        add(&mut self.faults, faults);
        add(&mut self.struck, struck);
        add(&mut self.sends, sends);
        add(&mut self.retried, retried);
        add(&mut self.accepted, accepted);
        add(&mut self.near, near);
        for (row, count) in rows {
            add(self.rows.entry(row.clone()).or_default(), count);
        }
        for (change, count) in changes {
            add(self.changes.entry(change.clone()).or_default(), count);
        }
    }

    /// The shares that are demanded of every long sweep.
    #[must_use]
    pub fn shares(&self) -> [Share; 3] {
        let share = |what, (met, of), floor_per_mille| Share {
            what,
            met,
            of,
            floor_per_mille,
        };
        [
            share("faults that struck", (self.struck, self.faults), 750),
            share(
                "sends with two attempts or more",
                (self.retried, self.sends),
                150,
            ),
            share(
                "answers within 2 ms of a deadline",
                (self.near, self.accepted),
                20,
            ),
        ]
    }
}

/// A row of the decision table, in words.
fn row(
    (mode, has_target_queue): (Mode, bool),
    (stage, code): (Stage, Option<i32>),
    left: u32,
) -> String {
    let mode = match mode {
        Mode::Sync => "sync",
        Mode::Async => "async",
        Mode::Oneway => "oneway",
    };
    let target = if has_target_queue { "target" } else { "any" };
    let left = if left > 0 { "more" } else { "last" };
    match code {
        Some(code) => format!("{mode} {target} {stage:?} {code} {left}"),
        None => format!("{mode} {target} {stage:?} {left}"),
    }
}

/// A fault while it was felt.
struct Felt<'t> {
    number: u32,
    data: &'t Fault,
    from_ms: u64,
    to_ms: u64,
}

/// How many faults of a run met something.
fn struck(run: &CheckedRun<'_>) -> u64 {
    let mut felt: Vec<Felt<'_>> = Vec::new();
    let mut applied: Vec<&Name> = Vec::new();
    for record in &run.trace.records {
        match &record.what {
            NodeEvent::Fault(FaultEvent::On { fault, data }) => felt.push(Felt {
                number: *fault,
                data,
                from_ms: record.ms,
                to_ms: match &data.kind {
                    FaultKind::BlackHole | FaultKind::HalfOpen => u64::MAX,
                    kind if kind.is_at_once() => record.ms + FELT_MS,
                    _ => u64::MAX,
                },
            }),
            NodeEvent::Fault(FaultEvent::Off { fault, .. }) => {
                let ended = felt.iter_mut().filter(|it| it.number == *fault);
                ended.for_each(|it| it.to_ms = record.ms.max(it.from_ms));
            }
            NodeEvent::Broker(rmq_mock_broker::event::Event::Ruled { rule, .. })
            | NodeEvent::NameServer(rmq_mock_namesrv::event::Event::Ruled { rule, .. }) => {
                applied.push(rule);
            }
            _ => {}
        }
    }
    applied.sort_unstable();
    applied.dedup();
    let has_struck = |it: &&Felt<'_>| match &it.data.kind {
        FaultKind::Rule(_) => {
            let name = format!("fault {}", it.number);
            applied
                .binary_search_by(|rule| (***rule).cmp(&name))
                .is_ok()
        }
        _ => met(run, it),
    };
    felt.iter().filter(has_struck).count() as u64
}

/// Whether an attempt, a lookup or a dial was under way at the place of a fault while it was felt.
fn met(run: &CheckedRun<'_>, felt: &Felt<'_>) -> bool {
    let at = |node: NodeId, server: Option<NodeId>| {
        let is = |name: &Name| run.header().node(name);
        match &felt.data.place {
            Place::Node(name) => is(name).is_some_and(|it| it == node || Some(it) == server),
            Place::Link { from: a, to: b } | Place::Pair { a, b } => {
                let (a, b) = (is(a), is(b));
                let (node, server) = (Some(node), server);
                (a == node && b == server) || (b == node && a == server)
            }
        }
    };
    let while_felt = |from_ms: u64, to_ms: u64| from_ms <= felt.to_ms && felt.from_ms <= to_ms;
    let attempt = run.attempts().any(|(send, attempt)| {
        let ended = attempt.ended.map(|end| end.timestamp.ms);
        let over = ended.or(send.over().map(|over| over.ms));
        while_felt(attempt.started.ms, over.unwrap_or(u64::MAX))
            && at(send.node, run.header().node(&attempt.to.broker))
    });
    let by_address = |address: &Name| {
        let mut nodes = run.header().nodes.iter();
        let found = nodes.position(|info| info.address.as_ref() == Some(address));
        found
            .and_then(|index| u16::try_from(index).ok())
            .map(NodeId)
    };
    attempt
        || run.history.lookups.iter().any(|lookup| {
            let ended = lookup.ended.map_or(u64::MAX, |(ended, _)| ended.ms);
            let mut servers = lookup.servers.iter();
            while_felt(lookup.started.ms, ended)
                && servers.any(|(_, server)| at(lookup.node, by_address(server)))
        })
        || run.history.connections.iter().any(|connection| {
            let opened = connection.opened.map(|(opened, _)| opened.ms);
            let until = opened.or(connection.failed.map(|failed| failed.ms));
            while_felt(connection.dialled.ms, until.unwrap_or(u64::MAX))
                && at(connection.node, by_address(connection.to))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Crash, FaultKind};
    use crate::invariant::scene::Scene;

    fn struck_in(scene: &Scene) -> u64 {
        struck(&CheckedRun::of(&scene.trace))
    }

    #[test]
    fn a_fault_strikes_if_an_attempt_is_under_way_where_it_is_and_not_otherwise() {
        let crash = || FaultKind::Crash(Crash::default());
        let during = |node: &str| {
            Scene::new()
                .at(1_000)
                .fault(1, crash(), node)
                .whole(1, "a/0")
                .at(1_100)
                .fault_ends(1, node)
        };
        assert_eq!(struck_in(&during("broker-a")), 1);
        assert_eq!(struck_in(&during("broker-b")), 0);
        let after = Scene::new().at(1_000).fault(1, crash(), "broker-a");
        let after = after.at(1_100).fault_ends(1, "broker-a");
        assert_eq!(struck_in(&after.at(2_000).whole(1, "a/0")), 0);
    }

    #[test]
    fn two_parts_add_up_to_the_whole() {
        let part = Coverage {
            faults: 3,
            struck: 2,
            sends: 10,
            retried: 1,
            accepted: 9,
            near: 1,
            rows: BTreeMap::from([("sync any Lost more".to_owned(), 1)]),
            changes: BTreeMap::new(),
        };
        let mut whole = part.clone();
        whole.add(&part);
        assert_eq!((whole.faults, whole.struck, whole.near), (6, 4, 2));
        assert_eq!(whole.rows["sync any Lost more"], 2);
        let below = whole.shares().map(|share| share.is_below());
        assert_eq!(below, [true, true, false]);
    }
}

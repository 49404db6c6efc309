//! What must hold in every run, whatever goes wrong in it.
//!
//! One file per invariant of the catalogue, all of one form: the constant `INVARIANT` with id,
//! title, checker and sides, the checker itself, and hand-written traces that it accepts and rejects. A
//! checker that rejects nothing checks nothing, so the registry's tests demand both of each *side*: of
//! each thing that it objects to.
//!
//! Checkers look at [`CheckedRun`]: the trace, the trace joined ([`History`]) and the ground truth of its
//! faults ([`Truth`]). What servers saw (evidence) is preferred to what the producer says of
//! itself (client-side events); where both exist they must agree.
//!
//! Each checker counts how often its *precondition* was true: an invariant about retries says nothing
//! about a run without one, and a sweep in which that count stays low has not tested it.
//!
//! Numbers of the catalogue that have no checker:
//!
//! | number | why |
//! |---|---|
//! | INV-28, everybody told | the producers of one client read one route table, and one record stands for all of them |
//! | INV-52, batches | the producer sends none |
//! | INV-53, transactions | the producer makes none |
//! | INV-58, submitting does not block | `send_with_callback` is no future: it cannot wait, and no trace could show it |

use std::collections::BTreeSet;
use std::net::SocketAddr;

use rmq_mock_broker::event::Ending;
use rmq_producer::event::{LookupReason, Mode};
use rmq_remoting::observe::Name;

use crate::trace::history::{
    AttemptHistory, History, ProducerKey, SendHistory, SnapshotHistory, Timestamp,
};
use crate::trace::record::Form;
use crate::trace::{NodeId, NodeKind, PolicyFacts, Trace, TraceEnd, TraceHeader, work};
use crate::truth::{self, Truth};
use crate::verdict::{Class, Finding, Verdict};

mod forgotten;
mod hedging;
mod inv_01_exactly_once;
mod inv_02_deadline;
mod inv_03_no_lost_success;
mod inv_04_no_early_timeout;
mod inv_05_true_errors;
mod inv_06_count;
mod inv_07_budget;
mod inv_08_liveness;
mod inv_09_not_the_last_one;
mod inv_10_coverage;
mod inv_11_one_policy;
mod inv_12_same_message;
mod inv_13_target_queue_stays;
mod inv_14_legal_target;
mod inv_15_snapshots_are_values;
mod inv_16_even_spread;
mod inv_17_spread_of_failover;
mod inv_18_avoidance;
mod inv_19_recovery;
mod inv_20_never_empty;
mod inv_21_key_stability;
mod inv_22_independence;
mod inv_23_freshness;
mod inv_24_poller_lives;
mod inv_25_no_going_back;
mod inv_26_keep_what_works;
mod inv_27_single_flight;
mod inv_29_auto_create_bounds;
mod inv_30_auto_create_spread;
mod inv_31_name_server_failover;
mod inv_32_name_server_list;
mod inv_33_name_server_load;
mod inv_34_ids;
mod inv_35_table_drains;
mod inv_36_permits_add_up;
mod inv_37_fail_fast;
mod inv_38_one_good_connection;
mod inv_39_requests_are_independent;
mod inv_40_peers_are_independent;
mod inv_41_dead_peers;
mod inv_42_kept_alive;
mod inv_43_drain;
mod inv_44_cadence;
mod inv_45_stop_is_bounded;
mod inv_46_siblings;
mod inv_47_confinement;
mod inv_48_no_residue;
mod inv_49_acknowledged_means_stored;
mod inv_50_copies_are_explained;
mod inv_51_order;
mod inv_54_ids_of_messages;
mod inv_55_replay;
mod inv_56_clock;
mod inv_57_no_panic;
mod inv_59_blast_radius;
mod lives;
mod pair;
mod side;

use hedging::HedgingBudget;
pub(crate) use side::Side;
use side::side;

#[cfg(test)]
mod linear;
#[cfg(test)]
pub(crate) mod scene;

/// Every invariant, in the order of the catalogue.
pub fn all() -> &'static [Invariant] {
    const {
        &[
            inv_01_exactly_once::INVARIANT,
            inv_02_deadline::INVARIANT,
            inv_03_no_lost_success::INVARIANT,
            inv_04_no_early_timeout::INVARIANT,
            inv_05_true_errors::INVARIANT,
            inv_06_count::INVARIANT,
            inv_07_budget::INVARIANT,
            inv_08_liveness::INVARIANT,
            inv_09_not_the_last_one::INVARIANT,
            inv_10_coverage::INVARIANT,
            inv_11_one_policy::INVARIANT,
            inv_12_same_message::INVARIANT,
            inv_13_target_queue_stays::INVARIANT,
            inv_14_legal_target::INVARIANT,
            inv_15_snapshots_are_values::INVARIANT,
            inv_16_even_spread::INVARIANT,
            inv_17_spread_of_failover::INVARIANT,
            inv_18_avoidance::INVARIANT,
            inv_19_recovery::INVARIANT,
            inv_20_never_empty::INVARIANT,
            inv_21_key_stability::INVARIANT,
            inv_22_independence::INVARIANT,
            inv_23_freshness::INVARIANT,
            inv_24_poller_lives::INVARIANT,
            inv_25_no_going_back::INVARIANT,
            inv_26_keep_what_works::INVARIANT,
            inv_27_single_flight::INVARIANT,
            inv_29_auto_create_bounds::INVARIANT,
            inv_30_auto_create_spread::INVARIANT,
            inv_31_name_server_failover::INVARIANT,
            inv_32_name_server_list::INVARIANT,
            inv_33_name_server_load::INVARIANT,
            inv_34_ids::INVARIANT,
            inv_35_table_drains::INVARIANT,
            inv_36_permits_add_up::INVARIANT,
            inv_37_fail_fast::INVARIANT,
            inv_38_one_good_connection::INVARIANT,
            inv_39_requests_are_independent::INVARIANT,
            inv_40_peers_are_independent::INVARIANT,
            inv_41_dead_peers::INVARIANT,
            inv_42_kept_alive::INVARIANT,
            inv_43_drain::INVARIANT,
            inv_44_cadence::INVARIANT,
            inv_45_stop_is_bounded::INVARIANT,
            inv_46_siblings::INVARIANT,
            inv_47_confinement::INVARIANT,
            inv_48_no_residue::INVARIANT,
            inv_49_acknowledged_means_stored::INVARIANT,
            inv_50_copies_are_explained::INVARIANT,
            inv_51_order::INVARIANT,
            inv_54_ids_of_messages::INVARIANT,
            inv_55_replay::INVARIANT,
            inv_56_clock::INVARIANT,
            inv_57_no_panic::INVARIANT,
            inv_59_blast_radius::INVARIANT,
        ]
    }
}

/// A property that every run must have, and how it is checked.
#[derive(Debug)]
pub struct Invariant {
    /// Its number in the catalogue: `INV-09`.
    pub id: &'static str,
    /// What reports call it, in a few words.
    pub title: &'static str,
    /// What it is checked from.
    pub source: Source,
    /// In how many of a thousand seeds of a sweep its precondition must be true at least once.
    pub rate_per_mille: u32,
    /// The function that checks it, of one run or of two.
    pub checker: Checker,
    /// What it objects to, each beside the examples that it accepts.
    pub sides: &'static [Side],
    #[cfg(test)]
    examples: &'static [scene::Example],
}

/// What an invariant is checked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// What servers, callers and connections saw.
    Evidence,
    /// What the producer says of itself.
    ClientEvents,
    /// Evidence and client-side events, which must agree.
    Both,
    /// The ground truth of the faults, and the two above.
    Truth,
    /// How the run ended.
    End,
    /// Two runs that differ in one thing, or in nothing.
    PairedRuns,
}

/// How an invariant is checked.
#[derive(Debug, Clone, Copy)]
pub enum Checker {
    /// Looks at one run, and notes what is wrong in the report.
    Run(fn(&CheckedRun<'_>, &mut CheckReport)),
    /// From two runs; the caller chooses what they differ in.
    PairedRuns(fn(&Trace, &Trace, &mut CheckReport)),
}

/// What a checker found.
#[derive(Debug)]
pub struct CheckReport {
    /// The number of the invariant whose findings these are.
    pub by: &'static str,
    /// How often there was something to check.
    pub precondition: u64,
    /// What is wrong, in the order it was noticed.
    pub findings: Vec<Finding>,
    /// Where the checker says so.
    #[cfg(test)]
    places: Vec<&'static std::panic::Location<'static>>,
}

impl CheckReport {
    fn new(by: &'static str) -> Self {
        CheckReport {
            by,
            precondition: 0,
            findings: Vec::new(),
            #[cfg(test)]
            places: Vec::new(),
        }
    }

    /// Counts one case in which the invariant has something to say.
    fn exercised(&mut self) {
        self.precondition += 1;
    }

    /// Notes what is wrong at a record.
    #[cfg_attr(test, track_caller)]
    fn wrong(&mut self, at: Timestamp, text: String) {
        #[cfg(test)]
        self.places.push(std::panic::Location::caller());
        self.findings.push(Finding {
            by: self.by,
            at: Some(at.at),
            text,
        });
    }
}

/// A run as the checkers see it.
#[derive(Debug)]
pub struct CheckedRun<'t> {
    /// The records of the run, in order.
    pub trace: &'t Trace,
    /// The same records, joined into sends, attempts, requests, lookups and connections.
    pub history: History<'t>,
    /// What the faults of the run did to which nodes, and when.
    pub truth: Truth,
    /// The hedging budget of each producer.
    budgets: Vec<(ProducerKey<'t>, Option<HedgingBudget>)>,
}

impl<'t> CheckedRun<'t> {
    /// Prepares a trace for its checkers.
    pub fn of(trace: &'t Trace) -> Self {
        let mut run = CheckedRun {
            trace,
            history: History::of(trace),
            truth: Truth::of(trace),
            budgets: Vec::new(),
        };
        // Checkers pass over a node without a policy: it must be none of those that they are about.
        let sends = run.history.sends.iter().map(|it| it.node);
        for node in sends.chain(run.history.lookups.iter().map(|it| it.node)) {
            let name = run.name(node);
            assert!(run.policy(node).is_some(), "{name} has no policy");
        }
        let producers = run.history.sends.iter().map(SendHistory::producer);
        let producers: BTreeSet<ProducerKey<'_>> = producers.collect();
        let budgets = producers.into_iter();
        run.budgets = budgets
            .map(|it| (it, HedgingBudget::of(&run, it)))
            .collect();
        run
    }

    pub(crate) fn header(&self) -> &'t TraceHeader {
        &self.trace.header
    }

    fn name(&self, node: NodeId) -> &'t str {
        self.trace.header.name(node)
    }

    /// The policy of a producer; every node that sends or looks a topic up has one.
    pub(crate) fn policy(&self, producer: NodeId) -> Option<&'t PolicyFacts> {
        self.trace.header.policy(producer)
    }

    /// Whether a route belongs to the default topic: the topic was unknown when it was asked for.
    fn is_borrowed(&self, route: &SnapshotHistory<'_>) -> bool {
        route
            .lookup
            .is_some_and(|index| self.history.lookups[index].reason == LookupReason::DefaultTopic)
    }

    /// Whether a topic may still be made on a broker at `timestamp`: the policy makes topics everywhere,
    /// this one went by the default topic's route with the broker in it, and nothing was sent there.
    fn may_be_made(&self, node: NodeId, topic: &Name, broker: &Name, timestamp: Timestamp) -> bool {
        let everywhere = self.policy(node).is_some_and(|it| it.creates_everywhere);
        let by_default = |route: &SnapshotHistory<'_>| {
            let here = route.node == node && route.topic == topic && route.timestamp <= timestamp;
            here && self.is_borrowed(route) && route.queues.has_broker(broker)
        };
        let known = self.history.snapshots.iter().any(by_default);
        everywhere && known && !self.was_tried(node, topic, broker, timestamp)
    }

    /// Whether a producer had made an attempt of the topic at a broker by then.
    fn was_tried(&self, node: NodeId, topic: &Name, broker: &Name, until: Timestamp) -> bool {
        self.attempts().any(|(send, attempt)| {
            let here = send.node == node && send.topic == topic;
            here && attempt.to.broker == *broker && attempt.started <= until
        })
    }

    /// Whether an answer to the message had no place in it, and may have gone to a client of another form, which
    /// reads what is not there as queue 0 and offset 0.
    fn was_told_no_place(&self, key: &Name) -> bool {
        let mut policies = self.header().policies.iter();
        let mut requests = self.history.requests.iter();
        policies.any(|it| it.form == Form::Parity)
            && requests.any(|it| {
                let empty = matches!(it.ended, Some((_, Ending::Empty { .. })));
                empty && it.seen.unique_key.as_ref() == Some(key)
            })
    }

    /// What was in the hedging budget of a producer; none if its policy does not hedge.
    fn hedging_budget(&self, producer: ProducerKey<'_>) -> Option<&HedgingBudget> {
        let (node, group) = producer;
        let mut own = self.budgets.iter();
        let own = own.find(|((its, of), _)| *its == node && *of == group);
        own?.1.as_ref()
    }

    /// Whether an address is that of a producer's end of a connection.
    fn is_of(&self, node: NodeId, local: SocketAddr) -> bool {
        let connection = self.history.connection_from(local);
        connection.is_some_and(|index| self.history.connections[index].node == node)
    }

    /// The policy of one producer, of those that may share the client of a node.
    pub(crate) fn policy_of(&self, producer: ProducerKey<'_>) -> Option<&'t PolicyFacts> {
        self.trace.header.policy_of(producer)
    }

    /// Since when what a route says may be out of date: when it was published, or what a name server
    /// that lied told of.
    fn as_of(&self, route: usize) -> u64 {
        let snapshot = &self.history.snapshots[route];
        let lookup = snapshot.lookup.map(|index| &self.history.lookups[index]);
        let told = snapshot.timestamp.ms;
        let asked = lookup.map_or(told, |lookup| lookup.started.ms);
        self.truth.answered_as_of(asked, told)
    }

    /// Whether a send spent its time waiting for others, because its producer may have only so many open.
    fn waited_for_others(&self, send: &SendHistory<'_>) -> bool {
        let limited = self
            .policy_of(send.producer())
            .is_some_and(PolicyFacts::is_limited);
        let first = send.attempts.first().map(|it| it.started);
        let began = first.or(send.over()).map_or(0, |it| it.ms);
        // Of a short time any part is missed.
        let slack_ms = self.header().slack_ms.min(send.timeout_ms / 4);
        limited && began > send.called.ms.saturating_add(slack_ms)
    }

    /// Whether the message asks for a delay, which the brokers of the laboratory refuse.
    fn asks_for_a_delay(&self, send: &SendHistory<'_>) -> bool {
        let mut requests = send.requests.iter().map(|it| &self.history.requests[*it]);
        requests.any(|it| it.seen.delay.is_some())
    }

    /// Whether the caller chose a queue that the topic's route does not have.
    fn chose_nowhere(&self, send: &SendHistory<'_>) -> bool {
        let last = send.attempts.last().and_then(|attempt| attempt.snapshot);
        let route = last.map(|index| &self.history.snapshots[index]);
        send.target_queue
            .zip(route)
            .is_some_and(|(queue, route)| !route.queues.contains(queue))
    }

    /// Whether a broker refused a queue that the producer could not know to be none: of a route that
    /// was borrowed from the default topic, because a name server did not know the topic yet (scenario
    /// `borrowed-route.toml`), or that an operator took away (`fewer-queues.toml`).
    fn no_such_queue(&self, send: &SendHistory<'_>) -> bool {
        let code = self.header().profile.invalid_parameter();
        let routes = |attempt: &AttemptHistory<'_>| {
            let routes = attempt.snapshot.into_iter().chain(send.selected_from);
            routes.map(|index| &self.history.snapshots[index])
        };
        send.attempts.iter().any(|attempt| {
            let refused = attempt.ended.and_then(|end| end.code) == Some(code);
            let borrowed = || routes(attempt).any(|route| self.is_borrowed(route));
            refused && (borrowed() || self.truth.was_resized(send.topic))
        })
    }

    /// The last millisecond in which `node` may do what it has to do within `bound_ms` of
    /// `from_ms`. The slack is added; a node that is frozen meanwhile has until it runs again.
    fn due(&self, node: NodeId, from_ms: u64, bound_ms: u64) -> u64 {
        let slack_ms = self.trace.header.slack_ms;
        let mut due = from_ms.saturating_add(bound_ms).saturating_add(slack_ms);
        while let Some(thaw) = self.truth.thaw(node, from_ms, due) {
            let later = thaw.saturating_add(slack_ms);
            if later <= due {
                break;
            }
            due = later;
        }
        due
    }

    /// When a producer dialled the connection to a name server that it has at `timestamp`, or had last.
    fn dialled(&self, producer: NodeId, server: NodeId, timestamp: Timestamp) -> Option<Timestamp> {
        let info = self.header().nodes.get(server.index());
        let address = info.and_then(|info| info.address.as_ref())?;
        let own = self.history.index.connections(producer, address);
        let mut dials = own
            .iter()
            .rev()
            .map(|it| self.history.connections[*it].dialled);
        dials.find(|dialled| *dialled < timestamp)
    }

    /// The last millisecond in which a send may end, by its producer's policy.
    fn send_due(&self, send: &SendHistory<'_>) -> u64 {
        let Some(policy) = self.policy_of(send.producer()) else {
            return u64::MAX;
        };
        let mut bound = send.timeout_ms;
        if send.mode == Mode::Async {
            bound = bound.saturating_add(policy.scan_ms);
        }
        if !policy.deadline_covers_all {
            // The lookups of the topic and of the default topic, two passes each, and one dial
            // are not charged to the send.
            let servers = self.header().of_kind(NodeKind::NameServer).count();
            let calls = u64::try_from(4 * servers + 1).unwrap_or(u64::MAX);
            bound = bound.saturating_add(policy.name_server_timeout_ms.saturating_mul(calls));
        }
        if policy.deadline_of_attempt {
            let attempts = policy.attempts(send.mode, send.target_queue.is_some());
            bound = bound.saturating_mul(attempts.into());
        }
        self.due(send.node, send.called.ms, bound)
    }

    /// The worst that `broker` was for a send at any time from `from_ms` to `to_ms`.
    ///
    /// A broker answers the send that creates a topic only after it has told its name servers,
    /// so for this one it is as ill as they are for it.
    fn worst_for(
        &self,
        send: &SendHistory<'_>,
        broker: NodeId,
        (from_ms, to_ms): (u64, u64),
    ) -> truth::Condition {
        let own = self.truth.worst(send.node, broker, from_ms, to_ms);
        let mut created = self.history.index.created(broker).iter();
        let creates = created.any(|(at, topic)| {
            let in_time = *at >= send.called && at.ms <= to_ms;
            in_time && *topic == send.topic
        });
        if !creates {
            return own;
        }
        let servers = self.header().of_kind(NodeKind::NameServer);
        let theirs = servers.map(|server| self.truth.worst(broker, server, from_ms, to_ms));
        theirs.fold(own, Ord::max)
    }

    /// Every attempt with its send.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = (&SendHistory<'t>, &AttemptHistory<'t>)> {
        work::done(self.history.sends.len());
        self.history
            .sends
            .iter()
            .flat_map(|send| send.attempts.iter().map(move |it| (send, it)))
    }

    /// The moment after everything that happened up to the end of this millisecond.
    fn after(&self, ms: u64) -> Timestamp {
        let at = self.trace.records.partition_point(|it| it.ms <= ms);
        Timestamp { at, ms }
    }

    /// The end of the run as a moment after all others.
    fn end(&self) -> Timestamp {
        Timestamp {
            at: self.trace.records.len(),
            ms: self.trace.end_ms,
        }
    }
}

/// The findings of one run by every invariant that needs only one.
#[derive(Debug)]
pub struct RunFindings {
    /// How often each invariant had something to say, in the order of [`all`].
    pub preconditions: Vec<(&'static str, u64)>,
    /// Everything found, the earliest record first.
    pub findings: Vec<Finding>,
}

/// Checks a run by every invariant that needs only one.
pub fn check(run: &CheckedRun<'_>) -> RunFindings {
    let mut findings = RunFindings {
        preconditions: Vec::with_capacity(all().len()),
        findings: vec![],
    };
    for invariant in all() {
        if let Checker::Run(check) = invariant.checker {
            let mut report = CheckReport::new(invariant.id);
            check(run, &mut report);
            findings
                .preconditions
                .push((invariant.id, report.precondition));
            findings.findings.append(&mut report.findings);
        }
    }
    findings
        .findings
        .sort_by_key(|finding| finding.at.unwrap_or(usize::MAX));
    findings
}

/// Checks two runs by the invariant of this id, which must be one of pairs.
pub(crate) fn check_pair(id: &str, one: &Trace, other: &Trace) -> CheckReport {
    let invariant = all().iter().find(|invariant| invariant.id == id);
    let Some((id, Checker::PairedRuns(check))) = invariant.map(|it| (it.id, it.checker)) else {
        unreachable!("{id} is no checker of two runs")
    };
    let mut report = CheckReport::new(id);
    check(one, other, &mut report);
    report
}

impl RunFindings {
    /// The verdict of a run: its end decides the class where it did not end well.
    pub fn verdict(&self, trace: &Trace) -> Verdict {
        let class = match &trace.end {
            TraceEnd::Panicked { .. } => Class::Panic,
            TraceEnd::Deadlock { .. } => Class::NoProgress,
            TraceEnd::Livelock { .. } | TraceEnd::EventLimit => Class::Limit,
            TraceEnd::Finished | TraceEnd::Horizon { .. } if self.findings.is_empty() => {
                Class::Pass
            }
            TraceEnd::Finished | TraceEnd::Horizon { .. } => Class::Violation,
        };
        Verdict {
            class,
            findings: self.findings.clone(),
            exercised: self.exercised(),
            not_judged: Vec::new(),
        }
    }

    /// How many invariants had something to say.
    pub fn exercised(&self) -> usize {
        self.preconditions
            .iter()
            .filter(|(_, count)| *count > 0)
            .count()
    }
}

#[cfg(test)]
mod tests;

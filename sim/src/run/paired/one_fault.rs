//! The one fault that the runs of a pair differ in.

use dst_engine::chance::{Chance, below};
use rmq_remoting::observe::Name;

use crate::fault::rule::{Delay, Since};
use crate::fault::{Fault, FaultKind, Place, Position, Rule, RuleAction, TARGET};
use crate::scenario::{Scenario, SendMode};
use crate::trace::NodeKind;

/// How long a fault lasts that is not the scenario's own.
const LASTS_MS: u64 = 10_000;

/// No broker answers the middle send of the first async workload; none if no workload is async.
pub(super) fn silence(scenario: &Scenario) -> Option<Fault> {
    let mut workloads = (1..).zip(&scenario.workloads);
    let (number, workload) = workloads.find(|(_, it)| it.mode == SendMode::Async)?;
    Some(Fault {
        kind: sends(RuleAction::DropReply, None),
        place: Place::Node(Name::from(TARGET)),
        at: Position::Send {
            workload: number,
            send: workload.sends.div_ceil(2),
            attempt: None,
            sends: 1,
            after_ms: 0,
        },
        for_ms: None,
        may_miss: false,
    })
}

/// One of the scenario's own faults at one server. If it has none, a broker gets one: a frame of garbage,
/// answers that are slow, dials that are refused, or a process that stands still. None if there
/// is no second broker, which could be a neighbour.
///
/// The choice is by what the faults are, so that taking away another one does not change it.
pub(super) fn blast(scenario: &Scenario, seed: u64) -> Option<Fault> {
    if scenario.cluster.brokers.len() < 2 {
        return None;
    }
    let chance = Chance::new(seed).part("blast", 0);
    let own = scenario
        .faults
        .iter()
        .filter(|it| is_at_one_server(scenario, it));
    let own = own.min_by_key(|it| chance.draw(&it.to_string(), 0));
    own.cloned().or_else(|| drawn(scenario, &chance))
}

/// Whether only one server is struck, and others that depend on it are told nothing wrong.
fn is_at_one_server(scenario: &Scenario, fault: &Fault) -> bool {
    let servers = fault
        .place
        .names()
        .filter_map(|name| scenario.kind_of(name));
    let mut servers = servers.filter(|kind| *kind != NodeKind::Producer);
    match (servers.next(), servers.next()) {
        (Some(NodeKind::Broker), None) => match &fault.at {
            // A rule at the target of several attempts is at several brokers.
            Position::Send { sends, attempt, .. } if fault.place.has_target() => {
                *sends == 1 && attempt.is_some()
            }
            _ => true,
        },
        // What a name server says is the affair of all who ask it.
        (Some(NodeKind::NameServer), None) => {
            scenario.cluster.name_servers > 1 && !fault.kind.kind().is_rule()
        }
        _ => false,
    }
}

fn drawn(scenario: &Scenario, chance: &Chance) -> Option<Fault> {
    let brokers = &scenario.cluster.brokers;
    let nth = below(chance.draw("broker", 0), brokers.len() as u64);
    let broker = brokers.get(usize::try_from(nth).ok()?)?;
    let kind = match chance.draw("kind", 0) % 4 {
        0 => sends(RuleAction::Garbage, Some(1)),
        1 => {
            let late = Delay {
                ms: 700,
                jitter_ms: 0,
                since: Since::Received,
            };
            sends(RuleAction::Delay(late), None)
        }
        2 => FaultKind::Refuse,
        _ => FaultKind::Freeze,
    };
    // Dials are made at the beginning.
    let ms = match &kind {
        FaultKind::Refuse => 0,
        _ => scenario.seconds * 1_000 / 3,
    };
    Some(Fault {
        kind,
        place: Place::Node(Name::clone(broker)),
        at: Position::Time { ms },
        for_ms: Some(LASTS_MS),
        may_miss: false,
    })
}

/// What a broker does with sends.
fn sends(then: RuleAction, times: Option<u32>) -> FaultKind {
    FaultKind::Rule(Rule {
        times,
        ..Rule::of(Rule::default_codes(true), then)
    })
}

//! Fewer nodes, topics and workloads.

use rmq_remoting::observe::Name;

use super::{Shrinker, fits};
use crate::fault::{Fault, Place, Position};
use crate::scenario::Scenario;

/// Takes away what has no part in the failure.
pub(super) fn remove(shrinker: &mut Shrinker<'_>) {
    if !shrinker.failure.too_few {
        for index in (0..shrinker.best.workloads.len()).rev() {
            let step = format!("without workload {}", index + 1);
            shrinker.attempt(&step, |scenario| without_workload(scenario, index));
        }
    }
    for name in names(shrinker.best.producers.iter().map(|plan| &plan.name)) {
        shrinker.attempt(&format!("without {name}"), |scenario| {
            while let Some(index) = scenario.workloads.iter().position(|it| it.producer == name) {
                without_workload(scenario, index);
            }
            scenario.producers.retain(|plan| plan.name != name);
            // Whoever shared its client has one of its own.
            let mut shared = scenario.producers.iter_mut();
            if let Some(heir) = shared.find(|plan| plan.client.as_ref() == Some(&name)) {
                heir.client = None;
                let heir = Name::clone(&heir.name);
                for plan in &mut scenario.producers {
                    if plan.client.as_ref() == Some(&name) {
                        plan.client = Some(Name::clone(&heir));
                    }
                }
            }
            scenario.faults.retain(|fault| !concerns(fault, &name));
        });
    }
    // The later ones first: `broker-a` is what a reader expects to be left.
    let brokers = names(shrinker.best.cluster.brokers.iter().rev());
    for name in brokers {
        shrinker.attempt(&format!("without {name}"), |scenario| {
            scenario.cluster.brokers.retain(|broker| *broker != name);
            scenario.faults.retain(|fault| !concerns(fault, &name));
        });
    }
    shrinker.lower(
        "name servers",
        1,
        |scenario| Some(u64::from(scenario.cluster.name_servers)),
        |scenario, to| {
            scenario.cluster.name_servers = fits(to);
            let left = scenario.cluster.name_server_names();
            let gone = |name: &str| name.starts_with("ns-") && !left.iter().any(|it| **it == *name);
            scenario.faults.retain(|fault| !touches(fault, &gone));
        },
    );
    for topic in names(shrinker.best.cluster.topics.iter().map(|(name, _)| name)) {
        shrinker.attempt(&format!("without the topic {topic}"), |scenario| {
            scenario.cluster.topics.retain(|(name, _)| *name != topic);
        });
    }
    for index in 0..shrinker.best.cluster.topics.len() {
        shrinker.lower(
            "queues of a topic",
            1,
            |scenario| Some(scenario.cluster.topics[index].1.unsigned_abs().into()),
            |scenario, to| scenario.cluster.topics[index].1 = fits(to),
        );
    }
}

fn names<'a>(names: impl Iterator<Item = &'a Name>) -> Vec<Name> {
    names.map(Name::clone).collect()
}

/// Removes a workload, the faults that wait for its sends, and its place in the count of others.
fn without_workload(scenario: &mut Scenario, index: usize) {
    scenario.workloads.remove(index);
    let number: u32 = fits(index as u64 + 1);
    let waits =
        |fault: &Fault| matches!(fault.at, Position::Send { workload, .. } if workload == number);
    scenario.faults.retain(|fault| !waits(fault));
    for fault in &mut scenario.faults {
        if let Position::Send { workload, .. } = &mut fault.at
            && *workload > number
        {
            *workload -= 1;
        }
    }
}

fn concerns(fault: &Fault, name: &Name) -> bool {
    touches(fault, &|node| node == &**name)
}

fn touches(fault: &Fault, is_it: &dyn Fn(&str) -> bool) -> bool {
    match &fault.place {
        Place::Node(node) => is_it(node),
        Place::Link { from: a, to: b } | Place::Pair { a, b } => is_it(a) || is_it(b),
    }
}

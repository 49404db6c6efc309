//! Scenarios that nobody thought of.
//!
//! A person writes scenarios for the bugs they expect; a generator finds the others, if it is broad
//! rather than clever. So nothing here aims at a known bug. A seed first decides which *kinds* of
//! fault exist in its run at all: a run with every kind at once hides most of them behind the worst,
//! and a run with two or three goes deep. Then come the cluster, the network, the producers and
//! what they send, and at last the faults, anchored to a time or to a send and never to "the n-th
//! request of a broker", so that taking one away does not shift what another one hits.
//!
//! Every knob is drawn by its name (`draw`), and a fault's kind is the one that wins a draw of its
//! own, so that a new knob or a new kind moves no other.
//!
//! Near-coincidence is sought, not avoided: in a part of the runs answers come within a millisecond
//! of a send's deadline, or of the end of an attempt's share.
//!
//! - `knobs`: the plain struct, and the cluster; `work`: producers and workloads.
//! - `kinds`: which faults there may be, and what each of them draws; `plan`: where and when.

mod draw;
mod kinds;
mod knobs;
mod plan;
mod work;

pub(crate) use draw::Draw;
pub(crate) use kinds::Target;
pub(crate) use knobs::Knobs;

use crate::scenario::Scenario;

/// The scenario of a seed. The same seed gives the same scenario.
pub fn generate(seed: u64) -> Scenario {
    Knobs::draw(seed).scenario()
}

#[cfg(test)]
mod tests {
    use rmq_remoting::observe::Name;

    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::fault::{Place, Position};

    #[test]
    fn the_same_seed_gives_the_same_scenario_and_another_seed_another_one() {
        assert_eq!(generate(7), generate(7));
        assert_ne!(generate(7).workloads, generate(8).workloads);
    }

    #[test]
    fn every_kind_of_fault_occurs_and_none_of_them_in_every_run() {
        let mut runs: BTreeMap<&str, u32> = BTreeMap::new();
        for seed in 0..1_000 {
            let kinds: BTreeSet<_> = generate(seed)
                .faults
                .iter()
                .map(|fault| fault.kind.name())
                .collect();
            for kind in kinds {
                *runs.entry(kind).or_default() += 1;
            }
        }
        for kind in kinds::all() {
            let of = runs.get(kind.name).copied().unwrap_or(0);
            assert!((20..500).contains(&of), "{}: {of} of 1000", kind.name);
        }
    }

    #[test]
    fn a_generated_scenario_names_only_what_it_has() {
        for seed in 0..500 {
            let scenario = generate(seed);
            let mut nodes: BTreeSet<_> = scenario.cluster.name_server_names().into_iter().collect();
            nodes.extend(scenario.cluster.brokers.iter().cloned());
            nodes.extend(scenario.producers.iter().map(|one| Name::clone(&one.name)));
            for fault in &scenario.faults {
                let known = match &fault.place {
                    Place::Node(node) => nodes.contains(node),
                    Place::Link { from: a, to: b } | Place::Pair { a, b } => {
                        a != b && nodes.contains(a) && nodes.contains(b)
                    }
                };
                assert!(known, "seed {seed}: {fault}");
                match fault.at {
                    Position::Time { ms } => assert!(ms < scenario.seconds * 1_000),
                    Position::Send { workload, send, .. } => {
                        let workload = &scenario.workloads[workload as usize - 1];
                        assert!((1..=workload.sends).contains(&send), "seed {seed}");
                    }
                    Position::Received { .. } | Position::Stored { .. } => {
                        panic!("seed {seed}: a position that counts requests")
                    }
                }
            }
            for workload in &scenario.workloads {
                let last = workload.start_ms + (workload.sends - 1) * workload.every_ms;
                assert!(last < scenario.seconds * 1_000, "seed {seed}");
                assert!(nodes.contains(&workload.producer));
            }
        }
    }

    #[test]
    fn the_standard_size_is_about_sixty_sends() {
        for seed in 0..500 {
            let sends: u64 = generate(seed).workloads.iter().map(|one| one.sends).sum();
            assert!((40..=80).contains(&sends), "seed {seed}: {sends} sends");
        }
    }
}

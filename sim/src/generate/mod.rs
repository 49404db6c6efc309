//! Scenarios that nobody thought of.
//!
//! A person writes scenarios for the bugs they expect; a generator finds the others, if it is broad
//! rather than clever. So nothing here aims at a known bug. A seed first decides which *kinds* of
//! fault exist in its run at all: a run with every kind at once hides most of them behind the worst,
//! and a run with two or three goes deep. Then come the cluster, the network, the producers and what
//! they send, and at last the faults. Most of them wait for a send and are where it goes, since one that
//! meets nothing has tested nothing; none waits for "the n-th request of a broker", so that taking one away
//! does not shift what another one hits.
//!
//! Every knob is drawn by its name (`draw`), and a fault's kind is the one that wins a draw of its
//! own, so that a new knob or a new kind moves no other.
//!
//! Near-coincidence is sought, not avoided: in a part of the runs answers come within a millisecond
//! of a send's deadline, or of the end of an attempt's share, counted from the attempt's own start.
//!
//! - `knobs`: the plain struct, and the cluster; `work`: producers and workloads.
//! - `kinds`: which faults there may be, and what each of them draws; `plan`: where and when; `aim`:
//!   faults that aim at a row of the decision table; `situation`: faults that know of each other.
//! - `check`: faults of a check, whose program is not known.

mod aim;
mod check;
mod draw;
mod kinds;
mod knobs;
mod plan;
mod situation;
mod work;

pub(crate) use check::{OfCheck, kinds as kinds_of_check};
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
    use crate::fault::{Place, Position, TARGET};
    use crate::scenario::{Hooks, Limits, ProducerPlan, SendMode, Target, Workload};

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
            assert!((15..700).contains(&of), "{}: {of} of 1000", kind.name);
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
                if fault.place.has_target() {
                    let waits = matches!(fault.at, Position::Send { .. });
                    assert!(waits, "seed {seed}: {fault} waits for no send");
                }
                nodes.insert(Name::from(TARGET));
                let known = match &fault.place {
                    Place::Node(node) => nodes.contains(node),
                    Place::Link { from: a, to: b } | Place::Pair { a, b } => {
                        a != b && nodes.contains(a) && nodes.contains(b)
                    }
                };
                assert!(known, "seed {seed}: {fault}");
                match fault.at {
                    Position::Time { ms } => assert!(ms < scenario.seconds * 1_000),
                    Position::Send {
                        workload,
                        send,
                        sends,
                        ..
                    } => {
                        let workload = &scenario.workloads[workload as usize - 1];
                        let last = send + sends - 1;
                        assert!(
                            send > 0 && (send..=workload.sends).contains(&last),
                            "seed {seed}"
                        );
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
    fn most_runs_have_about_sixty_sends_and_some_have_hundreds() {
        let sends = |seed| -> u64 { generate(seed).workloads.iter().map(|one| one.sends).sum() };
        let all: Vec<u64> = (0..500).map(sends).collect();
        let usual = all
            .iter()
            .filter(|sends| (40..=80).contains(*sends))
            .count();
        let many = all.iter().filter(|sends| **sends > 200).count();
        assert!((350..480).contains(&usual), "{usual} of 500");
        assert!((15..100).contains(&many), "{many} of 500");
    }

    #[test]
    fn what_a_program_can_do_is_drawn() {
        let plans: Vec<Scenario> = (0..1_000).map(generate).collect();
        let any = |is: &dyn Fn(&Scenario) -> bool| plans.iter().filter(|it| is(it)).count();
        let of_producer =
            |is: &'static dyn Fn(&ProducerPlan) -> bool| any(&|it| it.producers.iter().any(is));
        let of_work =
            |is: &'static dyn Fn(&Workload) -> bool| any(&|it| it.workloads.iter().any(is));
        let drawn = [
            ("limits", of_producer(&|it| it.limits != Limits::default())),
            ("a refusal when full", of_producer(&|it| it.limits.refuses)),
            ("a namespace", of_producer(&|it| it.namespace.is_some())),
            (
                "hooks that panic",
                of_producer(&|it| it.hooks == Hooks::Panic),
            ),
            (
                "a hook that forbids",
                of_producer(&|it| matches!(it.hooks, Hooks::Forbid(_))),
            ),
            (
                "a hook that watches",
                of_producer(&|it| it.hooks == Hooks::Watch),
            ),
            (
                "ids of messages near their end",
                of_producer(&|it| it.first_message.is_some()),
            ),
            (
                "a limit of sends and bytes",
                of_producer(&|it| it.limits.sends.is_some() && it.limits.bytes.is_some()),
            ),
            (
                "a queue of another topic",
                of_work(&|it| it.target.other_topic().is_some()),
            ),
            ("a delay", of_work(&|it| it.delay_level.is_some())),
            ("a changed policy", of_producer(&|it| it.changes.is_some())),
            (
                "a timeout of a send",
                of_work(&|it| it.timeout_ms.is_some()),
            ),
            ("a random queue", of_work(&|it| it.target == Target::Random)),
            (
                "a selector of its own",
                of_work(&|it| it.target == Target::Last),
            ),
            (
                "a selector without a choice",
                of_work(&|it| it.target == Target::Nothing),
            ),
            ("ids of its own", of_work(&|it| it.own_ids)),
            ("a flag", of_work(&|it| it.flag != 0)),
            ("a property", of_work(&|it| it.property.is_some())),
            ("no waiting", of_work(&|it| !it.waits_stored)),
            (
                "a topic on a part of the brokers",
                any(&|it| !it.cluster.only_on.is_empty()),
            ),
            (
                "a broker without a master",
                any(&|it| !it.cluster.without_master.is_empty()),
            ),
        ];
        for (what, of) in drawn {
            assert!((15..600).contains(&of), "{what}: {of} of 1000");
        }
        for mode in [SendMode::Sync, SendMode::Async, SendMode::Oneway] {
            let pinned = |it: &Workload| matches!(it.target, Target::Queue { .. });
            let of = any(&|it| it.workloads.iter().any(|it| it.mode == mode && pinned(it)));
            assert!((25..600).contains(&of), "{mode:?} to a queue: {of} of 1000");
        }
    }
}

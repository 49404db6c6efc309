//! Every scenario file passes on any seed, and what it shows on seed 7 is kept
//! as a snapshot. A change of a snapshot is a change of behaviour and is reviewed as such. A scenario
//! whose thousands of sends make figures and no readable trace has no snapshot.

use rmq_sim::trace::short;
use rmq_tests::{play, scenarios};

/// Nobody reviews more lines than these.
const LONGEST_TRACE: usize = 1_000;

#[test]
fn each_scenario_shows_what_its_snapshot_shows() {
    for scenario in scenarios() {
        let run = play(&scenario, 7);
        let text = short::render(&run.trace);
        if text.lines().count() > LONGEST_TRACE {
            continue;
        }
        let name = scenario.name.trim_end_matches(".toml");
        insta::with_settings!({ description => &scenario.name, omit_expression => true }, {
            insta::assert_snapshot!(name, text);
        });
    }
}

#[test]
fn each_scenario_holds_its_expectations_and_every_invariant_on_other_seeds_too() {
    for scenario in scenarios() {
        for seed in 0..20 {
            let run = play(&scenario, seed);
            assert!(
                run.verdict.is_pass(),
                "{} seed {seed}: {}",
                scenario.name,
                run.verdict
            );
        }
    }
}

//! Every model holds over thousands of schedules, and rejects each mutation of its source.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rmq_models::{BROKEN, Model, SOUND};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

/// Schedules for each model and each of the two ways to choose them.
const SCHEDULES: usize = 2_000;
/// Changes of priority in a schedule: most races need one or two.
const CHANGES: usize = 3;

fn check(model: &Model) {
    let run = model.run;
    let random = RandomScheduler::new_from_seed(7, SCHEDULES);
    Runner::new(random, Config::new()).run(run);
    let few_changes = PctScheduler::new_from_seed(7, CHANGES, SCHEDULES);
    Runner::new(few_changes, Config::new()).run(run);
}

#[test]
fn every_model_holds_on_every_schedule() {
    assert!(
        !SOUND.is_empty(),
        "the crates beside this one were not found"
    );
    for model in SOUND {
        println!("{}", model.name);
        check(model);
    }
}

#[test]
fn every_mutation_is_rejected_by_its_model() {
    assert!(!BROKEN.is_empty(), "no mutation was planted");
    let survives = |model: &&Model| catch_unwind(AssertUnwindSafe(|| check(model))).is_ok();
    let survivors: Vec<_> = BROKEN.iter().filter(survives).collect();
    assert!(survivors.is_empty(), "nobody saw {survivors:?}");
}

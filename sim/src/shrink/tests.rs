//! The shrinker against predicates that know the answer, and against real runs.

use super::*;
use crate::fault::{FaultKind, Place};

fn parse(text: &str) -> Scenario {
    Scenario::parse("test.toml", text, &|_| Ok(String::new())).unwrap()
}

/// A scenario with more nodes, faults and workloads than it needs to fail.
fn large() -> Scenario {
    let mut text = "format = 2\nseconds = 60\n\
        [cluster]\nname-servers = 3\nbrokers = [\"broker-a\", \"broker-b\", \"broker-c\"]\n\
        topics = { orders = 4, other = 2 }\n\
        [network]\nlatency = { ms = 2, jitter = 3 }\nready-order = \"seeded\"\n\
        [producer.p1]\ntimeout = \"2s\"\n[producer.p2]\n\
        [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 40\n\
        [[workload]]\nproducer = \"p2\"\ntopic = \"other\"\nmode = \"async\"\nsends = 40\n"
        .to_owned();
    for (at, broker) in (1..40).zip("abc".chars().cycle()) {
        text.push_str(&format!(
            "[[fault]]\ndo = \"freeze\"\non = \"broker-{broker}\"\nat = \"{at}s\"\nfor = \"5s\"\n\
             [[fault]]\ndo = \"delay\"\non = \"broker-{broker}\"\nby = \"700ms\"\nper-mille = 300\n\
             at = {{ send = {at}, workload = 2 }}\n"
        ));
    }
    parse(&text)
}

fn id(by: &'static str) -> FailureId {
    FailureId {
        class: Class::Violation,
        by,
        figure: None,
        too_few: false,
        said: None,
    }
}

fn shrunk(scenario: &Scenario, failing: &dyn Fn(&Scenario) -> Option<FailureId>) -> Shrunk {
    let failing = |it: &Scenario| Ok(failing(it));
    shrink(scenario, &failing, Limit::of_runs(2_000), &mut |_| {})
        .unwrap()
        .unwrap()
}

/// Fails while a freeze of broker-b meets a delay of a second workload.
fn two_faults(scenario: &Scenario) -> Option<FailureId> {
    let frozen = scenario.faults.iter().any(|fault| {
        fault.kind == FaultKind::Freeze && fault.place == Place::Node("broker-b".into())
    });
    let delayed = scenario.faults.iter().any(|fault| {
        matches!(&fault.kind, FaultKind::Rule(rule) if rule.per_mille.is_some())
            && fault.for_ms.is_none()
    });
    match (frozen, delayed) {
        (true, true) => Some(id("INV-09")),
        (true, false) => Some(id("INV-02")),
        _ => None,
    }
}

#[test]
fn what_has_no_part_in_the_failure_is_taken_away() {
    let shrunk = shrunk(&large(), &two_faults);
    assert_eq!(shrunk.failure, id("INV-09"));
    assert!(shrunk.complete);
    let small = &shrunk.scenario;
    assert_eq!(small.faults.len(), 2, "{}", small.to_toml());
    assert_eq!(small.cluster.name_servers, 1);
    assert!(small.producers.len() <= 1 && small.workloads.len() <= 1);
    assert_eq!(small.network, crate::scenario::NetworkPlan::default());
    assert_eq!(small.seconds, 1, "{}", small.to_toml());
    assert_eq!(small.workloads[0].sends, 1);
    let (step, passing) = shrunk.passing.unwrap();
    assert!(step.starts_with("without the fault"), "{step}");
    assert_eq!(two_faults(&passing), None);
}

#[test]
fn the_same_failure_shrinks_to_the_same_file_in_as_many_runs() {
    let (first, second) = (shrunk(&large(), &two_faults), shrunk(&large(), &two_faults));
    assert_eq!(first.scenario.to_toml(), second.scenario.to_toml());
    assert_eq!((first.runs, first.steps), (second.runs, second.steps));
}

#[test]
fn a_pass_is_nothing_to_shrink() {
    let nothing = shrink(&large(), &|_| Ok(None), Limit::of_runs(100), &mut |_| {});
    assert!(nothing.unwrap().is_none());
}

#[test]
fn a_run_that_cannot_be_made_is_an_error_and_no_pass() {
    let failing = |it: &Scenario| match it.faults.len() {
        40.. => Ok(Some(id("INV-01"))),
        _ => Err(RunError::Broken("no runtime".to_owned())),
    };
    let error = shrink(&large(), &failing, Limit::of_runs(100), &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "no runtime");
}

#[test]
fn the_limit_of_runs_ends_it_with_a_scenario_that_still_fails() {
    let mut told = 0;
    let failing = |it: &Scenario| Ok(two_faults(it));
    let shrunk = shrink(&large(), &failing, Limit::of_runs(9), &mut |_| told += 1);
    let shrunk = shrunk.unwrap().unwrap();
    assert_eq!((shrunk.runs, told, shrunk.complete), (9, 8, false));
    assert_eq!(two_faults(&shrunk.scenario), Some(shrunk.failure));
}

#[test]
fn a_figure_goes_down_to_the_smallest_that_still_fails() {
    let threshold = |scenario: &Scenario| {
        let sends: u64 = scenario.workloads.iter().map(|it| it.sends).sum();
        (sends >= 13 && scenario.seconds >= 37).then(|| id("INV-01"))
    };
    let small = shrunk(&large(), &threshold).scenario;
    let sends: u64 = small.workloads.iter().map(|it| it.sends).sum();
    assert_eq!((small.seconds, sends, small.faults.len()), (37, 13, 0));
}

#[test]
fn a_missed_expectation_shrinks_in_real_runs_to_the_fault_that_causes_it() {
    let mut text = large().to_toml();
    text.push_str(
        "\n[[fault]]\ndo = \"answer\"\non = [\"broker-a\", \"broker-b\", \"broker-c\"]\n\
         code = \"NO_PERMISSION\"\nat = { send = 17 }\n\n[expect]\nfailed = 0\nok = 80\n",
    );
    let scenario = parse(&text);
    let runs = failing(7);
    let failing = |it: &Scenario| runs(it).unwrap();
    let failure = failing(&scenario).unwrap();
    assert_eq!(failure.figure, Some("failed"), "{failure:?}");
    let shrunk = shrunk(&scenario, &failing);
    let small = &shrunk.scenario;
    assert!(small.faults.len() <= 3, "{}", small.to_toml());
    assert_eq!(small.expect.ok, None);
    assert_eq!(failing(small), Some(shrunk.failure));
    assert!(small.workloads[0].sends <= 2, "{}", small.to_toml());
}

//! A fault never gets lost in silence: one whose node comes later waits for it, and one that names
//! what cannot be is refused.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use rmq_producer::Message;
use rmq_sim::fault::{EngineKind, Fault, FaultKind, Place, Position};
use rmq_sim::internals::generate::generate;
use rmq_sim::run::{Effect, Missed, Run, RunError, run};
use rmq_sim::simulation::{Cluster, Simulation, freeze, partition};

/// Twenty sends of a producer that is started when the cluster is up, long after second 0.
fn twenty_sends(fault: impl Into<Fault>) -> (Run, u32) {
    let cluster = Cluster::new().brokers(1).topic("orders", 4);
    let good = std::cell::Cell::new(0);
    let run = Simulation::new(cluster).fault(fault).run(3, async |sim| {
        let app = sim.producer("app").send_timeout(Duration::from_millis(300));
        let app = app.start().await?;
        for n in 0..20 {
            let sent = app.send(Message::new("orders", format!("order {n}"))).await;
            good.set(good.get() + u32::from(sent.is_ok()));
        }
        app.stop().await;
        Ok(())
    });
    let run = run.unwrap_or_else(|error| panic!("{error}"));
    (run, good.get())
}

#[test]
fn a_partition_from_second_0_cuts_off_a_producer_that_is_started_later() {
    let (run, good) = twenty_sends(partition("app", "broker-a"));
    assert_eq!(good, 0, "sends got through a partition");
    assert!(run.effects[0].struck > Some(0), "{:?}", run.effects);
}

#[test]
fn a_partition_that_is_over_before_its_node_comes_strikes_nothing() {
    let (run, good) = twenty_sends(partition("app", "broker-a").lasting(Duration::from_millis(1)));
    assert_eq!(good, 20);
    assert_eq!(run.effects[0].missed(), Some(Missed::NeverStruck));
}

#[test]
fn a_process_of_the_check_itself_can_be_frozen_from_second_0() {
    let (run, good) = twenty_sends(freeze("app").for_secs(2));
    assert!(good < 20, "nobody froze");
    assert!(run.effects[0].struck > Some(0), "{:?}", run.effects);
}

#[test]
fn a_fault_of_a_node_that_never_comes_is_told_by_what_it_waited_for() {
    let (run, good) = twenty_sends(partition("ap", "broker-a"));
    assert_eq!(good, 20);
    let missed: Vec<_> = run.effects.iter().map(Effect::missed).collect();
    assert_eq!(missed, [Some(Missed::NoSuchNode)]);
}

#[test]
#[should_panic(expected = "names a node that was never there")]
fn a_check_with_a_misspelt_node_fails() {
    let cluster = Cluster::new().brokers(1).topic("orders", 4);
    let check = Simulation::new(cluster).fault(partition("ap", "broker-a"));
    check.seeds(0..2).check(async |sim| {
        sim.producer("app").start().await?.stop().await;
        Ok(())
    });
}

/// Runs a generated scenario with this fault instead of its own.
fn with_fault(kind: FaultKind, place: Place) -> Result<Run, RunError> {
    let mut scenario = generate(3);
    scenario.faults = vec![Fault {
        kind,
        place,
        at: Position::Time { ms: 0 },
        for_ms: None,
        may_miss: false,
    }];
    run(&Arc::new(scenario), 3, EngineKind::Event)
}

#[test]
fn a_scenario_whose_fault_names_no_node_or_the_wrong_kind_of_place_is_refused() {
    let node = |name: &str| Place::Node(name.into());
    let pair = |a: &str, b: &str| Place::Pair {
        a: a.into(),
        b: b.into(),
    };
    let refused = [
        (FaultKind::Freeze, node("broker-z")),
        (FaultKind::Partition, pair("p1", "broker-z")),
        (FaultKind::Partition, pair("p1", "p1")),
        (FaultKind::Partition, node("broker-a")),
        (FaultKind::ReadOnly, node("ns-1")),
        (FaultKind::Freeze, pair("p1", "broker-a")),
    ];
    for (kind, place) in refused {
        let run = with_fault(kind.clone(), place.clone());
        assert!(
            matches!(run, Err(RunError::Fault { .. })),
            "{kind:?} on {place}"
        );
    }
    assert!(with_fault(FaultKind::Freeze, node("broker-a")).is_ok());
}

#[test]
fn all_faults_that_make_no_sense_are_refused_at_once() {
    let mut scenario = generate(3);
    let freeze = |name: &str| Fault {
        kind: FaultKind::Freeze,
        place: Place::Node(name.into()),
        at: Position::Time { ms: 0 },
        for_ms: None,
        may_miss: false,
    };
    scenario.faults = vec![freeze("broker-y"), freeze("broker-a"), freeze("broker-z")];
    let Err(RunError::Several(errors)) = run(&Arc::new(scenario), 3, EngineKind::Event) else {
        panic!("two of the three are refused");
    };
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts[0].contains("broker-y") && texts[1].contains("broker-z"),
        "{texts:?}"
    );
    let text = RunError::Several(errors).to_string();
    assert_eq!(text.matches("\n  remedy: ").count(), 2, "{text}");
}

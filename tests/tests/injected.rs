//! Faults that a check starts itself: they begin and end where its code says so, are believed by the checkers
//! as those of a plan are, and a line whose faults strike in no seed fails the check.

use std::fmt::Write as _;
use std::time::Duration;

use parking_lot::Mutex;
use rmq_producer::{Message, Policy};
use rmq_remoting::code::response;
use rmq_sim::fault::FaultEvent;
use rmq_sim::run::Run;
use rmq_sim::simulation::{
    CheckError, Cluster, InjectedFault, Sim, Simulation, answer, black_hole, crash, drop_replies,
    freeze, latency, partition, power_loss, refuse, stop,
};
use rmq_sim::trace::NodeEvent;

const MS: Duration = Duration::from_millis(1);

fn cluster() -> Simulation {
    Simulation::new(Cluster::new().brokers(2).topic("orders", 4)).seeds(0..20)
}

fn order(n: usize) -> Message {
    Message::new("orders", format!("order {n}"))
}

/// When faults began and ended in a run, in milliseconds.
fn faults(run: &Run) -> Vec<(u64, u32, bool)> {
    let records = run.trace.records.iter();
    let faults = records.filter_map(|record| match &record.what {
        NodeEvent::Fault(FaultEvent::On { fault, .. }) => Some((record.ms, *fault, true)),
        NodeEvent::Fault(FaultEvent::Off { fault, .. }) => Some((record.ms, *fault, false)),
        _ => None,
    });
    faults.collect()
}

/// What a check says that must not pass.
fn refusal(
    simulation: Simulation,
    check: impl AsyncFn(Sim) -> Result<(), CheckError> + Sync,
) -> String {
    match simulation.try_check(check) {
        Ok(checked) => format!("IT PASSED: {checked}"),
        Err(failure) => failure.to_string(),
    }
}

/// What a check says without what moves when this file changes, and without the trace.
fn without_lines(said: &str) -> String {
    let told = said.split("\ntrace ").next().unwrap_or(said);
    let kept = told.lines().filter(|line| !line.starts_with("repeat"));
    let kept = kept.map(|line| line.split(" (tests/").next().unwrap_or(line));
    let kept = kept.map(|line| match line.split_once(", injected at ") {
        Some((before, behind)) => {
            let (_, behind) = behind.split_once(',').unwrap_or_default();
            format!("{before}, injected at …,{behind}")
        }
        None => line.to_owned(),
    });
    kept.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_fault_lasts_as_long_as_its_guard_and_is_in_the_trace_behind_those_of_the_plan() {
    let simulation = cluster().fault(freeze("broker-b").at_secs(1).for_secs(1));
    let run = simulation.run(7, async |sim| {
        sim.until_secs(2).await;
        let down = sim.crash("broker-a");
        sim.until_secs(3).await;
        down.heal();
        sim.until_secs(4).await;
        {
            let _cut = sim.partition("broker-a", "ns-1");
            sim.until_secs(5).await;
        }
        sim.inject(refuse("ns-1")).keep();
        sim.inject(refuse("broker-a").for_secs(1)).keep();
        let _to_the_end = sim.inject(latency("broker-a", "ns-1", 9 * MS, MS));
        sim.until_secs(8).await;
        Ok(())
    });
    let run = run.unwrap();
    let expected = [
        (1_000, 1, true),
        (2_000, 1, false),
        (2_000, 2, true),
        (3_000, 2, false),
        (4_000, 3, true),
        (5_000, 3, false),
        (5_000, 4, true),
        (5_000, 5, true),
        (5_000, 6, true),
        (6_000, 5, false),
        (8_000, 6, false),
    ];
    assert_eq!(faults(&run), expected);
    assert_eq!(run.effects.len(), 6);
    assert!(run.effects[0].injected.is_none());
    let crashed = run.effects[1].injected.as_ref().unwrap();
    assert_eq!(crashed.fault.kind.name(), "crash");
    assert!(crashed.at.contains("injected.rs:"), "{}", crashed.at);
    assert!(run.effects[1].struck > Some(0), "its tasks were ended");
    assert_eq!(run.effects[1].missed(), None);
}

#[test]
fn checkers_take_an_injected_fault_as_an_excuse() {
    for policy in [Policy::strict(), Policy::java_5_3()] {
        cluster().check(async |sim| {
            let producer = sim.producer("app").policy(policy.clone());
            let producer = producer.start().await?;
            producer.send(order(0)).await?;
            let down = sim.crash("broker-a");
            let slow = sim.inject(drop_replies("broker-b").per_mille(300));
            for n in 1..20 {
                let _ = producer.send(order(n)).await;
                sim.sleep(MS * 200).await;
            }
            assert!(slow.struck() > 0);
            drop((down, slow));
            let cut = sim.inject(black_hole("app", "broker-b"));
            sim.inject(power_loss("broker-a").down_for_secs(5)).keep();
            for n in 20..40 {
                let _ = producer.send(order(n)).await;
                sim.sleep(MS * 200).await;
            }
            cut.heal();
            sim.sleep(Duration::from_secs(40)).await;
            producer.send(order(40)).await?;
            producer.stop().await;
            Ok(())
        });
    }
}

#[test]
fn a_fault_may_wait_for_what_a_server_reads_or_stores_from_now_on() {
    cluster().check(async |sim| {
        let producer = sim.producer("app").start().await?;
        for n in 0..10 {
            producer.send(order(n)).await?;
        }
        let full = sim.inject(crash("broker-a").after_stored(3));
        let busy = sim.inject(answer("broker-b", response::SYSTEM_BUSY).times(2));
        let stored = |sim: &Sim| {
            let ledger = sim.ledger();
            let of_a = ledger
                .entries()
                .iter()
                .filter(|(it, _)| &**it == "broker-a");
            of_a.count()
        };
        let before = stored(&sim);
        for n in 10..30 {
            let _ = producer.send(order(n)).await;
        }
        assert_eq!(busy.struck(), 2);
        assert!(full.struck() > 0);
        assert_eq!(stored(&sim), before + 3);
        Ok(())
    });
}

#[test]
fn what_was_taken_away_is_started_again_by_name() {
    cluster()
        .fault(crash("broker-a").at_secs(2))
        .check(async |sim| {
            sim.until_secs(3).await;
            sim.restart("broker-a");
            sim.inject(stop("broker-b")).keep();
            sim.until_secs(40).await;
            let producer = sim.producer("app").start().await?;
            let sent = producer.send(order(1)).await?;
            assert_eq!(&*sent.queue.broker, "broker-a");
            sim.restart("broker-b");
            producer.stop().await;
            Ok(())
        });
}

#[test]
fn a_guard_that_outlives_its_run_does_nothing() {
    let kept: Mutex<Vec<InjectedFault>> = Mutex::default();
    cluster().seeds(0..2).check(async |sim| {
        kept.lock().push(sim.crash("broker-a"));
        sim.sleep(MS).await;
        Ok(())
    });
    let count = kept.lock().len();
    assert_eq!(
        count, 3,
        "one of each run, and the first seed is played twice"
    );
    drop(kept);
}

#[test]
fn an_injected_fault_that_strikes_nobody_or_makes_no_sense_is_an_error_with_a_remedy() {
    let with = |inject: &(dyn Fn(&Sim) -> InjectedFault + Sync)| {
        refusal(cluster().seeds(0..3), async |sim| {
            sim.until_secs(2).await;
            let _fault = inject(&sim);
            sim.until_secs(10).await;
            Ok(())
        })
    };
    let cases = [
        ("a typo", with(&|sim| sim.crash("brokr-a"))),
        (
            "a producer that is not there yet",
            with(&|sim| sim.partition("app", "broker-a")),
        ),
        (
            "a start that is over",
            with(&|sim| sim.inject(crash("broker-a").at_secs(1))),
        ),
        ("one node twice", with(&|sim| sim.partition("ns-1", "ns-1"))),
        ("an acceptance", with(&|sim| sim.answer("broker-a", 0))),
        (
            "nobody that sends",
            with(&|sim| sim.answer("broker-a", response::SYSTEM_BUSY)),
        ),
        (
            "a moment that never comes",
            with(&|sim| sim.inject(stop("broker-a").after_stored(1))),
        ),
        (
            "nothing to be started again",
            with(&|sim| {
                sim.restart("broker-a");
                sim.crash("broker-a")
            }),
        ),
    ];
    let mut text = String::new();
    for (case, said) in cases {
        assert!(said.contains("remedy: "), "{case}: {said}");
        let said = without_lines(&said);
        let _ = writeln!(text, "{case}\n    {}\n", said.replace('\n', "\n    "));
    }
    insta::assert_snapshot!("refusals", text);
}

#[test]
fn an_injected_fault_that_may_miss_or_strikes_in_one_seed_passes() {
    cluster().seeds(0..3).check(async |sim| {
        let _never = sim.inject(partition("broker-a", "broker-b").may_miss());
        let _often = sim.inject(stop("broker-a").after_stored(1).may_miss());
        Ok(())
    });
    cluster().check(async |sim| {
        let busy = sim.answer("broker-a", response::SYSTEM_BUSY);
        if sim.host("dice").draw("dice", 0).is_multiple_of(3) {
            let producer = sim.producer("app").start().await?;
            for n in 0..4 {
                let _ = producer.send(order(n)).await;
            }
        }
        busy.heal();
        Ok(())
    });
}

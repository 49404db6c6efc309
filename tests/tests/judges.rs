//! Who judges the runs of a check: checkers of its own, and the laboratory's but for those that it leaves out. And
//! what a reader of a topic sees.

#![expect(
    clippy::disallowed_methods,
    reason = "the programs use tokio::spawn as people do"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_producer::Message;
use rmq_remoting::observe::Name;
use rmq_sim::run::Run;
use rmq_sim::simulation::{
    CheckError, Cluster, EventChecker, FinishedRun, Heard, OwnChecker, Report, Sim, Simulation,
    checker, crash, drop_replies, event_checker, latency, partition,
};
use rmq_sim::trace::NodeEvent;
use rmq_sim::verdict::Class;

const MS: Duration = Duration::from_millis(1);

fn cluster() -> Simulation {
    Simulation::new(Cluster::new().brokers(2).topic("orders", 2)).seeds(0..10)
}

/// Ten orders, one after the other.
async fn orders(sim: Sim) -> Result<(), CheckError> {
    let producer = sim.producer("app").start().await?;
    for n in 0..10 {
        let _ = producer
            .send(Message::new("orders", format!("order {n}")))
            .await;
    }
    producer.stop().await;
    Ok(())
}

/// What a check says that must not pass.
fn refusal(simulation: Simulation) -> String {
    match simulation.try_check(orders) {
        Ok(checked) => format!("IT PASSED: {checked}"),
        Err(failure) => failure.to_string(),
    }
}

/// The offsets of each queue go up by one.
#[derive(Default)]
struct NoGaps {
    next: BTreeMap<(String, Name, i32), i64>,
}

impl EventChecker for NoGaps {
    fn on(&mut self, heard: &Heard<'_>, report: &mut Report) {
        if let NodeEvent::Broker(BrokerEvent::Stored {
            topic,
            queue,
            offset,
            ..
        }) = heard.what
        {
            report.exercised();
            let queue = (heard.name.to_owned(), Name::clone(topic), *queue);
            let next = self.next.entry(queue).or_default();
            if offset != next {
                report.wrong(format!("{} goes from {next} to {offset}", heard.name));
            }
            *next = offset + 1;
        }
    }

    fn end(&mut self, run: &FinishedRun<'_>, report: &mut Report) {
        let stored: i64 = self.next.values().sum();
        let there = run.ledger.len() as i64;
        if there > 0 && there != stored {
            report.wrong(format!("{there} entries of {stored}"));
        }
    }
}

fn no_gaps() -> OwnChecker {
    event_checker("no-gaps", NoGaps::default)
}

fn stored_once() -> OwnChecker {
    checker("stored-once", |run, report| {
        for (nth, (_, entry)) in run.ledger.iter().enumerate() {
            report.exercised();
            let mut before = run.ledger[..nth].iter();
            assert!(
                before.all(|(_, other)| other.key != entry.key),
                "{} is there twice",
                entry.key
            );
        }
    })
}

#[test]
fn own_checkers_judge_each_run_and_are_listed_with_how_often_they_had_something() {
    let simulation = cluster().checker(no_gaps()).checker(stored_once());
    simulation.clone().check(orders);
    let run = simulation.run(7, orders).unwrap();
    let last_two = &run.preconditions[run.preconditions.len() - 2..];
    assert_eq!(last_two, [("no-gaps", 10), ("stored-once", 10)]);
    assert!(run.verdict.is_pass(), "{}", run.verdict);
    let without = cluster().run(7, orders).unwrap();
    assert_eq!(run.verdict.exercised, without.verdict.exercised + 2);
    assert_eq!(run.digest, without.digest, "who judges changes nothing");
}

#[test]
fn what_an_own_checker_finds_fails_the_check_under_its_name() {
    let twice = cluster()
        .fault(drop_replies("broker-a").times(1))
        .checker(no_gaps())
        .checker(stored_once());
    let run = twice.clone().run(0, orders).unwrap();
    assert_eq!(run.verdict.class, Class::Violation);
    let finding = &run.verdict.findings[0];
    assert_eq!(finding.by, "stored-once");
    assert!(finding.text.contains("is there twice"), "{finding}");
    let text = refusal(twice);
    assert!(text.contains("seed 0: violation: stored-once: "), "{text}");
}

#[test]
fn a_checker_is_shown_that_it_objects_by_a_run_or_a_made_trace() {
    let run: Run = cluster().run(7, orders).unwrap();
    assert_eq!(no_gaps().judge(&run), []);
    assert_eq!(no_gaps().judge_trace(&run.trace), []);
    let mut trace = run.trace.clone();
    let at = trace
        .records
        .iter()
        .position(|record| matches!(record.what, NodeEvent::Broker(BrokerEvent::Stored { .. })));
    trace.records.remove(at.unwrap());
    let found = no_gaps().judge_trace(&trace);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].text.ends_with("goes from 0 to 1"), "{}", found[0]);
    let NodeEvent::Broker(event) = &trace.records[found[0].at.unwrap()].what else {
        panic!("the finding is at the record that was heard: {found:?}");
    };
    assert!(matches!(event, BrokerEvent::Stored { offset: 1, .. }));
}

#[test]
fn a_checker_that_had_nothing_to_judge_fails_the_check_unless_it_may_be_idle() {
    let idle = || checker("never", |_, _| {});
    let text = refusal(cluster().checker(idle()));
    assert!(
        text.contains("the checker \"never\" had nothing to judge in any of 10 seeds"),
        "{text}"
    );
    assert!(text.contains("remedy: "), "{text}");
    cluster().checker(idle().may_be_idle()).check(orders);
    // One seed is enough.
    let rare = checker("rare", |run, report| {
        if run.trace.header.seed == 3 {
            report.exercised();
        }
    });
    cluster().checker(rare).check(orders);
}

/// A check that its own checker always objects to.
fn violating() -> Simulation {
    cluster().checker(checker("always", |_, report| {
        report.exercised();
        report.wrong("this one always objects");
    }))
}

#[test]
fn an_invariant_that_is_left_out_is_not_judged_and_the_verdict_says_why() {
    let simulation = cluster().without("INV-49", "stored is not what we are about");
    let run = simulation.run(7, orders).unwrap();
    assert!(run.verdict.is_pass());
    assert!(run.preconditions.iter().all(|(id, _)| *id != "INV-49"));
    let text = run.verdict.to_string();
    let says = "(not judged: INV-49, stored is not what we are about)";
    assert!(text.starts_with("pass (") && text.ends_with(says), "{text}");
    let failing = violating().without("INV-49", "stored is not what we are about");
    let text = refusal(failing);
    assert!(text.contains("always: this one always objects"), "{text}");
    assert!(text.contains(says), "{text}");
}

#[test]
fn judges_that_make_no_sense_are_an_error_with_a_remedy_before_the_first_seed() {
    let own = |name| cluster().checker(checker(name, |_, _| {}));
    let cases = [
        (cluster().without("INV-99", "no"), "no invariant called"),
        (cluster().without("inv-42", "no"), "no invariant called"),
        (cluster().without("INV-42", " "), "without a reason"),
        (cluster().without("INV-59", "pairs"), "compares two runs"),
        (cluster().without("INV-57", "panics"), "cannot be left out"),
        (own(""), "cannot be called \"\""),
        (own("INV-60"), "cannot be called \"INV-60\""),
        (own("check"), "cannot be called \"check\""),
        (
            own("twice").checker(checker("twice", |_, _| {})),
            "cannot be called \"twice\"",
        ),
    ];
    for (simulation, expected) in cases {
        let text = refusal(simulation);
        assert!(
            text.contains(expected) && text.contains("remedy: "),
            "{text}"
        );
        assert!(!text.contains("seed 0"), "{text}");
    }
}

#[test]
fn a_reader_gets_each_copy_in_the_order_of_its_queue_and_waits_in_virtual_time() {
    cluster()
        .fault(drop_replies("broker-a").per_mille(300))
        .fault(crash("broker-b").after_stored(3).down_for_secs(1))
        .faults_may_miss()
        .check(async |sim| {
            let producer = sim.producer("app").start().await?;
            let mut reader = sim.consume("orders");
            assert_eq!(reader.drain(), []);
            let sender = producer.clone();
            let sending = tokio::spawn(async move {
                for n in 0..20 {
                    tokio::time::sleep(MS * 300).await;
                    let _ = sender
                        .send(Message::new("orders", format!("order {n}")))
                        .await;
                }
            });
            let mut seen = Vec::new();
            while let Ok(next) = tokio::time::timeout(MS * 15_000, reader.next()).await {
                seen.push((sim.now(), next));
            }
            sending.await?;
            let entries = sim.ledger().entries().len();
            assert_eq!((seen.len(), reader.so_far().len()), (entries, entries));
            assert!(entries >= 20 && seen[0].0 < Duration::from_secs(1));
            let mut next: BTreeMap<(Name, i32), i64> = BTreeMap::new();
            for (_, one) in &seen {
                let place = (Name::clone(&one.broker), one.queue);
                let next = next.entry(place).or_default();
                assert_eq!(one.offset, *next, "in the order of the queue");
                *next += 1;
                assert_eq!(one.property("UNIQ_KEY"), Some(&*one.key));
                assert!(one.body.starts_with(b"order "));
            }
            assert_eq!(reader.drain(), [], "all are read");
            Ok(())
        });
}

#[test]
fn a_reader_sees_what_is_stored_whatever_the_network_does_and_no_other_topic() {
    cluster()
        .fault(latency("app", "broker-a", MS * 100, MS))
        .faults_may_miss()
        .check(async |sim| {
            let producer = sim
                .producer("app")
                .with(|builder| builder.namespace("tenant"));
            let producer = producer.start().await?;
            producer.send(Message::new("reports", "other")).await?;
            let long = vec![b'x'; 20_000];
            producer
                .send(Message::new("orders", long.clone()).with_key("k"))
                .await?;
            let _cut = sim.inject(partition("app", "broker-a").may_miss());
            let mut reader = sim.consume("orders");
            let order = reader.next().await;
            assert_eq!(order.body, long, "decompressed");
            assert_eq!(order.property("KEYS"), Some("k"));
            assert!(order.born > Duration::ZERO);
            assert_eq!((reader.drain(), reader.so_far().len()), (vec![], 1));
            sim.sleep(MS * 2_000).await;
            Ok(())
        });
}
